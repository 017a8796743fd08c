/** The official OpenTelemetry SDK sends to Sluice over every protocol; what arrives is what was sent. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { ROOT_CONTEXT, SeverityNumber, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPLogExporter as LogsGrpc } from '@opentelemetry/exporter-logs-otlp-grpc';
import { OTLPLogExporter as LogsJson } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as LogsProto } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPMetricExporter as MetricsGrpc } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as MetricsJson } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as MetricsProto } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter as TracesGrpc } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as TracesJson } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as TracesProto } from '@opentelemetry/exporter-trace-otlp-proto';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider, type LogRecordExporter } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import { type Agent, freePort, READY, startWith, tempDir, until } from './helpers/agent.ts';

const TOKEN = 'a-token-of-the-test';
let agent: Agent;
let file: string;
let httpUrl: string;
let grpcUrl: string;

/** One process: the SDK's data comes in over both protocols, goes out over gRPC, comes in again, and goes to a file. */
const config = (dir: string, http: number, grpc: number, second: number): string => `
extensions:
  bearertokenauth: {token: ${TOKEN}}
receivers:
  otlp:
    protocols:
      http: {endpoint: "127.0.0.1:${http}", auth: {authenticator: bearertokenauth}}
      grpc: {endpoint: "127.0.0.1:${grpc}", auth: {authenticator: bearertokenauth}}
  otlp/second:
    protocols:
      grpc: {endpoint: "127.0.0.1:${second}"}
exporters:
  otlp_grpc: {endpoint: "127.0.0.1:${second}", tls: {insecure: true}, compression: zstd}
  file: {path: "${dir}/out.json"}
service:
  extensions: [bearertokenauth]
  telemetry: {metrics: {level: none}}
  pipelines:
    logs/in: {receivers: [otlp], exporters: [otlp_grpc]}
    metrics/in: {receivers: [otlp], exporters: [otlp_grpc]}
    traces/in: {receivers: [otlp], exporters: [otlp_grpc]}
    logs: {receivers: [otlp/second], exporters: [file]}
    metrics: {receivers: [otlp/second], exporters: [file]}
    traces: {receivers: [otlp/second], exporters: [file]}
`;

const stopping: (() => unknown)[] = [];
before(async () => {
  // The process belongs to the whole file, so this stands in for the context of a test.
  const context = { after: (undo: () => unknown) => void stopping.push(undo) } as unknown as TestContext;
  const dir = tempDir(context);
  const [http, grpc, second] = [await freePort(), await freePort(), await freePort()];
  file = join(dir, 'out.json');
  httpUrl = `http://127.0.0.1:${http}`;
  grpcUrl = `http://127.0.0.1:${grpc}`;
  agent = startWith(context, dir, config(dir, http, grpc, second));
  await agent.says(READY);
});
after(async () => {
  await agent?.stop();
  for (const s of stopping) await s();
});

// biome-ignore lint/suspicious/noExplicitAny: the file's JSON is looked at as it is
type Json = Record<string, any>;

/** Everything of one signal that came from the resource with this name. */
async function arrived(key: string, name: string, enough: (found: Json[]) => boolean): Promise<Json[]> {
  let found: Json[] = [];
  await until(
    () => {
      found = readFileSync(file, 'utf8')
        .split('\n')
        .slice(0, -1)
        .flatMap((line) => (JSON.parse(line) as Json)[key] ?? [])
        .filter((r: Json) => attributes(r['resource'].attributes)['service.name'] === name);
      return enough(found) || !agent.running;
    },
    `${key} of ${name}; output: ${agent.output.slice(-2000)}`,
  );
  return found;
}

const value = (v: Json): unknown => {
  if (v['arrayValue']) return (v['arrayValue'].values ?? []).map(value);
  if (v['kvlistValue']) return attributes(v['kvlistValue'].values);
  const [kind, content] = Object.entries(v)[0] ?? [];
  return kind === 'intValue' ? Number(content) : content;
};
const attributes = (list: readonly Json[] = []): Json =>
  Object.fromEntries(list.map((a) => [a['key'], value(a['value'])]));
const items = (resources: readonly Json[], scopes: string, key: string): { scope: Json; item: Json }[] =>
  resources.flatMap((r) => r[scopes].flatMap((s: Json) => s[key].map((item: Json) => ({ scope: s['scope'], item }))));

const metadata = new Metadata();
metadata.set('authorization', `Bearer ${TOKEN}`);
const http = (path: string) => ({ url: `${httpUrl}/v1/${path}`, headers: { Authorization: `Bearer ${TOKEN}` } });
const grpc = () => ({ url: grpcUrl, metadata });
const gzip = { compression: 'gzip' as never };

