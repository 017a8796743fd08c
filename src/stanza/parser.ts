/** What all parsers share: where they read, where the result goes, and the blocks that run on it. */
import * as z from 'zod';
import type { Clock } from '../core/clock.ts';
import type { Value } from '../wire/otlp.ts';
import { type Block, type BlockFactory, blockKeys } from './blocks.ts';
import { ATTRIBUTES, BODY, cloneValue, type Field, fieldSchema, rootableFieldSchema } from './field.ts';
import { commonKeys, type OperatorContext, type Process } from './operator.ts';

export const parserKeys = {
  ...commonKeys,
  parse_from: fieldSchema().optional().describe('Field that is parsed; body when left out'),
  parse_to: rootableFieldSchema().optional().describe('Where the result goes; attributes when left out'),
  ...blockKeys,
  body: fieldSchema().optional().describe('Field whose value becomes the body after parsing'),
};

export interface ParserConfig {
  readonly parse_from?: Field | undefined;
  readonly parse_to?: Field | undefined;
  readonly body?: Field | undefined;
  readonly timestamp?: BlockFactory | undefined;
  readonly severity?: BlockFactory | undefined;
  readonly trace?: BlockFactory | undefined;
  readonly scope_name?: BlockFactory | undefined;
}

export const parserConfig = <T extends z.ZodRawShape>(keys: T) =>
  z
    .looseObject({ ...parserKeys, ...keys })
    .refine((c) => !(c.body && (c.parse_to as Field | undefined)?.root === 'body' && (c.parse_to as Field).isRoot), {
      path: ['body'],
      message: '`body` cannot be used with `parse_to: body`',
    });

/** A failed parse: the message. Made once per failure only. */
export class ParseFailure {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

export type Parse = (value: Value) => Value | ParseFailure;

/** Parses and runs all blocks; what went wrong first, or undefined. */
export function compileParse(config: ParserConfig, clock: Clock, parse: Parse): Block {
  const from = config.parse_from ?? BODY;
  const to = config.parse_to ?? ATTRIBUTES;
  const body = config.body;
  const blocks = [config.timestamp, config.severity, config.trace, config.scope_name].flatMap(
    (make) => make?.(clock) ?? [],
  );
  return (entry) => {
    const value = from.get(entry);
    if (value === undefined) return 'Entry is missing the expected parse_from field.';
    const result = parse(value);
    if (result instanceof ParseFailure) return result.message;
    const problem = to.set(entry, result);
    if (problem) return `set parse_to: ${problem}`;
    if (body) {
      const v = body.get(entry);
      // A copy: operators may change one without the other.
      if (v !== undefined) entry.body = typeof v === 'object' ? cloneValue(v) : v;
    }
    let first: string | undefined;
    for (let i = 0; i < blocks.length; i++) {
      const error = blocks[i]!(entry);
      first ??= error;
    }
    return first;
  };
}

export function compileParser(config: ParserConfig, { next, fail, clock }: OperatorContext, parse: Parse): Process {
  const run = compileParse(config, clock, parse);
  return (entry) => {
    const error = run(entry);
    if (error === undefined) next(entry);
    else fail(entry, error);
  };
}

export const notText = (type: string, value: Value): ParseFailure =>
  new ParseFailure(
    `type ${value === null ? 'nil' : value instanceof Map ? 'map' : Array.isArray(value) ? 'list' : typeof value} cannot be parsed as ${type}`,
  );
