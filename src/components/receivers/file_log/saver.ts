/** Stores offsets soon after they moved: changed files at most five times a second, the whole list now and then. */
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import { type Logger, RateLimit } from '../../../core/log.ts';
import type { CheckpointStore, KnownFile } from './checkpoint.ts';
import type { LogFile } from './file.ts';

const INTERVAL_MS = 200;
/** More changes than this are written as a list. */
const MAX_CHANGES = 500;

export type Snapshot = () => Iterable<{ file: LogFile | undefined; known: KnownFile }>;

export class Saver {
  readonly #store: CheckpointStore;
  readonly #snapshot: Snapshot;
  readonly #log: Logger;
  readonly #limit: RateLimit;
  #timer: NodeJS.Timeout | undefined;
  #all = true;
  #soon = false;
  #finished: (() => boolean) | undefined;
  #closed = false;

  constructor(store: CheckpointStore, snapshot: Snapshot, log: Logger, clock: Clock) {
    this.#store = store;
    this.#snapshot = snapshot;
    this.#log = log;
    this.#limit = new RateLimit(10_000, () => clock.monotonicMs());
  }

  /** Files came or went. */
  listChanged(): void {
    this.#all = true;
    this.changed();
  }

  changed(gone = false): void {
    if (gone) this.#all = true;
    if (this.#closed || this.#timer || this.#soon) return;
    if (this.#finished) {
      // At once, yet once for all that settles together: the store is closed right after the pipeline has stopped.
      this.#soon = true;
      queueMicrotask(() => {
        this.#soon = false;
        this.#save();
      });
    } else this.#timer = setTimeout(() => this.#save(), INTERVAL_MS);
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
        );
      }
      for (const { file } of files) if (file) file.changed = false;
    } catch (error) {
      this.#all = true;
      const held = this.#limit.pass('save');
      if (held !== undefined)
        this.#log.error('Failed to store offsets; trying again', { error: messageOf(error), suppressed: held });
      if (!this.#finished) this.#timer = setTimeout(() => this.#save(), 1000);
    }
    if (this.#finished?.()) this.#close();
  }

  /** Saves now, and again when something settles, until `done`. */
  finish(done: () => boolean): void {
    this.#finished = done;
    clearTimeout(this.#timer);
    this.#save();
  }

  #close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#store.close();
  }
}
