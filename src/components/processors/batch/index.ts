/** batch processor: collects records until there are enough, or until a timer says so. */
import * as z from 'zod';
import { defineProcessor } from '../../../core/component.ts';
import { duration, stringList } from '../../../core/schema.ts';
import { INSTRUMENTS } from './instruments.ts';

const count = () => z.int().min(0, { message: 'must be greater or equal to 0' });

const schema = z.preprocess(
  (v) => v ?? {},
  z
    .strictObject({
      timeout: duration().prefault('200ms').describe('Send whatever is there this often; 0: at once'),
      send_batch_size: count()
        .default(8192)
        .describe('Send as soon as so many records, spans or data points are there; 0: every arrival at once'),
      send_batch_max_size: count().default(0).describe('Most records, spans or data points in one batch; 0: no limit'),
      metadata_keys: stringList().default([]).describe('Client metadata that must not be mixed in a batch'),
      metadata_cardinality_limit: count().default(1000).describe('Most combinations of metadata values; 0: no limit'),
    })
    .superRefine((c, ctx) => {
      if (c.timeout < 0)
        ctx.addIssue({ code: 'custom', path: ['timeout'], message: 'timeout must be greater or equal to 0' });
      if (c.send_batch_max_size > 0 && c.send_batch_max_size < c.send_batch_size)
        ctx.addIssue({
          code: 'custom',
          path: ['send_batch_max_size'],
          message: 'send_batch_max_size must be greater or equal to send_batch_size',
        });
      const seen = new Set<string>();
      for (const [i, key] of c.metadata_keys.entries()) {
        const lower = key.toLowerCase();
        if (seen.has(lower))
          ctx.addIssue({
            code: 'custom',
            path: ['metadata_keys', i],
            message: `duplicate entry in metadata_keys: ${JSON.stringify(lower)} (case-insensitive)`,
          });
        seen.add(lower);
      }
    }),
);
export type BatchConfig = z.output<typeof schema>;

export default defineProcessor({
  id: 'batch',
  summary: 'Collects data into batches by count, size and time.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: Object.values(INSTRUMENTS),
  create: async (config, ctx) => {
    const { BatchProcessor } = await import('./batch.ts');
    return new BatchProcessor(config, ctx);
  },
});
