/** Reads a whole log, puts lines of the same trouble together, and says when it began, how often it came and what helps. */
import { type Finding, failure, ok, unknown, warning } from '../finding.ts';
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
  /** The first line, as it was written. */
  readonly example: string;
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

export class LogReading {
  readonly #nowMs: number;
  readonly #groups = new Map<string, LogGroup>();
  readonly summary: LogSummary = { lines: 0, recognised: 0, groups: [], others: new Map() };

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
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
    const rules = entry.level === '' ? PLAIN_RULES : LOG_RULES;
    for (const rule of rules) {
      const match = rule.pattern.exec(entry.text);
      if (!match) continue;
      const what = rule.what(match, entry);
      const key = `${rule.id}\n${what}`;
      let group = this.#groups.get(key);
      if (!group) {
        if (this.#groups.size >= MAX_GROUPS) return;
        const example = withoutSecrets(withoutResource(text.trim())).slice(0, EXAMPLE_CHARS);
        group = { rule, what, fix: rule.fix(match, entry), count: 0, firstMs: undefined, lastMs: undefined, example };
        this.#groups.set(key, group);
        summary.groups.push(group);
      }
      group.count++;
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

/** Failures first, and of these the most frequent. */
export function findingsOf(summary: LogSummary, source: string): Finding[] {
  const rank = (g: LogGroup) => (g.rule.state === 'failure' ? 0 : 1);
  const groups = [...summary.groups].sort((a, b) => rank(a) - rank(b) || b.count - a.count);
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
  return [ok('the log has no trouble that is known here', `${source}: ${summary.lines} lines`)];
}
