/**
 * The HTTP client of exporters: keep-alive connections, TLS with reload, proxies, one deadline per attempt that also
 * covers the answer, bounded answers, redirects that keep method and body. Errors read as those of Go's client.
 */
import http, { type Agent, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { Clock } from './clock.ts';
import type { BuildInfo, Host } from './component.ts';
import { ConfigError } from './errors.ts';
import { describeHttpError, HttpRequestError } from './http-client-error.ts';
import type { HttpClientConfig } from './schema.ts';
import { type ClientTls, clientTls } from './tls.ts';

export { HttpRequestError } from './http-client-error.ts';

/** An answer is read so far; what an error message says is near its beginning. */
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_REDIRECTS = 10;
/** How often a request moves on from connections that the other side closed while they lay idle. */
const MAX_STALE = 10;

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** At most 64 KiB. */
  readonly body: Buffer;
}

export interface HttpClient {
  /** Resolves the authenticator; a ConfigError when there is none of that name. */
  start(host: Host): void;
  /** Sends one attempt. `headers` are the request's own; configured ones win over them. */
  post(
    url: URL,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    signal?: AbortSignal,
  ): Promise<HttpResponse>;
  close(): void;
}

/** What an authenticator extension gives clients. */
export interface ClientAuthenticator {
  headers(): Promise<Readonly<Record<string, string>>>;
}
const isClientAuthenticator = (x: unknown): x is ClientAuthenticator =>
  typeof (x as ClientAuthenticator | undefined)?.headers === 'function';

const ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

/** `Sluice/0.1.0 (linux/amd64)` */
export const userAgent = (build: BuildInfo): string =>
  `Sluice/${build.version} (${process.platform}/${ARCH[process.arch] ?? process.arch})`;

/** Go never sends requests to this machine through a proxy from the environment. */
const isLoopback = (host: string): boolean => host === 'localhost' || host === '[::1]' || /^127\./.test(host);

type ProxyEnv = Readonly<Record<string, string | undefined>>;

/** The variables that Go reads. The only place where the environment matters to a component. */
const proxyEnvironment = (): ProxyEnv => {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
  return Object.fromEntries(names.map((n) => [n, process.env[n]] as const).filter(([, v]) => v));
};

export interface HttpClientOptions {
  readonly clock: Clock;
  readonly env?: ProxyEnv;
}

export function createHttpClient(config: HttpClientConfig, options: HttpClientOptions): HttpClient {
  return new Client(config, options.clock, options.env ?? proxyEnvironment());
}

class Client implements HttpClient {
  readonly #config: HttpClientConfig;
  readonly #clock: Clock;
  readonly #env: ProxyEnv;
  readonly #agents = new Map<string, Agent>();
  #auth: ClientAuthenticator | undefined;
  #tls: ClientTls | undefined;
  #tlsReadAt = 0;

  constructor(config: HttpClientConfig, clock: Clock, env: ProxyEnv) {
    this.#config = config;
    this.#clock = clock;
    this.#env = env;
    // Files are looked at now, so that a wrong path fails the start and not the first request.
    const t = config.tls;
    if (t.ca_file || t.ca_pem || t.cert_file || t.cert_pem || t.key_file || t.key_pem || t.min_version || t.max_version)
      this.#readTls();
  }

  start(host: Host): void {
    const id = this.#config.auth?.authenticator;
    if (id === undefined) return;
    const extension = host.extension(id);
    if (extension === undefined)
      throw new ConfigError(`failed to resolve authenticator ${JSON.stringify(id)}: authenticator not found`);
    if (!isClientAuthenticator(extension))
      throw new ConfigError(`failed to resolve authenticator ${JSON.stringify(id)}: not a client authenticator`);
    this.#auth = extension;
  }

  #readTls(): ClientTls {
    this.#tlsReadAt = this.#clock.monotonicMs();
    return (this.#tls = clientTls(this.#config.tls));
  }

  /** Certificates as they are now; when they changed, connections made with the old ones are not used again. */
  #currentTls(): ClientTls {
    const reloadMs = this.#config.tls.reload_interval;
    if (!this.#tls) return this.#readTls();
    if (reloadMs > 0 && this.#clock.monotonicMs() - this.#tlsReadAt >= reloadMs) {
      const before = this.#tls;
      try {
        const now = this.#readTls();
        if (JSON.stringify(now) !== JSON.stringify(before)) this.close();
      } catch {
        // Half-written files: the certificates that worked stay until the next look.
        this.#tls = before;
      }
    }
    return this.#tls;
  }

