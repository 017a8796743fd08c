/** All operators, by type. */
import type { OperatorDefinition } from '../operator.ts';
import { add } from './add.ts';
import { assignKeys } from './assign-keys.ts';
import { autoParser } from './auto-parser.ts';
import { container } from './container.ts';
import { copy } from './copy.ts';
import { csvParser } from './csv-parser.ts';
import { filter } from './filter.ts';
import { flatten } from './flatten.ts';
import { jsonArrayParser } from './json-array-parser.ts';
import { jsonParser } from './json-parser.ts';
import { keyValueParser } from './key-value-parser.ts';
import { move } from './move.ts';
import { noop } from './noop.ts';
import { recombine } from './recombine.ts';
import { regexParser } from './regex-parser.ts';
import { regexReplace } from './regex-replace.ts';
import { remove } from './remove.ts';
import { retain } from './retain.ts';
import { router } from './router.ts';
import { sanitizeUtf8 } from './sanitize-utf8.ts';
import { scopeNameParser } from './scope-name-parser.ts';
import { severityParser } from './severity-parser.ts';
import { syslogParser } from './syslog-parser.ts';
import { timeParser } from './time-parser.ts';
import { traceParser } from './trace-parser.ts';
import { unquote } from './unquote.ts';
import { uriParser } from './uri-parser.ts';

export const OPERATORS: ReadonlyMap<string, OperatorDefinition> = new Map(
  [
    add,
    assignKeys,
    autoParser,
    container,
    copy,
    csvParser,
    filter,
    flatten,
    jsonArrayParser,
    jsonParser,
    keyValueParser,
    move,
    noop,
    recombine,
    regexParser,
    regexReplace,
    remove,
    retain,
    router,
    sanitizeUtf8,
    scopeNameParser,
    severityParser,
    syslogParser,
    timeParser,
    traceParser,
    unquote,
    uriParser,
  ].map((d) => [d.type, d] as const),
);
