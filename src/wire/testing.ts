/** Random OTLP messages for tests, and an independent implementation (protobufjs) that reads and writes them. */
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import fc from '../../test/helpers/property.ts';
import { type Field, type Message, REQUESTS, type SignalName } from './otlp-schema.ts';

const { root } = protobuf.parse(readFileSync(new URL('./testdata/otlp.proto', import.meta.url), 'utf8'), {
  keepCase: true,
});
export const oracle: Record<SignalName, protobuf.Type> = {
  logs: root.lookupType('LogsRequest'),
  metrics: root.lookupType('MetricsRequest'),
  traces: root.lookupType('TracesRequest'),
};
export const SIGNALS: readonly SignalName[] = ['logs', 'metrics', 'traces'];

export type Json = Record<string, unknown>;
const hex = (n: number) => fc.uint8Array({ minLength: n, maxLength: n }).map((b) => Buffer.from(b).toString('hex'));
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Object.is(n, -0) ? 0 : n));
/** Never a default: the oracle leaves those out. */
const scalar = (f: Field): fc.Arbitrary<unknown> =>
  anyScalar(f).filter((v) => v !== 0 && v !== '0' && v !== '' && v !== false);
const anyScalar = (f: Field): fc.Arbitrary<unknown> => {
  switch (f.type) {
    case 'string':
      return fc.string({ unit: 'grapheme' });
    case 'bytes':
      return fc.uint8Array().map((b) => Buffer.from(b).toString('base64'));
    case 'id16':
      return hex(16);
    case 'id8':
      return hex(8);
    case 'bool':
      return fc.boolean();
    case 'double':
      return number;
    case 'int64':
    case 'sfixed64':
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
    case 'uint64':
    case 'fixed64':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
    case 'uint32':
    case 'fixed32':
      return fc.nat(0xffffffff);
    case 'enum':
      return fc.nat(2);
    default:
      return fc.integer();
  }
};

/** Members of which a message may have one: those of the oneofs. */
const ONEOFS = [
  ['stringValue', 'boolValue', 'intValue', 'doubleValue', 'arrayValue', 'kvlistValue', 'bytesValue'],
  ['asInt', 'asDouble'],
  ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'],
];

const json = (m: Message, depth: number): fc.Arbitrary<Json> => {
  const fields = m.fields.filter((f) => depth < 11 || !f.message || f.message.name === 'AnyValue');
  if (depth >= 13) return fc.constant({});
  const members = Object.fromEntries(
    fields.map((f) => {
      const one = f.message ? json(f.message, depth + 1) : scalar(f);
      return [f.name, f.repeated ? fc.array(one, { minLength: 1, maxLength: 2 }) : one];
    }),
  );
  return fc
    .tuple(
      fc.record(members, { requiredKeys: depth < 3 ? Object.keys(members) : [], noNullPrototype: true }),
      fc.nat(6),
    )
    .map(([o, pick]) => {
      for (const names of ONEOFS) {
        if (names.includes('sum') && m.name !== 'Metric') continue;
        const have = names.filter((n) => n in o);
        for (const n of have) if (n !== have[pick % have.length]) delete (o as Json)[n];
      }
      return o as Json;
    });
};

/** A generated message as protobufjs wants it: ids in base64 too. */
export const forOracle = (v: unknown, key = ''): unknown =>
  Array.isArray(v)
    ? v.map((x) => forOracle(x, key))
    : typeof v === 'object' && v !== null
      ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, forOracle(x, k)]))
      : /^(traceId|spanId|parentSpanId)$/.test(key)
        ? Buffer.from(v as string, 'hex').toString('base64')
        : v;

/** A random request of the signal, as OTLP/JSON. */
export const requestJson = (signal: SignalName): fc.Arbitrary<Json> => json(REQUESTS[signal], 0);

/** What the other implementation reads in a request, in the form of `forOracle`. */
export const readByOracle = (signal: SignalName, bytes: Uint8Array): Json =>
  JSON.parse(
    JSON.stringify(oracle[signal].toObject(oracle[signal].decode(bytes), { longs: String, bytes: String })),
  ) as Json;

/** The request as the other implementation writes it. */
export const writtenByOracle = (signal: SignalName, message: Json): Uint8Array =>
  oracle[signal].encode(oracle[signal].fromObject(forOracle(message) as Json)).finish();

const LEVELS: Readonly<Record<SignalName, readonly [resources: string, scopes: string, items: string]>> = {
  logs: ['resourceLogs', 'scopeLogs', 'logRecords'],
  metrics: ['resourceMetrics', 'scopeMetrics', 'metrics'],
  traces: ['resourceSpans', 'scopeSpans', 'spans'],
};

/** The items of a request, each with what it belongs to: the same for requests that group them in another way. */
export function flat(signal: SignalName, request: Json): Json[][] {
  const [resources, scopes, items] = LEVELS[signal];
  const list = (v: unknown): Json[] => (v ?? []) as Json[];
  return list(request[resources]).flatMap((r) =>
    list(r[scopes]).flatMap((s) =>
      list(s[items]).map((item) => [
        (r['resource'] ?? {}) as Json,
        { url: r['schemaUrl'] || '' },
        (s['scope'] ?? {}) as Json,
        { url: s['schemaUrl'] || '' },
        item,
      ]),
    ),
  );
}
