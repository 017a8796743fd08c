/** verbosity detailed: every field on a line of its own. */
import type { Signal } from '../../../core/batch.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import { type LogRecord, logRecords } from '../../../wire/otlp-logs.ts';
import {
  type DataPointFields,
  type Exemplar,
  type ExponentialHistogramDataPoint,
  type HistogramDataPoint,
  type Metric,
  metricsOf,
  type NumberDataPoint,
  type SummaryDataPoint,
} from '../../../wire/otlp-metrics.ts';
import { type Span, spansOf } from '../../../wire/otlp-traces.ts';
import { BYTES, ProtoReader } from '../../../wire/proto.ts';
import type { NestedResource } from './nest.ts';
import { fixed, hex, timeText, typedText } from './value-text.ts';

const WORDS = {
  logs: ['ResourceLog', 'ScopeLogs'],
  metrics: ['ResourceMetrics', 'ScopeMetrics'],
  traces: ['ResourceSpans', 'ScopeSpans'],
} as const;

export function detailedText(signal: Signal, nested: readonly NestedResource[]): string {
  const out: string[] = [];
  const [resourceWord, scopeWord] = WORDS[signal];
  for (const [i, { resource, scopes }] of nested.entries()) {
    out.push(`${resourceWord} #${i}`, `Resource SchemaURL: ${resource.schemaUrl}`);
    attributeBlock(out, 'Resource attributes:', resource.attributes);
    entityRefs(out, resource.encoded);
    for (const [k, { scope, items }] of scopes.entries()) {
      const { name, version, attributes } = scope.fields;
      out.push(
        `${scopeWord} #${k}`,
        `${scopeWord} SchemaURL: ${scope.schemaUrl}`,
        `InstrumentationScope ${name} ${version}`,
      );
      attributeBlock(out, 'InstrumentationScope attributes:', attributes);
      let n = 0;
      for (const bytes of items) {
        if (signal === 'logs') for (const r of logRecords(bytes)) logRecord(out, n++, r);
        else if (signal === 'metrics') for (const m of metricsOf(bytes)) metric(out, n++, m);
        else for (const s of spansOf(bytes)) span(out, n++, s);
      }
    }
  }
  return out.join('\n');
}

function attributeBlock(out: string[], title: string, attributes: ReadonlyValueMap, indent = '     '): void {
  if (attributes.size === 0) return;
  out.push(title);
  for (const [k, v] of attributes) out.push(`${indent}-> ${k}: ${typedText(v)}`);
}

/** Which of the resource's attributes say what entities it is of. */
function entityRefs(out: string[], resource: Uint8Array): void {
  const r = new ProtoReader(resource);
  let n = 0;
  while (r.next()) {
    if (r.field !== 3 || r.wire !== BYTES) {
      r.skip();
      continue;
    }
    if (n === 0) out.push('Resource entity refs:');
    out.push(`     -> Entity ref #${n++}:`);
    const fields: string[][] = [[], [], [], []];
    const ref = r.message();
    while (ref.next()) {
      if (ref.field >= 1 && ref.field <= 4 && ref.wire === BYTES) fields[ref.field - 1]!.push(ref.string());
      else ref.skip();
    }
    const [schemaUrl, type, idKeys, descriptionKeys] = fields as [string[], string[], string[], string[]];
    out.push(`          -> Type: ${type.at(-1) ?? ''}`);
    if (schemaUrl.at(-1)) out.push(`          -> Schema URL: ${schemaUrl.at(-1)}`);
    for (const [title, keys] of [
      ['ID keys', idKeys],
      ['Description keys', descriptionKeys],
    ] as const)
      if (keys.length > 0) out.push(`          -> ${title}:`, ...keys.map((k) => `               -> ${k}`));
  }
}

const SEVERITIES = ['Trace', 'Debug', 'Info', 'Warn', 'Error', 'Fatal'];

/** 9 → `Info`, 10 → `Info2`; what OTLP does not know stays a number. */
function severityName(n: number): string {
  if (n === 0) return 'Unspecified';
  const name = SEVERITIES[Math.floor((n - 1) / 4)];
  if (name === undefined) return String(n);
  const step = ((n - 1) % 4) + 1;
  return step === 1 ? name : `${name}${step}`;
}

