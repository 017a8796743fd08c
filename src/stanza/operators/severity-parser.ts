/** Sets the severity of a record from a field. */

import { defineOperator, operatorConfig } from '../operator.ts';
import { checkMapping, severityBlock, severityKeys } from '../severity.ts';

export const severityParser = defineOperator({
  type: 'severity_parser',
  summary: 'Sets the severity of a record from a field.',
  schema: operatorConfig(severityKeys).superRefine(checkMapping),
  compile(config, { next, fail }) {
    const run = severityBlock(config);
    return (entry) => {
      const error = run(entry);
      if (error === undefined) next(entry);
      else fail(entry, error);
    };
  },
});
