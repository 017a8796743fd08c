/**
 * The connection of a gRPC client: made when it is needed, made again when it is gone, with growing waits between
 * attempts that fail. Calls that come meanwhile fail at once, or wait when wait_for_ready says so.
 */
import { lookup } from 'node:dns';
import http2, { type ClientHttp2Session } from 'node:http2';
import net, { type LookupFunction } from 'node:net';
import tls from 'node:tls';
import type { Clock } from './clock.ts';
import { ConfigError } from './errors.ts';
import { CANCELLED, DEADLINE_EXCEEDED, GrpcError, UNAVAILABLE } from './grpc.ts';
import { type GrpcClientConfig, type GrpcTarget, parseTarget } from './grpc-schema.ts';
import { describeHttpError } from './http-client-error.ts';
import { type ClientTls, clientTls } from './tls.ts';

/** Node counts what waits to be sent against this; a few large requests at a time are what exporters do. */
const MAX_SESSION_MEMORY_MB = 1024;
const FIRST_BACKOFF_MS = 1000;
const BACKOFF_FACTOR = 1.6;
/** gRPC goes to 2 minutes but dials by itself; here a call must come, so the wait stays short. */
const MAX_BACKOFF_MS = 10_000;
const BACKOFF_JITTER = 0.2;
const MIN_KEEPALIVE_MS = 10_000;

/** gRPC's own limit for one attempt to connect. */
const CONNECT_TIMEOUT_MS = 20_000;

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly random?: () => number;
  /** Calls under way, for keepalive. */
  readonly openCalls: () => number;
}

export class GrpcConnection {
  readonly #config: GrpcClientConfig;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #openCalls: () => number;
  readonly #target: GrpcTarget;
  readonly secure: boolean;
  readonly authority: string;
  readonly #closing = new AbortController();
  #tls: ClientTls | undefined;
  #tlsReadAt = 0;
  #session: ClientHttp2Session | undefined;
  #dialing: Promise<ClientHttp2Session> | undefined;
  /** The last attempt to connect failed: with what, and until when none is made. */
  #failure: { readonly error: GrpcError; readonly untilMs: number } | undefined;
  #backoffMs = FIRST_BACKOFF_MS;

  constructor(config: GrpcClientConfig, options: ConnectionOptions) {
    this.#config = config;
    this.#clock = options.clock;
    this.#random = options.random ?? Math.random;
    this.#openCalls = options.openCalls;
    const target = parseTarget(config.endpoint);
    if ('error' in target) throw new ConfigError(target.error);
    this.#target = target;
    const t = config.tls;
    this.secure = target.secure || !t.insecure || t.ca_file !== '' || t.ca_pem !== '';
    // Files are looked at now, so that a wrong path fails the start and not the first call.
    if (this.secure) this.#readTls();
    const at = target.host.includes(':') ? `[${target.host}]` : target.host;
    this.authority = config.authority || (target.path === undefined ? `${at}:${target.port}` : 'localhost');
  }

