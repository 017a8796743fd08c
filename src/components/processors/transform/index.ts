/** transform processor: runs OTTL statements over telemetry. */
import * as z from 'zod';
import { defineProcessor } from '../../../core/component.ts';
import { TRANSFORM_FUNCTIONS } from '../../../core/ottl/functions/metrics.ts';
import { type Contexts, compileProgram, ERROR_MODES, OttlTextError } from '../../../core/ottl/ottl.ts';
import { section } from '../../../core/schema.ts';

export const CONTEXTS = {
  logs: ['log', 'scope', 'resource'],
  traces: ['spanevent', 'span', 'scope', 'resource'],
  metrics: ['datapoint', 'metric', 'scope', 'resource'],
} as const satisfies Record<string, Contexts>;

export interface StatementGroup {
  readonly context: Contexts[number] | undefined;
  readonly error_mode: (typeof ERROR_MODES)[number] | undefined;
  readonly conditions: readonly string[];
  readonly statements: readonly string[];
}

const mode = () => z.enum(ERROR_MODES);

/** A list of statements is one group whose context the paths decide. */
const statementList = <const C extends Contexts>(contexts: C) => {
  const group = section(
    z.strictObject({
      context: z
        .enum(contexts as unknown as [C[number], ...C[number][]])
        .optional()
        .describe('What the statements run over; without it the paths decide'),
      error_mode: mode().optional().describe('For this group'),
      conditions: z.array(z.string()).default([]).describe('The group runs only where one of these holds'),
      statements: z.array(z.string()).default([]).describe('OTTL statements, in order'),
    }),
  );
  return z
    .union([z.array(z.string()), z.array(group)])
    .default([])
    .transform((list, ctx): StatementGroup[] => {
      const isFlat = list.every((item) => typeof item === 'string');
      const groups: StatementGroup[] = isFlat
        ? list.length > 0
          ? [{ context: undefined, error_mode: undefined, conditions: [], statements: list as string[] }]
          : []
        : (list as z.output<typeof group>[]).map((g) => ({ ...g, context: g.context, error_mode: g.error_mode }));
      for (const [i, g] of groups.entries()) {
        try {
          compileProgram(g, { context: g.context, contexts, functions: TRANSFORM_FUNCTIONS });
        } catch (error) {
          if (!(error instanceof OttlTextError)) throw error;
          const path = isFlat ? [error.index] : [i, `${error.kind}s`, error.index];
          ctx.addIssue({ code: 'custom', path, message: error.message });
        }
      }
      return groups;
    });
};

const schema = z.preprocess(
  (v) => v ?? {},
  z.strictObject({
    error_mode: mode()
      .default('ignore')
      .describe('Errors of statements: ignore (log and go on), silent (go on), propagate (refuse the data)'),
    log_statements: statementList(CONTEXTS.logs).describe('For logs: statements, or groups of statements'),
    metric_statements: statementList(CONTEXTS.metrics).describe('For metrics: statements, or groups of statements'),
    trace_statements: statementList(CONTEXTS.traces).describe('For traces: statements, or groups of statements'),
    flatten_data: z
      .boolean()
      .default(false)
      .refine((v) => !v, { error: 'flatten_data is not supported' })
      .describe('Not supported: must be false'),
  }),
);
export type TransformConfig = z.output<typeof schema>;

export default defineProcessor({
  id: 'transform',
  summary: 'Changes telemetry by statements of the OpenTelemetry Transformation Language.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  create: async (config, ctx) => {
    const { makeTransform } = await import('./transform.ts');
    return makeTransform(config, ctx);
  },
});
