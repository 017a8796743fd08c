/** zpages extension: plain pages about what runs. */
import * as z from 'zod';
import { defineExtension } from '../../../core/component.ts';
import { httpServerShape, section } from '../../../core/schema.ts';

const schema = z.preprocess(
  (v) => v ?? {},
  z
    .strictObject({
      ...httpServerShape('localhost:55679'),
      expvar: section(
        z.strictObject({ enabled: z.boolean().default(false).describe('Serve /debug/expvarz: memory use as JSON') }),
      )
        .prefault({})
        .describe('Variables of the process'),
    })
    .superRefine((c, ctx) => {
      if (c.endpoint === '')
        ctx.addIssue({
          code: 'custom',
          path: ['endpoint'],
          message: '"endpoint" is required when using the "zpages" extension',
        });
    }),
);
export type ZpagesConfig = z.output<typeof schema>;

export default defineExtension({
  id: 'zpages',
  summary: 'Serves pages that show the pipelines, extensions and feature gates of the running collector.',
  stability: 'beta',
  schema,
  create: async (config, ctx) => {
    const { Zpages } = await import('./zpages.ts');
    return new Zpages(config, ctx);
  },
});
