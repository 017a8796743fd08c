/** Which fields of structured log lines are the level, the time, the message and the trace, by the names that libraries give them. */
import type { Value, ValueMap } from '../../wire/otlp.ts';
import type { Entry } from '../entry.ts';
import { severityMatch } from '../severity.ts';
import { guessTime } from './time.ts';

const LEVEL = [
  'level',
  'lvl',
  'severity',
  'log.level',
  'levelname',
  'loglevel',
  'log_level',
  'logLevel',
  'Level',
  'LogLevel',
  '@l',
];
const TIME = ['time', 'ts', 'timestamp', '@timestamp', 'Timestamp', 'datetime', 'date', 't', 'asctime', '@t'];
const MESSAGE = ['msg', 'message', 'Message', '@m', 'event', 'log', 'text'];
const TRACE_ID = ['trace_id', 'traceId', 'traceID', 'traceid', 'TraceId', 'trace.id', 'otelTraceID', '@tr'];
const SPAN_ID = ['span_id', 'spanId', 'spanID', 'spanid', 'SpanId', 'span.id', 'otelSpanID', '@sp'];
const FLAGS = ['trace_flags', 'traceFlags'];

/** A line of key=value pairs with one of these is a log line, whatever else is in it. */
export const TELLING: ReadonlySet<string> = new Set(['level', 'lvl', 'severity', 'msg', 'ts', 'time', 'caller']);

const severityOf = severityMatch({
  mapping: {
    trace: ['verbose', 'finest', 'finer', 'trc', 'vrb'],
    debug: ['dbg', 'fine', 'd'],
    info: ['information', 'informational', 'inf', 'i', 'notice', 'config'],
    warn: ['wrn', 'w'],
    error: ['severe', 'err', 'e', 'eror'],
    fatal: ['critical', 'crit', 'panic', 'emerg', 'emergency', 'alert', 'dpanic', 'ftl', 'f'],
  },
});

/** As pino and bunyan number their levels. */
const NUMBERED: Readonly<Record<string, number>> = { 10: 1, 20: 5, 30: 9, 40: 13, 50: 17, 60: 21 };

/** Moves what is known into the record, and the rest into its attributes. */
export function applyFields(entry: Entry, fields: ValueMap): void {
  take(fields, TIME, (v) => {
    const time = guessTime(v);
    if (time === undefined) return false;
    entry.time = time;
    return true;
  });
  take(fields, LEVEL, (v) => setSeverity(entry, v));
  take(fields, TRACE_ID, (v) => {
    const id = hexId(v, 32);
    if (id) entry.traceId = id;
    return id !== undefined;
  });
  take(fields, SPAN_ID, (v) => {
    const id = hexId(v, 16);
    if (id) entry.spanId = id;
    return id !== undefined;
  });
  if (entry.traceId)
    take(fields, FLAGS, (v) => {
      if (typeof v !== 'string' || !/^0[0-9a-f]$/i.test(v)) return false;
      entry.flags = Number.parseInt(v, 16);
      return true;
    });
  take(fields, MESSAGE, (v) => {
    if (typeof v !== 'string') return false;
    entry.body = v;
    return true;
  });
  const { attributes } = entry;
  // What is known about the file is not replaced by what an application writes.
  for (const [k, v] of fields) attributes.set(attributes.has(k) ? `parsed.${k}` : k, v);
}

function take(fields: ValueMap, names: readonly string[], use: (v: Value) => boolean): void {
  for (const name of names) {
    const value = fields.get(name);
    if (value === undefined || value === null) continue;
    if (!use(value)) continue;
    fields.delete(name);
    return;
  }
}

function setSeverity(entry: Entry, v: Value): boolean {
  let number: number | undefined;
  let text = '';
  if (typeof v === 'string') {
    text = v;
    number = severityOf(v.trim()).number;
  } else if (typeof v === 'bigint' || typeof v === 'number') {
    text = String(v);
    number = NUMBERED[text];
  }
  if (!number) return false;
  entry.severityNumber = number;
  entry.severityText = text;
  return true;
}

/** 0 is no id. */
function hexId(v: Value, digits: number): Uint8Array | undefined {
  if (typeof v !== 'string' || v.length !== digits || !/^[0-9a-fA-F]+$/.test(v) || /^0+$/.test(v)) return undefined;
  return new Uint8Array(Buffer.from(v, 'hex'));
}
