/** Passes records on: a target for `output`. */
import { defineOperator, operatorConfig } from '../operator.ts';

export const noop = defineOperator({
  type: 'noop',
  summary: 'Does nothing; useful as a target of `output`.',
  schema: operatorConfig({}),
  compile: (_config, ctx) => ctx.next,
});
