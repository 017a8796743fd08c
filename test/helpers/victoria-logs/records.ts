/** What VictoriaLogs makes of a request of OTLP: fields, the stream, and what it drops although it answers 200. */
import type { IncomingMessage } from 'node:http';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { asText } from '../../../src/local/store/decode.ts';
import { decodeResource, type Value, type ValueMap } from '../../../src/wire/otlp.ts';
import { type LogRecord, readLogRecord } from '../../../src/wire/otlp-logs.ts';
import { ProtoReader } from '../../../src/wire/proto.ts';
import type { Fields } from '../logsql.ts';

export interface StoredRecord {
  readonly fields: Fields;
  readonly stream: string;
  readonly tags: readonly Field[];
}

interface Headers {
  /** Undefined: all of the resource. */
  readonly streamFields: readonly string[] | undefined;
  readonly messageFields: readonly string[];
  readonly isIgnored: (name: string) => boolean;
  readonly extra: readonly Field[];
}

type Field = readonly [name: string, value: string];

function headersOf(req: IncomingMessage): Headers {
  const list = (name: string): string[] | undefined => {
    const value = req.headers[name];
    return value === undefined || value === '' ? undefined : String(value).split(',');
  };
  const ignored = list('vl-ignore-fields') ?? [];
  return {
    streamFields: list('vl-stream-fields'),
    messageFields: list('vl-msg-field') ?? [],
    isIgnored: (name) => ignored.some((i) => (i.endsWith('*') ? name.startsWith(i.slice(0, -1)) : name === i)),
    extra: (list('vl-extra-fields') ?? []).map((e): Field => {
      const [, name, value] = /^([^=]+)=(.+)$/.exec(e) ?? [];
      if (name === undefined || value === undefined) throw new Error(`VL-Extra-Fields: ${e}`);
      return [name, value];
    }),
  };
}

/** Maps become fields, joined with dots; lists stay one field, as JSON. */
const flat = (map: ReadonlyMap<string, Value>, prefix = ''): Field[] =>
  [...map].flatMap(([k, v]) => (v instanceof Map ? flat(v, `${prefix}${k}.`) : [[prefix + k, asText(v)] as Field]));

const SEVERITIES = ['Trace', 'Debug', 'Info', 'Warn', 'Error', 'Fatal'];

function severityOf({ severityNumber: n, severityText }: LogRecord): string {
  if (severityText !== '') return severityText;
  if (n < 1 || n > 24) return 'Unspecified';
  return SEVERITIES[Math.floor((n - 1) / 4)]! + ((n - 1) % 4 === 0 ? '' : (((n - 1) % 4) + 1).toString());
}

/** RFC 3339 without zeros at the end of the fraction. */
function timeText(ns: bigint): string {
  const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19);
  const fraction = String(ns % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return `${seconds}${fraction && `.${fraction}`}Z`;
}

const hex = (b: Uint8Array): string => Buffer.from(b).toString('hex');
const bytesOf = (text: string): number => Buffer.byteLength(text);

const FUTURE_MS = 2 * 86_400_000;
const MOST_FIELDS = 1000;
const LONGEST_NAME = 128;
const LARGEST_RECORD = 2 << 20;
const NO_MESSAGE = 'missing _msg field; see https://docs.victoriametrics.com/victorialogs/keyconcepts/#message-field';

function storedRecord(resource: readonly Field[], r: LogRecord, h: Headers, nowMs: number): StoredRecord | undefined {
  let body: Field[] = [['_msg', asText(r.body)]];
  if (r.body instanceof Map) {
    body = flat(r.body);
    // Only fields of the body are asked, and one without text is passed over.
    const named = h.messageFields
      .map((f) => body.findIndex(([name, value]) => name === f && value !== ''))
      .find((i) => i >= 0);
    if (named !== undefined) body[named] = ['_msg', body[named]![1]];
  }
  const fields: Field[] = [...resource, ...body, ...flat(r.attributes)];
  if (r.traceId.length) fields.push(['trace_id', hex(r.traceId)]);
  if (r.spanId.length) fields.push(['span_id', hex(r.spanId)]);
  fields.push(['severity', severityOf(r)]);
  const ns = r.time || r.observedTime || BigInt(nowMs) * 1_000_000n;
  if (
    Number(ns / 1_000_000n) > nowMs + FUTURE_MS ||
    fields.length > MOST_FIELDS ||
    fields.some(([name]) => bytesOf(name) > LONGEST_NAME) ||
    fields.reduce((sum, [name, value]) => sum + bytesOf(name) + bytesOf(value), 0) > LARGEST_RECORD
  )
    return undefined;
  // An ignored field is none of the stream, and an added one takes the place of those of its name.
  const own = (h.streamFields === undefined ? resource : fields).filter(([name]) => !h.isIgnored(name));
  const names = h.streamFields;
  const inStream =
    names === undefined
      ? own
      : [...own.filter(([name]) => !h.extra.some((e) => e[0] === name)), ...h.extra].filter(([name]) =>
          names.includes(name),
        );
  const tags = inStream
    .filter(([, value]) => value !== '')
    .sort(([a, v], [b, w]) => (a < b || (a === b && v < w) ? -1 : 1));
  const stream = tags.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',');
  const kept = [...fields.filter(([name]) => !h.isIgnored(name)), ...h.extra].filter(([, value]) => value !== '');
  const stored: Record<string, string> = Object.fromEntries(kept);
  stored['_msg'] ??= NO_MESSAGE;
  stored['_time'] = timeText(ns);
  return { fields: stored, stream: `{${stream}}`, tags };
}

/** Throws for bytes that are no ExportLogsServiceRequest. */
function recordsOf(body: Uint8Array, headers: Headers, nowMs: number): StoredRecord[] {
  const found: StoredRecord[] = [];
  const request = new ProtoReader(body);
  while (request.next()) {
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
    const own = flat(resource);
    for (const record of records) {
      const stored = storedRecord(own, record, headers, nowMs);
      if (stored) found.push(stored);
    }
  }
  return found;
}

const UNPACK: Readonly<Record<string, (b: Buffer) => Buffer>> = {
  gzip: (b) => gunzipSync(b),
  zstd: (b) => zstdDecompressSync(b),
  identity: (b) => b,
};
export const encodingOf = (req: IncomingMessage): string => req.headers['content-encoding'] ?? 'identity';

/** The records of a request with its headers. */
export const storedOf = (req: IncomingMessage, body: Buffer, nowMs: number): StoredRecord[] =>
  recordsOf(UNPACK[encodingOf(req)]!(body), headersOf(req), nowMs);
