/** The log interface that components see. How lines look (console, json) is the service's business. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether a level is written, for callers whose fields are dear to make. */
  enabled(level: LogLevel): boolean;
  with(fields: LogFields): Logger;
}

/** Writes nothing; for tests and for parts that run without a service. */
export const SILENT: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  enabled: () => false,
  with: () => SILENT,
};

/** Lets one call through per key and interval, and says how many were held back since. */
export class RateLimit {
  readonly #intervalMs: number;
  readonly #nowMs: () => number;
  readonly #seen = new Map<string, { at: number; held: number }>();

  constructor(intervalMs: number, nowMs: () => number) {
    this.#intervalMs = intervalMs;
    this.#nowMs = nowMs;
  }

  /** The number of calls held back since the last that passed, or undefined when this one is to be held back. */
  pass(key: string): number | undefined {
    const now = this.#nowMs();
    const last = this.#seen.get(key);
    if (last && now - last.at < this.#intervalMs) {
      last.held++;
      return undefined;
    }
    if (this.#seen.size >= 1000) this.#seen.clear();
    this.#seen.set(key, { at: now, held: 0 });
    return last?.held ?? 0;
  }
}
