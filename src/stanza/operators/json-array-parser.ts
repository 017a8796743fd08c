/** Parses a JSON array of plain values. */
import * as z from 'zod';
import { toJson } from '../../core/expr/builtins.ts';
import type { Value, ValueMap } from '../../wire/otlp.ts';
import { JsonParser } from '../json.ts';
import { defineOperator } from '../operator.ts';
import { compileParser, notText, ParseFailure, parserConfig } from '../parser.ts';

export const jsonArrayParser = defineOperator({
  type: 'json_array_parser',
  summary: 'Parses a JSON array; with a header it becomes a map.',
  schema: parserConfig({ header: z.string().default('').describe('Names of the items, with commas') }),
  compile(config, ctx) {
    const parser = new JsonParser(false);
    const header = config.header === '' ? undefined : config.header.split(',');
    return compileParser(config, ctx, (value) => {
      if (typeof value !== 'string') return notText('JSON array', value);
      const list = parser.parse(value);
      if (!Array.isArray(list))
        return new ParseFailure(
          list === undefined ? `failed to parse JSON: ${parser.error}` : 'failed to parse JSON: it is not an array',
        );
      const items: Value[] = [];
      for (const item of list) {
        if (Array.isArray(item)) return new ParseFailure('failed to parse entry: nested arrays are not supported');
        if (typeof item === 'number') items.push(BigInt.asIntN(64, BigInt(Math.trunc(item))));
        else items.push(item instanceof Map ? toJson(item) : item);
      }
      if (!header) return items;
      if (items.length !== header.length)
        return new ParseFailure(`wrong number of fields: expected ${header.length}, found ${items.length}`);
      const map: ValueMap = new Map();
      for (let i = 0; i < items.length; i++) map.set(header[i]!, items[i]!);
      return map;
    });
  },
});
