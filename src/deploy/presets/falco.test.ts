/** Falco's lines, through the configuration that the preset makes, in the real collector. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FalcoOptions } from './options.ts';
import { type Attributes, startingWith as by, runAgent, type Seen } from './testing.ts';

const SAMPLE = readFileSync(join(import.meta.dirname, 'testdata/falco.log'), 'utf8');
const UID = '0f4ab8f2-76a5-4a4e-9d39-0a0a0a0a0a0a';

const run = (
  t: TestContext,
  falco: FalcoOptions,
  records: number,
  path = `falco_falco-x1_${UID}/falco`,
): Promise<Seen[]> => runAgent(t, { falco }, { [`/var/log/pods/${path}/0.log`]: SAMPLE }, records);

const OWN = {
  'k8s.namespace.name': 'falco',
  'k8s.pod.name': 'falco-x1',
  'k8s.pod.uid': UID,
  'k8s.container.name': 'falco',
  'k8s.container.restart_count': '0',
};
const nanos = (time: string, fraction: string): string => `${Date.parse(time) / 1000}${fraction}`;
test('alerts of Falco are recognised among text, and carry the pod that they are about', async (t) => {
  const seen = await run(t, {}, 6);
  assert.equal(seen.length, 6);
  const alert = by(seen, '04:00:01.123456789: Warning');
  assert.deepEqual(alert.resource, {
    'k8s.namespace.name': 'shop',
    'k8s.pod.name': 'checkout-1',
    'k8s.container.name': 'checkout',
  });
  assert.deepEqual([alert.severity, alert.severityText], [13, 'Warning']);
  assert.equal(alert.time, nanos('2026-11-23T04:00:01Z', '123456789'));
  const { 'falco.output_fields': fields, ...rest } = alert.attributes;
  assert.deepEqual(Object.fromEntries(Object.entries(rest).filter(([k]) => k.startsWith('falco'))), {
    'falco.rule': 'Terminal shell in container',
    'falco.priority': 'Warning',
    'falco.source': 'syscall',
    'falco.hostname': 'node-1',
    'falco.tags': ['T1059', 'container', 'shell'],
  });
  assert.equal((fields as Attributes)['proc.name'], 'bash');
  assert.equal((fields as Attributes)['user.name'], 'root');

  const host = by(seen, '04:00:02.000000000: Notice');
  assert.deepEqual([host.resource, host.severity, host.attributes['falco.rule']], [OWN, 10, 'Host thing']);
  assert.equal(by(seen, 'x Critical').severity, 18);
});

test('text of Falco, its own JSON and alerts cut in the middle stay as they are', async (t) => {
  const seen = await run(t, {}, 6);
  for (const start of ['Falco version', '{"level":"info"', '{"output":"cut "output_fields"']) {
    const text = by(seen, start);
    assert.deepEqual([text.resource, text.severity], [OWN, 0]);
    assert.deepEqual(
      Object.keys(text.attributes).filter((k) => k.startsWith('falco')),
      [],
    );
  }
});

test('alerts below the least priority are dropped, text on request', async (t) => {
  const seen = await run(t, { minimumPriority: 'warning', alertsOnly: true, attributeToPod: false }, 3);
  assert.deepEqual(seen.map((s) => s.attributes['falco.priority'] ?? 'none').sort(), ['Critical', 'Warning', 'none']);
  assert.deepEqual(by(seen, '04:00:01').resource, OWN);
});

test('in the logs of other pods alerts are text, unless they are looked for anywhere', async (t) => {
  const rules = (seen: Seen[]): number => seen.filter((s) => 'falco.rule' in s.attributes).length;
  assert.equal(rules(await run(t, {}, 6, `other_app-1_${UID}/app`)), 0);
  assert.equal(rules(await run(t, { anywhere: true }, 6, `other_app-1_${UID}/app`)), 3);
});
