/** Checks user and password of senders against htpasswd lines. */
import { createHmac, randomBytes } from 'node:crypto';
import type { ServerAuth } from '../../../core/auth.ts';
import type { ComponentContext, Extension } from '../../../core/component.ts';
import { WatchedFile } from '../../../core/watched-file.ts';
import { parseHtpasswd, type Users, type Verify } from './htpasswd.ts';
import type { BasicAuthConfig } from './index.ts';

/** Passwords that were found right, so that slow hashes are worked out once. */
const MAX_KNOWN = 1000;

export class BasicAuthServer implements Extension, ServerAuth {
  readonly #inline: Users;
  readonly #file: WatchedFile<Users> | undefined;
  readonly #key = randomBytes(32);
  readonly #known = new Map<string, Verify>();
  /** Slow hashes are worked out one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(config: NonNullable<BasicAuthConfig['htpasswd']>, ctx: ComponentContext) {
    this.#inline = parseHtpasswd(config.inline);
    if (config.file) this.#file = new WatchedFile(config.file, parseHtpasswd, ctx.clock, ctx.log);
  }

  async start(): Promise<void> {
    await this.#file?.get();
  }

  async authenticate(headers: ReadonlyMap<string, readonly string[]>): Promise<void> {
    const header = headers.get('authorization')?.[0];
    if (!header) throw new Error('no basic auth provided');
    const { username, password } = parseBasic(header);
    const verify = this.#inline.get(username) ?? (await this.#file?.get())?.get(username);
    if (!verify || !(await this.#matches(verify, username, password))) throw new Error('invalid credentials');
  }

  async #matches(verify: Verify, username: string, password: string): Promise<boolean> {
    const key = createHmac('sha256', this.#key).update(`${username}\0${password}`, 'utf8').digest('base64');
    // A changed file has new functions, so what was right for the old ones counts no more.
    if (this.#known.get(key) === verify) return true;
    const turn = this.#turn.then(() => verify(password));
    this.#turn = turn.catch(() => {});
    if (!(await turn)) return false;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(key, verify);
    return true;
  }
}

export function parseBasic(header: string): { username: string; password: string } {
  const m = /^basic /i.exec(header);
  if (!m) throw new Error('invalid authorization scheme prefix');
  const encoded = header.slice(m[0].length);
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(encoded) || colon < 0)
    throw new Error('invalid authorization format');
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}
