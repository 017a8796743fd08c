/** Sets the name of the scope from a field. */
import { scopeNameBlock, scopeNameKeys } from '../blocks.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const scopeNameParser = defineOperator({
  type: 'scope_name_parser',
  summary: 'Sets the name of the scope from a field.',
  schema: operatorConfig(scopeNameKeys),
  compile(config, { next, fail }) {
    const run = scopeNameBlock(config);
    return (entry) => {
      const error = run(entry);
      if (error === undefined) next(entry);
      else fail(entry, error);
    };
  },
});
