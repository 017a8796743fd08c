/**
 * Joins the parts of lines that a runtime split (tag P, at the end F). stdout and stderr are joined separately. Parts
 * are trimmed like any line, so blanks at a seam are gone, as upstream's.
 */
import type { Clock } from '../../core/clock.ts';
import type { Entry } from '../entry.ts';
import { Held } from '../held.ts';
import type { Holder, Process } from '../operator.ts';
import type { Source } from '../source.ts';

const FLUSH_MS = 5000;
const MAX_SOURCES = 1000;

interface Partial {
  readonly held: Held;
  readonly sinceMs: number;
  text: string;
  size: number;
}

export class PartialLines implements Holder {
  readonly #clock: Clock;
  readonly #next: Process;
  readonly #maxBytes: number;
  readonly #open = new Map<string, Partial>();

  constructor(clock: Clock, next: Process, maxBytes: number) {
    this.#clock = clock;
    this.#next = next;
    this.#maxBytes = maxBytes;
  }

  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  add(entry: Entry, stream: string, last: boolean): void {
    const path = entry.attributes.get('log.file.path');
    const key = `${stream}:${typeof path === 'string' ? path : entry.source.path}`;
    let partial = this.#open.get(key);
    if (last && !partial) {
      this.#next(entry);
      return;
    }
    const text = typeof entry.body === 'string' ? entry.body : '';
    if (partial) {
      partial.held.join(entry);
      partial.text += text;
    } else {
      if (this.#open.size >= MAX_SOURCES) this.flush();
      partial = { held: new Held(entry), sinceMs: this.#clock.monotonicMs(), text, size: 0 };
      this.#open.set(key, partial);
    }
    partial.size += Buffer.byteLength(text);
    if (last || (this.#maxBytes > 0 && partial.size > this.#maxBytes)) this.#release(key, partial);
  }

  #release(key: string, partial: Partial): void {
    this.#open.delete(key);
    const entry = partial.held.release();
    entry.body = partial.text;
    this.#next(entry);
  }

  tick(): void {
    if (this.#open.size === 0) return;
    const due = this.#clock.monotonicMs() - FLUSH_MS;
    for (const [key, partial] of this.#open) if (partial.sinceMs <= due) this.#release(key, partial);
  }

  flush(): void {
    for (const [key, partial] of this.#open) this.#release(key, partial);
  }

  forget(source: Source): void {
    for (const [key, partial] of this.#open) if (partial.held.has(source)) this.#release(key, partial);
  }
}
