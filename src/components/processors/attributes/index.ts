/** attributes processor: changes attributes of records, spans and data points. */
import * as z from 'zod';
import { defineProcessor } from '../../../core/component.ts';
import { actionsSchema } from '../../../core/edit/attribute-actions.ts';
import { matchSchema } from '../../../core/edit/match.ts';

const schema = z.preprocess(
  (v) => v ?? {},
  z.strictObject({
    actions: actionsSchema('actions').describe('Actions on attributes, in order'),
    include: matchSchema().optional().describe('Act only on what matches'),
    exclude: matchSchema().optional().describe('Do not act on what matches; looked at after include'),
  }),
);
export type AttributesConfig = z.output<typeof schema>;

export default defineProcessor({
  id: 'attributes',
  summary: 'Adds, changes and removes attributes of log records, spans and data points.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  create: async (config, ctx) => {
    const { makeAttributesProcessor } = await import('./attributes.ts');
    return makeAttributesProcessor(config, ctx);
  },
});
