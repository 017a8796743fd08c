/** Tokens for both directions; those of a file are read again when it changes. */
import type { ClientAuth, ServerAuth } from '../../../core/auth.ts';
import type { ComponentContext, Extension } from '../../../core/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { sameText } from '../../../core/same-text.ts';
import { WatchedFile } from '../../../core/watched-file.ts';
import type { BearerTokenAuthConfig } from './index.ts';

/** An empty file must not make an empty token. */
function tokensOf(text: string): readonly string[] {
  const tokens = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (tokens.length === 0) throw new Error('the token file is empty');
  return tokens;
}

export class BearerTokenAuth implements Extension, ServerAuth, ClientAuth {
  readonly #config: BearerTokenAuthConfig;
  readonly #ctx: ComponentContext;
  readonly #fixed: readonly string[];
  readonly #file: WatchedFile<readonly string[]> | undefined;

  constructor(config: BearerTokenAuthConfig, ctx: ComponentContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#fixed = config.tokens.length > 0 ? config.tokens : [config.token];
    if (config.filename) this.#file = new WatchedFile(config.filename, tokensOf, ctx.clock, ctx.log);
  }

  async start(): Promise<void> {
    if (!this.#file) return;
    if (this.#config.token || this.#config.tokens.length > 0)
      this.#ctx.log.warn('a filename is specified. Configured token(s) is ignored!');
    try {
      await this.#file.get();
    } catch (e) {
      if (!this.#config.wait_for_token_file) throw new ConfigError((e as Error).message, { cause: e });
      this.#ctx.log.warn('the token file cannot be read yet', { error: (e as Error).message });
    }
  }

  /** What the header must hold, or is given: the first. */
  async #values(): Promise<readonly string[]> {
    const tokens = this.#file ? await this.#file.get() : this.#fixed;
    const { scheme } = this.#config;
    return scheme === '' ? tokens : tokens.map((t) => `${scheme} ${t}`);
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    return { [this.#config.header.toLowerCase()]: (await this.#values())[0]! };
  }

  async authenticate(headers: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const given = headers.get(this.#config.header.toLowerCase())?.[0];
    if (!given) throw new Error(`missing or empty authorization header: ${this.#config.header}`);
    const values = await this.#values().catch(() => {
      // Senders are not told about files of this machine.
      throw new Error('no token is known yet');
    });
    let known = false;
    for (const value of values) known = sameText(value, given) || known;
    if (!known) throw new Error('provided authorization does not match expected scheme or token');
  }
}