const TRANSPORTS: Readonly<
  Record<string, { logs: () => LogRecordExporter; traces: () => SpanExporter; metrics: () => PushMetricExporter }>
> = {
  'http-protobuf': {
    logs: () => new LogsProto({ ...http('logs'), ...gzip }),
    traces: () => new TracesProto({ ...http('traces'), ...gzip }),
    metrics: () => new MetricsProto({ ...http('metrics'), ...gzip }),
  },
  'http-json': {
    logs: () => new LogsJson(http('logs')),
    traces: () => new TracesJson(http('traces')),
    metrics: () => new MetricsJson(http('metrics')),
  },
  grpc: {
    logs: () => new LogsGrpc(grpc()),
    traces: () => new TracesGrpc(grpc()),
    metrics: () => new MetricsGrpc(grpc()),
  },
  'grpc-gzip': {
    logs: () => new LogsGrpc({ ...grpc(), ...gzip }),
    traces: () => new TracesGrpc({ ...grpc(), ...gzip }),
    metrics: () => new MetricsGrpc({ ...grpc(), ...gzip }),
  },
};

const ATTRIBUTES = { text: 'ä€😀\n', whole: 42, part: 0.25, yes: true, list: ['a', 'b'] };
const resource = (name: string): Resource => resourceFromAttributes({ 'service.name': name, n: 7 });