function logRecord(out: string[], n: number, r: LogRecord): void {
  out.push(
    `LogRecord #${n}`,
    `ObservedTimestamp: ${timeText(r.observedTime)}`,
    `Timestamp: ${timeText(r.time)}`,
    `SeverityText: ${r.severityText}`,
    `SeverityNumber: ${severityName(r.severityNumber)}(${r.severityNumber})`,
  );
  if (r.eventName) out.push(`EventName: ${r.eventName}`);
  out.push(`Body: ${typedText(r.body)}`);
  attributeBlock(out, 'Attributes:', r.attributes);
  if (r.droppedAttributesCount) out.push(`Dropped attributes count: ${r.droppedAttributesCount}`);
  out.push(`Trace ID: ${hex(r.traceId)}`, `Span ID: ${hex(r.spanId)}`, `Flags: ${r.flags}`);
}

const TEMPORALITIES = ['Unspecified', 'Delta', 'Cumulative'];
const TYPES = {
  gauge: 'Gauge',
  sum: 'Sum',
  histogram: 'Histogram',
  exponentialHistogram: 'ExponentialHistogram',
  summary: 'Summary',
  none: 'Empty',
} as const;

function metric(out: string[], n: number, m: Metric): void {
  const { data } = m;
  out.push(
    `Metric #${n}`,
    'Descriptor:',
    `     -> Name: ${m.name}`,
    `     -> Description: ${m.description}`,
    `     -> Unit: ${m.unit}`,
    `     -> DataType: ${TYPES[data.type]}`,
  );
  attributeBlock(out, '     -> Metadata:', m.metadata, '          ');
  if (data.type === 'sum') out.push(`     -> IsMonotonic: ${data.isMonotonic}`);
  if ('temporality' in data)
    out.push(`     -> AggregationTemporality: ${TEMPORALITIES[data.temporality] ?? data.temporality}`);
  switch (data.type) {
    case 'gauge':
    case 'sum':
      for (const [i, p] of data.points.entries()) numberPoint(out, i, p);
      break;
    case 'histogram':
      for (const [i, p] of data.points.entries()) histogramPoint(out, i, p);
      break;
    case 'exponentialHistogram':
      for (const [i, p] of data.points.entries()) exponentialPoint(out, i, p);
      break;
    case 'summary':
      for (const [i, p] of data.points.entries()) summaryPoint(out, i, p);
      break;
  }
}

function pointHead(out: string[], title: string, p: DataPointFields): void {
  out.push(title);
  attributeBlock(out, 'Data point attributes:', p.attributes);
  out.push(`StartTimestamp: ${timeText(p.startTime)}`, `Timestamp: ${timeText(p.time)}`);
}

/** A point without a recorded value has no such line. */
function valueLine(out: string[], title: string, v: number | bigint | undefined): void {
  if (v !== undefined) out.push(`${title}: ${typeof v === 'bigint' ? v : fixed(v)}`);
}

function numberPoint(out: string[], i: number, p: NumberDataPoint): void {
  pointHead(out, `NumberDataPoints #${i}`, p);
  valueLine(out, 'Value', p.value);
  exemplars(out, p.exemplars);
}

function totals(out: string[], p: HistogramDataPoint | ExponentialHistogramDataPoint): void {
  out.push(`Count: ${p.count}`);
  if (p.sum !== undefined) out.push(`Sum: ${fixed(p.sum)}`);
  if (p.min !== undefined) out.push(`Min: ${fixed(p.min)}`);
  if (p.max !== undefined) out.push(`Max: ${fixed(p.max)}`);
}

function histogramPoint(out: string[], i: number, p: HistogramDataPoint): void {
  pointHead(out, `HistogramDataPoints #${i}`, p);
  totals(out, p);
  for (const [k, bound] of p.explicitBounds.entries()) out.push(`ExplicitBounds #${k}: ${fixed(bound)}`);
  for (const [k, count] of p.bucketCounts.entries()) out.push(`Buckets #${k}, Count: ${count}`);
  exemplars(out, p.exemplars);
}

