/** OTLP logs requests, protobuf or JSON, as the rows that the embedded store keeps. */
import { decodeResource, type Value, type ValueMap } from '../../wire/otlp.ts';
import { requestFromJson } from '../../wire/otlp-json.ts';
import { type LogRecord, readLogRecord } from '../../wire/otlp-logs.ts';
import { ProtoReader } from '../../wire/proto.ts';

export interface Row {
  readonly timeUs: number;
  /** 0…999, behind timeUs. */
  readonly nanos: number;
  readonly severity: string;
  readonly message: string;
  /** Of the record: JSON object with texts. */
  readonly attributes: string;
}

/** The rows of one resource. */
export interface StreamRows {
  /** Of the resource: JSON object with texts, keys sorted. */
  readonly attributes: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly rows: readonly Row[];
}

/** Throws for bytes that are not an ExportLogsServiceRequest. */
export function decodeProtobuf(body: Uint8Array, nowMs: number, messageFields: readonly string[] = []): StreamRows[] {
  const found: StreamRows[] = [];
  const request = new ProtoReader(body);
  while (request.next()) {
    if (request.field !== 1) {
      request.skip();
      continue;
    }
    let resource: ValueMap = new Map();
    const records: LogRecord[] = [];
    const r = request.message();
    while (r.next()) {
      if (r.field === 1) resource = decodeResource(r.bytes());
      else if (r.field === 2) {
        const scope = r.message();
        while (scope.next()) {
          if (scope.field === 2) records.push(readLogRecord(scope.message()));
          else scope.skip();
        }
      } else r.skip();
    }
    found.push(stream(resource, records, nowMs, messageFields));
  }
  return found;
}

/** Throws for text that is no OTLP/JSON logs request. */
export const decodeJson = (text: string, nowMs: number, messageFields?: readonly string[]): StreamRows[] =>
  decodeProtobuf(requestFromJson('logs', text), nowMs, messageFields);

function stream(
  resource: ValueMap,
  records: readonly LogRecord[],
  nowMs: number,
  messageFields: readonly string[],
): StreamRows {
  const name = (key: string): string => asText(resource.get(key) ?? '');
  return {
    attributes: asObject([...resource].sort(([a], [b]) => (a < b ? -1 : 1))),
    namespace: name('k8s.namespace.name'),
    pod: name('k8s.pod.name'),
    container: name('k8s.container.name'),
    rows: records.map((r) => row(r, nowMs, messageFields)),
  };
}

/** Microseconds of the year 2200: later times are senders' mistakes, and numbers must stay exact. */
const LAST_US = 7_258_118_400_000_000n;

function row(r: LogRecord, nowMs: number, messageFields: readonly string[]): Row {
  const ns = r.time || r.observedTime || BigInt(nowMs) * 1_000_000n;
  const us = ns / 1000n;
  const attributes: [string, Value][] = [...r.attributes];
  let message: string;
  // As VictoriaLogs: a body with fields becomes fields, and one of them is the message if the sender says so.
  const fields = r.body instanceof Map && messageFields.length > 0 ? new Map(flat(r.body)) : undefined;
  const named = fields && messageFields.find((f) => fields.has(f));
  if (fields && named !== undefined) {
    message = asText(fields.get(named)!);
    fields.delete(named);
    attributes.push(...fields);
  } else message = asText(r.body);
  if (r.traceId.length) attributes.push(['trace_id', Buffer.from(r.traceId).toString('hex')]);
  if (r.spanId.length) attributes.push(['span_id', Buffer.from(r.spanId).toString('hex')]);
  if (r.eventName) attributes.push(['event_name', r.eventName]);
  return {
    timeUs: Number(us < LAST_US ? us : LAST_US),
    nanos: Number(ns % 1000n),
    severity: severityOf(r, message),
    message,
    attributes: asObject(attributes),
  };
}

function* flat(map: ReadonlyMap<string, Value>, before = ''): Generator<[string, Value]> {
  for (const [k, v] of map)
    if (v instanceof Map) yield* flat(v, `${before}${k}.`);
    else if (v !== null && v !== '') yield [before + k, v];
}

export function asText(v: Value): string {
  if (typeof v === 'string') return v;
  if (v === null) return '';
  if (v instanceof Uint8Array) return Buffer.from(v).toString('base64');
  return typeof v === 'object' ? jsonText(v) : String(v);
}

/** Whole numbers keep all their digits. */
function jsonText(v: Value): string {
  if (v instanceof Map) return `{${[...v].map(([k, x]) => `${JSON.stringify(k)}:${jsonText(x)}`).join(',')}}`;
  if (Array.isArray(v)) return `[${v.map(jsonText).join(',')}]`;
  if (typeof v === 'bigint') return String(v);
  return JSON.stringify(v instanceof Uint8Array ? asText(v) : v);
}

const asObject = (entries: readonly (readonly [string, Value])[]): string =>
  JSON.stringify(Object.fromEntries(entries.map(([k, v]) => [k, asText(v)])));

const LEVELS = ['', 'trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
const HEAD_CHARS = 300;

/** What the record says itself, else what its text shows near its beginning; '' when neither does. */
export function severityOf(r: { severityNumber: number; severityText: string }, message: string): string {
  const own = LEVELS[Math.ceil(r.severityNumber / 4)];
  if (own) return own;
  const head = message.length > HEAD_CHARS ? message.slice(0, HEAD_CHARS) : message;
  const klog = /^([IWEF])\d{4} \d\d:/.exec(head)?.[1];
  if (klog) return { I: 'info', W: 'warn', E: 'error', F: 'fatal' }[klog] ?? '';
  const access = /" ([1-5])\d\d \d+/.exec(head)?.[1];
  if (access) return access === '5' ? 'error' : access === '4' ? 'warn' : 'info';
  const word = /\b(trace|debug|info|informational|notice|warn|warning|error|err|fatal|critical|emergency)\b/i
    .exec(`${r.severityText} ${head}`)?.[1]
    ?.toLowerCase();
  if (word === undefined) return /^(Traceback|Caused by:|\w+(\.\w+)*(Error|Exception)\b)/.test(head) ? 'error' : '';
  if (word.startsWith('info') || word === 'notice') return 'info';
  if (word.startsWith('warn')) return 'warn';
  if (word.startsWith('err')) return 'error';
  return word === 'trace' || word === 'debug' ? word : 'fatal';
}
