/** Falco's lines, through the configuration that the preset makes, in the real collector. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { collection, type FalcoOptions } from '../index.ts';

const HERE = import.meta.dirname;
const SLUICE = join(HERE, '../../../bin/sluice');
const scratch = mkdtempSync(join(tmpdir(), 'sluice-falco-'));
after(() => rmSync(scratch, { recursive: true }));

type Attributes = Record<string, unknown>;
interface Seen {
  body: unknown;
  severity: number;
  severityText: string;
  time: string;
  resource: Attributes;
  attributes: Attributes;
}

interface AnyValue {
  stringValue?: string;
  intValue?: string;
  doubleValue?: number;
  boolValue?: boolean;
  arrayValue?: { values?: AnyValue[] };
  kvlistValue?: { values?: { key: string; value: AnyValue }[] };
}
const plain = (v: AnyValue): unknown => {
  if (v.arrayValue) return (v.arrayValue.values ?? []).map(plain);
  if (v.kvlistValue) return attributes(v.kvlistValue.values);
  return v.stringValue ?? v.intValue ?? v.doubleValue ?? v.boolValue ?? null;
};
const attributes = (list: { key: string; value: AnyValue }[] | undefined): Attributes =>
  Object.fromEntries((list ?? []).map(({ key, value }) => [key, plain(value)]));

let runs = 0;
/** Runs the agent over the sample until so many records are written. */
async function run(falco: FalcoOptions, records: number, pod = 'falco_falco-x1'): Promise<Seen[]> {
  const dir = join(scratch, String(++runs));
  const pods = join(
    dir,
    'pods',
    `${pod}_0f4ab8f2-76a5-4a4e-9d39-0a0a0a0a0a0a`,
    pod.includes('falco') ? 'falco' : 'app',
  );
  mkdirSync(pods, { recursive: true });
  cpSync(join(HERE, 'testdata/falco.log'), join(pods, '0.log'));
  const { tiers } = collection({
    gateway: false,
    agent: {
      presets: { falco, kubeletMetrics: false, hostMetrics: false, kubernetesAttributes: false },
      batch: { timeout: '50ms' },
      config: {
        exporters: { file: { path: join(dir, 'out.json') } },
        service: {
          telemetry: { metrics: { $replace: { level: 'none' } } },
          extensions: ['file_storage'],
          pipelines: { logs: { exporters: ['file'] } },
        },
      },
    },
  });
  const file = join(dir, 'config.yaml');
  const text = stringify(tiers[0]!.config, { aliasDuplicateObjects: false, lineWidth: 0 });
  writeFileSync(
    file,
    text.replaceAll('/var/log/pods', join(dir, 'pods')).replaceAll('/var/lib/otelcol', join(dir, 'st')),
  );
  const child = spawn(SLUICE, ['--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (d) => (log += d));
  const exited = once(child, 'exit');
  const read = (): Seen[] => {
    let out = '';
    try {
      out = readFileSync(join(dir, 'out.json'), 'utf8');
    } catch {}
    return out.split('\n').filter(Boolean).flatMap(recordsOf);
  };
  const until = Date.now() + 60_000;
  while (read().length < records && child.exitCode === null && Date.now() < until) await sleep(20);
  child.kill('SIGTERM');
  await exited;
  // Bad lines of Falco are no news.
  assert.deepEqual(
    log.split('\n').filter((l) => /\t(error|warn)\t/.test(l) && !/no files match/.test(l)),
    [],
  );
  return read();
}

interface ResourceLogs {
  resource: { attributes: { key: string; value: AnyValue }[] };
  scopeLogs: {
    logRecords: {
      body: AnyValue;
      severityNumber?: number;
      severityText?: string;
      timeUnixNano: string;
      attributes: { key: string; value: AnyValue }[];
    }[];
  }[];
}

function recordsOf(line: string): Seen[] {
  const { resourceLogs } = JSON.parse(line) as { resourceLogs: ResourceLogs[] };
  return resourceLogs.flatMap((r) =>
    r.scopeLogs.flatMap((s) =>
      s.logRecords.map((l) => ({
        body: plain(l.body),
        severity: l.severityNumber ?? 0,
        severityText: l.severityText ?? '',
        time: l.timeUnixNano,
        resource: attributes(r.resource.attributes),
        attributes: attributes(l.attributes),
      })),
    ),
  );
}

const OWN = {
  'k8s.namespace.name': 'falco',
  'k8s.pod.name': 'falco-x1',
  'k8s.pod.uid': '0f4ab8f2-76a5-4a4e-9d39-0a0a0a0a0a0a',
  'k8s.container.name': 'falco',
  'k8s.container.restart_count': '0',
};
const nanos = (time: string, fraction: string): string => `${Date.parse(time) / 1000}${fraction}`;
const by = (seen: Seen[], start: string): Seen => {
  const found = seen.filter((s) => String(s.body).startsWith(start));
  assert.equal(found.length, 1, start);
  return found[0]!;
};

test('alerts of Falco are recognised among text, and carry the pod that they are about', async () => {
  const seen = await run({}, 6);
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

test('text of Falco, its own JSON and alerts cut in the middle stay as they are', async () => {
  const seen = await run({}, 6);
  for (const start of ['Falco version', '{"level":"info"', '{"output":"cut "output_fields"']) {
    const text = by(seen, start);
    assert.deepEqual([text.resource, text.severity], [OWN, 0]);
    assert.deepEqual(
      Object.keys(text.attributes).filter((k) => k.startsWith('falco')),
      [],
    );
  }
});

test('alerts below the least priority are dropped, text on request', async () => {
  const seen = await run({ minimumPriority: 'warning', alertsOnly: true, attributeToPod: false }, 3);
  assert.deepEqual(seen.map((s) => s.attributes['falco.priority'] ?? 'none').sort(), ['Critical', 'Warning', 'none']);
  assert.deepEqual(by(seen, '04:00:01').resource, OWN);
});

test('in the logs of other pods alerts are text, unless they are looked for anywhere', async () => {
  const rules = (seen: Seen[]): number => seen.filter((s) => 'falco.rule' in s.attributes).length;
  assert.equal(rules(await run({}, 6, 'other_app-1')), 0);
  assert.equal(rules(await run({ anywhere: true }, 6, 'other_app-1')), 3);
});
