/** Which parsers, and operators behind them, can be done by the tail of a fast path. */
import { byteRegex } from '../../core/regex-bytes.ts';
import type { SeverityMatch } from '../severity.ts';
import { JsonTail } from './json-tail.ts';
import { RegexTail } from './regex-tail.ts';
import type { Tail, TailBlocks, TimeLayout } from './tail.ts';

/** An operator as the configuration has it; already found valid. */
export type Raw = Readonly<Record<string, unknown>>;

export interface ParserContext {
  /** Severity of a value by a `severity` block's mapping: number and text. */
  readonly severityOf: (block: Raw) => SeverityMatch;
  readonly nowMs: () => number;
}

export const only = (o: Raw, allowed: readonly string[]): boolean =>
  Object.entries(o).every(([k, v]) => v === undefined || allowed.includes(k));

/** Its records go to the next operator in the list. */
export const leadsOn = (o: Raw, next: Raw | undefined): boolean =>
  o['output'] === undefined || (o['output'] !== '' && o['output'] === next?.['id']);

/** `x` of `attributes.x`, for keys without anything to quote. */
const attributeOf = (field: unknown): string | undefined =>
  typeof field === 'string' ? /^attributes\.([A-Za-z_][\w-]*)$/.exec(field)?.[1] : undefined;

const COMMON = ['type', 'id', 'on_error', 'output'];
const TIME_KEYS = ['parse_from', 'layout', 'layout_type', 'location'];
const SEVERITY_KEYS = ['parse_from', 'preset', 'mapping', 'overwrite_text'];

/** A parser of the body into attributes, and what sets time and severity from these or takes them away. */
export function parserTail(operators: readonly Raw[], ctx: ParserContext): Tail | undefined {
  if (!operators.every((o, i) => leadsOn(o, operators[i + 1]))) return undefined;
  const [parser, ...others] = operators;
  if (!parser) return undefined;
  const known = [...COMMON, 'parse_from', 'parse_to', 'timestamp', 'severity', 'regex', 'cache', 'parse_ints'];
  if (!only(parser, known) || (parser['parse_from'] ?? 'body') !== 'body') return undefined;
  if ((parser['parse_to'] ?? 'attributes') !== 'attributes') return undefined;

  const removed = new Set<string>();
  let time: TailBlocks['time'];
  let severity: TailBlocks['severity'];
  const setTime = (block: Raw): boolean => {
    const key = attributeOf(block['parse_from']);
    const layout = layoutOf(block);
    if (time || !key || !layout || removed.has(key)) return false;
    time = { key, layout };
    return true;
  };
  const setSeverity = (block: Raw): boolean => {
    const key = attributeOf(block['parse_from']);
    if (severity || !key || removed.has(key)) return false;
    severity = { key, of: ctx.severityOf(block) };
    return true;
  };
  const remove = (o: Raw): boolean => {
    const key = attributeOf(o['field']);
    if (!key || removed.has(key)) return false;
    removed.add(key);
    return true;
  };
  const block = (key: string, keys: readonly string[], set: (b: Raw) => boolean): boolean => {
    const b = parser[key] as Raw | undefined;
    return b === undefined || (only(b, keys) && set(b));
  };
  if (!block('timestamp', TIME_KEYS, setTime) || !block('severity', SEVERITY_KEYS, setSeverity)) return undefined;
  const isKnown = others.every((o) => {
    switch (o['type']) {
      case 'time_parser':
        return only(o, [...COMMON, ...TIME_KEYS]) && setTime(o);
      case 'severity_parser':
        return only(o, [...COMMON, ...SEVERITY_KEYS]) && setSeverity(o);
      case 'remove':
        return only(o, [...COMMON, 'field']) && remove(o);
      default:
        return false;
    }
  });
  if (!isKnown) return undefined;

  const blocks: TailBlocks = {
    ...(time ? { time } : {}),
    ...(severity ? { severity } : {}),
    removed,
    nowMs: ctx.nowMs,
  };
  switch (parser['type']) {
    case 'json_parser':
      return new JsonTail({ ...blocks, parseInts: parser['parse_ints'] === true });
    case 'regex_parser': {
      const regex = byteRegex(String(parser['regex']));
      return regex && RegexTail.fits({ ...blocks, regex }) ? new RegexTail({ ...blocks, regex }) : undefined;
    }
    default:
      return undefined;
  }
}

function layoutOf(block: Raw): TimeLayout | undefined {
  const { layout, layout_type: type = 'strptime', location = '' } = block;
  if (typeof layout !== 'string' || typeof location !== 'string') return undefined;
  return type === 'strptime' || type === 'gotime' || type === 'epoch' ? { type, layout, location } : undefined;
}
