/** Sets the time of a record from a field. */
import { checkLayout, timeBlock, timeKeys } from '../blocks.ts';
import { defineOperator, operatorConfig } from '../operator.ts';

export const timeParser = defineOperator({
  type: 'time_parser',
  summary: 'Sets the time of a record from a field.',
  schema: operatorConfig(timeKeys).superRefine(checkLayout),
  compile(config, { next, fail, clock }) {
    const run = timeBlock(config, clock);
    return (entry) => {
      const error = run(entry);
      if (error === undefined) next(entry);
      else fail(entry, error);
    };
  },
});
