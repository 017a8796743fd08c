/** For tests: an agent of some presets, run by the real collector over files, and the records that it delivered. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { type AgentPresets, collection } from '../index.ts';

const SLUICE = join(import.meta.dirname, '../../../bin/sluice');

export type Attributes = Record<string, unknown>;
export interface Seen {
  readonly body: unknown;
  readonly severity: number;
  readonly severityText: string;
  readonly time: string;
  readonly resource: Attributes;
  readonly attributes: Attributes;
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

/** Runs until so many records are delivered. `files` are paths of the node, below /var/log, and what stands in them. */
export async function runAgent(
  t: TestContext,
  presets: AgentPresets,
  files: Readonly<Record<string, string>>,
  records: number,
): Promise<Seen[]> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-agent-'));
  t.after(() => rmSync(dir, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    const file = join(dir, 'node', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const { tiers } = collection({
    gateway: false,
    agent: {
      presets: { kubeletMetrics: false, hostMetrics: false, kubernetesAttributes: false, ...presets },
      batch: { timeout: '50ms' },
      config: {
        exporters: { file: { path: join(dir, 'out.json') } },
        service: {
          telemetry: { metrics: { $replace: { level: 'none' } } },
          // Ports are for one collector at a time.
          extensions: ['file_storage'],
          pipelines: { logs: { exporters: ['file'] } },
        },
      },
    },
  });
  const config = join(dir, 'config.yaml');
  const text = stringify(tiers[0]!.config, { aliasDuplicateObjects: false, lineWidth: 0 });
  writeFileSync(
    config,
    text.replaceAll('/var/lib/otelcol', join(dir, 'storage')).replaceAll('/var/log', join(dir, 'node/var/log')),
  );
  const child = spawn(SLUICE, ['--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, K8S_NODE_NAME: 'node-1' },
  });
  let log = '';
  child.stderr.on('data', (d) => (log += d));
  const exited = once(child, 'exit');
  const delivered = (): Seen[] => {
    let out = '';
    try {
      out = readFileSync(join(dir, 'out.json'), 'utf8');
    } catch {}
    return out.split('\n').filter(Boolean).flatMap(recordsOf);
  };
  const until = Date.now() + 60_000;
  while (delivered().length < records && child.exitCode === null && Date.now() < until) await sleep(20);
  child.kill('SIGTERM');
  await exited;
  // Odd lines of applications are no news.
  const told = log.split('\n').filter((l) => /\t(error|warn)\t/.test(l) && !/no files match/.test(l));
  assert.deepEqual(told, []);
  return delivered();
}

export function startingWith(seen: readonly Seen[], start: string): Seen {
  const found = seen.filter((s) => String(s.body).startsWith(start));
  assert.equal(found.length, 1, start);
  return found[0]!;
}
