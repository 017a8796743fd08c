/**
 * A client for unary gRPC calls on node:http2. Every failure is a GrpcError whose words are those of Go's client.
 */
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2';
import { type ClientAuth, clientAuth } from './auth.ts';
import type { Clock } from './clock.ts';
import type { Host } from './component.ts';
import { ConfigError, messageOf } from './errors.ts';
import {
  decodeMessage,
  FRAME_HEAD_BYTES,
  formatTimeout,
  frameHead,
  GRPC_ENCODINGS,
  GrpcError,
  INTERNAL,
  OK,
  PERMISSION_DENIED,
  RESOURCE_EXHAUSTED,
  retryInfo,
  UNAUTHENTICATED,
  UNAVAILABLE,
  UNIMPLEMENTED,
  UNKNOWN,
  unpack,
} from './grpc.ts';
import { aborted, GrpcConnection } from './grpc-connection.ts';
import type { GrpcClientConfig } from './grpc-schema.ts';

export interface UnaryRequest {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly message: Uint8Array;
  /** How `message` is packed; '' when it is not. */
  readonly encoding: string;
  /** 0: none */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface GrpcClient {
  /** Resolves the authenticator; a ConfigError when there is none of that name. */
  start(host: Host): void;
  /** The response message. Throws a GrpcError. */
  unary(request: UnaryRequest): Promise<Buffer>;
  close(): void;
}

export interface GrpcClientOptions {
  readonly clock: Clock;
  readonly userAgent: string;
  readonly random?: () => number;
}

/** An answer of an export is small; gRPC's own limit is 4 MiB. */
const MAX_ANSWER_BYTES = 1024 * 1024;
export function createGrpcClient(config: GrpcClientConfig, options: GrpcClientOptions): GrpcClient {
  return new Client(config, options);
}

class Client implements GrpcClient {
  readonly #config: GrpcClientConfig;
  readonly #clock: Clock;
  readonly #connection: GrpcConnection;
  readonly #headers: Readonly<Record<string, string>>;
  #auth: ClientAuth | undefined;
  #openCalls = 0;

  constructor(config: GrpcClientConfig, options: GrpcClientOptions) {
    this.#config = config;
    this.#clock = options.clock;
    this.#connection = new GrpcConnection(config, { ...options, openCalls: () => this.#openCalls });
    const own = Object.entries(config.headers).map(([k, v]): [string, string] => {
      const name = k.toLowerCase();
      return [name, name.endsWith('-bin') ? Buffer.from(v).toString('base64') : v];
    });
    this.#headers = { 'user-agent': config.user_agent || options.userAgent, ...Object.fromEntries(own) };
  }

  start(host: Host): void {
    const id = this.#config.auth?.authenticator;
    if (id === undefined) return;
    this.#auth = clientAuth(host, id);
    if (!this.#connection.secure)
      throw new ConfigError(
        'grpc: the credentials require transport level security (set tls, or remove tls.insecure or auth)',
      );
  }

  close(): void {
    this.#connection.close();
  }

  async unary(request: UnaryRequest): Promise<Buffer> {
    const deadline = new AbortController();
    const endMs = this.#clock.monotonicMs() + request.timeoutMs;
    const timer = request.timeoutMs > 0 ? setTimeout(() => deadline.abort('timeout'), request.timeoutMs) : undefined;
    const onAbort = () => deadline.abort('canceled');
    if (request.signal?.aborted) onAbort();
    request.signal?.addEventListener('abort', onAbort, { once: true });
    this.#connection.closing.addEventListener('abort', onAbort, { once: true });
    this.#openCalls++;
    try {
      const session = await this.#connection.session(deadline.signal);
      const credentials = this.#auth ? await this.#credentials(this.#auth) : {};
      const leftMs = request.timeoutMs > 0 ? Math.max(1, endMs - this.#clock.monotonicMs()) : 0;
      const headers = {
        ':method': 'POST',
        ':scheme': this.#connection.secure ? 'https' : 'http',
        ':authority': this.#connection.authority,
        ':path': request.path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...(leftMs > 0 ? { 'grpc-timeout': formatTimeout(leftMs) } : {}),
        ...(request.encoding ? { 'grpc-encoding': request.encoding } : {}),
        'grpc-accept-encoding': GRPC_ENCODINGS.join(','),
        ...this.#headers,
        ...credentials,
      };
      return await exchange(session, headers, request, deadline.signal);
    } catch (e) {
      if (e instanceof GrpcError) throw e;
      throw new GrpcError(UNAVAILABLE, messageOf(e), { cause: e });
    } finally {
      this.#openCalls--;
      clearTimeout(timer);
      request.signal?.removeEventListener('abort', onAbort);
      this.#connection.closing.removeEventListener('abort', onAbort);
    }
  }

  async #credentials(auth: ClientAuth): Promise<Record<string, string>> {
    try {
      return Object.fromEntries(Object.entries(await auth.headers()).map(([k, v]) => [k.toLowerCase(), v]));
    } catch (e) {
      // They may be there at the next attempt: a token file that is not written yet.
      throw new GrpcError(UNAVAILABLE, `failed to get credentials: ${messageOf(e)}`, { cause: e });
    }
  }
}

function exchange(
  session: ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  { message, encoding }: UnaryRequest,
  signal: AbortSignal,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(aborted(signal, undefined));
      return;
    }
    const stream = session.request(headers);
    const abort = () => stream.close(constants.NGHTTP2_CANCEL);
    signal.addEventListener('abort', abort, { once: true });
    const chunks: Buffer[] = [];
    let size = 0;
    let head: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined;
    let trailers: IncomingHttpHeaders | undefined;
    let failure: Error | undefined;
    stream.on('response', (h) => {
      head = h;
    });
    stream.on('trailers', (t) => {
      trailers = t;
    });
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES + FRAME_HEAD_BYTES) stream.close(constants.NGHTTP2_CANCEL);
      else chunks.push(chunk);
    });
    stream.on('error', (e) => {
      failure = e;
    });
    stream.once('close', () => {
      signal.removeEventListener('abort', abort);
      const status = trailers?.['grpc-status'] ?? head?.['grpc-status'];
      if (status === undefined && signal.aborted) reject(aborted(signal, undefined));
      else if (size > MAX_ANSWER_BYTES + FRAME_HEAD_BYTES)
        reject(new GrpcError(RESOURCE_EXHAUSTED, `grpc: received message larger than max ${MAX_ANSWER_BYTES}`));
      else if (status === undefined) reject(withoutStatus(stream, head, failure));
      else if (Number(status) === OK)
        responseMessage(Buffer.concat(chunks), String(head?.['grpc-encoding'] ?? '')).then(resolve, reject);
      else reject(statusError(Number(status), trailers?.['grpc-status'] === undefined ? head! : trailers));
    });
    stream.cork();
    stream.write(frameHead(message.length, encoding !== ''));
    stream.end(message);
    stream.uncork();
  });
}