  /** Aborts when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  #readTls(): ClientTls {
    this.#tlsReadAt = this.#clock.monotonicMs();
    return (this.#tls = clientTls(this.#config.tls));
  }

  /** Certificates for the next connection. */
  #currentTls(): ClientTls {
    const everyMs = this.#config.tls.reload_interval;
    if (this.#tls && (everyMs <= 0 || this.#clock.monotonicMs() - this.#tlsReadAt < everyMs)) return this.#tls;
    const before = this.#tls;
    try {
      return this.#readTls();
    } catch (e) {
      // Half-written files: the certificates that worked stay until the next look.
      if (!before) throw e;
      return (this.#tls = before);
    }
  }

  close(): void {
    this.#closing.abort();
    this.#session?.destroy();
    this.#session = undefined;
  }

  async session(signal: AbortSignal): Promise<ClientHttp2Session> {
    for (;;) {
      const session = this.#session;
      if (session && !session.closed && !session.destroyed) return session;
      const failure = this.#failure;
      const waitMs = failure ? failure.untilMs - this.#clock.monotonicMs() : 0;
      if (failure && waitMs > 0) {
        if (!this.#config.wait_for_ready) throw failure.error;
        await pause(waitMs, signal);
        if (signal.aborted) throw aborted(signal, failure.error);
        continue;
      }
      try {
        return await until(this.#dial(), signal);
      } catch (e) {
        if (signal.aborted) throw aborted(signal, this.#failure?.error);
        if (!this.#config.wait_for_ready || !(e instanceof GrpcError)) throw e;
      }
    }
  }

  /** All calls share one attempt. It outlives the call that began it, since the next one needs the connection too. */
  #dial(): Promise<ClientHttp2Session> {
    this.#dialing ??= this.#connect()
      .then(
        (session) => {
          this.#failure = undefined;
          this.#backoffMs = FIRST_BACKOFF_MS;
          this.#session = session;
          if (this.#closing.signal.aborted) session.destroy();
          return session;
        },
        (e: unknown) => {
          const url = new URL(`${this.secure ? 'https' : 'http'}://${this.authority}`);
          const reason = describeHttpError(e, url, this.#closing.signal);
          const stage = reason.startsWith('dial ')
            ? 'Error while dialing: '
            : reason.startsWith('tls:')
              ? 'authentication handshake failed: '
              : '';
          const text = `connection error: desc = ${JSON.stringify(`transport: ${stage}${reason}`)}`;
          const error = new GrpcError(UNAVAILABLE, text, { cause: e });
          const jitter = 1 - BACKOFF_JITTER + 2 * BACKOFF_JITTER * this.#random();
          this.#failure = { error, untilMs: this.#clock.monotonicMs() + this.#backoffMs * jitter };
          this.#backoffMs = Math.min(this.#backoffMs * BACKOFF_FACTOR, MAX_BACKOFF_MS);
          throw error;
        },
      )
      .finally(() => {
        this.#dialing = undefined;
      });
    return this.#dialing;
  }

  async #connect(): Promise<ClientHttp2Session> {
    const socket = await this.#socket();
    const session = http2.connect(`${this.secure ? 'https' : 'http'}://${this.authority}`, {
      createConnection: () => socket,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: { enablePush: false },
    });
    // Its calls are told by themselves.
    session.on('error', () => {});
    if (this.#config.keepalive) keepAlive(session, this.#config.keepalive, this.#openCalls);
    return session;
  }

  #socket(): Promise<net.Socket> {
    const { path, host, port } = this.#target;
    const to = path === undefined ? { host, port, lookup: this.#lookup } : { path };
    return new Promise((resolve, reject) => {
      const secure = this.secure ? this.#currentTls() : undefined;
      const name = secure?.servername ?? this.authority.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
      const socket = secure
        ? tls.connect({ ...to, ...secure, ...(net.isIP(name) ? {} : { servername: name }), ALPNProtocols: ['h2'] })
        : net.connect(to);
      const fail = (e: Error) => {
        socket.destroy();
        this.#closing.signal.removeEventListener('abort', stop);
        reject(e);
      };
      const stop = () => fail(new Error('canceled'));
      this.#closing.signal.addEventListener('abort', stop, { once: true });
      socket.setNoDelay(true);
      socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail(Object.assign(new Error('i/o timeout'), { code: 'TIMEOUT' })));
      socket.once('error', fail);
      socket.once(secure ? 'secureConnect' : 'connect', () => {
        socket.off('error', fail);
        socket.setTimeout(0);
        this.#closing.signal.removeEventListener('abort', stop);
        if (socket instanceof tls.TLSSocket && socket.alpnProtocol !== 'h2')
          fail(
            new Error(
              'authentication handshake failed: credentials: cannot check peer: missing selected ALPN property',
            ),
          );
        else resolve(socket);
      });
    });
  }

  /** Spreads clients over the addresses of a name, as long as a connection lives. */
  readonly #lookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const list = [...addresses];
      if (this.#config.balancer_name === 'round_robin')
        for (let i = list.length - 1; i > 0; i--) {
          const j = Math.floor(this.#random() * (i + 1));
          [list[i], list[j]] = [list[j]!, list[i]!];
        }
      if (options.all) callback(null, list);
      else callback(null, list[0]!.address, list[0]!.family);
    });
  };
}

/** What a call ends with whose signal aborted. */
export function aborted(signal: AbortSignal, cause: GrpcError | undefined): GrpcError {
  const detail = cause ? ` (${cause.description})` : '';
  return signal.reason === 'timeout'
    ? new GrpcError(DEADLINE_EXCEEDED, `context deadline exceeded${detail}`)
    : new GrpcError(CANCELLED, 'context canceled');
}

/** The promise's outcome, or a rejection when `signal` aborts first. */
function until<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(new Error(String(signal.reason)));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return until(new Promise<void>((resolve) => setTimeout(resolve, ms).unref()), signal).catch(() => {});
}

function keepAlive(
  session: ClientHttp2Session,
  config: NonNullable<GrpcClientConfig['keepalive']>,
  openCalls: () => number,
): void {
  const timeMs = Math.max(config.time, MIN_KEEPALIVE_MS);
  const wait = () => !session.destroyed && session.setTimeout(timeMs);
  session.on('timeout', () => {
    if (session.destroyed) return;
    if (openCalls() === 0 && !config.permit_without_stream) {
      wait();
      return;
    }
    const gone = setTimeout(() => session.destroy(), config.timeout).unref();
    session.ping(() => {
      clearTimeout(gone);
      wait();
    });
  });
  wait();
}
