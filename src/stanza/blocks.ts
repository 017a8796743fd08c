/** The blocks timestamp, severity, trace and scope_name: inside of parsers, and as operators of their own. */
import * as z from 'zod';
import type { Clock } from '../core/clock.ts';
import { compileEpoch, compileTimeLayout, EPOCH_LAYOUTS, type EpochLayout } from '../core/time-layout.ts';
import type { Value } from '../wire/otlp.ts';
import type { Entry } from './entry.ts';
import { Field, fieldSchema } from './field.ts';
import { checkMapping, severityBlock, severityKeys } from './severity.ts';

/** undefined, or what went wrong. */
export type Block = (entry: Entry) => string | undefined;

const MISSING = 'log entry does not have the expected parse_from field';

export const timeKeys = {
  parse_from: fieldSchema().describe('Field that holds the time'),
  layout: z.string().min(1, 'missing required configuration parameter `layout`').describe('How it is written'),
  layout_type: z.enum(['strptime', 'gotime', 'epoch', 'native']).default('strptime').describe('Language of `layout`'),
  location: z.string().default('').describe('IANA time zone of times without one'),
};

type TimeConfig = z.output<z.ZodObject<typeof timeKeys>>;

const isEpoch = (layout: string): layout is EpochLayout => (EPOCH_LAYOUTS as readonly string[]).includes(layout);

export function checkLayout(config: TimeConfig, ctx: z.core.$RefinementCtx): void {
  const { layout, layout_type: type, location } = config;
  if (type === 'native') return;
  if (type === 'epoch') {
    if (!isEpoch(layout))
      ctx.addIssue({
        code: 'custom',
        path: ['layout'],
        message: `invalid \`layout\` for 'epoch' type: ${JSON.stringify(layout)}; write one of ${EPOCH_LAYOUTS.join(', ')}`,
      });
    return;
  }
  const parser = compileTimeLayout(type, layout, { location, nowMs: () => 0 });
  if (typeof parser !== 'function')
    ctx.addIssue({
      code: 'custom',
      path: [parser.error.includes('location') ? 'location' : 'layout'],
      message: parser.error,
    });
}

export function timeBlock(config: TimeConfig, clock: Clock): Block {
  const { parse_from: from, layout, layout_type: type, location } = config;
  if (type === 'native')
    return (entry) =>
      from.get(entry) === undefined ? MISSING : `native time.Time field required, but found ${typeof from.get(entry)}`;
  if (type === 'epoch') {
    const epoch = compileEpoch(layout as EpochLayout);
    return (entry) => {
      const value = from.get(entry);
      if (value === undefined) return MISSING;
      const time =
        typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' ? epoch(value) : undefined;
      if (time === undefined) return `time parser: invalid value '${brief(value)}' for layout '${layout}'`;
      entry.time = time;
      return undefined;
    };
  }
  const parser = compileTimeLayout(type, layout, { location, nowMs: () => clock.nowMs() });
  if (typeof parser !== 'function') throw new Error(parser.error);
  return (entry) => {
    const value = from.get(entry);
    if (value === undefined) return MISSING;
    if (typeof value !== 'string') return `time parser: type ${typeof value} cannot be parsed as a time`;
    const time = parser(value);
    if (time === undefined)
      return `time parser: parsing time ${JSON.stringify(brief(value))} as ${JSON.stringify(layout)}`;
    entry.time = time;
    return undefined;
  };
}

const brief = (v: Value): string => {
  const text = v instanceof Map || Array.isArray(v) ? 'a map or list' : String(v);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

const idKeys = (key: string, what: string) =>
  z
    .looseObject({
      parse_from: fieldSchema().optional().describe(`Field that holds the ${what}; body.${key} when left out`),
    })
    .optional();

export const traceKeys = {
  trace_id: idKeys('trace_id', 'trace id'),
  span_id: idKeys('span_id', 'span id'),
  trace_flags: idKeys('trace_flags', 'trace flags'),
};

type TraceConfig = z.output<z.ZodObject<typeof traceKeys>>;

function hexBytes(value: Value, size: number): Uint8Array | undefined {
  const text =
    typeof value === 'string' ? value : value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : undefined;
  if (text === undefined || text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  if (text === '') return new Uint8Array(0);
  // Shorter ids are filled up, longer ones cut.
  const out = new Uint8Array(size);
  out.set(Buffer.from(text, 'hex').subarray(0, size));
  return out;
}

export function traceBlock(config: TraceConfig): Block {
  const field = (key: 'trace_id' | 'span_id' | 'trace_flags') =>
    config[key]?.parse_from ?? new Field('body', [key], `body.${key}`);
  const traceId = field('trace_id');
  const spanId = field('span_id');
  const flags = field('trace_flags');
  const bad = (f: Field) => `Error decoding traces for logs: ${f.text} is not hexadecimal`;
  return (entry) => {
    let error: string | undefined;
    const trace = traceId.get(entry);
    if (trace !== undefined) {
      const id = hexBytes(trace, 16);
      if (id) entry.traceId = id;
      else error = bad(traceId);
    }
    const span = spanId.get(entry);
    if (span !== undefined) {
      const id = hexBytes(span, 8);
      if (id) entry.spanId = id;
      else error ??= bad(spanId);
    }
    const f = flags.get(entry);
    if (f !== undefined) {
      const byte = hexBytes(f, 1);
      if (byte) entry.flags = byte[0] ?? 0;
      else error ??= bad(flags);
    }
    return error;
  };
}

export const scopeNameKeys = { parse_from: fieldSchema().describe('Field that holds the name of the scope') };

export function scopeNameBlock(config: { readonly parse_from: Field }): Block {
  const from = config.parse_from;
  return (entry) => {
    const value = from.get(entry);
    if (value === undefined) return MISSING;
    if (typeof value !== 'string') return `unrecognized scope_name value: type ${typeof value}`;
    entry.scopeName = value;
    return undefined;
  };
}

export type BlockFactory = (clock: Clock) => Block;

/** Schemas of the blocks inside of parsers; they yield what makes the block once the clock is known. */
export const blockKeys = {
  timestamp: z
    .looseObject(timeKeys)
    .superRefine(checkLayout)
    .transform(
      (c): BlockFactory =>
        (clock) =>
          timeBlock(c, clock),
    )
    .optional()
    .describe('Sets the time of the record after parsing'),
  severity: z
    .looseObject(severityKeys)
    .superRefine(checkMapping)
    .transform(
      (c): BlockFactory =>
        () =>
          severityBlock(c),
    )
    .optional()
    .describe('Sets the severity after parsing'),
  trace: z
    .looseObject(traceKeys)
    .transform(
      (c): BlockFactory =>
        () =>
          traceBlock(c),
    )
    .optional()
    .describe('Sets trace id, span id and flags after parsing'),
  scope_name: z
    .looseObject(scopeNameKeys)
    .transform(
      (c): BlockFactory =>
        () =>
          scopeNameBlock(c),
    )
    .optional()
    .describe('Sets the name of the scope after parsing'),
};