function exponentialPoint(out: string[], i: number, p: ExponentialHistogramDataPoint): void {
  pointHead(out, `ExponentialHistogramDataPoints #${i}`, p);
  totals(out, p);
  // Not as a power of 2: the digits of large borders are those of this formula.
  const factor = Math.LN2 * 2 ** -p.scale;
  const border = (index: number): string => fixed(Math.exp(index * factor));
  const { positive, negative } = p;
  for (const [k, count] of [...(negative?.bucketCounts.entries() ?? [])].reverse())
    out.push(`Bucket [-${border(negative!.offset + k + 1)}, -${border(negative!.offset + k)}), Count: ${count}`);
  if (p.zeroCount > 0n) out.push(`Bucket [0, 0], Count: ${p.zeroCount}`);
  for (const [k, count] of positive?.bucketCounts.entries() ?? [])
    out.push(`Bucket (${border(positive!.offset + k)}, ${border(positive!.offset + k + 1)}], Count: ${count}`);
  exemplars(out, p.exemplars);
}

function summaryPoint(out: string[], i: number, p: SummaryDataPoint): void {
  pointHead(out, `SummaryDataPoints #${i}`, p);
  out.push(`Count: ${p.count}`, `Sum: ${fixed(p.sum)}`);
  for (const [k, q] of p.quantiles.entries())
    out.push(`QuantileValue #${k}: Quantile ${fixed(q.quantile)}, Value ${fixed(q.value)}`);
}

function exemplars(out: string[], list: readonly Exemplar[]): void {
  if (list.length === 0) return;
  out.push('Exemplars:');
  for (const [i, e] of list.entries()) {
    out.push(
      `Exemplar #${i}`,
      `     -> Trace ID: ${hex(e.traceId)}`,
      `     -> Span ID: ${hex(e.spanId)}`,
      `     -> Timestamp: ${timeText(e.time)}`,
    );
    valueLine(out, '     -> Value', e.value);
    attributeBlock(out, '     -> FilteredAttributes:', e.filteredAttributes, '          ');
  }
}

const KINDS = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'];
const STATUSES = ['Unset', 'Ok', 'Error'];

function span(out: string[], n: number, s: Span): void {
  const row = (label: string, text: string): void => void out.push(`    ${label.padEnd(15)}: ${text}`);
  out.push(`Span #${n}`);
  row('Trace ID', hex(s.traceId));
  row('Parent ID', hex(s.parentSpanId));
  row('ID', hex(s.spanId));
  row('Name', s.name);
  row('Kind', KINDS[s.kind] ?? String(s.kind));
  if (s.traceState) row('TraceState', s.traceState);
  row('Start time', timeText(s.startTime));
  row('End time', timeText(s.endTime));
  row('Status code', STATUSES[s.statusCode] ?? String(s.statusCode));
  row('Status message', s.statusMessage);
  if (s.droppedAttributesCount) row('DroppedAttributesCount', String(s.droppedAttributesCount));
  if (s.droppedEventsCount) row('DroppedEventsCount', String(s.droppedEventsCount));
  if (s.droppedLinksCount) row('DroppedLinksCount', String(s.droppedLinksCount));
  attributeBlock(out, 'Attributes:', s.attributes);
  if (s.events.length) out.push('Events:');
  for (const [i, e] of s.events.entries()) {
    out.push(
      `SpanEvent #${i}`,
      `     -> Name: ${e.name}`,
      `     -> Timestamp: ${timeText(e.time)}`,
      `     -> DroppedAttributesCount: ${e.droppedAttributesCount}`,
    );
    attributeBlock(out, '     -> Attributes::', e.attributes, '          ');
  }
  if (s.links.length) out.push('Links:');
  for (const [i, l] of s.links.entries()) {
    out.push(
      `SpanLink #${i}`,
      `     -> Trace ID: ${hex(l.traceId)}`,
      `     -> ID: ${hex(l.spanId)}`,
      `     -> TraceState: ${l.traceState}`,
      `     -> DroppedAttributesCount: ${l.droppedAttributesCount}`,
    );
    attributeBlock(out, '     -> Attributes::', l.attributes, '          ');
  }
}
