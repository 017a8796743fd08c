/** Waits between attempts: longer after each failure, spread so that many clients do not come back at once. */

export interface BackoffOptions {
  readonly initialMs?: number;
  readonly maxMs?: number;
  readonly random?: () => number;
}

const FACTOR = 2;
/** Who has been away for long is asked about as often as a kubelet tells of its node: metadata are late by no more. */
const MAX_MS = 10_000;

export class Backoff {
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor({ initialMs = 800, maxMs = MAX_MS, random = Math.random }: BackoffOptions = {}) {
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** How long to wait now: from half of the step to one and a half, and never less than the server asked for. */
  next(retryAfterMs = 0): number {
    const step = Math.min(this.#initialMs * FACTOR ** this.#failures, this.#maxMs);
    this.#failures++;
    return Math.max(step * (0.5 + this.#random()), retryAfterMs + step * this.#random());
  }

  /** It works again. */
  reset(): void {
    this.#failures = 0;
  }
}
