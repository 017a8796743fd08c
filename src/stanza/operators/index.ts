/** All operators, by type. */
import type { OperatorDefinition } from '../operator.ts';
import { add } from './add.ts';
import { container } from './container.ts';
import { jsonParser } from './json-parser.ts';
import { move } from './move.ts';
import { noop } from './noop.ts';
import { remove } from './remove.ts';
import { scopeNameParser } from './scope-name-parser.ts';
import { severityParser } from './severity-parser.ts';
import { timeParser } from './time-parser.ts';
import { traceParser } from './trace-parser.ts';

export const OPERATORS: ReadonlyMap<string, OperatorDefinition> = new Map(
  [add, container, jsonParser, move, noop, remove, scopeNameParser, severityParser, timeParser, traceParser].map(
    (d) => [d.type, d] as const,
  ),
);
