/** forward connector: leads from one pipeline into another of the same signal. */
import * as z from 'zod';
import { defineConnector } from '../../../core/component.ts';

export default defineConnector({
  id: 'forward',
  summary: 'Hands data of one pipeline to others of the same signal.',
  stability: 'beta',
  signals: [
    { from: 'logs', to: 'logs' },
    { from: 'metrics', to: 'metrics' },
    { from: 'traces', to: 'traces' },
  ],
  schema: z.preprocess((v) => v ?? {}, z.strictObject({})),
  create: async (_config, ctx) => {
    const next = ctx.outputs[ctx.signal];
    if (!next) throw new Error(`no pipeline of ${ctx.signal} takes data from ${ctx.id}`);
    return { consume: (batch) => next.consume(batch) };
  },
});
