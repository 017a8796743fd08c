/** What a receiver runs its records through: the operators of its configuration, compiled into one function. */
import type { Outcome } from '../core/batch.ts';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { ReadonlyValueMap, ValueMap } from '../wire/otlp.ts';
import type { LogsSink } from './sink.ts';
import type { Source } from './source.ts';

export interface ProgramContext {
  readonly log: Logger;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly sink: LogsSink;
  /** `receivers::filelog::operators[2]` is made of this and the position, for errors. */
  readonly path: readonly (string | number)[];
}

/** One record as the splitter cut it: buf[start, end), trimmed. */
export interface Token {
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
  /** Position of its first byte in the source, and the bytes it stands for (blanks and line end included). */
  readonly offset: number;
  readonly bytes: number;
  /** Encoding `nop`: the body is bytes, not text. */
  readonly raw: boolean;
  /** Record number and offset attributes, when configured. */
  readonly extra: ReadonlyValueMap | undefined;
}

export interface Program {
  /** Constant part of the configured `attributes` and `resource`; the receiver merges file attributes over them. */
  readonly baseAttributes: ValueMap;
  readonly baseResource: ValueMap;
  /**
   * Takes whole lines straight from the read buffer: buf[start, end) begins at a line start, at `offset` in the source.
   * Does everything for all complete lines in it (split at \n, trim blanks, skip empty ones, encode, account) and
   * returns how many bytes it took; the rest is an unfinished line. Text is UTF-8. Undefined when this program needs
   * tokens. May stop early at a line end when `sink.hasReady`, so that the receiver can deliver first.
   */
  readonly window: ((source: Source, buf: Buffer, start: number, end: number, offset: number) => number) | undefined;
  /** Takes one record. */
  token(source: Source, token: Token): void;
  /** Called at each poll: flushes what operators have held for too long (partial lines after 5 s). */
  tick(): void;
  /** Emits everything held: at a clean stop. */
  flush(): void;
  /** The source is gone for good: emits what is held for it and forgets it. */
  forget(source: Source): void;
  /** `to` is a copy of `from` and goes on where that was left, perhaps in the middle of a line. */
  inherit(from: Source, to: Source): void;
  /** What is read next at this source's path is not what its last line goes on with (it was truncated). */
  detach(source: Source): void;
}

export type Settle = (source: Source, records: number, bytes: number, outcome: Outcome) => void;
