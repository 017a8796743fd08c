/** Editors that only the transform processor has, for metrics. */
import { writeAttributes } from '../../../wire/otlp.ts';
import { ProtoReader, ProtoWriter } from '../../../wire/proto.ts';
import type { Message } from '../../edit/message.ts';
import { EXPONENTIAL_HISTOGRAM, GAUGE, HISTOGRAM, SUM, SUMMARY } from '../../edit/shapes.ts';
import type { Env } from '../env.ts';
import { editor, type FunctionDefinition } from '../function.ts';
import { fail } from '../values.ts';
import { STANDARD_FUNCTIONS } from './index.ts';

const TEMPORALITIES: Readonly<Record<string, bigint>> = { delta: 1n, cumulative: 2n };

function temporalityOf(text: string): bigint {
  const n = Object.hasOwn(TEMPORALITIES, text) ? TEMPORALITIES[text] : undefined;
  if (n === undefined) throw new Error(`unknown aggregation temporality: ${text}`);
  return n;
}

/** The current data message with its points as the content of another type. */
function become(
  env: Env,
  fieldOfData: number,
  temporality: bigint | undefined,
  isMonotonic: boolean | undefined,
): void {
  const { metrics } = env;
  metrics.data.set(2, 'varint', temporality);
  metrics.data.set(3, 'bool', isMonotonic);
  metrics.rewriteData();
  const content = metrics.metric.get(metrics.dataField, 'message') as Uint8Array;
  metrics.setData(fieldOfData, content);
}

/** The current metric as bytes of a Metric message, with other values for some fields. */
function copied(
  env: Env,
  changes: { readonly name?: string; readonly description?: string; readonly unit?: string },
  data?: readonly [number, Uint8Array],
): Uint8Array {
  const { metrics } = env;
  if (metrics.data.isChanged) metrics.rewriteData();
  const source = new ProtoWriter(1024);
  metrics.metric.writeContent(source);
  const raw = source.finish();
  const replaced = new Set<number>();
  if (changes.name !== undefined) replaced.add(1);
  if (changes.description !== undefined) replaced.add(2);
  if (changes.unit !== undefined) replaced.add(3);
  if (data) for (const f of [GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY]) replaced.add(f);
  const w = new ProtoWriter(raw.length + 64);
  const r = new ProtoReader(raw);
  for (let at = 0; r.next(); at = r.pos) {
    const isOld = replaced.has(r.field);
    r.skip();
    if (!isOld) w.raw(raw.subarray(at, r.pos));
  }
  if (changes.name) w.string(1, changes.name);
  if (changes.description) w.string(2, changes.description);
  if (changes.unit) w.string(3, changes.unit);
  if (data) w.bytes(data[0], data[1]);
  return w.finish();
}

/** Number points, one for each point of the metric that `valueOf` gives a value for. */
function numberPoints(
  env: Env,
  valueAt: (point: Message) => bigint | number | undefined,
): { readonly bytes: ProtoWriter; readonly count: number } {
  const w = new ProtoWriter(1024);
  let count = 0;
  env.metrics.eachPoint((point) => {
    const value = valueAt(point);
    if (value === undefined) return;
    count++;
    const at = w.open(1);
    w.fixed64(2, point.get(2, 'fixed64') as bigint);
    w.fixed64(3, point.get(3, 'fixed64') as bigint);
    if (typeof value === 'bigint') w.fixed64(6, value);
    else w.double(4, value);
    writeAttributes(w, 7, point.attributes);
    w.close(at);
  });
  return { bytes: w, count };
}

function addSum(
  env: Env,
  suffix: string,
  temporality: bigint,
  isMonotonic: boolean,
  valueAt: (point: Message) => bigint | number | undefined,
): void {
  const { bytes: w, count } = numberPoints(env, valueAt);
  if (count === 0) return;
  w.tag(2, 0);
  w.varint64(temporality);
  if (isMonotonic) {
    w.tag(3, 0);
    w.varint(1);
  }
  const name = `${env.metrics.metric.get(1, 'string')}${suffix}`;
  env.newMetrics.push(copied(env, { name }, [SUM, w.finish()]));
}

const hasCount = (env: Env): boolean => [HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY].includes(env.metrics.dataField);
const temporalityNow = (env: Env): bigint =>
  env.metrics.dataField === SUMMARY ? 2n : (env.metrics.data.get(2, 'varint') as bigint);
const countAt = (point: Message): bigint => point.get(4, 'fixed64') as bigint;
const sumAt = (point: Message): number | undefined => (point.has(5) ? (point.get(5, 'double') as number) : undefined);
const summarySumAt = (point: Message): number => point.get(5, 'double') as number;

const METRIC = ['metric'] as const;

