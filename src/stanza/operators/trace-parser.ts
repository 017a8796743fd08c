/** Sets trace id, span id and flags of a record from fields. */
import { traceBlock, traceKeys } from '../blocks.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const traceParser = defineOperator({
  type: 'trace_parser',
  summary: 'Sets trace id, span id and flags of a record from fields.',
  schema: operatorConfig(traceKeys),
  compile(config, { next, fail }) {
    const run = traceBlock(config);
    return (entry) => {
      const error = run(entry);
      if (error === undefined) next(entry);
      else fail(entry, error);
    };
  },
});
