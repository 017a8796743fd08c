/** Functions of the filter processor: the converters, and two that look at all points of a metric. */
import type { Env } from '../env.ts';
import { converter, type FunctionDefinition } from '../function.ts';
import { equal, type OttlValue } from '../values.ts';
import { CONVERTERS } from './index.ts';

/** Whether a point of the metric has the attribute, and with this value. */
function anyPoint(env: Env, key: string, wanted: OttlValue | undefined): boolean {
  let found = false;
  env.metrics.eachPoint((point) => {
    if (found) return;
    const v = point.attributes.get(key);
    found = v !== undefined && (wanted === undefined || equal(v, wanted));
  });
  return found;
}

const METRIC = { contexts: ['metric'] as const };

export const FILTER_FUNCTIONS: ReadonlyMap<string, FunctionDefinition> = new Map([
  ...CONVERTERS,
  [
    'HasAttrKeyOnDatapoint',
    converter(
      'Whether a point of the metric has an attribute',
      { key: 'literal:string' },
      'bool',
      ({ key }) =>
        (env) =>
          anyPoint(env, key, undefined),
      METRIC,
    ),
  ] as const,
  [
    'HasAttrOnDatapoint',
    converter(
      'Whether a point of the metric has an attribute with this value',
      { key: 'literal:string', value: 'literal:string' },
      'bool',
      ({ key, value }) =>
        (env) =>
          anyPoint(env, key, value),
      METRIC,
    ),
  ] as const,
]);
