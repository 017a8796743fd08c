/** verbosity normal: one line per record, data point or span. */
import type { Signal } from '../../../core/batch.ts';
import { printFloat } from '../../../core/expr/builtins.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import { logRecords } from '../../../wire/otlp-logs.ts';
import { type Metric, metricsOf } from '../../../wire/otlp-metrics.ts';
import { spansOf } from '../../../wire/otlp-traces.ts';
import type { NestedResource } from './nest.ts';
import { attributesLine, fixed, hex, valueText } from './value-text.ts';

const WORDS = {
  logs: ['ResourceLog', 'ScopeLog'],
  metrics: ['ResourceMetrics', 'ScopeMetrics'],
  traces: ['ResourceTraces', 'ScopeTraces'],
} as const;

export function normalText(signal: Signal, nested: readonly NestedResource[]): string {
  const out: string[] = [];
  const [resourceWord, scopeWord] = WORDS[signal];
  for (const [i, { resource, scopes }] of nested.entries()) {
    out.push(`${resourceWord} #${i}${schema(resource.schemaUrl)}${attributesLine(resource.attributes)}`);
    for (const [k, { scope, items }] of scopes.entries()) {
      const { name, version, attributes } = scope.fields;
      const id = `${name}${version ? `@${version}` : ''}`;
      out.push(`${scopeWord} #${k}${id ? ` ${id}` : ''}${schema(scope.schemaUrl)}${attributesLine(attributes)}`);
      for (const bytes of items) {
        if (signal === 'logs')
          for (const r of logRecords(bytes)) out.push(`${valueText(r.body)}${attributesLine(r.attributes)}`);
        else if (signal === 'metrics') for (const m of metricsOf(bytes)) out.push(...metricLines(m));
        else
          for (const s of spansOf(bytes))
            out.push(`${s.name} ${hex(s.traceId)} ${hex(s.spanId)}${attributesLine(s.attributes)}`);
      }
    }
  }
  return out.join('\n');
}

const schema = (url: string): string => (url ? ` [${url}]` : '');

function metricLines(m: Metric): string[] {
  const line = (attributes: ReadonlyValueMap, values: string): string => {
    const labels = [...attributes].map(([k, v]) => `${k}=${valueText(v)}`).join(',');
    return `${m.name}{${labels}} ${values}`.trimEnd();
  };
  const { data } = m;
  switch (data.type) {
    case 'none':
      return [];
    case 'gauge':
    case 'sum':
      return data.points.map((p) =>
        line(p.attributes, typeof p.value === 'number' ? printFloat(p.value) : `${p.value ?? ''}`),
      );
    case 'histogram':
      return data.points.map((p) => {
        const buckets = p.bucketCounts.map((n, i) =>
          i < p.explicitBounds.length ? `le${printFloat(p.explicitBounds[i]!)}=${n}` : `${n}`,
        );
        return line(
          p.attributes,
          [
            `count=${p.count}`,
            ...optional('sum', p.sum),
            ...optional('min', p.min),
            ...optional('max', p.max),
            ...buckets,
          ].join(' '),
        );
      });
    case 'exponentialHistogram':
      return data.points.map((p) => {
        const base = 2 ** (2 ** -p.scale);
        const buckets = [p.negative, p.positive].flatMap((side) =>
          (side?.bucketCounts ?? []).map((n, i) => `le${printFloat(base ** (side!.offset + i))}=${n}`),
        );
        return line(
          p.attributes,
          [
            `count=${p.count}`,
            ...optional('sum', p.sum),
            ...optional('min', p.min),
            ...optional('max', p.max),
            ...buckets,
            ...(p.zeroCount > 0n ? [`zero_count${printFloat(p.zeroThreshold)}=${p.zeroCount}`] : []),
          ].join(' '),
        );
      });
    case 'summary':
      return data.points.map((p) =>
        line(
          p.attributes,
          [
            `count=${p.count}`,
            `sum=${fixed(p.sum)}`,
            ...p.quantiles.map((q) => `q${printFloat(q.quantile)}=${printFloat(q.value)}`),
          ].join(' '),
        ),
      );
  }
}

const optional = (name: string, v: number | undefined): string[] =>
  v === undefined ? [] : [`${name}=${printFloat(v)}`];
