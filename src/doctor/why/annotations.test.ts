import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { collection } from '../../deploy/index.ts';
import type { ByAnnotation } from '../../deploy/presets/by-annotation.ts';
import type { CheckResult } from '../context.ts';
import { contextFor, startCluster, told } from '../testing.ts';
import { why } from './why.ts';

const KEY = 'io.opentelemetry.discovery.logs';
const folder = mkdtempSync(join(tmpdir(), 'sluice-why-annotations-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const UID = 'b1ffc2a1-0000-4000-8000-000000000001';
for (const container of ['app', 'proxy']) {
  const file = join(folder, `shop_web-1_${UID}`, container, '0.log');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '2026-11-22T10:00:00.000000000Z stdout F hello\n');
}

function configFor(byAnnotation: ByAnnotation, pods: string): string {
  const presets = { logsCollection: { byAnnotation, checkpoints: false }, hostMetrics: false, kubeletMetrics: false };
  const config = { service: { telemetry: { metrics: { $replace: { level: 'none' } } } } };
  const { tiers } = collection({ gateway: false, agent: { presets, config } });
  return stringify(tiers[0]!.config, { aliasDuplicateObjects: false, lineWidth: 0 }).replaceAll('/var/log/pods', pods);
}

interface Given {
  readonly mode: ByAnnotation;
  readonly pod?: Record<string, string>;
  readonly namespace?: Record<string, string>;
  /** Its files are on another machine. */
  readonly isElsewhere?: boolean;
}

async function ask(t: TestContext, { mode, pod = {}, namespace = {}, isElsewhere = false }: Given) {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  const { population } = cluster;
  population.put('namespaces', { metadata: { name: 'shop', annotations: namespace } });
  population.put('pods', {
    metadata: { name: 'web-1', namespace: 'shop', uid: UID, annotations: pod },
    spec: { nodeName: 'worker-1', containers: [{ name: 'app' }, { name: 'proxy' }] },
    status: { phase: 'Running', containerStatuses: ['app', 'proxy'].map((name) => ({ name, restartCount: 0 })) },
  });
  const ctx = await contextFor(cluster.url, { config: configFor(mode, isElsewhere ? '/var/log/pods' : folder) });
  t.after(() => ctx.close());
  const root = isElsewhere ? join(folder, 'nothing') : folder;
  const { results } = await why(ctx, { pod: 'web-1', namespace: 'shop', container: '', root });
  return results;
}
const section = (results: readonly CheckResult[], id: string) => results.find((r) => r.id === id)?.findings ?? [];

test('the annotation that decides is told with the object that has it, for each container', async (t) => {
  const results = await ask(t, {
    mode: 'opt-out',
    namespace: { [`${KEY}/enabled`]: 'false' },
    pod: { [`${KEY}.app/enabled`]: 'true' },
  });
  const found = section(results, 'annotations');
  assert.deepEqual(told(found), [
    `ok: app is collected: pod shop/web-1 has ${KEY}.app/enabled: "true"`,
    `warning: proxy is not collected: namespace shop has ${KEY}/enabled: "false"`,
  ]);
  assert.equal(
    found[1]!.fix,
    `kubectl annotate --overwrite pod -n shop web-1 ${KEY}.proxy/enabled=true; for good in the template of its workload`,
  );
  const [app, proxy] = section(results, 'destination');
  assert.match(told([app!])[0]!, /^ok: logs → .*: the record goes there$/);
  assert.match(told([proxy!])[0]!, /^warning: logs → .*: none of 1 records gets there$/);
  assert.match(proxy!.how, /filter\/annotations drops 1 of 1/);
  assert.equal(proxy!.fix, 'is it meant? See "Annotations"');
  // What decides is not stored.
  assert.doesNotMatch(app!.how, /discovery/);
});

test('without an annotation, the mode decides', async (t) => {
  const into = section(await ask(t, { mode: 'opt-in' }), 'annotations');
  assert.equal(told(into)[0], 'warning: app is not collected: no annotation asks for it');
  assert.match(
    into[0]!.how,
    new RegExp(`neither the pod nor namespace shop has ${KEY}/enabled or ${KEY}\\.app/enabled`),
  );
  const out = section(await ask(t, { mode: 'opt-out' }), 'annotations');
  assert.deepEqual(told(out), [
    'ok: app is collected: no annotation says otherwise',
    'ok: proxy is collected: no annotation says otherwise',
  ]);
});

test('from outside, where no line can be read, what the annotations decide is known all the same', async (t) => {
  const pod = { [`${KEY}/enabled`]: 'false', [`${KEY}.app/enabled`]: 'true' };
  const results = await ask(t, { mode: 'opt-out', pod, isElsewhere: true });
  assert.deepEqual(told(section(results, 'annotations')), [
    `ok: app is collected: pod shop/web-1 has ${KEY}.app/enabled: "true"`,
    `warning: proxy is not collected: pod shop/web-1 has ${KEY}/enabled: "false"`,
  ]);
  const [app, proxy] = told(section(results, 'destination'));
  assert.match(app!, /^ok: logs → .*opentelemetry\)$/);
  assert.match(proxy!, /^warning: logs → .*: nothing of proxy gets there$/);
});

test('without the API server nobody knows what decides', async (t) => {
  const ctx = await contextFor(undefined, { config: configFor('opt-in', folder) });
  t.after(() => ctx.close());
  const { results } = await why(ctx, { pod: 'web-1', namespace: 'shop', container: 'app', root: folder });
  assert.deepEqual(told(section(results, 'annotations')), [
    'unknown: which annotation decides about app cannot be looked up',
  ]);
  assert.match(
    told(section(results, 'destination'))[0]!,
    /^unknown: logs → .*: the record goes there, unless filter\/annotations drops them$/,
  );
});