const METRIC_EDITORS: readonly (readonly [string, FunctionDefinition])[] = [
  [
    'convert_sum_to_gauge',
    editor(
      'Makes a gauge of a sum',
      {},
      () => (env) => {
        if (env.metrics.dataField === SUM) become(env, GAUGE, undefined, undefined);
      },
      METRIC,
    ),
  ],
  [
    'convert_gauge_to_sum',
    editor(
      'Makes a sum of a gauge',
      { aggregation_temporality: 'literal:string', is_monotonic: 'literal:bool' },
      ({ aggregation_temporality, is_monotonic }) => {
        const temporality = temporalityOf(aggregation_temporality);
        return (env) => {
          if (env.metrics.dataField === GAUGE) become(env, SUM, temporality, is_monotonic);
        };
      },
      METRIC,
    ),
  ],
  [
    'scale_metric',
    editor(
      'Multiplies values of gauges, sums, histograms and summaries',
      { factor: 'literal:float', unit: 'string?' },
      ({ factor, unit }) =>
        (env) => {
          if (env.metrics.dataField === EXPONENTIAL_HISTOGRAM)
            return fail('unsupported metric type: exponential histogram');
          scalePoints(env, factor);
          if (unit) env.metrics.metric.set(3, 'string', unit(env));
        },
      METRIC,
    ),
  ],
  [
    'copy_metric',
    editor(
      'Adds a copy of the metric to the end',
      { name: 'string?', description: 'string?', unit: 'string?' },
      ({ name, description, unit }) =>
        (env) => {
          const changes = {
            ...(name ? { name: name(env) } : {}),
            ...(description ? { description: description(env) } : {}),
            ...(unit ? { unit: unit(env) } : {}),
          };
          env.newMetrics.push(copied(env, changes));
        },
      METRIC,
    ),
  ],
  [
    'extract_count_metric',
    editor(
      'Adds a sum with the counts of a histogram or summary',
      { is_monotonic: 'literal:bool', suffix: 'literal:string?' },
      ({ is_monotonic, suffix = '_count' }) =>
        (env) => {
          if (!hasCount(env))
            return fail(
              'extract_count_metric requires an input metric of type Histogram, ExponentialHistogram or Summary',
            );
          addSum(env, suffix, temporalityNow(env), is_monotonic, countAt);
        },
      METRIC,
    ),
  ],
  [
    'extract_sum_metric',
    editor(
      'Adds a sum with the sums of a histogram or summary',
      { is_monotonic: 'literal:bool', suffix: 'literal:string?' },
      ({ is_monotonic, suffix = '_sum' }) =>
        (env) => {
          if (!hasCount(env))
            return fail(
              'extract_sum_metric requires an input metric of type Histogram, ExponentialHistogram or Summary',
            );
          addSum(
            env,
            suffix,
            temporalityNow(env),
            is_monotonic,
            env.metrics.dataField === SUMMARY ? summarySumAt : sumAt,
          );
        },
      METRIC,
    ),
  ],
  [
    'convert_summary_count_val_to_sum',
    editor(
      'Adds a sum with the counts of a summary',
      { aggregation_temporality: 'literal:string', is_monotonic: 'literal:bool', suffix: 'literal:string?' },
      ({ aggregation_temporality, is_monotonic, suffix = '_count' }) => {
        const temporality = temporalityOf(aggregation_temporality);
        return (env) => {
          if (env.metrics.dataField === SUMMARY) addSum(env, suffix, temporality, is_monotonic, countAt);
        };
      },
      METRIC,
    ),
  ],
  [
    'convert_summary_sum_val_to_sum',
    editor(
      'Adds a sum with the sums of a summary',
      { aggregation_temporality: 'literal:string', is_monotonic: 'literal:bool', suffix: 'literal:string?' },
      ({ aggregation_temporality, is_monotonic, suffix = '_sum' }) => {
        const temporality = temporalityOf(aggregation_temporality);
        return (env) => {
          if (env.metrics.dataField === SUMMARY) addSum(env, suffix, temporality, is_monotonic, summarySumAt);
        };
      },
      METRIC,
    ),
  ],
];

function scalePoints(env: Env, factor: number): void {
  const { metrics } = env;
  const { dataField } = metrics;
  if (dataField === 0 || metrics.points === 0) return;
  const w = new ProtoWriter(1024);
  metrics.eachPoint((point) => {
    const scale = (number: number): void => {
      if (point.has(number)) point.set(number, 'double', (point.get(number, 'double') as number) * factor);
    };
    if (dataField === GAUGE || dataField === SUM) {
      scale(4);
      if (point.has(6)) point.set(6, 'sfixed64', BigInt(Math.trunc(Number(point.get(6, 'sfixed64')) * factor)));
    } else {
      scale(5);
      if (dataField === HISTOGRAM) {
        scale(11);
        scale(12);
        point.set(
          7,
          'doubles',
          (point.get(7, 'doubles') as number[]).map((b) => b * factor),
        );
      }
    }
    point.write(w, 1);
  });
  metrics.rewriteData(w.finish());
}

export const TRANSFORM_FUNCTIONS: ReadonlyMap<string, FunctionDefinition> = new Map([
  ...STANDARD_FUNCTIONS,
  ...METRIC_EDITORS,
]);
