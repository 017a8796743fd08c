/** The table of functions. */
import type { FunctionDefinition } from '../function.ts';
import { GROK_CONVERTERS } from './converters-grok.ts';
import { HASH_CONVERTERS } from './converters-hash.ts';
import { PARSE_CONVERTERS } from './converters-parse.ts';
import { TEXT_CONVERTERS } from './converters-text.ts';
import { TIME_CONVERTERS } from './converters-time.ts';
import { TYPE_CONVERTERS } from './converters-type.ts';
import { XML_CONVERTERS } from './converters-xml.ts';
import { EDITORS } from './editors.ts';

export const CONVERTERS: ReadonlyMap<string, FunctionDefinition> = new Map([
  ...TYPE_CONVERTERS,
  ...TEXT_CONVERTERS,
  ...TIME_CONVERTERS,
  ...PARSE_CONVERTERS,
  ...HASH_CONVERTERS,
  ...GROK_CONVERTERS,
  ...XML_CONVERTERS,
]);

/** For statements: converters and editors. Conditions alone know only converters. */
export const STANDARD_FUNCTIONS: ReadonlyMap<string, FunctionDefinition> = new Map([...CONVERTERS, ...EDITORS]);
