/** For the tests of this folder: a destination, a context, batches from OTLP/JSON, and requests as protobufjs reads them. */
import http, { type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import protobuf from 'protobufjs';
import type * as z from 'zod';
import { type Ack, type Batch, makeBatch, type Outcome } from '../../../core/batch.ts';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import type { Exporter, ExporterContext, ExporterDefinition } from '../../../core/component.ts';
import { decompress } from '../../../core/compress.ts';
import type { LogFields, Logger, LogLevel } from '../../../core/log.ts';
import { resourceFromBytes, scopeFromBytes } from '../../../core/resource.ts';
import { TelemetryRegistry } from '../../../core/telemetry.ts';
import { requestFromJson } from '../../../wire/otlp-json.ts';
import { decodeRequest } from '../../../wire/otlp-request.ts';
import definition, { type RemoteWriteConfig } from './index.ts';

export const { schema, create } = definition as ExporterDefinition<z.ZodType<RemoteWriteConfig>>;

const PROTO = `syntax = "proto3";
message WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
message MetricMetadata { int32 type = 1; string metric_family_name = 2; string help = 4; string unit = 5; }
message TimeSeries { repeated Label labels = 1; repeated Sample samples = 2; repeated Exemplar exemplars = 3; repeated Histogram histograms = 4; }
message Label { string name = 1; string value = 2; }
message Sample { double value = 1; int64 timestamp = 2; int64 start_timestamp = 3; }
message Exemplar { repeated Label labels = 1; double value = 2; int64 timestamp = 3; }
message Histogram { uint64 count_int = 1; double sum = 3; sint32 schema = 4; double zero_threshold = 5; uint64 zero_count_int = 6;
  repeated Span negative_spans = 8; repeated sint64 negative_deltas = 9; repeated Span positive_spans = 11;
  repeated sint64 positive_deltas = 12; int64 timestamp = 15; repeated double custom_values = 16; int64 start_timestamp = 17; }
message Span { sint32 offset = 1; uint32 length = 2; }
message Request { repeated string symbols = 4; repeated TimeSeries2 timeseries = 5; }
message TimeSeries2 { repeated uint32 labels_refs = 1; repeated Sample samples = 2; repeated Histogram histograms = 3;
  repeated Exemplar2 exemplars = 4; Metadata2 metadata = 5; }
message Exemplar2 { repeated uint32 labels_refs = 1; double value = 2; int64 timestamp = 3; }
message Metadata2 { int32 type = 1; uint32 help_ref = 3; uint32 unit_ref = 4; }`;
const types = protobuf.parse(PROTO, { keepCase: true }).root;

export interface SeenSeries {
  readonly labels: Record<string, string>;
  /** In the order of the wire. */
  readonly names: readonly string[];
  readonly samples: readonly { value: number; timestamp: number; start: number }[];
  readonly histograms: readonly Record<string, unknown>[];
  readonly exemplars: readonly { labels: Record<string, string>; value: number; timestamp: number }[];
  readonly metadata?: { type: number; help: string; unit: string };
}
export interface SeenRequest {
  readonly headers: IncomingHttpHeaders;
  readonly plain: Buffer;
  readonly series: readonly SeenSeries[];
  readonly metadata: readonly Record<string, unknown>[];
}

// biome-ignore lint/suspicious/noExplicitAny: what protobufjs makes of a message
type Decoded = Record<string, any>;
const decode = (name: string, body: Uint8Array): Decoded => {
  const type = types.lookupType(name);
  return type.toObject(type.decode(body), { longs: Number, arrays: true, defaults: true });
};

export function readRequest(plain: Buffer, isVersion2: boolean): { series: SeenSeries[]; metadata: Decoded[] } {
  const r = decode(isVersion2 ? 'Request' : 'WriteRequest', plain);
  const pairs = (refs: number[]): [string, string][] =>
    Array.from({ length: refs.length / 2 }, (_, i) => [r['symbols'][refs[2 * i]!], r['symbols'][refs[2 * i + 1]!]]);
  const labelsOf = (x: Decoded): [string, string][] =>
    isVersion2 ? pairs(x['labels_refs']) : x['labels'].map((l: Decoded) => [l['name'], l['value']]);
  const series = r['timeseries'].map((t: Decoded) => {
    const labels = labelsOf(t);
    const m = t['metadata'];
    return {
      labels: Object.fromEntries(labels),
      names: labels.map(([n]) => n),
      samples: t['samples'].map((s: Decoded) => ({
        value: s['value'],
        timestamp: s['timestamp'],
        start: s['start_timestamp'],
      })),
      histograms: t['histograms'],
      exemplars: t['exemplars'].map((e: Decoded) => ({
        labels: Object.fromEntries(labelsOf(e)),
        value: e['value'],
        timestamp: e['timestamp'],
      })),
      ...(m
        ? { metadata: { type: m['type'], help: r['symbols'][m['help_ref']], unit: r['symbols'][m['unit_ref']] } }
        : {}),
    };
  });
  return { series, metadata: r['metadata'] ?? [] };
}

const servers: http.Server[] = [];
export function closeDestinations(): void {
  for (const s of servers.splice(0)) s.close().closeAllConnections();
}

export type Answer = (res: ServerResponse, request: SeenRequest, n: number) => void;

/** Reads every request; `answer` is 204 unless told otherwise. */
export async function destination(
  answer: Answer = (res) => res.writeHead(204).end(),
): Promise<{ url: string; seen: SeenRequest[] }> {
  const seen: SeenRequest[] = [];
  const server = http.createServer(async (req, res) => {
    const chunks: Buffer[] = [];
    for await (const c of req) chunks.push(c as Buffer);
    const plain = await decompress(req.headers['content-encoding'] ?? '', Buffer.concat(chunks), 1 << 28);
    const request = {
      headers: req.headers,
      plain,
      ...readRequest(plain, /write\.v2/.test(req.headers['content-type'] ?? '')),
    };
    seen.push(request);
    answer(res, request, seen.length);
  });
  servers.push(server);
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/write`, seen };
}

export interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export function context(gates: readonly string[] = []) {
  const lines: Line[] = [];
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields });
  const log: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    enabled: () => true,
    with: () => log,
  };
  const telemetry = new TelemetryRegistry();
  const ctx: ExporterContext = {
    id: 'prometheusremotewrite',
    kind: 'exporter',
    signal: 'metrics',
    log,
    telemetry,
    clock: SYSTEM_CLOCK,
    host: { extension: () => undefined, fatal() {}, shared: (_k, make) => make(), addLedger() {} },
    build: { command: 'sluice', description: 'Sluice', version: '9.9.9' },
    gates: new Map(gates.map((g) => [`exporter.prometheusremotewritexporter.${g}`, true])),
  };
  /** The sum of a metric's series with these labels. */
  const value = (name: string, labels: Record<string, string> = {}): number => {
    let sum = 0;
    for (const s of telemetry.families.get(name)?.series.values() ?? [])
      if (Object.entries(labels).every(([k, v]) => s.labels[k] === v)) sum += s.read ? s.read() : s.value;
    return sum;
  };
  return { ctx, lines, telemetry, value };
}

/** What an acknowledgement was told: `3 delivered`, `1 lost delta temporality`. */
export function teller(patient = false): { ack: Ack; told: string[]; total: () => number } {
  const told: string[] = [];
  let total = 0;
  const ack: Ack = {
    patient,
    settle: (records, _bytes, o: Outcome) => {
      total += records;
      told.push(`${records} ${o.kind}${'reason' in o ? ` ${o.reason}` : ''}`);
    },
  };
  return { ack, told, total: () => total };
}

/** An OTLP/JSON request, or its resourceMetrics. */
export function batchOf(json: unknown, ack?: Ack, metadata?: Batch['metadata']): Batch {
  const request = Array.isArray(json) ? { resourceMetrics: json } : json;
  const groups = decodeRequest('metrics', requestFromJson('metrics', JSON.stringify(request))).map((g) => ({
    ...g,
    resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
    scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
    parts: ack ? [{ ack, records: g.count, bytes: 10 * g.count }] : [],
  }));
  return makeBatch('metrics', groups, metadata);
}

export const attributes = (map: Readonly<Record<string, string>>) =>
  Object.entries(map).map(([key, stringValue]) => ({ key, value: { stringValue } }));

/** One resource with these metrics. */
export const resource = (map: Readonly<Record<string, string>>, metrics: readonly unknown[]) => ({
  resource: { attributes: attributes(map) },
  scopeMetrics: [{ scope: {}, metrics }],
});

export const AT = 1_795_800_000_000;
export const nanos = (ms: number): string => `${ms}000000`;
export const point = (value: number, map: Readonly<Record<string, string>> = {}, ms = AT) => ({
  attributes: attributes(map),
  timeUnixNano: nanos(ms),
  asDouble: value,
});
export const gauge = (name: string, ...dataPoints: readonly unknown[]) => ({ name, gauge: { dataPoints } });

/** Nothing waits and nothing is repeated. */
export const DIRECT = { remote_write_queue: { enabled: false }, retry_on_failure: { enabled: false } };

export async function run<T>(
  config: object,
  use: (exporter: Exporter, c: ReturnType<typeof context>) => Promise<T>,
  gates: readonly string[] = [],
): Promise<T> {
  const c = context(gates);
  const exporter = await create(schema.parse(config), c.ctx);
  await exporter.start?.();
  try {
    return await use(exporter, c);
  } finally {
    await exporter.stop?.(AbortSignal.timeout(5000));
  }
}

/** Every sample as `name{labels} value@time`, sorted. */
export const flat = (seen: readonly SeenRequest[]): string[] =>
  seen
    .flatMap((r) => r.series)
    .flatMap((s) => s.samples.map((x) => `${nameOf(s)} ${x.value}@${x.timestamp}`))
    .sort();

export function nameOf(s: SeenSeries): string {
  const { __name__, ...labels } = s.labels;
  const rest = Object.entries(labels).map(([k, v]) => `${k}=${v}`);
  return rest.length ? `${__name__}{${rest.join(',')}}` : String(__name__);
}

/** Waits for what must come; an error when it does not. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 20_000;
  while (!done()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((r) => setTimeout(r, 1));
  }
}
