/** The server behind health_check. It reflects that pipelines run, not whether destinations take data. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ServerAuth, serverAuth } from '../../../core/auth.ts';
import type { ComponentContext, Extension } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import { type HttpServer, startHttpServer } from '../../../core/http-server.ts';
import { formatDuration } from '../../../core/schema.ts';
import type { HealthCheckConfig } from './index.ts';

/** What Go prints for a time that was never set. */
const NEVER = '0001-01-01T00:00:00Z';

export class HealthCheck implements Extension {
  readonly #config: HealthCheckConfig;
  readonly #ctx: ComponentContext;
  #auth: ServerAuth | undefined;
  #server: HttpServer | undefined;
  /** When the pipelines became ready. */
  #upSince: { readonly iso: string; readonly monotonicMs: number } | undefined;

  constructor(config: HealthCheckConfig, ctx: ComponentContext) {
    this.#config = config;
    this.#ctx = ctx;
  }

  /** Where it listens, for tests with port 0. */
  get address(): string | undefined {
    return this.#server?.address;
  }

  async start(): Promise<void> {
    this.#ctx.log.info('Starting health_check extension', {
      config: { endpoint: this.#config.endpoint, path: this.#config.path },
    });
    const id = this.#config.auth?.authenticator;
    if (id !== undefined) this.#auth = serverAuth(this.#ctx.host, id);
    this.#server = await startHttpServer(this.#config, (req, res) => this.#handle(req, res));
  }

  async stop(deadline: AbortSignal): Promise<void> {
    await this.#server?.close(deadline);
    this.#server = undefined;
  }

  ready(isReady: boolean): void {
    const { clock } = this.#ctx;
    this.#upSince = isReady
      ? { iso: new Date(clock.nowMs()).toISOString(), monotonicMs: clock.monotonicMs() }
      : undefined;
    this.#ctx.log.info('Health Check state change', { status: isReady ? 'ready' : 'unavailable' });
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (this.#auth) {
      try {
        await this.#auth.authenticate(new Map(Object.entries(req.headersDistinct).map(([k, v]) => [k, v ?? []])));
      } catch (e) {
        res.writeHead(401, { 'content-type': 'text/plain; charset=utf-8' }).end(`${messageOf(e)}\n`);
        return;
      }
    }
    this.#answer(req.url ?? '/', res);
  }

  #answer(url: string, res: ServerResponse): void {
    const { path, response_body: texts } = this.#config;
    if (path !== '/' && url.split('?')[0] !== path) {
      res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' });
      res.end('404 page not found\n');
      return;
    }
    const up = this.#upSince;
    const status = up ? 200 : 503;
    if (texts) {
      res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(up ? texts.healthy : texts.unhealthy);
      return;
    }
    const uptime = up ? formatDuration(this.#ctx.clock.monotonicMs() - up.monotonicMs) : '';
    res.writeHead(status, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        status: up ? 'Server available' : 'Server not available',
        upSince: up ? up.iso : NEVER,
        uptime,
      }),
    );
  }
}
