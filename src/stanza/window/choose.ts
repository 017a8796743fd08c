/** Decides whether a list of operators can take the fast way, and how much of it. */
import { parseSize } from '../../core/schema.ts';
import type { ProgramContext, Token } from '../program.ts';
import type { SeverityMatch } from '../severity.ts';
import type { Source } from '../source.ts';
import { leadsOn, only, parserTail, type Raw } from './choose-parser.ts';
import { type ContainerOptions, containerWindow } from './container.ts';
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

export interface ChoiceInput {
  /** As the configuration has them; already found valid. */
  readonly operators: readonly unknown[];
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
  const tail = parserTail(others, { severityOf: input.severityOf, nowMs: () => clock.nowMs() });
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

function parseSizeOf(v: unknown): number | undefined {
  if (v === undefined) return 1 << 20;
  if (typeof v === 'number') return v;
  return typeof v === 'string' ? parseSize(v) : undefined;
}
