/**
 * What a scraping receiver can emit: one declaration per metric, and the configuration that switches metrics, drops
 * attributes of them and switches resource attributes, with upstream's keys.
 */
import * as z from 'zod';
import { section } from '../schema.ts';

export interface MetricDeclaration {
  readonly name: string;
  readonly description: string;
  /** UCUM. */
  readonly unit: string;
  readonly type: 'gauge' | 'sum';
  readonly valueType: 'int' | 'double';
  /** Sums only; sums are always cumulative. */
  readonly isMonotonic?: boolean;
  readonly attributes?: readonly {
    readonly name: string /** Left out unless asked for. */;
    readonly isOptIn?: boolean;
  }[];
  /** Whether it is emitted without configuration. */
  readonly enabled: boolean;
}

export const AGGREGATIONS = ['sum', 'avg', 'min', 'max'] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

/** How one metric is emitted under a configuration. */
export interface MetricSetting {
  readonly enabled: boolean;
  /** Undefined: all that are declared, each point as it was recorded. */
  readonly attributes: readonly string[] | undefined;
  readonly aggregation: Aggregation;
}

interface MetricSwitch {
  enabled?: boolean | undefined;
  attributes?: string[] | undefined;
  aggregation_strategy?: Aggregation | undefined;
}

/** Value of `metrics:`, by metric name. */
export type MetricSwitches = Readonly<Record<string, MetricSwitch | undefined>>;

/** Schema of `metrics:` for a catalogue. Unknown metrics and attributes are errors. */
export const metricSwitches = (catalogue: readonly MetricDeclaration[]) =>
  section(
    z.strictObject(
      Object.fromEntries(
        catalogue.map((m) => [
          m.name,
          section(
            z.strictObject({
              enabled: z.boolean().default(m.enabled).meta({ description: m.description }),
              ...(m.attributes?.length
                ? {
                    attributes: z
                      .array(z.enum(m.attributes.map((a) => a.name) as [string, ...string[]]))
                      .optional()
                      .describe('Attributes that are kept; points that differ in another one only become one'),
                    aggregation_strategy: z
                      .enum(AGGREGATIONS)
                      .default(m.type === 'sum' ? 'sum' : 'avg')
                      .describe('How points become one'),
                  }
                : {}),
            }),
          )
            .optional()
            .describe(`The metric ${m.name}`),
        ]),
      ),
    ),
  )
    .prefault({})
    .describe('Which metrics are measured, and with which attributes')
    .transform((v) => v as MetricSwitches);

/** One setting per declaration, in the catalogue's order. */
export const metricSettings = (
  catalogue: readonly MetricDeclaration[],
  switches: MetricSwitches,
): readonly MetricSetting[] =>
  catalogue.map((m) => {
    const s = switches[m.name];
    const all = m.attributes ?? [];
    const chosen = s?.attributes ?? all.filter((a) => !a.isOptIn).map((a) => a.name);
    return {
      enabled: s?.enabled ?? m.enabled,
      attributes: all.every((a) => chosen.includes(a.name)) ? undefined : chosen,
      aggregation: s?.aggregation_strategy ?? (m.type === 'sum' ? 'sum' : 'avg'),
    };
  });
