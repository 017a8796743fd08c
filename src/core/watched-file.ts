/** A file whose content is a setting: read again when it changes, kept as it was while it cannot be read. */
import { readFile, stat } from 'node:fs/promises';
import type { Clock } from './clock.ts';
import { messageOf } from './errors.ts';
import type { Logger } from './log.ts';

/** How often somebody looks whether it changed, at most. */
const LOOK_MS = 1000;

export class WatchedFile<T> {
  readonly #path: string;
  readonly #parse: (text: string) => T;
  readonly #clock: Clock;
  readonly #log: Logger;
  #value: { readonly content: T } | undefined;
  #version = '';
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #complaint = '';

  /** `parse` may throw; then the content before stays. */
  constructor(path: string, parse: (text: string) => T, clock: Clock, log: Logger) {
    this.#path = path;
    this.#parse = parse;
    this.#clock = clock;
    this.#log = log;
  }

  /** The content, at most a second old. Rejects when there never was one. */
  async get(): Promise<T> {
    const now = this.#clock.monotonicMs();
    if (!this.#value || now - this.#lookedAtMs >= LOOK_MS) {
      this.#lookedAtMs = now;
      try {
        await this.#look();
        this.#complaint = '';
      } catch (e) {
        if (!this.#value) throw e;
        const text = messageOf(e);
        if (text !== this.#complaint)
          this.#log.error('a file cannot be read, its former content is used', { error: text });
        this.#complaint = text;
      }
    }
    return this.#value!.content;
  }

  async #look(): Promise<void> {
    try {
      // By path, so that the symbolic links of Kubernetes' secrets are followed anew.
      const { ino, size, mtimeMs, ctimeMs } = await stat(this.#path);
      const version = `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
      if (this.#value && version === this.#version) return;
      this.#value = { content: this.#parse(await readFile(this.#path, 'utf8')) };
      this.#version = version;
    } catch (e) {
      const missing = (e as NodeJS.ErrnoException).code === 'ENOENT';
      throw missing ? new Error(`open ${this.#path}: no such file or directory`, { cause: e }) : e;
    }
  }
}
