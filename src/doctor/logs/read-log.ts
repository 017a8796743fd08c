/** Reads a whole log, puts lines of the same trouble together, and says when it began, how often it came and what helps. */
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { readLine } from './line.ts';
import type { LogRule } from './rule.ts';
import { LOG_RULES } from './rules.ts';

export interface LogGroup {
  readonly rule: LogRule;
  readonly what: string;
  readonly fix: string;
  count: number;
  firstMs: number | undefined;
  lastMs: number | undefined;
  /** The first line as it was written, or what it says. */
  readonly example: string;
  /** Of the component that the line is of. */
  readonly component: string;
  isOver: boolean;
}

export interface LogSummary {
  lines: number;
  /** Lines that a collector's log has: with a level. */
  recognised: number;
  readonly groups: LogGroup[];
  /** Errors that no rule knows, the first few. */
  readonly others: Map<string, number>;
}

/** Rules for what is printed as it is: the configuration, the start, the end of the process. */
const PLAIN_RULES = LOG_RULES.filter((r) => r.isPrinted);
/** The forms of a debug exporter. */
const PRINTED =
  /^\s*(?:->|(?:Body|Resource|Scope|Instrumentation|Log|Observed|Timestamp|Severity|Trace|Span|Flags|Metric|Descriptor|NumberDataPoints|Value|Data|Count|Sum|Min|Max|Attributes|EventName|StartTimestamp)\b)/;
const MAX_GROUPS = 200;
const MAX_OTHERS = 20;
const EXAMPLE_CHARS = 240;
const LONG_CHARS = 400;

export class LogReading {
  readonly #nowMs: number;
  readonly #groups = new Map<string, LogGroup>();
  /** Those that a line of this log may end. */
  readonly #open = new Set<LogGroup>();
  readonly summary: LogSummary = { lines: 0, recognised: 0, groups: [], others: new Map() };

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  /** The lines that follow are of another process: what they say does not end what others told. */
  nextLog(): void {
    this.#open.clear();
  }

  line(text: string): void {
    const entry = readLine(text, this.#nowMs);
    if (!entry) return;
    const { summary } = this;
    summary.lines++;
    if (entry.level !== '') summary.recognised++;
    if (entry.level === 'debug') return;
    // Lines without a level: what is printed before there is a log, but also the records that a debug exporter prints.
    if (entry.level === '' && PRINTED.test(entry.text)) return;
    for (const group of this.#open)
      if (group.component === entry.component && group.rule.isOver!.test(entry.text)) group.isOver = true;
    const rules = entry.level === '' ? PLAIN_RULES : LOG_RULES;
    for (const rule of rules) {
      const match = rule.pattern.exec(entry.text);
      if (!match) continue;
      const what = rule.what(match, entry);
      const key = `${rule.id}\n${what}`;
      let group = this.#groups.get(key);
      if (!group) {
        if (this.#groups.size >= MAX_GROUPS) return;
        // What is cut of a long line is the error, which counts.
        const line = withoutResource(text.trim());
        const example = withoutSecrets(line.length <= EXAMPLE_CHARS ? line : entry.brief).slice(0, LONG_CHARS);
        const { component } = entry;
        const times = { count: 0, firstMs: undefined, lastMs: undefined };
        group = { rule, what, fix: rule.fix(match, entry), ...times, example, component, isOver: false };
        this.#groups.set(key, group);
        summary.groups.push(group);
      }
      if (rule.isOver && (group.isOver || group.count === 0)) this.#open.add(group);
      group.count++;
      group.isOver = false;
      if (entry.timeMs === undefined) return;
      if (group.firstMs === undefined || entry.timeMs < group.firstMs) group.firstMs = entry.timeMs;
      if (group.lastMs === undefined || entry.timeMs > group.lastMs) group.lastMs = entry.timeMs;
      return;
    }
    if (/^(?:error|fatal|panic|dpanic)$/.test(entry.level)) {
      const message = withoutSecrets(entry.text.split('\n')[0]!).slice(0, EXAMPLE_CHARS);
      if (summary.others.has(message) || summary.others.size < MAX_OTHERS)
        summary.others.set(message, (summary.others.get(message) ?? 0) + 1);
    }
  }
}

/** Every line of a collector begins its fields with itself. */
const withoutResource = (text: string): string => text.replace(/"resource": ?\{[^{}]*\}, ?/, '');

/** User and password of URLs, tokens and header values do not leave the log. */
export const withoutSecrets = (text: string): string =>
  text
    .replace(/(\bhttps?:\/\/)[^\s/@"]+@/g, '$1***@')
    .replace(/\b(Bearer|Basic)\s+[\w.~+/=-]{6,}/g, '$1 ***')
    .replace(/([?&](?:token|key|api[_-]?key|password|secret|auth)=)[^&\s"]+/gi, '$1***');

const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

function spanOf(g: LogGroup): string {
  if (g.firstMs === undefined || g.lastMs === undefined) return `${g.count} ×`;
  if (g.firstMs === g.lastMs) return `${g.count} ×, ${time(g.firstMs)}`;
  return `${g.count} ×, first ${time(g.firstMs)}, last ${time(g.lastMs)}`;
}

/** What is told again and again is over when the log has not had it for so long. */
const SILENCE_MS = 10 * 60_000;

/**
 * Failures first, and of these the most frequent.
 * @param nowMs of a log that goes on: until when it was read
 */
export function findingsOf(summary: LogSummary, source: string, nowMs?: number): Finding[] {
  const rank = (g: LogGroup) => (g.rule.state === 'failure' ? 0 : 1);
  const isOver = (g: LogGroup): boolean =>
    g.isOver ||
    (nowMs !== undefined && g.rule.isRepeated === true && g.lastMs !== undefined && nowMs - g.lastMs > SILENCE_MS);
  const groups = summary.groups.filter((g) => !isOver(g)).sort((a, b) => rank(a) - rank(b) || b.count - a.count);
  const past = summary.groups.filter((g) => isOver(g) && !g.isOver);
  const out = groups.map((g): Finding => {
    const make = g.rule.state === 'failure' ? failure : warning;
    return make(g.what, `${source}: ${spanOf(g)}; ${g.example}`, g.fix);
  });
  for (const [message, n] of summary.others)
    out.push(unknown(`an error that is not known here: ${message}`, `${source}: ${n} ×`));
  if (out.length > 0) return out;
  if (summary.lines === 0) return [unknown('the log is empty', source)];
  if (summary.recognised === 0)
    return [
      unknown('this does not look like the log of a collector', `${source}: ${summary.lines} lines, none with a level`),
    ];
  const times = past.map((g) => `${g.what} (${spanOf(g)})`);
  const how = times.length === 0 ? '' : `; over since ten minutes and more: ${some(times, 3)}`;
  return [
    ok(
      `the log has no trouble that ${past.length === 0 ? 'is known here' : 'lasts'}`,
      `${source}: ${count(summary.lines, 'line')}${how}`,
    ),
  ];
}
