/** Decides whether a list of operators can take the fast way, and how much of it. */
import { parseSize } from '../../core/schema.ts';
import type { Field } from '../field.ts';
import type { ProgramContext, Token } from '../program.ts';
import type { SeverityMatch } from '../severity.ts';
import type { Source } from '../source.ts';
import { leadsOn, only, parserTail, type Raw } from './choose-parser.ts';
import { type ContainerOptions, containerWindow } from './container.ts';
import { type GroupHolder, type JoinOptions, LineJoin } from './join.ts';
import { plainWindow } from './plain.ts';
import { textPredicate } from './predicate.ts';
import type { Window } from './record.ts';

export interface ChosenWindow {
  readonly window: Window;
  /** Emits what has been open for too long, or everything. */
  flush(all: boolean): void;
  forget(source: Source): void;
  inherit(from: Source, to: Source): void;
  detach(source: Source): void;
}

export interface ChoiceInput {
  /** As the configuration has them; already found valid. */
  readonly operators: readonly unknown[];
  /** As their schemas give them. */
  readonly parsed: readonly unknown[];
  /** What the operator at this place holds back. */
  readonly groups: (index: number) => GroupHolder;
  /** Some configured attribute or resource attribute is computed per record. */
  readonly computed: boolean;
  readonly token: (source: Source, token: Token) => void;
  /** Severity of a value by a `severity` block's mapping: number and text. */
  readonly severityOf: (block: Raw) => SeverityMatch;
}

/** undefined: every record has to go the general way. */
export function chooseWindow(input: ChoiceInput, ctx: ProgramContext): ChosenWindow | undefined {
  if (input.computed) return undefined;
  const operators = input.operators as readonly Raw[];
  const { sink, clock } = ctx;
  if (operators.length === 0)
    return { window: plainWindow({ sink, clock }), flush() {}, forget() {}, inherit() {}, detach() {} };
  const [first, ...others] = operators;
  const container = first && containerOptions(first, others[0]);
  if (!container) return undefined;
  if (others.length === 0) return containerWindow(container, { sink, clock, fallback: input.token });
  const [second, ...behind] = others;
  const parsers = { severityOf: input.severityOf, nowMs: () => clock.nowMs() };
  if (second?.['type'] === 'recombine') {
    const options = joinOptions(second, input.parsed[1], behind[0]);
    const tail = parserTail(behind, parsers);
    if (!options || (behind.length > 0 && !tail)) return undefined;
    const common = { sink, clock, fallback: input.token };
    const join = new LineJoin(options, { ...common, tail, general: input.groups(1) });
    return containerWindow(container, { ...common, join, avoid: tail });
  }
  const tail = parserTail(others, parsers);
  return tail && containerWindow(container, { sink, clock, fallback: input.token, tail });
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
  const { format = '' } = o;
  if (!leadsOn(o, next)) return undefined;
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

/** The parts of recombine's configuration that are asked for here, as its schema gives them. */
interface RecombineConfig {
  readonly combine_field: Field;
  readonly combine_with: string;
  readonly source_identifier: Field;
  readonly overwrite_with: 'oldest' | 'newest';
  readonly max_batch_size: number;
  readonly max_unmatched_batch_size: number;
  readonly max_sources: number;
  readonly max_log_size: number;
  readonly force_flush_period: number;
}

function joinOptions(o: Raw, parsed: unknown, next: Raw | undefined): JoinOptions | undefined {
  const config = parsed as RecombineConfig;
  const { combine_field: field, source_identifier: id } = config;
  const first = o['is_first_entry'];
  const expression = first ?? o['is_last_entry'];
  if (o['if'] !== undefined || !leadsOn(o, next) || typeof expression !== 'string') return undefined;
  if (field.root !== 'body' || !field.isRoot) return undefined;
  if (id.root !== 'attributes' || id.keys.length !== 1 || id.keys[0] !== 'log.file.path') return undefined;
  const matches = textPredicate(expression);
  return (
    matches && {
      matches,
      isFirst: first !== undefined,
      glue: config.combine_with,
      newest: config.overwrite_with === 'newest',
      maxLines: config.max_batch_size,
      maxUnmatchedLines: config.max_unmatched_batch_size,
      maxBytes: config.max_log_size,
      maxSources: config.max_sources,
      flushAfterMs: config.force_flush_period,
    }
  );
}

function parseSizeOf(v: unknown): number | undefined {
  if (v === undefined) return 1 << 20;
  if (typeof v === 'number') return v;
  return typeof v === 'string' ? parseSize(v) : undefined;
}
