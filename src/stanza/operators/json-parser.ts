/** Parses a JSON object. */
import * as z from 'zod';
import { JsonParser } from '../json.ts';
import { defineOperator } from '../operator.ts';
import { compileParser, notText, ParseFailure, parserConfig } from '../parser.ts';

export const jsonParser = defineOperator({
  type: 'json_parser',
  summary: 'Parses a JSON object.',
  schema: parserConfig({
    parse_ints: z.boolean().default(false).describe('Whole numbers become integers instead of doubles'),
  }),
  compile(config, ctx) {
    const parser = new JsonParser(config.parse_ints);
    return compileParser(config, ctx, (value) => {
      if (typeof value !== 'string') return notText('JSON', value);
      const result = parser.parse(value);
      if (result === undefined) return new ParseFailure(`failed to parse JSON: ${parser.error}`);
      // JSON null unmarshals into a map as "no members".
      if (result === null) return new Map();
      if (!(result instanceof Map)) return new ParseFailure('failed to parse JSON: it is not an object');
      return result;
    });
  },
});
