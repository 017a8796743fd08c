/** debug exporter: prints what arrives, for people. */
import * as z from 'zod';
import { defineExporter } from '../../../core/component.ts';
import { stringList } from '../../../core/schema.ts';
import { SENT } from './instruments.ts';

const schema = z.preprocess(
  (v) => v ?? {},
  z
    .strictObject({
      verbosity: z
        .preprocess(
          (v) => (typeof v === 'string' ? v.toLowerCase() : v),
          z.enum(['basic', 'normal', 'detailed'], {
            error: (issue) =>
              `verbosity level ${JSON.stringify(issue.input)} is not supported; use basic, normal or detailed`,
          }),
        )
        .default('basic')
        .describe('basic: counts; normal: one line per item; detailed: everything'),
      sampling_initial: z.int().min(0).default(2).describe('Equal messages per second that are printed in any case'),
      sampling_thereafter: z.int().min(0).default(1).describe('Of the rest, every so-manieth is printed; 1: all'),
      use_internal_logger: z.boolean().default(true).describe("Print into the collector's own log"),
      output_paths: stringList().optional().describe('stdout, stderr or files; only without the internal logger'),
      sending_queue: z
        .looseObject({ enabled: z.boolean().default(false).describe('Accepted; printing needs no queue') })
        .nullish()
        .describe('Accepted; printing is immediate and needs no queue'),
    })
    .superRefine((c, ctx) => {
      if (c.use_internal_logger && c.output_paths !== undefined)
        ctx.addIssue({
          code: 'custom',
          path: ['output_paths'],
          message: 'output_paths is only supported with use_internal_logger set to false',
        });
      if (c.output_paths?.length === 0)
        ctx.addIssue({ code: 'custom', path: ['output_paths'], message: 'output_paths must not be empty' });
    }),
);
export type DebugConfig = z.output<typeof schema>;

export default defineExporter({
  id: 'debug',
  summary: 'Prints data to the log or to the console.',
  stability: 'alpha',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: Object.values(SENT),
  create: async (config, ctx) => {
    const { DebugExporter } = await import('./debug.ts');
    return new DebugExporter(config, ctx);
  },
});
