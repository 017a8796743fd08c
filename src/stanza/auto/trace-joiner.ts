/** Holds the lines of stack traces until one comes that does not belong to them, or a limit is reached. */
import type { Clock } from '../../core/clock.ts';
import type { Counter } from '../../core/telemetry.ts';
import type { Entry } from '../entry.ts';
import { Held } from '../held.ts';
import type { Process } from '../operator.ts';
import type { Source } from '../source.ts';
import { follow, type TraceState } from './traces.ts';

export interface JoinerOptions {
  readonly clock: Clock;
  readonly next: Process;
  readonly maxLines: number;
  readonly maxBytes: number;
  readonly flushAfterMs: number;
  readonly joined: Counter;
  readonly forced: Readonly<Record<'lines' | 'bytes' | 'time', Counter>>;
}

/** One per stream of a file. */
export class TraceJoiner {
  readonly #options: JoinerOptions;
  #state: TraceState = 'start';
  #held: Held | undefined;
  #texts: string[] = [];
  #bytes = 0;
  #sinceMs = 0;

  constructor(options: JoinerOptions) {
    this.#options = options;
  }

  /** Something is held, or a trace that was given out in part may go on. */
  get isOpen(): boolean {
    return this.#state !== 'start';
  }

  has(source: Source): boolean {
    return this.#held?.has(source) ?? false;
  }

  /** Takes the entry when its text belongs to what is held. */
  continues(entry: Entry, text: string): boolean {
    if (this.#state === 'start') return false;
    const to = follow(this.#state, text);
    if (to === undefined) return false;
    this.#state = to;
    this.#add(entry, text);
    return true;
  }

  /** Takes the entry when a trace may begin with it. */
  begins(entry: Entry, text: string): boolean {
    const to = follow('start', text);
    if (to === undefined) return false;
    this.hold(entry, text, to);
    return true;
  }

  hold(entry: Entry, text: string, state: TraceState): void {
    this.release();
    this.#state = state;
    this.#add(entry, text);
  }

  #add(entry: Entry, text: string): void {
    const { maxLines, maxBytes, clock, joined, forced } = this.#options;
    const bytes = Buffer.byteLength(text) + 1;
    // What is over a limit goes out; the rest of the trace makes the next record.
    if (this.#held && this.#bytes + bytes > maxBytes) {
      forced.bytes.add(1);
      this.#give();
    }
    if (this.#held) {
      this.#held.join(entry);
      joined.add(1);
    } else {
      this.#held = new Held(entry);
      this.#sinceMs = clock.monotonicMs();
    }
    this.#texts.push(text);
    this.#bytes += bytes;
    if (this.#texts.length >= maxLines) {
      forced.lines.add(1);
      this.#give();
    }
  }

  /** Gives out what is held; the state stays, so that a trace can go on. */
  #give(): void {
    const held = this.#held;
    if (!held) return;
    this.#held = undefined;
    const entry = held.release();
    if (this.#texts.length > 1) entry.body = this.#texts.join('\n');
    this.#texts = [];
    this.#bytes = 0;
    this.#options.next(entry);
  }

  release(): void {
    this.#give();
    this.#state = 'start';
  }

  tick(): void {
    if (!this.#held) return;
    if (this.#options.clock.monotonicMs() - this.#sinceMs < this.#options.flushAfterMs) return;
    // A line alone that might have been a beginning was none.
    if (this.#texts.length > 1) this.#options.forced.time.add(1);
    this.release();
  }
}
