/** Decides whether a list of operators can take the fast way, and how much of it. */
import { parseSize } from '../../core/schema.ts';
import type { ProgramContext, Token } from '../program.ts';
import type { SeverityMatch } from '../severity.ts';
import type { Source } from '../source.ts';
import { type ContainerOptions, containerWindow } from './container.ts';
import { JsonTail, type JsonTailOptions } from './json-tail.ts';
import { plainWindow } from './plain.ts';
import type { Window } from './record.ts';

export interface ChosenWindow {
  readonly window: Window;
  /** Emits what has been open for too long, or everything. */
  flush(all: boolean): void;
  forget(source: Source): void;
  inherit(from: Source, to: Source): void;
  detach(source: Source): void;
}

type Raw = Readonly<Record<string, unknown>>;

export interface ChoiceInput {
  /** As the configuration has them; already found valid. */
  readonly operators: readonly unknown[];
  /** Some configured attribute or resource attribute is computed per record. */
  readonly computed: boolean;
  readonly token: (source: Source, token: Token) => void;
  /** Severity of a value by a `severity` block's mapping: number and text. */
  readonly severityOf: (block: Raw) => SeverityMatch;
}

const only = (o: Raw, allowed: readonly string[]): boolean =>
  Object.entries(o).every(([k, v]) => v === undefined || allowed.includes(k));

/** undefined: every record has to go the general way. */
export function chooseWindow(input: ChoiceInput, ctx: ProgramContext): ChosenWindow | undefined {
  if (input.computed) return undefined;
  const operators = input.operators as readonly Raw[];
  const { sink, clock } = ctx;
  if (operators.length === 0)
    return { window: plainWindow({ sink, clock }), flush() {}, forget() {}, inherit() {}, detach() {} };
  const [first, second] = operators;
  const container = first && containerOptions(first, second);
  if (!container || operators.length > 2) return undefined;
  if (!second) return containerWindow(container, { sink, clock, fallback: input.token });
  const json = jsonOptions(second, input);
  return json && containerWindow(container, { sink, clock, fallback: input.token, json: new JsonTail(json) });
}

function containerOptions(o: Raw, next: Raw | undefined): ContainerOptions | undefined {
  if (o['type'] !== 'container') return undefined;
  const known = [
    'type',
    'id',
    'format',
    'add_metadata_from_filepath',
    'max_log_size',
    'on_error',
    'output',
    'parse_from',
    'parse_to',
  ];
  if (!only(o, known) || (o['parse_from'] ?? 'body') !== 'body' || (o['parse_to'] ?? 'attributes') !== 'attributes')
    return undefined;
  const { output, format = '' } = o;
  if (output !== undefined && (output === '' || output !== next?.['id'])) return undefined;
  if (format !== '' && format !== 'containerd' && format !== 'crio') return undefined;
  const maxLogSize = parseSizeOf(o['max_log_size']);
  if (maxLogSize === undefined) return undefined;
  return {
    format,
    addMetadataFromFilepath: o['add_metadata_from_filepath'] !== false,
    maxLogSize,
    flushAfterMs: 5000,
  };
}

/** Layouts that mean ISO 8601 with a zone; what does not have that form goes the general way. */
const ISO_LAYOUTS: Readonly<Record<string, { readonly zuluOnly: boolean; readonly fractionNeeded: boolean }>> = {
  'gotime 2006-01-02T15:04:05Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999999Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999999999Z07:00': { zuluOnly: false, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05Z': { zuluOnly: true, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999Z': { zuluOnly: true, fractionNeeded: false },
  'gotime 2006-01-02T15:04:05.999999999Z': { zuluOnly: true, fractionNeeded: false },
  'strptime %Y-%m-%dT%H:%M:%S.%LZ': { zuluOnly: true, fractionNeeded: true },
  'strptime %Y-%m-%dT%H:%M:%S.%fZ': { zuluOnly: true, fractionNeeded: true },
  'strptime %Y-%m-%dT%H:%M:%S.%sZ': { zuluOnly: true, fractionNeeded: true },
};

function jsonOptions(o: Raw, input: ChoiceInput): JsonTailOptions | undefined {
  if (o['type'] !== 'json_parser') return undefined;
  const known = ['type', 'id', 'on_error', 'parse_from', 'parse_to', 'parse_ints', 'timestamp', 'severity'];
  if (!only(o, known) || (o['parse_from'] ?? 'body') !== 'body' || (o['parse_to'] ?? 'attributes') !== 'attributes')
    return undefined;
  const options: { -readonly [K in keyof JsonTailOptions]: JsonTailOptions[K] } = {
    parseInts: o['parse_ints'] === true,
  };
  const timestamp = o['timestamp'] as Raw | undefined;
  if (timestamp) {
    const key = attributeOf(timestamp['parse_from']);
    const layout = ISO_LAYOUTS[`${timestamp['layout_type'] ?? 'strptime'} ${timestamp['layout']}`];
    // A location only matters to times without a zone, and those are not of these forms unless the Z is literal.
    if (!key || !layout || !only(timestamp, ['parse_from', 'layout', 'layout_type'])) return undefined;
    options.time = { key, ...layout };
  }
  const severity = o['severity'] as Raw | undefined;
  if (severity) {
    const key = attributeOf(severity['parse_from']);
    if (!key || !only(severity, ['parse_from', 'preset', 'mapping', 'overwrite_text'])) return undefined;
    options.severity = { key, of: input.severityOf(severity) };
  }
  return options;
}

/** `x` of `attributes.x`, for keys without anything to quote. */
const attributeOf = (field: unknown): string | undefined =>
  typeof field === 'string' ? /^attributes\.([A-Za-z_][\w-]*)$/.exec(field)?.[1] : undefined;

function parseSizeOf(v: unknown): number | undefined {
  if (v === undefined) return 1 << 20;
  if (typeof v === 'number') return v;
  return typeof v === 'string' ? parseSize(v) : undefined;
}
