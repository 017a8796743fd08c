/** The include and exclude blocks that the filter processor had before OTTL conditions. */
import * as z from 'zod';
import { attributeList, matchSchema, texts } from '../../../core/edit/match.ts';
import { section } from '../../../core/schema.ts';

const matchType = () => z.enum(['strict', 'regexp']).describe('Whether texts are compared or are regular expressions');

const logs = section(
  z.strictObject({
    match_type: matchType(),
    resource_attributes: attributeList('Resource attributes; one of them is enough'),
    record_attributes: attributeList('Attributes of the record; one of them is enough'),
    severity_texts: texts('Severity texts'),
    bodies: texts('Bodies that are text'),
    severity_number: section(
      z.strictObject({
        min: z.union([z.int(), z.string()]).default(0).describe('Lowest severity number'),
        match_undefined: z.boolean().default(false).describe('Records without severity match too'),
      }),
    )
      .optional()
      .describe('The severity'),
  }),
);
const metrics = section(
  z.strictObject({
    match_type: z
      .enum(['strict', 'regexp', 'expr'])
      .refine((t) => t !== 'expr', {
        error: 'match_type expr is not supported; use conditions: metrics.metric or metrics.datapoint',
      })
      .describe('Whether texts are compared or are regular expressions'),
    metric_names: texts('Names of metrics'),
    resource_attributes: attributeList('Resource attributes that must all match'),
  }),
);
export type LegacyLogs = z.output<typeof logs>;
export type LegacyMetrics = z.output<typeof metrics>;

const both = <S extends z.ZodType>(schema: S) => ({
  include: schema.optional().describe('Drop what does not match'),
  exclude: schema.optional().describe('Drop what matches'),
});

export const legacyLogs = () => both(logs);
export const legacyMetrics = () => both(metrics);
export const legacySpans = () => both(matchSchema());
