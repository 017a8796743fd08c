/** resource processor: changes attributes of resources. */
import * as z from 'zod';
import { defineProcessor } from '../../../core/component.ts';
import { actionsSchema } from '../../../core/edit/attribute-actions.ts';

const schema = z.preprocess(
  (v) => v ?? {},
  z.strictObject({
    attributes: actionsSchema('attributes').describe('Actions on attributes of the resource, in order'),
  }),
);
export type ResourceConfig = z.output<typeof schema>;

export default defineProcessor({
  id: 'resource',
  summary: 'Adds, changes and removes attributes of resources.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  create: async (config, ctx) => {
    const { makeResourceProcessor } = await import('./resource.ts');
    return makeResourceProcessor(config, ctx);
  },
});
