/** Severity: names and numbers of OpenTelemetry, and the block that finds them in a field. */
import * as z from 'zod';
import type { Value } from '../wire/otlp.ts';
import type { Block } from './blocks.ts';
import { fieldSchema } from './field.ts';

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];

/** `ERROR2` of 18; empty outside of 1 to 24. */
export function severityName(n: number): string {
  return NAMES[n] ?? '';
}

const NAMES: readonly string[] = ['', ...LEVELS.flatMap((l) => [l, `${l}2`, `${l}3`, `${l}4`])];

function base(preset: string): Map<string, number> {
  const map = new Map<string, number>();
  if (preset === 'none') return map;
  for (let n = 1; n <= 24; n++) {
    map.set(NAMES[n]!.toLowerCase(), n);
    map.set(String(n), n);
  }
  if (preset === 'otel') return map;
  for (const [word, first] of [
    ['warning', 13],
    ['err', 17],
  ] as const)
    for (let i = 0; i < 4; i++) map.set(i === 0 ? word : `${word}${i + 1}`, first + i);
  return map;
}

const KNOWN = base('');
const HTTP_RANGE = /^([2-5])xx$/i;
const MAX_RANGE = 100_000;

/** Adds what one value of `mapping` stands for; a message when it cannot be. */
function addMapping(map: Map<string, number>, value: unknown, level: number, nested = false): string | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') map.set(String(value), level);
  else if (typeof value === 'string') {
    const http = HTTP_RANGE.exec(value);
    if (http) for (let i = 0; i < 100; i++) map.set(String(Number(http[1]) * 100 + i), level);
    else map.set(value.toLowerCase(), level);
  } else if (Array.isArray(value) && !nested) {
    for (const v of value) {
      const error = addMapping(map, v, level, true);
      if (error) return error;
    }
  } else if (value && typeof value === 'object' && !Array.isArray(value)) {
    const { min, max } = value as { min?: unknown; max?: unknown };
    if (!Number.isSafeInteger(min) || !Number.isSafeInteger(max))
      return 'must specify integer value for min and max of a range';
    const lo = Math.min(min as number, max as number);
    const hi = Math.max(min as number, max as number);
    if (hi - lo > MAX_RANGE) return `a range may hold ${MAX_RANGE} values at most`;
    for (let i = lo; i <= hi; i++) map.set(String(i), level);
  } else return 'must be text, a whole number, a range with min and max, or a list of these';
  return undefined;
}

export const severityKeys = {
  parse_from: fieldSchema().describe('Field that holds the severity'),
  preset: z.enum(['', 'default', 'none', 'otel']).default('').describe('Words that are known without mapping'),
  mapping: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('OpenTelemetry severity to words, numbers or ranges that mean it'),
  overwrite_text: z.boolean().default(false).describe('Severity text becomes the name of the level'),
};

type SeverityConfig = z.output<z.ZodObject<typeof severityKeys>>;

/** Refines a schema with severityKeys: mapping is checked where it stands. */
export function checkMapping(config: SeverityConfig, ctx: z.core.$RefinementCtx): void {
  const map = new Map<string, number>();
  for (const [key, value] of Object.entries(config.mapping)) {
    const level = KNOWN.get(key.toLowerCase());
    const error = level === undefined ? `unrecognized severity level: ${key}` : addMapping(map, value, level);
    if (error) ctx.addIssue({ code: 'custom', path: ['mapping', key], message: error });
  }
}

/** Severity of a word: number (0: unknown) and text. */
export type SeverityMatch = (text: string) => { readonly number: number; readonly text: string };

export function severityMatch(
  config: Partial<Pick<SeverityConfig, 'preset' | 'mapping' | 'overwrite_text'>>,
): SeverityMatch {
  const map = base(config.preset ?? '');
  for (const [key, value] of Object.entries(config.mapping ?? {}))
    addMapping(map, value, KNOWN.get(key.toLowerCase())!);
  return (text) => {
    // Mostly the word is written as the mapping has it.
    const number = map.get(text) ?? map.get(text.toLowerCase()) ?? 0;
    return { number, text: config.overwrite_text && number !== 0 ? NAMES[number]! : text };
  };
}

export function severityBlock(config: SeverityConfig): Block {
  const match = severityMatch(config);
  const { parse_from: from } = config;
  return (entry) => {
    const value = from.get(entry);
    if (value === undefined) return 'log entry does not have the expected parse_from field';
    const text = severityText(value);
    if (text === undefined) return `type ${typeof value} cannot be a severity`;
    const found = match(text);
    entry.severityNumber = found.number;
    entry.severityText = found.text;
    return undefined;
  };
}

function severityText(value: Value): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isInteger(value) ? value.toFixed(0) : undefined;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  return undefined;
}
