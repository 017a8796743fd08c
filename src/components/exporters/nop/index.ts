/** nop exporter: takes everything and throws it away. */
import * as z from 'zod';
import { DELIVERED, settleBatch } from '../../../core/batch.ts';
import { defineExporter } from '../../../core/component.ts';

export default defineExporter({
  id: 'nop',
  summary: 'Accepts all data and discards it; for tests and as a placeholder.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema: z.preprocess((v) => v ?? {}, z.strictObject({})),
  create: async () => ({
    consume: async (batch) => settleBatch(batch, DELIVERED),
  }),
});
