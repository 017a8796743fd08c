/**
 * Sizes of file systems, without waiting for those that do not answer: a dead NFS server holds a call, and the thread
 * of the pool that makes it, for as long as it likes.
 */
import { statfs as nodeStatfs } from 'node:fs/promises';
import { getSystemErrorMessage } from 'node:util';

export interface Sizes {
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}
export type Statfs = (path: string) => Promise<Sizes>;

export type Answer =
  | { readonly sizes: Sizes }
  | { readonly error: string }
  /** Asked before, and still without an answer: nothing was asked now. */
  | { readonly isWaiting: true };

/** Node has four threads for everything; other work needs some. The last place is for paths that answered before. */
const MAX_WAITING = 2;
const MAX_WAITING_KNOWN = 3;
/** Paths that are remembered as answering. */
const MAX_KNOWN = 10_000;

export class PatientStatfs {
  readonly #statfs: Statfs;
  readonly #timeoutMs: number;
  readonly #waiting = new Set<string>();
  readonly #known = new Set<string>();

  constructor(timeoutMs: number, statfs: Statfs = nodeStatfs) {
    this.#timeoutMs = timeoutMs;
    this.#statfs = statfs;
  }

  async ask(path: string): Promise<Answer> {
    if (this.#waiting.has(path)) return { isWaiting: true };
    if (this.#waiting.size >= (this.#known.has(path) ? MAX_WAITING_KNOWN : MAX_WAITING))
      return { error: `not asked while ${MAX_WAITING} other file systems do not answer` };
    const { promise: late, resolve } = Promise.withResolvers<Answer>();
    const seconds = this.#timeoutMs / 1000;
    const timer = setTimeout(() => resolve({ error: `no answer within ${seconds}s` }), this.#timeoutMs);
    timer.unref();
    this.#waiting.add(path);
    const answer = this.#statfs(path).then(
      (sizes): Answer => {
        if (this.#known.size >= MAX_KNOWN) this.#known.clear();
        this.#known.add(path);
        return { sizes };
      },
      (error: { errno?: number }): Answer => ({
        error: error.errno === undefined ? String(error) : getSystemErrorMessage(error.errno),
      }),
    );
    void answer.then(() => this.#waiting.delete(path));
    const first = await Promise.race([answer, late]);
    clearTimeout(timer);
    return first;
  }
}
