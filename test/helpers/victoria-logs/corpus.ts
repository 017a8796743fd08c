/** Records of every shape, and headers, with which VictoriaLogs and what stands for it are compared. */
import { requestFromJson } from '../../../src/wire/otlp-json.ts';
import type { Client } from './client.ts';

type Json = null | string | number | boolean | readonly Json[] | { readonly [key: string]: Json };
export type Headers = Readonly<Record<string, string>>;

/** As OTLP/JSON writes a value. */
function any(v: Json): object {
  if (typeof v === 'string') return { stringValue: v };
  if (typeof v === 'boolean') return { boolValue: v };
  if (typeof v === 'number') return Number.isInteger(v) ? { intValue: String(v) } : { doubleValue: v };
  if (v === null) return {};
  if (Array.isArray(v)) return { arrayValue: { values: v.map(any) } };
  return { kvlistValue: { values: keyValues(v as Readonly<Record<string, Json>>) } };
}
const keyValues = (o: Readonly<Record<string, Json>>): object[] =>
  Object.entries(o).map(([key, value]) => ({ key, value: any(value) }));

const NOW_NS = BigInt(Date.now()) * 1_000_000n;
const at = (offset: bigint): string => String(NOW_NS + offset);

export interface Sent {
  readonly resource?: Readonly<Record<string, Json>>;
  readonly body?: Json;
  readonly attributes?: Readonly<Record<string, Json>>;
  /** Of the record, as OTLP/JSON has them. */
  readonly more?: object;
}

export const request = (all: readonly Sent[]): Uint8Array =>
  requestFromJson(
    'logs',
    JSON.stringify({
      resourceLogs: all.map(({ resource = {}, body, attributes = {}, more }, i) => ({
        resource: { attributes: keyValues(resource) },
        scopeLogs: [
          {
            logRecords: [
              {
                timeUnixNano: at(BigInt(i)),
                ...(body !== undefined && { body: any(body) }),
                attributes: keyValues(attributes),
                ...more,
              },
            ],
          },
        ],
      })),
    }),
  );

export const POD = { 'k8s.namespace.name': 'shop', 'k8s.pod.name': 'web-1', 'k8s.container.name': 'app' };
export const RECORDS: readonly Sent[] = [
  { resource: POD, body: 'plain text' },
  { resource: { ...POD, 'k8s.pod.uid': 'u-1', 'k8s.pod.labels': { app: 'web', tier: { name: 'front' } } }, body: 'x' },
  { resource: POD, body: '' },
  { resource: POD },
  { resource: POD, body: '', attributes: { message: 'of an attribute' } },
  { resource: POD, body: ' two  spaces "and" \\ quotes\nand lines \u001b[31mred\u001b[0m' },
  { resource: POD, body: 12 },
  { resource: POD, body: 1.5 },
  { resource: POD, body: true },
  { resource: POD, body: ['a', 1, { b: [], c: 'd', e: {}, f: true, g: 0.5 }] },
  { resource: POD, body: {} },
  { resource: POD, body: { note: 'a note', kind: 'Event' } },
  { resource: POD, body: { object: { note: '', message: 'second', reason: 'R' }, type: 'ADDED' } },
  { resource: POD, body: { object: { note: 'first', message: 'second', list: [1, { a: 'b' }] }, _msg: 'its own' } },
  { resource: POD, body: { message: { text: 'nested' } } },
  { resource: POD, body: { 'k8s.pod.name': 'of the body', msg: 'both say so' } },
  { resource: POD, body: 'x', attributes: { 'k8s.pod.name': 'of the record', severity: 'own' } },
  { resource: POD, body: 'x', attributes: { a: { b: { c: [1, 2], d: 0.25, e: false } }, empty: '', no: null, l: [] } },
  { resource: POD, body: 'x', attributes: { _msg: 'second', 'with space': 'v', 'q"uote': 'w' } },
  { resource: POD, body: { _msg: '', a: 'b' } },
  { resource: {}, body: 'of nobody' },
  { resource: { 'k8s.pod.name': 'we"ird\\pod', 'host name': 'h,=1' }, body: 'x' },
  {
    resource: POD,
    body: 'x',
    more: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', eventName: 'e', flags: 1 },
  },
  ...[0, 1, 2, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25].map((severityNumber) => ({ body: 's', more: { severityNumber } })),
  { resource: POD, body: 'x', more: { severityNumber: 17, severityText: 'ERR' } },
  { resource: POD, body: 'observed', more: { timeUnixNano: '0', observedTimeUnixNano: at(77n) } },
  { resource: POD, body: 'whole second', more: { timeUnixNano: String((NOW_NS / 1_000_000_000n) * 1_000_000_000n) } },
  // These are not kept.
  { resource: POD, body: 'in three days', more: { timeUnixNano: at(3n * 86_400_000_000_000n) } },
  { resource: POD, body: 'long name', attributes: { ['n'.repeat(129)]: 'v' } },
  { resource: POD, body: 'name at the limit', attributes: { ['n'.repeat(128)]: 'v' } },
  { resource: POD, body: 'm'.repeat(2 << 20) },
  {
    resource: POD,
    body: 'many',
    attributes: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`f${i}`, 'v'])),
  },
];

export const PRESET = {
  'VL-Stream-Fields': 'k8s.namespace.name,k8s.pod.name,k8s.container.name',
  'VL-Msg-Field': '_msg,object.note,object.message,message,msg,log',
};

export const HEADERS: Readonly<Record<string, Headers>> = {
  none: {},
  'those of the presets': PRESET,
  'stream fields of records': { 'VL-Stream-Fields': 'k8s.pod.name,a.b.c,object.reason,nowhere' },
  'a message field': { 'VL-Msg-Field': 'kind,note' },
  'ignored fields': { ...PRESET, 'VL-Ignore-Fields': 'k8s.pod.uid,object.*,k8s.container.name,severity' },
  'an ignored message': { 'VL-Ignore-Fields': '_msg,k8s.pod.*' },
  'extra fields': { ...PRESET, 'VL-Extra-Fields': 'k8s.cluster.name=one,k8s.pod.name=chosen,empty=e=f' },
  'extra fields of a stream': {
    'VL-Stream-Fields': 'k8s.cluster.name,k8s.pod.name',
    'VL-Extra-Fields': 'k8s.cluster.name=one,_msg=always',
  },
};

/** In one order; the id of a stream is a hash that only the real one makes. */
export const rowsOf = async (client: Client, query: string): Promise<string[]> =>
  (await client.query(query))
    .map(({ _stream_id, ...row }) => JSON.stringify(Object.fromEntries(Object.entries(row).sort())))
    .sort();
