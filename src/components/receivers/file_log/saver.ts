/** Stores offsets soon after they moved: changed files at most five times a second, the whole list now and then. */
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import { type Logger, RateLimit } from '../../../core/log.ts';
import type { CheckpointStore, KnownFile } from './checkpoint.ts';
import type { LogFile } from './file.ts';

const INTERVAL_MS = 200;
/** A new file is stored sooner, so that it is found again should it be renamed and we be killed. */
const SOON_MS = 5;
/** More changes than this are written as a list. */
const MAX_CHANGES = 500;

export type Snapshot = () => Iterable<{ file: LogFile | undefined; known: KnownFile }>;

export class Saver {
  readonly #store: CheckpointStore;
  readonly #snapshot: Snapshot;
  readonly #log: Logger;
  readonly #limit: RateLimit;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #soon = false;
  #all = true;
  readonly #forgotten = new Set<number>();
  #finished: (() => boolean) | undefined;
  #closed = false;

  constructor(store: CheckpointStore, snapshot: Snapshot, log: Logger, clock: Clock) {
    this.#store = store;
    this.#snapshot = snapshot;
    this.#log = log;
    this.#clock = clock;
    this.#limit = new RateLimit(10_000, () => clock.monotonicMs());
  }

  /** Everything is stored as it is. */
  get isIdle(): boolean {
    return this.#timer === undefined;
  }

  /** A file is there that is not stored yet. */
  added(): void {
    this.#schedule(SOON_MS);
  }

  /** A file needs not be remembered any more. */
  forgotten(id: number): void {
    // What a former collector stored has no number.
    if (id === 0) this.#all = true;
    else this.#forgotten.add(id);
    this.#schedule(INTERVAL_MS);
  }

  /** An offset moved. */
  changed(): void {
    this.#schedule(INTERVAL_MS);
  }

  #schedule(delayMs: number): void {
    if (this.#closed || this.#soon) return;
    if (this.#finished) {
      // At once, yet once for all that settles together: the store is closed as soon as the pipeline has stopped.
      this.#soon = true;
      queueMicrotask(() => {
        this.#soon = false;
        this.#save();
      });
      return;
    }
    const due = this.#clock.monotonicMs() + delayMs;
    if (this.#timer) {
      if (this.#dueMs <= due) return;
      clearTimeout(this.#timer);
    }
    this.#dueMs = due;
    this.#timer = setTimeout(() => this.#save(), delayMs);
  }

  #save(): void {
    this.#timer = undefined;
    if (this.#closed) return;
    try {
      const files = [...this.#snapshot()];
      if (this.#all || !this.#store.hasList || this.#store.changes > MAX_CHANGES || this.#finished) {
        this.#store.saveAll(files.map((f) => f.known));
        this.#all = false;
        for (const { file } of files) if (file) file.fingerprintSaved = true;
      } else {
        const changed = files.filter(({ file }) => file?.changed || file?.fingerprintSaved === false);
        this.#store.saveChanges(
          changed.map(({ file, known }) => ({
            ...known,
            fingerprint: file?.fingerprintSaved ? undefined : known.fingerprint,
          })),
          this.#forgotten,
        );
      }
      this.#forgotten.clear();
      for (const { file } of files) if (file) file.changed = false;
    } catch (error) {
      this.#all = true;
      const held = this.#limit.pass('save');
      if (held !== undefined)
        this.#log.error('Failed to store offsets; trying again', { error: messageOf(error), suppressed: held });
      if (!this.#finished) this.#schedule(1000);
    }
    if (this.#finished?.()) this.#close();
  }

  /** Saves now, and again when something settles, until `done`. */
  finish(done: () => boolean): void {
    this.#finished = done;
    clearTimeout(this.#timer);
    this.#save();
  }

  /** Stores nothing any more. */
  abandon(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#store.close();
  }
}
