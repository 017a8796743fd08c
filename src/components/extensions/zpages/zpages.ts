/** The server behind zpages. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ServerAuth, serverAuth } from '../../../core/auth.ts';
import type { ComponentContext, Extension, ServiceView } from '../../../core/component.ts';
import { type HttpServer, startHttpServer } from '../../../core/http-server.ts';
import { formatDuration } from '../../../core/schema.ts';
import type { ZpagesConfig } from './index.ts';
import { PAGES } from './pages.ts';

const NOTHING: ServiceView = { pipelines: [], extensions: [], gates: [] };

export class Zpages implements Extension {
  readonly #config: ZpagesConfig;
  readonly #ctx: ComponentContext;
  #server: HttpServer | undefined;
  #auth: ServerAuth | undefined;
  #started = { nowMs: 0, monotonicMs: 0 };

  constructor(config: ZpagesConfig, ctx: ComponentContext) {
    this.#config = config;
    this.#ctx = ctx;
  }

  /** Where it listens, for tests with port 0. */
  get address(): string | undefined {
    return this.#server?.address;
  }

  async start(): Promise<void> {
    const { clock, log, host } = this.#ctx;
    const authenticator = this.#config.auth?.authenticator;
    if (authenticator !== undefined) this.#auth = serverAuth(host, authenticator);
    this.#started = { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
    log.info('Starting zPages extension', { config: { endpoint: this.#config.endpoint } });
    this.#server = await startHttpServer(this.#config, (req, res) => this.#answer(req, res));
  }

  async stop(deadline: AbortSignal): Promise<void> {
    await this.#server?.close(deadline);
    this.#server = undefined;
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    res.setHeader('x-content-type-options', 'nosniff');
    res.setHeader('cache-control', 'no-store');
    if (this.#auth) {
      const headers = new Map(Object.entries(req.headersDistinct).map(([k, v]) => [k, v ?? []]));
      try {
        await this.#auth.authenticate(headers);
      } catch {
        res.writeHead(401, { 'content-type': 'text/plain; charset=utf-8' }).end('401 Unauthorized\n');
        return;
      }
    }
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.writeHead(405, { allow: 'GET, HEAD', 'content-type': 'text/plain; charset=utf-8' });
      res.end('405 method not allowed\n');
      return;
    }
    const path = (req.url ?? '/').split('?')[0]!;
    const name = /^\/debug\/(\w+)\/?$/.exec(path)?.[1] ?? '';
    if (name === 'expvarz' && this.#config.expvar.enabled) {
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ memory: process.memoryUsage() }));
      return;
    }
    const make = Object.hasOwn(PAGES, name) ? PAGES[name] : undefined;
    if (!make) {
      res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('404 page not found\n');
      return;
    }
    const { build, clock, host } = this.#ctx;
    const text = make({
      build,
      view: host.view?.() ?? NOTHING,
      startedIso: new Date(this.#started.nowMs).toISOString(),
      uptime: formatDuration(Math.round(clock.monotonicMs() - this.#started.monotonicMs)),
      runtime: `node ${process.version}`,
      platform: `${process.platform}/${process.arch}`,
    });
    res.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    });
    res.end(text);
  }
}
