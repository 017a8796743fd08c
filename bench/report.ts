/** Medians, the table for people and for README.md, and results.json. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { CASES, type Figure } from './cases.ts';
import type { Figures } from './measure.ts';
import { SCALE_CASES } from './scale-cases.ts';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

export interface Machine {
  readonly cores: number;
  readonly model: string;
  readonly memoryGb: number;
}

/** The outcome of one case: figures by name, and the circumstances. */
export interface CaseResult {
  readonly sluice: Readonly<Record<string, Spread>>;
  /** Absent when no peer was there to compare with. */
  readonly otelcol?: Readonly<Record<string, Spread>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: Machine;
  /** Load average before each run, in order. */
  readonly loads: readonly number[];
  /** The machine was busy when the case started: take the figures with care. */
  readonly busy: boolean;
}

export type Results = Readonly<Record<string, CaseResult>>;

export function spread(samples: readonly number[]): Spread {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)!, samples };
}

function spreads(runs: readonly Figures[]): Record<string, Spread> {
  const keys = Object.keys(runs[0] ?? {});
  return Object.fromEntries(keys.map((key) => [key, spread(runs.map((r) => r[key] ?? Number.NaN))]));
}

/** What the runs of both contestants come to, on this machine. */
export function resultOf(
  figures: Readonly<Record<'sluice' | 'otelcol', readonly Figures[]>>,
  contestants: readonly { readonly name: string; readonly version: string }[],
  about: Pick<CaseResult, 'loads' | 'busy'>,
): CaseResult {
  return {
    sluice: spreads(figures.sluice),
    ...(figures.otelcol.length > 0 ? { otelcol: spreads(figures.otelcol) } : {}),
    versions: Object.fromEntries(contestants.map((w) => [w.name, w.version])),
    machine: {
      cores: cpus().length,
      model: cpus()[0]?.model.trim() ?? 'unknown',
      memoryGb: Math.round(totalmem() / 2 ** 30),
    },
    ...about,
  };
}

/** How many times better ours is; undefined without a peer. */
export function ratio(figure: Figure, result: CaseResult): number | undefined {
  const ours = result.sluice[figure.key]?.median;
  const theirs = result.otelcol?.[figure.key]?.median;
  if (ours === undefined || theirs === undefined) return undefined;
  return figure.better === 'more' ? ours / theirs : theirs / ours;
}

/** Three significant digits, thousands with commas. */
export function number(n: number): string {
  if (!Number.isFinite(n)) return '–';
  if (n >= 1000) return Number(n.toPrecision(3)).toLocaleString('en-US');
  return String(Number(n.toPrecision(3)));
}

const cell = (s: Spread | undefined, unit: string): string => {
  if (!s) return '–';
  const suffix = unit ? ` ${unit}` : '';
  if (s.samples.length === 1) return number(s.median) + suffix;
  return `${number(s.median)}${suffix} (${number(s.min)}–${number(s.max)})`;
};

/** Every figure of every case as Markdown, cases in their own order. */
export function table(results: Results): string {
  const rows = [['case', 'figure', 'Sluice', 'otelcol', 'times better']];
  for (const c of [...CASES, ...SCALE_CASES]) {
    const result = results[c.name];
    if (result) rows.push(...caseRows(c, result));
  }
  return aligned(rows);
}

/** A line for each case that has a peer: its first figure, and how many times better that and the memory are. */
export function overview(results: Results): string {
  const rows = [['', 'figure', 'Sluice', 'otelcol', 'times better', 'memory']];
  for (const c of [...CASES, ...SCALE_CASES] as readonly Reported[]) {
    const result = results[c.name];
    const figure = c.figures.find((f) => !f.key.toLowerCase().includes('rss')) ?? c.figures[0]!;
    const memory = c.figures.find((f) => f.key.toLowerCase().includes('rss'));
    if (!result?.otelcol) continue;
    const short = (who: Readonly<Record<string, Spread>>): string => {
      const s = who[figure.key];
      return s ? `${number(s.median)} ${figure.unit}`.trim() : '–';
    };
    const times = (f: Figure | undefined): string => {
      const n = f && ratio(f, result);
      return n === undefined ? '–' : `${number(n)}x`;
    };
    rows.push([c.title, figure.label, short(result.sluice), short(result.otelcol), times(figure), times(memory)]);
  }
  return aligned(rows);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((r) => r[i]!.length)));
  const line = (r: readonly string[]): string => `| ${r.map((text, i) => text.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(rows[0]!), `|${widths.map((w) => '-'.repeat(w + 2)).join('|')}|`, ...rows.slice(1).map(line)].join('\n');
}

interface Reported {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly oursOnly?: boolean;
  /** The peer is measured only when asked for. */
  readonly hasPeer?: boolean;
}

function caseRows(c: Reported, result: CaseResult): string[][] {
  return c.figures.map((figure, i) => {
    const better = ratio(figure, result);
    return [
      i === 0 ? `\`${c.name}\`: ${c.title}${result.busy ? ' (busy machine)' : ''}` : '',
      figure.label,
      cell(result.sluice[figure.key], figure.unit),
      c.oursOnly ? '–' : result.otelcol ? cell(result.otelcol[figure.key], figure.unit) : 'not measured',
      better === undefined ? (c.oursOnly ? '–' : 'unknown') : number(better),
    ];
  });
}

/** One sentence on what the table was measured with. */
export function circumstances(results: Results): string {
  const all = Object.values(results);
  const machines = new Set(all.map((r) => `${r.machine.cores} × ${r.machine.model}, ${r.machine.memoryGb} GB`));
  const versions = new Set(all.flatMap((r) => Object.values(r.versions)));
  const runs = Math.max(...all.flatMap((r) => Object.values(r.sluice).map((s) => s.samples.length)));
  return (
    `Median (least–most) of up to ${runs} runs, the two collectors in turn on the same machine (${[...machines].join('; ')}); ` +
    `CPU is user + system time of the collector's process alone. ${[...versions].join('; ')}. Repeat with \`npm run bench\`.`
  );
}

/** Keeps the results and what the two READMEs of the repository at `root` say of them. */
export function publish(root: string, results: Results): void {
  writeResults(join(root, 'bench', 'results.json'), results);
  const rest = circumstances(results);
  fillMarkers(join(root, 'README.md'), `${overview(results)}\n\n${rest}`);
  fillMarkers(join(root, 'bench', 'README.md'), `${table(results)}\n\n${rest}`);
  console.log('\nbench/results.json and the tables of README.md and bench/README.md are up to date.');
}

/** Replaces what stands between the markers. */
function fillMarkers(path: string, text: string): void {
  const before = readFileSync(path, 'utf8');
  const open = '<!-- bench -->';
  const close = '<!-- /bench -->';
  const from = before.indexOf(open);
  if (from < 0) throw new Error(`${path} has no place for the figures: ${open}`);
  const to = before.indexOf(close, from);
  const rest = to < 0 ? before.slice(from + open.length) : before.slice(to + close.length);
  writeFileSync(path, `${before.slice(0, from)}${open}\n\n${text}\n\n${close}${rest}`);
}

export const readResults = (path: string): Results =>
  existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Results) : {};

/** Figures are rounded: digits beyond the fourth are noise. */
function writeResults(path: string, results: Results): void {
  const rounded = (_key: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
  writeFileSync(path, `${JSON.stringify(results, rounded, 2)}\n`);
}
