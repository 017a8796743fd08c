/** count connector: metrics of how many records, spans, events, metrics and data points went by. */
import * as z from 'zod';
import { defineConnector } from '../../../core/component.ts';
import { type ContextName, OttlTextError } from '../../../core/ottl/ottl.ts';
import { section } from '../../../core/schema.ts';
import { compileConditions } from './conditions.ts';

const attribute = z.strictObject({
  key: z.string().min(1, 'attribute key missing').describe('Attribute of the item, its scope or its resource'),
  default_value: z
    .union([z.string(), z.number()])
    .optional()
    .describe('Value where the attribute is missing; without one such items are not counted'),
});

const metricInfo = z.strictObject({
  description: z.string().default('').describe('Description of the metric'),
  conditions: z
    .array(z.string())
    .nullish()
    .transform((v) => v ?? [])
    .describe('OTTL conditions; an item counts when one of them holds. Without any, all count'),
  attributes: z
    .array(attribute)
    .nullish()
    .transform((v) => v ?? [])
    .describe('One count for each combination of their values'),
});

const counts = (what: string, context: ContextName, name: string, description: string, groupable = true) =>
  section(
    z.record(z.string(), section(metricInfo)).superRefine((metrics, ctx) => {
      for (const [key, info] of Object.entries(metrics)) {
        if (key === '') ctx.addIssue({ code: 'custom', message: 'metric name missing' });
        if (!groupable && info.attributes.length > 0)
          ctx.addIssue({
            code: 'custom',
            path: [key, 'attributes'],
            message: `metrics attributes not supported: metric ${JSON.stringify(key)}`,
          });
        try {
          compileConditions(context, info.conditions);
        } catch (error) {
          if (!(error instanceof OttlTextError)) throw error;
          ctx.addIssue({ code: 'custom', path: [key, 'conditions', error.index], message: error.message });
        }
      }
    }),
  )
    .prefault({ [name]: { description } })
    .describe(`Metrics that count ${what}, by name; ${name} when left out`);

const schema = z.preprocess(
  (v) => v ?? {},
  z.strictObject({
    spans: counts('spans', 'span', 'trace.span.count', 'The number of spans observed.'),
    spanevents: counts('span events', 'spanevent', 'trace.span.event.count', 'The number of span events observed.'),
    metrics: counts('metrics', 'metric', 'metric.count', 'The number of metrics observed.', false),
    datapoints: counts('data points', 'datapoint', 'metric.datapoint.count', 'The number of data points observed.'),
    logs: counts('log records', 'log', 'log.record.count', 'The number of log records observed.'),
  }),
);
export type CountConfig = z.output<typeof schema>;
export type MetricInfo = z.output<typeof metricInfo>;

export default defineConnector({
  id: 'count',
  summary: 'Counts log records, spans, span events, metrics and data points into metrics.',
  stability: 'alpha',
  signals: [
    { from: 'logs', to: 'metrics' },
    { from: 'metrics', to: 'metrics' },
    { from: 'traces', to: 'metrics' },
  ],
  schema,
  create: async (config, ctx) => {
    const { makeCount } = await import('./count.ts');
    return makeCount(config, ctx);
  },
});
