/** The Prometheus text format of the telemetry registry and the ledgers. */
import type { Ledger, LedgerSnapshot } from '../core/ledger.ts';
import type { Instrument, Labels, MetricsLevel, Series, TelemetryRegistry } from '../core/telemetry.ts';

export interface PageOptions {
  readonly level: MetricsLevel;
  /** Append units and `_total` (explicit readers without the `without_*` flags), or serve raw names. */
  readonly typeSuffix: boolean;
  readonly unitSuffix: boolean;
  /** Dots stay in names, which then stand in quotes; else they become underscores. */
  readonly utf8Names: boolean;
  readonly resource: Labels;
  /** Put on every metric. */
  readonly constantLabels: Labels;
}

interface PageFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly lines: string[];
}

const LEVELS: Readonly<Record<MetricsLevel, number>> = { basic: 0, normal: 1, detailed: 2 };

export function metricsPage(
  registry: TelemetryRegistry,
  ledgers: Iterable<readonly [string, readonly Ledger[]]>,
  options: PageOptions,
): string {
  const families: PageFamily[] = [];
  for (const { instrument, series } of registry.families.values()) {
    if (series.size === 0 || LEVELS[instrument.level ?? 'basic'] > LEVELS[options.level]) continue;
    const family = familyOf(instrument, options);
    for (const s of series.values()) addSeries(family, s, options);
    families.push(family);
  }
  families.push(targetInfo(options), handlerErrors(options), ...ledgerFamilies(ledgers, options));
  families.sort((a, b) => (a.name < b.name ? -1 : 1));
  const out: string[] = [];
  for (const f of families) {
    if (f.lines.length === 0) continue;
    const name = isPlainName(f.name) ? f.name : JSON.stringify(f.name);
    if (f.help) out.push(`# HELP ${name} ${escapeHelp(f.help)}`);
    out.push(`# TYPE ${name} ${f.type}`, ...f.lines);
  }
  return `${out.join('\n')}\n`;
}

const UNIT_WORDS: Readonly<Record<string, string>> = {
  By: 'bytes',
  KiBy: 'kibibytes',
  MiBy: 'mebibytes',
  GiBy: 'gibibytes',
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  min: 'minutes',
  h: 'hours',
  d: 'days',
};

function unitWord({ unit = '', kind, upDown }: Instrument): string {
  if (unit.startsWith('{')) return '';
  if (unit === '1') return kind === 'gauge' && !upDown ? 'ratio' : '';
  return UNIT_WORDS[unit] ?? unit;
}

function familyOf(instrument: Instrument, options: PageOptions): PageFamily {
  let name = options.utf8Names ? instrument.name : underscores(instrument.name);
  const suffixes = options.typeSuffix || options.unitSuffix;
  if (suffixes) {
    const word = unitWord(instrument);
    if (word && !name.endsWith(`_${word}`) && /^\w+$/.test(word)) name += `_${word}`;
    if (instrument.kind === 'counter' && !name.endsWith('_total')) name += '_total';
  }
  return { name, type: instrument.kind, help: instrument.help, lines: [] };
}

function addSeries(family: PageFamily, s: Series, options: PageOptions): void {
  const labels = { ...options.constantLabels, ...s.labels };
  const h = s.histogram;
  if (!h) {
    family.lines.push(`${selector(family.name, labels, options)} ${number(readValue(s))}`);
    return;
  }
  let below = 0;
  for (let i = 0; i <= h.bounds.length; i++) {
    below += h.counts[i] ?? 0;
    const le = i < h.bounds.length ? number(h.bounds[i]!) : '+Inf';
    family.lines.push(`${selector(`${family.name}_bucket`, { ...labels, le }, options)} ${below}`);
  }
  family.lines.push(`${selector(`${family.name}_sum`, labels, options)} ${number(h.sum)}`);
  family.lines.push(`${selector(`${family.name}_count`, labels, options)} ${h.count}`);
}

/** A value that cannot be read is not worth failing the page for. */
function readValue(s: Series): number {
  if (!s.read) return s.value;
  try {
    return s.read();
  } catch {
    return Number.NaN;
  }
}

function targetInfo(options: PageOptions): PageFamily {
  const line = `${selector('target_info', options.resource, options)} 1`;
  return { name: 'target_info', type: 'gauge', help: 'Target metadata', lines: [line] };
}

function handlerErrors(options: PageOptions): PageFamily {
  const name = 'promhttp_metric_handler_errors_total';
  const help = 'Total number of internal errors encountered by the promhttp metric handler.';
  const lines = ['encoding', 'gathering'].map((cause) => `${selector(name, { cause }, options)} 0`);
  return { name, type: 'counter', help, lines };
}

function ledgerFamilies(ledgers: Iterable<readonly [string, readonly Ledger[]]>, options: PageOptions): PageFamily[] {
  const records: PageFamily = {
    name: 'sluice_ledger_records',
    type: 'gauge',
    help: 'What became of the records that were read: read = delivered + queued + filtered + lost + in_flight.',
    lines: [],
  };
  const bytes: PageFamily = {
    ...records,
    name: 'sluice_ledger_bytes',
    help: 'The same in bytes of the source.',
    lines: [],
  };
  for (const [component, list] of ledgers)
    for (const [labels, amount] of ledgerRows(
      component,
      list.map((l) => l.snapshot()),
    )) {
      const all = { ...options.constantLabels, ...labels };
      records.lines.push(`${selector(records.name, all, options)} ${amount.records}`);
      bytes.lines.push(`${selector(bytes.name, all, options)} ${amount.bytes}`);
    }
  return [records, bytes];
}

type Amount = { records: number; bytes: number };

function ledgerRows(component: string, snapshots: readonly LedgerSnapshot[]): [Labels, Amount][] {
  const rows = new Map<string, [Labels, Amount]>();
  const add = (outcome: string, reason: string, amount: Readonly<Amount>): void => {
    const key = `${outcome} ${reason}`;
    let row = rows.get(key);
    if (!row)
      rows.set(
        key,
        (row = [
          { component, outcome, ...(reason ? { reason } : {}) },
          { records: 0, bytes: 0 },
        ]),
      );
    row[1].records += amount.records;
    row[1].bytes += amount.bytes;
  };
  for (const s of snapshots) {
    add('read', '', s.read);
    add('delivered', '', s.delivered);
    add('queued', '', s.queued);
    add('in_flight', '', s.inFlight);
    for (const [reason, amount] of s.filteredBy) add('filtered', reason, amount);
    for (const [reason, amount] of s.lostBy) add('lost', reason, amount);
  }
  return [...rows.values()];
}

const underscores = (name: string): string => name.replace(/[^A-Za-z0-9_:]/g, '_');
const isPlainName = (name: string): boolean => /^[A-Za-z_:][A-Za-z0-9_:]*$/.test(name);

function selector(name: string, labels: Labels, options: PageOptions): string {
  const named = Object.entries(labels).map(([k, v]) => [options.utf8Names ? k : underscores(k), v] as const);
  named.sort(([a], [b]) => (a < b ? -1 : 1));
  const members = named.map(([k, v]) => `${isPlainName(k) ? k : JSON.stringify(k)}="${escapeLabel(v)}"`);
  if (!isPlainName(name)) return `{${[JSON.stringify(name), ...members].join(',')}}`;
  return members.length ? `${name}{${members.join(',')}}` : name;
}

const escapeLabel = (v: string): string => v.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');
const escapeHelp = (v: string): string => v.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');
const number = (v: number): string =>
  Number.isFinite(v) ? String(v) : Number.isNaN(v) ? 'NaN' : v > 0 ? '+Inf' : '-Inf';
