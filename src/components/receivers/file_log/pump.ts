/** Reads files in turns, a budget each, and hands batches on; waits while the pipeline or too much unsettled data make it. */
import { fstatSync } from 'node:fs';
import type { Batch } from '../../../core/batch.ts';
import { messageOf } from '../../../core/errors.ts';
import type { LogsSink } from '../../../stanza/sink.ts';
import type { Delivery } from './delivery.ts';
import type { Fates } from './fates.ts';
import { ACTIVE_MS, type LogFile } from './file.ts';
import type { Files } from './files.ts';
import { GzipReader } from './gzip.ts';
import { EMPTY } from './identity.ts';
import type { FileReader } from './reader.ts';

/** Read of one file before the next gets its turn. */
const TURN_BYTES = 1 << 20;
/** The event loop gets its turn after so long. */
const YIELD_MS = 8;

export class Pump {
  readonly #t: Files;
  readonly #fates: Fates;
  readonly #reader: FileReader;
  readonly #sink: LogsSink;
  readonly #delivery: Delivery;
  #stopping = false;
  #wake: (() => void) | undefined;
  /** Files that are being read: 0 or 1. */
  reading = 0;

  constructor(files: Files, fates: Fates, reader: FileReader, sink: LogsSink, delivery: Delivery) {
    this.#t = files;
    this.#fates = fates;
    this.#reader = reader;
    this.#sink = sink;
    this.#delivery = delivery;
  }

  /** Something happened that it may wait for. */
  wake(): void {
    this.#wake?.();
  }

  /** `run` ends after what it is doing. */
  stop(): void {
    this.#stopping = true;
    this.#wake?.();
  }

  async run(): Promise<void> {
    let lastYield = this.#t.clock.monotonicMs();
    while (!this.#stopping) {
      const f = this.#t.queue.shift();
      if (!f) {
        this.#sink.seal();
        if (!(await this.deliverReady())) return;
        if (this.#t.queue.length === 0 && !this.#sink.hasReady) {
          this.#reader.idle();
          await this.sleep();
        }
        continue;
      }
      f.queued = false;
      if (f.state === 'gone' || f.state === 'waiting') continue;
      if (!(await this.#windowOpen())) return;
      if ((f.state as string) === 'gone') continue;
      await this.#turn(f);
      if (this.#sink.hasReady && !(await this.deliverReady())) return;
      const now = this.#t.clock.monotonicMs();
      if (now - lastYield >= YIELD_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        lastYield = this.#t.clock.monotonicMs();
      }
    }
  }

  async #turn(f: LogFile): Promise<void> {
    this.reading = 1;
    try {
      if (!this.#fates.ensureOpen(f)) {
        f.activeUntilMs = this.#t.clock.monotonicMs() + ACTIVE_MS;
        return;
      }
      const result = f.packed ? await this.#packedTurn(f) : this.#reader.turn(f, TURN_BYTES);
      if (result === 'replaced') {
        const size = fstatSync(f.fd).size;
        if (size < f.offset) {
          const before = f.sizeBytes;
          f.sizeBytes = size;
          this.#fates.shrunk(f, before);
        } else this.#fates.replace(f, f.offset, 0);
      } else if (result === 'more') this.#t.enqueue(f);
      else f.rotated = false;
    } catch (error) {
      this.#t.logError(`read ${f.path}`, 'Failed to read file', { path: f.path, error: messageOf(error) });
      f.activeUntilMs = this.#t.clock.monotonicMs() + ACTIVE_MS;
    } finally {
      f.rotateRange();
      this.#t.rotateTouched();
      this.reading = 0;
    }
  }

  async #packedTurn(f: LogFile): Promise<'more' | 'end'> {
    f.gzip ??= new GzipReader(f.fd, f.sizeBytes, f.offset, f.tail);
    const g = f.gzip;
    let budget = TURN_BYTES;
    while (budget > 0) {
      const filled = await g.fill();
      // Closed meanwhile.
      if (f.gzip !== g) return 'end';
      if (g.isShort && f.fingerprint.length >= this.#t.config.fingerprint_size) {
        // Packed before the original was complete: all of it was read there.
        f.packedEndSize = g.packedSize;
        f.gzip = undefined;
        g.close();
        return 'end';
      }
      if (g.mismatch) {
        f.gzip = undefined;
        g.close();
        this.#t.logError(
          `packed ${f.path}`,
          'Packed file does not go on where its original was left; reading all of it',
          { path: f.path },
        );
        f.tail = EMPTY;
        f.rotateRange();
        f.restartAt(0);
        return 'more';
      }
      // Reading keeps the bytes before the record that begins in `rest`.
      for (;;) {
        const rest = g.rest;
        const taken = rest.length > 0 ? this.#reader.feed(f, rest, 0, rest.length, !g.ended) : 0;
        if (taken === 0) break;
        this.#reader.advancePacked(f, rest, taken);
        g.rest = rest.subarray(taken);
        budget -= taken;
        if (this.#sink.hasReady) return 'more';
      }
      if (filled) continue;
      if (g.error) {
        const cut = /unexpected end/.test(g.error.message);
        if (!cut)
          this.#t.logError(`packed ${f.path}`, 'Failed to read packed file', {
            path: f.path,
            error: messageOf(g.error),
          });
      } else if (g.rest.length > 0) {
        const rest = g.rest;
        g.rest = EMPTY;
        this.#reader.flushPacked(f, rest);
      }
      f.packedEndSize = g.packedSize;
      f.gzip = undefined;
      g.close();
      f.changed = true;
      return 'end';
    }
    return 'more';
  }

  /** Waits while too much is unsettled. False: stopping. */
  async #windowOpen(): Promise<boolean> {
    const sink = this.#sink;
    while (sink.unsettledBytes >= this.#t.config.unsettled_window) {
      sink.seal();
      if (!(await this.deliverReady())) return false;
      if (sink.unsettledBytes < this.#t.config.unsettled_window) break;
      await this.sleep();
      if (this.#stopping) return false;
    }
    return true;
  }

  /** Until something happened: a poll, a settlement, the stop. */
  sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      if (this.#stopping) this.#wake();
    });
  }

  /** False: stopping before a batch was taken. */
  async deliverReady(): Promise<boolean> {
    while (this.#sink.hasReady) {
      const batches: Batch[] = this.#sink.takeReady();
      for (const b of batches) if (!(await this.#delivery.deliver(b))) return false;
    }
    return true;
  }
}
