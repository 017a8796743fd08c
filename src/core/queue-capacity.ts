/** How much fits into a queue, and who waits for space: first come, first served. */
import { retryable } from './errors.ts';

interface Waiter {
  readonly size: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class Capacity {
  readonly limit: number;
  used = 0;
  readonly #waiters: Waiter[] = [];
  #closed = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** What is larger than the whole queue gets in when nothing else is there. */
  #fits(size: number): boolean {
    return this.used + size <= this.limit || (this.used === 0 && size > this.limit);
  }

  /** Takes space at once, or fails. */
  take(size: number): boolean {
    if (this.#closed || this.used + size > this.limit) return false;
    this.used += size;
    return true;
  }

  /** Takes space when there is some; fails only when the queue closes. */
  wait(size: number): Promise<void> {
    if (this.#closed) return Promise.reject(retryable('sending queue is stopped'));
    if (this.#waiters.length === 0 && this.#fits(size)) {
      this.used += size;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => this.#waiters.push({ size, resolve, reject }));
  }

  release(size: number): void {
    this.used -= size;
    for (let w = this.#waiters[0]; w && this.#fits(w.size); w = this.#waiters[0]) {
      this.#waiters.shift();
      this.used += w.size;
      w.resolve();
    }
  }

  close(): void {
    this.#closed = true;
    for (const w of this.#waiters.splice(0)) w.reject(retryable('sending queue is stopped'));
  }
}
