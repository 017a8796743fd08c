/** OTLP logs requests, protobuf or JSON, as the rows that the embedded store keeps: with the fields that VictoriaLogs makes of them. */
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

type Field = readonly [name: string, value: string];

/** What a sender asks for by VictoriaLogs' headers. */
export interface FieldRules {
  /** Of a body with fields, the first that is there is the message. */
  readonly messageFields: readonly string[];
  /** Not stored; `*` at the end stands for any text. */
  readonly ignoreFields: readonly string[];
  /** Added to every record. */
  readonly extraFields: readonly Field[];
}

const NO_RULES: FieldRules = { messageFields: [], ignoreFields: [], extraFields: [] };

/** Throws for bytes that are not an ExportLogsServiceRequest. */
export function decodeProtobuf(body: Uint8Array, nowMs: number, rules = NO_RULES): StreamRows[] {
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
    found.push(stream(resource, records, nowMs, rules));
  }
  return found;
}

/** Throws for text that is no OTLP/JSON logs request. */
export const decodeJson = (text: string, nowMs: number, rules?: FieldRules): StreamRows[] =>
  decodeProtobuf(requestFromJson('logs', text), nowMs, rules);

function stream(resource: ValueMap, records: readonly LogRecord[], nowMs: number, rules: FieldRules): StreamRows {
  const fields = new Map(kept(flat(resource), rules));
  const name = (key: string): string => fields.get(key) ?? '';
  return {
    attributes: asObject([...fields].sort(([a], [b]) => (a < b ? -1 : 1))),
    namespace: name('k8s.namespace.name'),
    pod: name('k8s.pod.name'),
    container: name('k8s.container.name'),
    rows: records.map((r) => row(r, nowMs, rules)),
  };
}

function kept(fields: Iterable<Field>, { ignoreFields }: FieldRules): Field[] {
  const isIgnored = (name: string): boolean =>
    ignoreFields.some((i) => (i.endsWith('*') ? name.startsWith(i.slice(0, -1)) : name === i));
  return ignoreFields.length === 0 ? [...fields] : [...fields].filter(([name]) => !isIgnored(name));
}

/** Microseconds of the year 2200: later times are senders' mistakes, and numbers must stay exact. */
const LAST_US = 7_258_118_400_000_000n;

function row(r: LogRecord, nowMs: number, rules: FieldRules): Row {
  const ns = r.time || r.observedTime || BigInt(nowMs) * 1_000_000n;
  const us = ns / 1000n;
  const fields: Field[] = [['_msg', asText(r.body)]];
  if (r.body instanceof Map) {
    const own = [...flat(r.body)];
    const named = [...rules.messageFields, '_msg'].find((f) => own.some(([name]) => name === f));
    // Where VictoriaLogs says that there is no message, the text of the body stays.
    if (named !== undefined) fields.pop();
    fields.push(...own.map(([name, value]): Field => [name === named ? '_msg' : name, value]));
  }
  fields.push(...flat(r.attributes));
  if (r.traceId.length) fields.push(['trace_id', Buffer.from(r.traceId).toString('hex')]);
  if (r.spanId.length) fields.push(['span_id', Buffer.from(r.spanId).toString('hex')]);
  if (r.eventName) fields.push(['event_name', r.eventName]);
  const { _msg: message = '', ...attributes } = Object.fromEntries([...kept(fields, rules), ...rules.extraFields]);
  return {
    timeUs: Number(us < LAST_US ? us : LAST_US),
    nanos: Number(ns % 1000n),
    severity: severityOf(r, message),
    message,
    attributes: JSON.stringify(attributes),
  };
}

/** Maps become fields, joined with dots; lists stay one, as JSON. Fields without text are none. */
function* flat(map: ReadonlyMap<string, Value>, before = ''): Generator<Field> {
  for (const [k, v] of map)
    if (v instanceof Map) yield* flat(v, `${before}${k}.`);
    else {
      const text = asText(v);
      if (text !== '') yield [before + k, text];
    }
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

const asObject = (fields: readonly Field[]): string => JSON.stringify(Object.fromEntries(fields));

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
