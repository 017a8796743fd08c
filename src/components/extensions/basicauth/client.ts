/** The Authorization header for destinations. */
import type { ClientAuth } from '../../../core/auth.ts';
import type { ComponentContext, Extension } from '../../../core/component.ts';
import { WatchedFile } from '../../../core/watched-file.ts';
import type { BasicAuthConfig } from './index.ts';

type Value = () => Promise<string>;

export class BasicAuthClient implements Extension, ClientAuth {
  readonly #username: Value;
  readonly #password: Value;

  constructor(config: NonNullable<BasicAuthConfig['client_auth']>, ctx: ComponentContext) {
    const value = (text: string, path: string): Value => {
      if (!path) return async () => text;
      const file = new WatchedFile(path, (content) => content.trim(), ctx.clock, ctx.log);
      return () => file.get();
    };
    this.#username = value(config.username, config.username_file);
    this.#password = value(config.password, config.password_file);
  }

  /** Files that are missing are told now. */
  async start(): Promise<void> {
    await this.headers();
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    const [username, password] = await Promise.all([this.#username(), this.#password()]);
    if (username.includes(':')) throw new Error('invalid authorization format: a user name cannot hold a colon');
    return { authorization: `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}` };
  }
}
