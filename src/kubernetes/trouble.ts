/** Tells what is wrong with a server once, however often it is tried again. */
import { messageOf } from '../core/errors.ts';
import type { LogFields, Logger } from '../core/log.ts';

/** Versions and lifetimes in URLs make texts of the same trouble differ. */
export const withoutQuery = (text: string): string => text.replace(/\?[^\s"]*/g, '');

export class Trouble {
  readonly #log: Logger;
  readonly #message: string;
  #current: string | undefined;

  constructor(log: Logger, message: string) {
    this.#log = log;
    this.#message = message;
  }

  /** What is wrong now; undefined while nothing is. */
  get current(): string | undefined {
    return this.#current;
  }

  /** A harmless one is what happens to every connection now and then: it is worth a word only when it stays. */
  tell(error: unknown, isHarmless = false, fields: LogFields = {}): void {
    const text = withoutQuery(messageOf(error));
    if (text === this.#current) return;
    const isFirst = this.#current === undefined;
    this.#current = text;
    if (isHarmless && isFirst) this.#log.debug(this.#message, { error: text, ...fields });
    else this.#log.error(this.#message, { error: text, ...fields });
  }

  over(): void {
    this.#current = undefined;
  }
}