for (const [transport, exporters] of Object.entries(TRANSPORTS)) {
  test(`logs over ${transport}`, async () => {
    const exporter = exporters.logs();
    const provider = new LoggerProvider({
      resource: resource(transport),
      processors: [new BatchLogRecordProcessor({ exporter })],
    });
    const logger = provider.getLogger('scope', '1.2.3');
    const span = { traceId: '0123456789abcdef0123456789abcdef', spanId: '0123456789abcdef', traceFlags: 1 };
    for (let i = 0; i < 1000; i++)
      logger.emit({
        timestamp: [1_700_000_000 + i, 123_456_789],
        observedTimestamp: [1_700_000_000 + i, 5],
        severityNumber: SeverityNumber.WARN2,
        severityText: 'warn',
        body: i % 2 ? `line ${i}` : { nested: { i } },
        attributes: { ...ATTRIBUTES, i },
        context: trace.setSpanContext(ROOT_CONTEXT, span),
      });
    await provider.shutdown();
    const count = (found: Json[]) => items(found, 'scopeLogs', 'logRecords').length;
    const found = items(await arrived('resourceLogs', transport, (f) => count(f) >= 1000), 'scopeLogs', 'logRecords');
    assert.equal(found.length, 1000);
    for (const [i, { scope, item }] of found.entries()) {
      assert.deepEqual([scope['name'], scope['version']], ['scope', '1.2.3']);
      assert.equal(item['timeUnixNano'], `${1_700_000_000 + i}123456789`);
      assert.equal(item['observedTimeUnixNano'], `${1_700_000_000 + i}000000005`);
      assert.deepEqual([item['severityNumber'], item['severityText']], [14, 'warn']);
      assert.deepEqual(value(item['body']), i % 2 ? `line ${i}` : { nested: { i } });
      assert.deepEqual(attributes(item['attributes']), { ...ATTRIBUTES, i });
      assert.deepEqual([item['traceId'], item['spanId'], item['flags'] & 1], [span.traceId, span.spanId, 1]);
    }
  });

  test(`traces over ${transport}`, async () => {
    const exporter = exporters.traces();
    const provider = new TracerProvider({
      resource: resource(transport),
      spanProcessors: [new BatchSpanProcessor({ exporter })],
    });
    const tracer = provider.getTracer('scope', '1.2.3');
    const parent = tracer.startSpan('parent', { kind: SpanKind.SERVER, startTime: [1_700_000_000, 1] }, ROOT_CONTEXT);
    const child = tracer.startSpan(
      'child',
      {
        kind: SpanKind.CLIENT,
        startTime: [1_700_000_000, 2],
        attributes: ATTRIBUTES,
        links: [{ context: parent.spanContext(), attributes: { linked: true } }],
      },
      trace.setSpan(ROOT_CONTEXT, parent),
    );
    child.addEvent('event', { what: 'happened' }, [1_700_000_000, 3]);
    child.setStatus({ code: SpanStatusCode.ERROR, message: 'kaputt' });
    child.end([1_700_000_000, 4]);
    parent.end([1_700_000_001, 5]);
    await provider.shutdown();
    const spans = (f: Json[]) => items(f, 'scopeSpans', 'spans').map((s) => s.item);
    const found = spans(await arrived('resourceSpans', transport, (f) => spans(f).length >= 2));
    assert.deepEqual(found.map((s) => s['name']).sort(), ['child', 'parent']);
    const p = found.find((s) => s['name'] === 'parent')!;
    const c = found.find((s) => s['name'] === 'child')!;
    assert.deepEqual([p['traceId'], p['spanId']], [parent.spanContext().traceId, parent.spanContext().spanId]);
    assert.deepEqual(
      [c['traceId'], c['spanId'], c['parentSpanId']],
      [p['traceId'], child.spanContext().spanId, p['spanId']],
    );
    assert.deepEqual([p['kind'], c['kind']], [2, 3]);
    assert.deepEqual([p['startTimeUnixNano'], p['endTimeUnixNano']], ['1700000000000000001', '1700000001000000005']);
    assert.deepEqual(attributes(c['attributes']), ATTRIBUTES);
    assert.deepEqual([c['status'].code, c['status'].message], [2, 'kaputt']);
    const [event] = c['events'];
    assert.deepEqual([event.name, event.timeUnixNano], ['event', '1700000000000000003']);
    assert.deepEqual(attributes(event.attributes), { what: 'happened' });
    const [link] = c['links'];
    assert.deepEqual([link.spanId, attributes(link.attributes)], [p['spanId'], { linked: true }]);
  });

  test(`metrics over ${transport}`, async () => {
    const reader = new PeriodicExportingMetricReader({
      exporter: exporters.metrics(),
      exportIntervalMillis: 3_600_000,
      exportTimeoutMillis: 60_000,
    });
    const provider = new MeterProvider({ resource: resource(transport), readers: [reader] });
    const meter = provider.getMeter('scope', '1.2.3');
    meter.createCounter('counter', { unit: 'By', description: 'bytes' }).add(42, ATTRIBUTES);
    meter.createUpDownCounter('up_down').add(-0.5);
    const histogram = meter.createHistogram('histogram', { advice: { explicitBucketBoundaries: [1, 10] } });
    for (const v of [0.5, 5, 50]) histogram.record(v);
    meter.createObservableGauge('gauge').addCallback((r) => {
      for (const core of ['0', '1']) r.observe(Number(core) + 0.5, { core });
    });
    await provider.shutdown();
    const metrics = (f: Json[]) => items(f, 'scopeMetrics', 'metrics').map((m) => m.item);
    const found = metrics(await arrived('resourceMetrics', transport, (f) => metrics(f).length >= 4));
    const named = (name: string): Json => found.find((m) => m['name'] === name)!;
    const counter = named('counter');
    assert.deepEqual([counter['unit'], counter['description']], ['By', 'bytes']);
    assert.deepEqual([counter['sum'].isMonotonic, counter['sum'].aggregationTemporality], [true, 2]);
    const [point] = counter['sum'].dataPoints;
    assert.equal(Number(point.asInt ?? point.asDouble), 42);
    assert.deepEqual(attributes(point.attributes), ATTRIBUTES);
    assert.equal(named('up_down')['sum'].dataPoints[0].asDouble, -0.5);
    assert.ok(!named('up_down')['sum'].isMonotonic);
    const [h] = named('histogram')['histogram'].dataPoints;
    assert.deepEqual([Number(h.count), h.sum, h.min, h.max], [3, 55.5, 0.5, 50]);
    assert.deepEqual(
      [h.explicitBounds, h.bucketCounts.map(Number)],
      [
        [1, 10],
        [1, 1, 1],
      ],
    );
    assert.deepEqual(
      named('gauge')['gauge'].dataPoints.map((d: Json) => [attributes(d['attributes'])['core'], d['asDouble']]),
      [
        ['0', 0.5],
        ['1', 1.5],
      ],
    );
  });
}

test('without the token nothing is taken, and the SDK is told', async () => {
  const denied = new Metadata();
  denied.set('authorization', 'Bearer wrong');
  const body = '{"resourceLogs":[]}';
  const answer = await fetch(`${httpUrl}/v1/logs`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', authorization: 'Bearer wrong' },
  });
  assert.deepEqual(
    [answer.status, await answer.json()],
    [401, { code: 16, message: 'provided authorization does not match expected scheme or token' }],
  );
  const provider = new TracerProvider({ resource: resource('denied'), spanProcessors: [] });
  const exporter = new TracesGrpc({ url: grpcUrl, metadata: denied });
  const span = provider.getTracer('scope').startSpan('denied');
  span.end();
  const result = await new Promise<{ code: number; error?: Error }>((resolve) =>
    exporter.export([span as never], resolve),
  );
  assert.equal(result.code, 1);
  assert.equal((result.error as Error & { code: number }).code, 16);
  await exporter.shutdown();
});
