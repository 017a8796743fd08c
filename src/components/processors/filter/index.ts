/** filter processor: drops what OTTL conditions, or include and exclude blocks, say. */
import * as z from 'zod';
import type { Signal } from '../../../core/batch.ts';
import { defineProcessor } from '../../../core/component.ts';
import { FILTER_FUNCTIONS } from '../../../core/ottl/functions/filter.ts';
import {
  type ContextName,
  type Contexts,
  compileProgram,
  ERROR_MODES,
  OttlTextError,
} from '../../../core/ottl/ottl.ts';
import { section } from '../../../core/schema.ts';
import type { Instrument } from '../../../core/telemetry.ts';
import { legacyLogs, legacyMetrics, legacySpans } from './legacy-schema.ts';

export const CONTEXTS = {
  logs: ['log', 'scope', 'resource'],
  traces: ['spanevent', 'span', 'scope', 'resource'],
  metrics: ['datapoint', 'metric', 'scope', 'resource'],
} as const satisfies Record<Signal, Contexts>;

const UNITS = { logs: 'logs', metrics: 'datapoints', traces: 'spans' } as const;
const WORDS = { logs: 'logs', metrics: 'metric data points', traces: 'spans' } as const;

export const instrument = (signal: Signal): Instrument => ({
  name: `otelcol_processor_filter_${UNITS[signal]}.filtered`,
  kind: 'counter',
  help: `Number of ${WORDS[signal]} dropped by the filter processor`,
  unit: '1',
});

/** Conditions of one context; any of them drops. */
export interface ConditionGroup {
  /** undefined: the paths decide. */
  readonly context: ContextName | undefined;
  readonly error_mode: (typeof ERROR_MODES)[number] | undefined;
  readonly conditions: readonly string[];
}

type Refuse = (issue: { code: 'custom'; path: (string | number)[]; message: string }) => void;

/** Says what is wrong with the conditions of a group, at the path of the one that is wrong. */
function check(group: ConditionGroup, contexts: Contexts, path: readonly (string | number)[], refuse: Refuse): void {
  try {
    compileProgram(
      { statements: [], conditions: group.conditions },
      { context: group.context, contexts, functions: FILTER_FUNCTIONS },
    );
  } catch (error) {
    if (!(error instanceof OttlTextError)) throw error;
    refuse({ code: 'custom', path: [...path, error.index], message: error.message });
  }
}

const conditionList = (context: ContextName, contexts: Contexts) =>
  z
    .array(z.string())
    .default([])
    .superRefine((conditions, ctx) =>
      check({ context, error_mode: undefined, conditions }, contexts, [], (issue) => ctx.addIssue(issue)),
    )
    .describe(`OTTL conditions over each ${context}; any that holds drops it`);

/** A list of conditions, or of groups of conditions. */
const conditionGroups = <const C extends Contexts>(contexts: C) => {
  const group = section(
    z.strictObject({
      context: z
        .enum(contexts as unknown as [C[number], ...C[number][]])
        .optional()
        .describe('What the conditions look at; without it the paths decide'),
      error_mode: z.enum(ERROR_MODES).optional().describe('For this group'),
      conditions: z.array(z.string()).default([]).describe('OTTL conditions; any that holds drops'),
    }),
  );
  return z
    .union([z.array(z.string()), z.array(group)])
    .default([])
    .transform((list, ctx): ConditionGroup[] => {
      const isFlat = list.every((item) => typeof item === 'string');
      // Each condition alone: one about resources shall not become one about records because of its neighbour.
      const groups: ConditionGroup[] = isFlat
        ? (list as string[]).map((text) => ({ context: undefined, error_mode: undefined, conditions: [text] }))
        : (list as z.output<typeof group>[]).map((g) => ({ ...g, context: g.context, error_mode: g.error_mode }));
      for (const [i, g] of groups.entries())
        check(g, contexts, isFlat ? [] : [i, 'conditions'], (issue) =>
          ctx.addIssue(isFlat ? { ...issue, path: [i] } : issue),
        );
      return groups;
    });
};

const { logs, traces, metrics } = CONTEXTS;

const schema = z.preprocess(
  (v) => v ?? {},
  z
    .strictObject({
      error_mode: z
        .enum(ERROR_MODES)
        .default('ignore')
        .describe('Errors of conditions: ignore (log and go on), silent (go on), propagate (refuse the data)'),
      log_conditions: conditionGroups(logs).describe('For logs: conditions, or groups of conditions'),
      metric_conditions: conditionGroups(metrics).describe('For metrics: conditions, or groups of conditions'),
      trace_conditions: conditionGroups(traces).describe('For traces: conditions, or groups of conditions'),
      logs: section(
        z.strictObject({
          resource: conditionList('resource', logs),
          log_record: conditionList('log', logs),
          ...legacyLogs(),
        }),
      )
        .prefault({})
        .describe('For logs, the former way'),
      metrics: section(
        z.strictObject({
          resource: conditionList('resource', metrics),
          metric: conditionList('metric', metrics),
          datapoint: conditionList('datapoint', metrics),
          ...legacyMetrics(),
        }),
      )
        .prefault({})
        .describe('For metrics, the former way'),
      traces: section(
        z.strictObject({
          resource: conditionList('resource', traces),
          span: conditionList('span', traces),
          spanevent: conditionList('spanevent', traces),
        }),
      )
        .prefault({})
        .describe('For traces, the former way'),
      spans: section(z.strictObject(legacySpans())).prefault({}).describe('For spans, before there were conditions'),
    })
    .superRefine((c, ctx) => {
      const both = (key: string, isOld: boolean, isNew: boolean): void => {
        if (isOld && isNew)
          ctx.addIssue({
            code: 'custom',
            path: [key],
            message: `cannot use ottl conditions and include/exclude for ${key} at the same time`,
          });
      };
      both('logs', !!(c.logs.include ?? c.logs.exclude), c.logs.resource.length + c.logs.log_record.length > 0);
      both(
        'metrics',
        !!(c.metrics.include ?? c.metrics.exclude),
        c.metrics.resource.length + c.metrics.metric.length + c.metrics.datapoint.length > 0,
      );
      both(
        'spans',
        !!(c.spans.include ?? c.spans.exclude),
        c.traces.resource.length + c.traces.span.length + c.traces.spanevent.length > 0,
      );
    }),
);
export type FilterConfig = z.output<typeof schema>;

export default defineProcessor({
  id: 'filter',
  summary: 'Drops log records, spans, span events, metrics and data points.',
  stability: 'alpha',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: (['logs', 'metrics', 'traces'] as const).map(instrument),
  create: async (config, ctx) => {
    const { makeFilter } = await import('./filter.ts');
    return makeFilter(config, ctx);
  },
});
