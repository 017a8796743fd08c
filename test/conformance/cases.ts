/**
 * The recorded cases: what each needs of the registry, and running a choice of them with the runner that recorded them
 * (golden.mjs, kept as it is).
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseDocument } from 'yaml';
import { findComponent } from '../../src/components/index.ts';
import type { ComponentKind } from '../../src/core/component.ts';
import { operatorDefinitions } from '../../tools/operators.ts';
import { ROOT } from '../helpers/paths.ts';

const CASES = join(import.meta.dirname, 'cases');
const KINDS: readonly ComponentKind[] = ['receiver', 'processor', 'exporter', 'connector', 'extension'];

export interface Case {
  readonly name: string;
  /** Recorded facts without an expected result. */
  readonly pending: boolean;
  /** What is wrong with the recorded behaviour, where a difference of ours is deliberate. */
  readonly fault: string | undefined;
  /** Components and operators that its configuration names and we do not have: `exporter prometheusremotewrite`. */
  readonly missing: readonly string[];
}

/** What is written is data of unknown shape; these take from it what has the right shape. */
const mapOf = (v: unknown): Readonly<Record<string, unknown>> =>
  typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Record<string, unknown>) : {};
const listOf = (v: unknown): readonly unknown[] => (Array.isArray(v) ? v : []);

/** `exporter otlphttp`, `operator json_parser`, … as the configuration text names them. */
export function namesIn(text: string): Set<string> {
  const config = mapOf(parseDocument(text, { uniqueKeys: false, logLevel: 'silent' }).toJS());
  const names = new Set<string>();
  for (const kind of KINDS)
    for (const id of Object.keys(mapOf(config[`${kind}s`]))) names.add(`${kind} ${id.split('/')[0]!.trim()}`);
  for (const receiver of Object.values(mapOf(config['receivers']))) {
    const r = mapOf(receiver);
    for (const operator of [...listOf(r['operators']), ...listOf(mapOf(r['header'])['metadata_operators'])]) {
      const type = mapOf(operator)['type'];
      if (typeof type === 'string') names.add(`operator ${type}`);
    }
  }
  return names;
}

export async function readCases(filter = /^/): Promise<Case[]> {
  const operators = new Set((await operatorDefinitions()).operators.map((o) => o.type));
  const exists = (name: string): boolean => {
    const [kind, type] = name.split(' ') as [ComponentKind | 'operator', string];
    return kind === 'operator' ? operators.has(type) : findComponent(kind, type) !== undefined;
  };
  const cases: Case[] = [];
  for (const name of readdirSync(CASES).sort()) {
    const dir = join(CASES, name);
    if (!filter.test(name) || !existsSync(join(dir, 'case.json'))) continue;
    const spec = mapOf(JSON.parse(readFileSync(join(dir, 'case.json'), 'utf8')));
    const file = (f: string): string => (existsSync(join(dir, f)) ? readFileSync(join(dir, f), 'utf8') : '');
    const expected = file('expected.json');
    const missing = new Set<string>();
    for (const config of listOf(spec['configs'] ?? ['config.yaml']))
      for (const n of namesIn(file(String(config)))) {
        const type = n.split(' ')[1]!;
        // Some cases are about a type that nobody has.
        const unknownOnPurpose =
          expected.includes(`unknown type: \\"${type}\\"`) || expected.includes(`unsupported type '${type}'`);
        if (!exists(n) && !unknownOnPurpose) missing.add(n);
      }
    cases.push({
      name,
      pending: spec['pending'] === true,
      fault: typeof spec['fault'] === 'string' ? spec['fault'] : undefined,
      missing: [...missing],
    });
  }
  return cases;
}

export interface Result {
  readonly name: string;
  readonly ok: boolean;
  /** Passed only when it was run a second time, alone. */
  readonly secondTry: boolean;
  /** What failed, or how a faulty recording differs; empty otherwise. */
  readonly detail: string;
}

/**
 * Runs cases against `collector` (a command line). What fails among others is run once more alone, because machines
 * stall; only that second result counts. `onResult` hears of each as it ends.
 */
export async function runCases(
  names: readonly string[],
  options: { collector: string; jobs: number; onResult?: (r: Result) => void; signal?: AbortSignal },
): Promise<Result[]> {
  const results: Result[] = [];
  const tell = (r: Result): void => {
    results.push(r);
    options.onResult?.(r);
  };
  const failed: string[] = [];
  await golden(names, options.jobs, options, (r) => {
    if (r.ok || options.signal?.aborted) tell(r);
    else failed.push(r.name);
  });
  for (const name of failed) await golden([name], 1, options, (r) => tell({ ...r, secondTry: r.ok }));
  return results;
}

const LINE = /^(ok {2}|FAIL) (\S+) \([\d.]+s\) ?(.*)$/;

async function golden(
  names: readonly string[],
  jobs: number,
  options: { collector: string; signal?: AbortSignal },
  onResult: (r: Result) => void,
): Promise<void> {
  if (names.length === 0) return;
  const args = ['--collector', options.collector, '--jobs', String(jobs), '--filter', `^(${names.join('|')})$`];
  const child = spawn(process.execPath, [join(import.meta.dirname, 'golden.mjs'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.signal && { signal: options.signal }),
  });
  let stderr = '';
  child.stderr.on('data', (d) => {
    stderr += d;
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const left = new Set(names);
  for await (const line of createInterface({ input: child.stdout })) {
    const m = LINE.exec(line);
    if (!m) continue;
    left.delete(m[2]!);
    onResult({ name: m[2]!, ok: m[1] !== 'FAIL', secondTry: false, detail: m[3]! });
  }
  const code = await exited;
  // A case without a line is a failure too: the runner itself broke.
  for (const name of left)
    onResult({ name, ok: false, secondTry: false, detail: `no result, the runner ended with ${code}: ${stderr}` });
}
