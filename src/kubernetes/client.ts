/**
 * Requests to the kubelet and the API server: kept connections, credentials and certificates as they are at that
 * moment, bounded answers, and errors that say what to change.
 */
import http, { type Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import type { SecureContext } from 'node:tls';
import { messageOf } from '../core/errors.ts';
import { describeHttpError } from '../core/http-client-error.ts';
import type { Access, TlsMaterial } from './access.ts';
import { AnswerError, type BodyBuffer, Deadline, exchange, readBody, retire, secureContextOf } from './exchange.ts';
import { adviseOnTls, isTlsVerificationError, isUnknownAuthority } from './tls-advice.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
/** Of the text of a refusal, as far as it is read and told. */
const MAX_REFUSAL_BYTES = 64 * 1024;
const MAX_TOLD_CHARS = 1024;
const MAX_RETRY_AFTER_S = 300;

/** The server answered with another status than 200. */
export class StatusError extends Error {
  readonly status: number;
  readonly body: string;
  /** How long the server asked to wait. */
  readonly retryAfterMs: number | undefined;
  constructor(message: string, status: number, body: string, retryAfterMs?: number) {
    super(message);
    this.name = 'StatusError';
    this.status = status;
    this.body = body;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface GetOptions {
  readonly signal?: AbortSignal;
  /** Until the whole answer is there; for `open` until its headers are. */
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  /** Where the answer is put. */
  readonly buffer?: BodyBuffer;
  readonly accept?: string;
}

/** A request that changes something. */
export interface WriteOptions extends GetOptions {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly body: unknown;
  readonly contentType?: string;
}

interface SendOptions extends GetOptions {
  readonly method?: string;
  readonly content?: Buffer;
  readonly contentType?: string;
}

export interface KubernetesClientOptions {
  /** As messages name the server: `kubelet`, `API server`. */
  readonly name: string;
  /** What to add to the message of a refusal. */
  readonly explain?: (status: number, body: string, path: string, method: string) => string | undefined;
  /** Given the header Date of each answer. */
  readonly onDate?: (date: string) => void;
}

interface Connections {
  readonly material: TlsMaterial | undefined;
  readonly withSystemCas: boolean;
  readonly agent: Agent;
}

export class KubernetesClient {
  readonly #access: Access;
  readonly #options: KubernetesClientOptions;
  #connections: Connections | undefined;
  /** What was found out about a certificate that failed, by the error's text: probing takes connections. */
  #advice: { readonly reason: string; readonly text: string } | undefined;
  /** The certificates with which the CAs of the system did not help either: loading them is not repeated. */
  #systemTriedWith: TlsMaterial | undefined;

  constructor(access: Access, options: KubernetesClientOptions) {
    this.#access = access;
    this.#options = options;
  }

  /** The whole body of an answer with status 200. */
  get(path: string, options: GetOptions = {}): Promise<Buffer> {
    return this.#read(path, options);
  }

  async #read(path: string, options: SendOptions): Promise<Buffer> {
    const url = this.#url(path);
    const deadline = new Deadline(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, options.signal);
    try {
      const answer = await this.#send(url, path, options, deadline.signal);
      return await readBody(answer, url, options.maxBytes ?? DEFAULT_MAX_BYTES, deadline.signal, options.buffer);
    } catch (e) {
      throw this.#described(e, url, deadline.signal, options.method);
    } finally {
      deadline.end();
    }
  }

  async getJson(path: string, options: GetOptions = {}): Promise<unknown> {
    return this.parse(path, await this.get(path, options), (body) => JSON.parse(body.toString()) as unknown);
  }

  /** Sends an object and gives the one that is the answer. */
  async write(path: string, options: WriteOptions): Promise<unknown> {
    const { method, body, contentType = 'application/json' } = options;
    const content = Buffer.from(JSON.stringify(body));
    const answer = await this.#read(path, { ...options, method, content, contentType });
    return this.parse(path, answer, (bytes) => JSON.parse(bytes.toString()) as unknown);
  }

  /** `parse` may throw a SyntaxError. */
  parse<T = unknown>(path: string, body: Buffer, parse: (body: Buffer) => T): T {
    try {
      return parse(body);
    } catch (e) {
      if (!(e instanceof SyntaxError)) throw e;
      const reason = body.length === 0 ? 'it is empty' : `${body.length} bytes, ${messageOf(e).slice(0, 200)}`;
      throw new Error(`${this.#options.name} request GET ${this.#url(path).href}: the answer is not JSON: ${reason}`, {
        cause: e,
      });
    }
  }

  /** An answer with status 200 whose body the caller reads or destroys; for streams without an end. */
  async open(path: string, options: GetOptions = {}): Promise<IncomingMessage> {
    const url = this.#url(path);
    const deadline = new Deadline(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, options.signal);
    try {
      const answer = await this.#send(url, path, options, deadline.signal);
      deadline.stopTimer();
      const abort = () => answer.destroy(new Error(String(deadline.signal.reason)));
      deadline.signal.addEventListener('abort', abort, { once: true });
      answer.once('close', () => deadline.end());
      return answer;
    } catch (e) {
      deadline.end();
      throw this.#described(e, url, deadline.signal);
    }
  }

  close(): void {
    this.#connections?.agent.destroy();
    this.#connections = undefined;
  }

  /** Closes what is kept and unused; requests that run go on. */
  closeIdle(): void {
    if (this.#connections) retire(this.#connections.agent);
    this.#connections = undefined;
  }

  #url(path: string): URL {
    return new URL(this.#access.url + path);
  }

  #described(error: unknown, url: URL, signal: AbortSignal, method = 'GET'): unknown {
    if (error instanceof StatusError || error instanceof AnswerError || !(error instanceof Error)) return error;
    const reason = describeHttpError(error, url, signal);
    const verb = method[0] + method.slice(1).toLowerCase();
    return new Error(`${verb} ${JSON.stringify(url.href)}: ${reason}${hintFor(reason)}`, { cause: error });
  }

  /** Sends until there is an answer: a kept connection may have been closed, and the CA may be one of the system's. */
  async #send(url: URL, path: string, options: SendOptions, signal: AbortSignal): Promise<IncomingMessage> {
    const { method = 'GET', content } = options;
    const headers = {
      accept: options.accept ?? 'application/json',
      'user-agent': 'sluice',
      ...(content ? { 'content-type': options.contentType, 'content-length': content.length } : {}),
      ...(await this.#access.headers()),
    };
    for (let withSystemCas = this.#connections?.withSystemCas ?? false, isRepeated = false; ; ) {
      const progress: { request?: ClientRequest } = {};
      try {
        const answer = await exchange(
          await this.#agent(url, withSystemCas),
          this.#access,
          url,
          { method, headers, content },
          signal,
          progress,
        );
        if (answer.headers.date !== undefined) this.#options.onDate?.(answer.headers.date);
        const isDone = answer.statusCode === 200 || (answer.statusCode === 201 && method !== 'GET');
        if (!isDone) throw await this.#refusal(answer, url, path, method, signal);
        this.#advice = undefined;
        return answer;
      } catch (e) {
        if (signal.aborted || e instanceof StatusError) throw e;
        const code = (e as NodeJS.ErrnoException).code ?? '';
        if (!isRepeated && progress.request?.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')) {
          isRepeated = true;
          continue;
        }
        if (isUnknownAuthority(code) && this.#access.trustsSystem) {
          const material = await this.#access.tls();
          if (withSystemCas) this.#systemTriedWith = material;
          else if (material !== this.#systemTriedWith) {
            withSystemCas = true;
            continue;
          }
        }
        if (url.protocol !== 'https:' || !isTlsVerificationError(code)) throw e;
        const reason = describeHttpError(e, url, signal);
        if (this.#advice?.reason !== reason)
          this.#advice = { reason, text: await adviseOnTls(this.#access, url, code, this.#options.name, signal) };
        // Go on with the CAs that were asked for, not with those of the system.
        this.close();
        throw new AnswerError(`Get ${JSON.stringify(url.href)}: ${reason}. ${this.#advice.text}`, { cause: e });
      }
    }
  }

  async #agent(url: URL, withSystemCas: boolean): Promise<Agent> {
    const isSecure = url.protocol === 'https:';
    const material = isSecure ? await this.#access.tls() : undefined;
    const current = this.#connections;
    if (current && current.material === material && current.withSystemCas === withSystemCas) return current.agent;
    let agent: Agent;
    if (!isSecure || !material) agent = new http.Agent({ keepAlive: true, scheduling: 'lifo' });
    else {
      let secureContext: SecureContext;
      try {
        secureContext = secureContextOf(this.#access, material, withSystemCas);
      } catch (e) {
        // Files of a pair change one after the other: the pair that worked stays until the next request.
        if (current) return current.agent;
        throw new AnswerError(`certificates for the ${this.#options.name}: ${messageOf(e)}`, { cause: e });
      }
      agent = new (process.getBuiltinModule('node:https').Agent)({
        keepAlive: true,
        scheduling: 'lifo',
        secureContext,
        ALPNProtocols: ['http/1.1'],
      } as ConstructorParameters<typeof import('node:https').Agent>[0]);
    }
    this.#connections = { material, withSystemCas, agent };
    if (current) retire(current.agent);
    return agent;
  }

  async #refusal(
    answer: IncomingMessage,
    url: URL,
    path: string,
    method: string,
    signal: AbortSignal,
  ): Promise<StatusError> {
    const status = answer.statusCode ?? 0;
    const body = await readBody(answer, url, MAX_REFUSAL_BYTES, signal, undefined, true)
      .then((b) => b.toString())
      .catch(() => '');
    const told = statusMessage(body) ?? body.trim();
    const text = told.length > MAX_TOLD_CHARS ? `${told.slice(0, MAX_TOLD_CHARS)}…` : told;
    const hint = this.#options.explain?.(status, told, path, method);
    return new StatusError(
      `${this.#options.name} request ${method} ${url.href} failed - "${status} ${http.STATUS_CODES[status] ?? ''}", ` +
        `response: ${JSON.stringify(text)}${hint ? `. ${hint}` : ''}`,
      status,
      body,
      retryAfterOf(answer.headers['retry-after']),
    );
  }
}

/** Seconds; the other form, a date, is not used by Kubernetes. */
function retryAfterOf(header: string | undefined): number | undefined {
  const seconds = Number(header?.trim() || Number.NaN);
  return seconds >= 0 ? Math.min(seconds, MAX_RETRY_AFTER_S) * 1000 : undefined;
}

/** `message` of a Status object, which the API server answers refusals with. */
function statusMessage(body: string): string | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    const { message } = JSON.parse(body) as { message?: unknown };
    return typeof message === 'string' ? message : undefined;
  } catch {
    return undefined;
  }
}

const hintFor = (reason: string): string =>
  reason.includes('HTTP response to HTTPS client')
    ? '. The port speaks plain HTTP: write http:// in front of the endpoint, or take the TLS port (10250 of a kubelet)'
    : '';