async function responseMessage(frame: Buffer, encoding: string): Promise<Buffer> {
  if (frame.length === 0) return frame;
  if (frame.length < FRAME_HEAD_BYTES || frame.length !== FRAME_HEAD_BYTES + frame.readUInt32BE(1))
    throw new GrpcError(INTERNAL, 'unexpected EOF');
  const message = frame.subarray(FRAME_HEAD_BYTES);
  return frame[0] === 0 ? message : unpack(message, encoding, MAX_ANSWER_BYTES);
}

function statusError(status: number, headers: IncomingHttpHeaders): GrpcError {
  const code = Number.isInteger(status) ? status : UNKNOWN;
  const details = headers['grpc-status-details-bin'];
  const retryAfterMs = details === undefined ? undefined : retryInfo(String(details));
  return new GrpcError(
    code,
    decodeMessage(String(headers['grpc-message'] ?? '')),
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

/** What a proxy that does not speak gRPC means. */
const CODES_OF_HTTP: Readonly<Record<number, number>> = {
  400: INTERNAL,
  401: UNAUTHENTICATED,
  403: PERMISSION_DENIED,
  404: UNIMPLEMENTED,
  429: UNAVAILABLE,
  502: UNAVAILABLE,
  503: UNAVAILABLE,
  504: UNAVAILABLE,
};

const STREAM_ERRORS = Object.entries(constants).filter(([k]) =>
  /^NGHTTP2_(?:NO_ERROR|PROTOCOL_ERROR|INTERNAL_ERROR|FLOW_CONTROL_ERROR|STREAM_CLOSED|FRAME_SIZE_ERROR|REFUSED_STREAM|CANCEL|COMPRESSION_ERROR|CONNECT_ERROR|ENHANCE_YOUR_CALM|INADEQUATE_SECURITY|HTTP_1_1_REQUIRED)$/.test(
    k,
  ),
);

/**
 * The call ended without a status. A reset is never taken as a refusal for good, whatever its code: it comes from
 * proxies and servers that go away, and says nothing about the data.
 */
function withoutStatus(
  stream: ClientHttp2Stream,
  head: (IncomingHttpHeaders & IncomingHttpStatusHeader) | undefined,
  failure: Error | undefined,
): GrpcError {
  const httpStatus = head?.[':status'];
  if (httpStatus !== undefined && httpStatus !== 200)
    return new GrpcError(
      CODES_OF_HTTP[httpStatus] ?? UNKNOWN,
      `unexpected HTTP status code received from server: ${httpStatus}`,
    );
  if (head && !/^application\/grpc/.test(head['content-type'] ?? ''))
    return new GrpcError(UNKNOWN, `received unexpected content-type ${JSON.stringify(head['content-type'] ?? '')}`);
  const code = stream.rstCode;
  if (code) {
    const name = STREAM_ERRORS.find(([, v]) => v === code)?.[0].replace('NGHTTP2_', '') ?? String(code);
    return new GrpcError(UNAVAILABLE, `stream terminated by RST_STREAM with error code: ${name}`, { cause: failure });
  }
  return new GrpcError(UNAVAILABLE, `error reading from server: ${failure ? messageOf(failure) : 'EOF'}`, {
    cause: failure,
  });
}
