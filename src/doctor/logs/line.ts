/** Reads lines of a collector's log: ours and otelcol's (console and JSON), klog's, with what kubectl or the runtime puts before them. */

export interface LogEntry {
  /** Undefined where the line has no time. */
  readonly timeMs: number | undefined;
  readonly level: string;
  /** Message, and behind it the texts of all fields: what patterns look at. */
  readonly text: string;
  /** `exporter otlp_http/logs`; '' when the line does not say. */
  readonly component: string;
  /** Message and error, without what else there is: for people. */
  readonly brief: string;
}

/** Longer lines are cut: what is wrong stands at the beginning. */
const MAX_CHARS = 32 * 1024;
const MAX_DEPTH = 6;

const ISO = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)`;
/** `kubectl logs --prefix`, `kubectl logs --timestamps`, and the lines of a container's file. */
const BEFORE = new RegExp(String.raw`^(?:\[pod/[^\]]+\] +)?(?:(${ISO}) (?:std(?:out|err) [FP] )?(?=\S))?`);
const CONSOLE = new RegExp(String.raw`^(${ISO})\s+(debug|info|warn|error|dpanic|panic|fatal)\s+(.*)$`, 'is');
const KLOG = /^([IWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.\d+\s+\d+ [\w.-]+:\d+\] (.*)$/s;
/** What Go's own logger writes, in the zone of the process: errors of the collector's own telemetry. */
const GO_LOG = /^(\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d):(\d\d) (.*)$/s;
const CALLER = /^[\w./@-]+:\d+(?:\t|\s{2,}|\s)/;
const KLOG_LEVELS: Readonly<Record<string, string>> = { I: 'info', W: 'warn', E: 'error', F: 'fatal' };

type Fields = Readonly<Record<string, unknown>>;

/** Undefined for lines without anything to look at. `nowMs` gives lines of klog their year. */
export function readLine(line: string, nowMs: number): LogEntry | undefined {
  const cut = line.length > MAX_CHARS ? line.slice(0, MAX_CHARS) : line;
  const before = BEFORE.exec(cut)!;
  // The time in front may be the line's own.
  const own = CONSOLE.test(cut.slice(before[0].length)) || before[1] === undefined || !CONSOLE.test(cut);
  const rest = (own ? cut.slice(before[0].length) : cut.replace(/^\[pod\/[^\]]+\] +/, '')).trimEnd();
  if (rest.trim() === '') return undefined;
  const entry = jsonEntry(rest) ?? consoleEntry(rest) ?? klogEntry(rest, nowMs) ?? goEntry(rest) ?? plainEntry(rest);
  return entry.timeMs === undefined && before[1] !== undefined ? { ...entry, timeMs: timeOf(before[1]) } : entry;
}

function timeOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value > 1e12 ? value : value * 1000;
  if (typeof value !== 'string') return undefined;
  const ms = Date.parse(value.replace(',', '.').replace(/([+-]\d\d)(\d\d)$/, '$1:$2'));
  return Number.isNaN(ms) ? undefined : ms;
}

function jsonEntry(text: string): LogEntry | undefined {
  if (!text.startsWith('{')) return undefined;
  const fields = parseFields(text);
  const message = fields?.['msg'] ?? fields?.['message'];
  if (!fields || typeof message !== 'string') return undefined;
  const { msg: _, message: __, stacktrace: ___, ts, time, timestamp, level, ...others } = fields;
  return {
    timeMs: timeOf(ts ?? time ?? timestamp),
    level: typeof level === 'string' ? level.toLowerCase() : '',
    text: withFields(message, others),
    component: componentOf(fields),
    brief: briefOf(message, fields),
  };
}

function consoleEntry(text: string): LogEntry | undefined {
  const m = CONSOLE.exec(text);
  if (!m) return undefined;
  const [, time, level, rest = ''] = m;
  const body = rest.replace(CALLER, '').trimStart();
  // Where the fields begin: at a tab or a run of blanks, as the line may have been copied from a terminal.
  const at = /(?:\t|\s{2,}|\s)(?=\{(?:"|\}))/.exec(body);
  let message = at ? body.slice(0, at.index) : body;
  const fields = at ? parseFields(body.slice(at.index).trim()) : undefined;
  if (at && !fields) message = body;
  // Ours has a word instead of file and line.
  const columns = message.split('\t');
  if (columns.length > 1) message = columns.at(-1)!;
  return {
    timeMs: timeOf(time),
    level: level!.toLowerCase(),
    text: withFields(message, fields ?? {}),
    component: componentOf(fields ?? {}),
    brief: briefOf(message, fields ?? {}),
  };
}

function klogEntry(text: string, nowMs: number): LogEntry | undefined {
  const m = KLOG.exec(text);
  if (!m) return undefined;
  const [, letter, month, day, h, min, s, message = ''] = m;
  const year = new Date(nowMs).getUTCFullYear();
  const at = (y: number) => Date.UTC(y, Number(month) - 1, Number(day), Number(h), Number(min), Number(s));
  // December's lines are read in January.
  const timeMs = at(year) > nowMs + 86_400_000 ? at(year - 1) : at(year);
  return { timeMs, level: KLOG_LEVELS[letter!]!, text: message, component: '', brief: message };
}

function goEntry(text: string): LogEntry | undefined {
  const m = GO_LOG.exec(text);
  if (!m) return undefined;
  const [year, month, day, h, min, s] = m.slice(1, 7).map(Number) as [number, number, number, number, number, number];
  const message = m[7]!;
  const level = /\b(?:fail(?:ed|ure)?|error|cannot)\b/i.test(message) ? 'error' : 'info';
  return { timeMs: Date.UTC(year, month - 1, day, h, min, s), level, text: message, component: '', brief: message };
}

function briefOf(message: string, { error }: Fields): string {
  return typeof error === 'string' && !message.includes(error) ? `${message}: ${error}` : message;
}

const plainEntry = (text: string): LogEntry => ({
  timeMs: undefined,
  level: /^(?:Error|panic|fatal error)\b/i.test(text) ? 'error' : '',
  text,
  component: '',
  brief: text,
});

function parseFields(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function withFields(message: string, fields: Fields): string {
  const texts: string[] = [message];
  const visit = (key: string, value: unknown, depth: number): void => {
    if (typeof value === 'string') texts.push(value);
    else if (typeof value === 'number') texts.push(`${key}=${value}`);
    else if (typeof value === 'object' && value !== null && depth < MAX_DEPTH)
      for (const [k, inner] of Object.entries(value)) visit(k, inner, depth + 1);
  };
  for (const [key, value] of Object.entries(fields)) if (key !== 'resource') visit(key, value, 0);
  return texts.join('\n');
}

/** Collectors of several ages name the component of a line differently. */
function componentOf(fields: Fields): string {
  const text = (key: string): string => (typeof fields[key] === 'string' ? fields[key] : '');
  const id = text('otelcol.component.id') || text('name') || text('component_name');
  const kind = (text('otelcol.component.kind') || text('kind') || text('component_kind')).toLowerCase();
  return id === '' ? '' : `${kind} ${id}`.trim();
}