  #agent(url: URL): Agent {
    const secure = url.protocol === 'https:';
    const tls = secure ? this.#currentTls() : undefined;
    const direct = this.#config.proxy_url === '' && isLoopback(url.hostname);
    const key = `${secure} ${direct}`;
    const known = this.#agents.get(key);
    if (known) return known;
    const c = this.#config;
    const proxy = c.proxy_url ? { HTTP_PROXY: c.proxy_url, HTTPS_PROXY: c.proxy_url } : this.#env;
    const settings = {
      keepAlive: !(c.disable_keep_alives ?? c.keepalive?.enabled === false),
      timeout: c.idle_conn_timeout ?? c.keepalive?.idle_conn_timeout ?? 90_000,
      maxSockets: c.max_conns_per_host || Number.POSITIVE_INFINITY,
      maxFreeSockets: (c.max_idle_conns ?? c.keepalive?.max_idle_conns) || 100,
      scheduling: 'lifo' as const,
      ...(direct || Object.keys(proxy).length === 0 ? {} : { proxyEnv: proxy }),
    };
    const agent = secure
      ? // perf: TLS costs 5 MB of RSS, so it is loaded where it is used (bench `idle`).
        new (process.getBuiltinModule('node:https').Agent)({ ...settings, ...tls, ALPNProtocols: ['http/1.1'] })
      : new http.Agent(settings);
    this.#agents.set(key, agent);
    return agent;
  }

  close(): void {
    for (const a of this.#agents.values()) a.destroy();
    this.#agents.clear();
  }

  async post(
    url: URL,
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    signal?: AbortSignal,
  ): Promise<HttpResponse> {
    const deadline = new AbortController();
    const { timeout } = this.#config;
    const timer = timeout > 0 ? setTimeout(() => deadline.abort('timeout'), timeout) : undefined;
    const onAbort = () => deadline.abort('canceled');
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      const all: Record<string, string> = {};
      const put = (from: Readonly<Record<string, string>>) => {
        for (const [k, v] of Object.entries(from)) all[k.toLowerCase()] = v;
      };
      put(headers);
      put(this.#config.headers);
      if (this.#auth) put(await this.#auth.headers());
      all['content-length'] = String(body.length);
      return await this.#follow(url, all, body, deadline.signal);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** 307 and 308 are sent again; the other redirects would turn a POST into a GET, so they are an answer as any. */
  async #follow(
    start: URL,
    headers: Record<string, string>,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    let url = start;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#send(url, headers, body, signal);
      const { location } = answer.headers;
      if ((answer.status !== 307 && answer.status !== 308) || location === undefined) return answer;
      if (redirects >= MAX_REDIRECTS) throw new HttpRequestError(start, 'stopped after 10 redirects');
      if (!URL.canParse(location, url))
        throw new HttpRequestError(start, `failed to parse Location header ${JSON.stringify(location)}`);
      const next = new URL(location, url);
      if (next.protocol !== 'http:' && next.protocol !== 'https:')
        throw new HttpRequestError(start, `unsupported protocol scheme ${JSON.stringify(next.protocol.slice(0, -1))}`);
      if (next.host !== url.host) {
        // Another host must not get what was meant for this one.
        headers = { ...headers };
        for (const secret of ['authorization', 'cookie', 'www-authenticate', 'host']) delete headers[secret];
      }
      url = next;
    }
  }

  async #send(url: URL, headers: Record<string, string>, body: Uint8Array, signal: AbortSignal): Promise<HttpResponse> {
    for (let stale = 0; ; stale++) {
      const progress: Progress = { answered: false };
      try {
        return await exchange(this.#agent(url), url, headers, body, signal, progress);
      } catch (e) {
        const code = (e as NodeJS.ErrnoException).code;
        const closedWhileIdle =
          progress.req?.reusedSocket && !progress.answered && (code === 'ECONNRESET' || code === 'EPIPE');
        if (closedWhileIdle && !signal.aborted && stale < MAX_STALE) continue;
        if (e instanceof ConfigError) throw e;
        throw new HttpRequestError(url, describeHttpError(e, url, signal), e);
      }
    }
  }
}

interface Progress {
  req?: ClientRequest;
  answered: boolean;
}

function exchange(
  agent: Agent,
  url: URL,
  headers: Record<string, string>,
  body: Uint8Array,
  signal: AbortSignal,
  progress: Progress,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new Error(String(signal.reason)));
      return;
    }
    const secure = url.protocol === 'https:';
    const req = (secure ? process.getBuiltinModule('node:https') : http).request(url, {
      method: 'POST',
      agent,
      headers,
    });
    progress.req = req;
    const abort = () => req.destroy(new Error(String(signal.reason)));
    signal.addEventListener('abort', abort, { once: true });
    const settle = <T>(then: (value: T) => void, value: T) => {
      signal.removeEventListener('abort', abort);
      then(value);
    };
    req.on('error', (e) => settle(reject, e));
    req.on('response', (res) => {
      progress.answered = true;
      readAnswer(req, res).then(
        (answer) => settle(resolve, answer),
        (e: unknown) => settle(reject, e),
      );
    });
    req.end(body);
  });
}

function readAnswer(req: ClientRequest, res: IncomingMessage): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = () =>
      resolve({
        status: res.statusCode ?? 0,
        headers: res.headers,
        body: Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES),
      });
    res.on('data', (chunk: Buffer) => {
      size += chunk.length;
      chunks.push(chunk);
      if (size <= MAX_ANSWER_BYTES) return;
      // The rest of a long answer is not worth its bytes; the connection goes with it.
      done();
      req.destroy();
    });
    res.on('end', done);
    // A refusal is known by its status, whatever became of the text behind it; a success must be read to its end.
    const broken = (e: Error) => (res.statusCode! < 200 || res.statusCode! > 299 ? done() : reject(e));
    res.on('error', (e: Error) => broken(e.message === 'aborted' ? new Error('unexpected EOF', { cause: e }) : e));
    res.on('close', () => broken(new Error('unexpected EOF')));
  });
}
