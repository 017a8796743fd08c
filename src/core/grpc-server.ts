/**
 * A server for unary gRPC calls on node:http2. Messages stay bytes; what a call means is the handler's business.
 * Bounded: message size before and after unpacking, calls per connection, and connections without a sign of life.
 */
import http2, {
  constants,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type ArrivingBodies, ArrivingBody } from './arriving.ts';
import type { ServerAuth } from './auth.ts';
import { messageOf } from './errors.ts';
import {
  DEADLINE_EXCEEDED,
  encodeMessage,
  FRAME_HEAD_BYTES,
  frameHead,
  GRPC_ENCODINGS,
  GrpcError,
  INTERNAL,
  INVALID_ARGUMENT,
  OK,
  parseTimeout,
  RESOURCE_EXHAUSTED,
  statusDetails,
  UNAUTHENTICATED,
  UNAVAILABLE,
  UNIMPLEMENTED,
  unpack,
} from './grpc.ts';
import { type GrpcServerConfig, maxMessageBytes } from './grpc-schema.ts';
import { superviseConnection } from './grpc-server-connection.ts';
import { listen } from './http-server.ts';
import { serverTls } from './tls.ts';

export type Metadata = ReadonlyMap<string, readonly string[]>;

/** Takes a message and its metadata, gives the response message. A GrpcError is answered as it is, others as INTERNAL. */
export type UnaryHandler = (message: Buffer, metadata: Metadata, peer?: string) => Promise<Uint8Array>;

export interface GrpcServer {
  /** Where it really listens: `127.0.0.1:4317`. */
  readonly address: string;
  /** Takes no new calls, waits for the open ones until `deadline` aborts, then cuts what is left. */
  close(deadline?: AbortSignal): Promise<void>;
}

export interface GrpcServerOptions {
  readonly config: GrpcServerConfig;
  /** By path: `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, UnaryHandler>;
  readonly auth?: ServerAuth | undefined;
  /** Bounds what all calls together may hold before they are whole. */
  readonly arriving?: ArrivingBodies | undefined;
}

/** Much more than HTTP/2's 64 KiB, so that large messages do not wait for the round trip. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
/** setTimeout takes 31 bits. */
const MAX_TIMER_MS = 2_000_000_000;

export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { config } = options;
  const settings: http2.Settings = {
    initialWindowSize: STREAM_WINDOW_BYTES,
    ...(config.max_concurrent_streams > 0 ? { maxConcurrentStreams: config.max_concurrent_streams } : {}),
  };
  const server: Http2Server | Http2SecureServer = config.tls
    ? http2.createSecureServer({ ...serverTls(config.tls), settings, allowHTTP1: false })
    : http2.createServer({ settings });
  const sessions = new Set<ServerHttp2Session>();
  let closing = false;
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    // A broken connection is the sender's to notice; its calls end with it.
    session.on('error', () => {});
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    superviseConnection(session, config.keepalive.server_parameters);
    if (closing) session.close();
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {});
    void serve(stream, headers, options);
  });
  const address = await listen(server, config.endpoint, config.transport);
  const reload = config.tls && reloadTls(server as Http2SecureServer, config.tls);
  let closed: Promise<void> | undefined;
  return {
    address,
    close(deadline) {
      closed ??= new Promise<void>((resolve) => {
        closing = true;
        clearInterval(reload);
        server.close(() => resolve());
        for (const s of sessions) s.close();
        const cut = () => {
          for (const s of sessions) s.destroy();
        };
        if (deadline?.aborted) cut();
        else deadline?.addEventListener('abort', cut, { once: true });
      });
      return closed;
    },
  };
}

function reloadTls(server: Http2SecureServer, tls: NonNullable<GrpcServerConfig['tls']>): NodeJS.Timeout | undefined {
  const everyMs = tls.reload_interval || (tls.client_ca_file_reload ? 10_000 : 0);
  if (everyMs <= 0) return undefined;
  const timer = setInterval(() => {
    try {
      server.setSecureContext(serverTls(tls));
    } catch {
      // Half-written files: the certificates that worked stay until the next look.
    }
  }, everyMs);
  return timer.unref();
}

/** Answers one call. Never rejects. */
async function serve(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { config, methods, auth, arriving }: GrpcServerOptions,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    if (!precondition(stream, headers)) return;
    const timeoutMs = parseTimeout(String(headers['grpc-timeout'] ?? ''));
    if (timeoutMs !== undefined)
      timer = setTimeout(
        () => fail(stream, new GrpcError(DEADLINE_EXCEEDED, 'context deadline exceeded')),
        Math.min(timeoutMs, MAX_TIMER_MS),
      );
    const handler = methods.get(headers[':path']!);
    if (!handler) throw unknownMethod(headers[':path'] ?? '', methods);
    const metadata = metadataOf(headers);
    if (auth) await authenticated(auth, metadata);
    const frame = await readFrame(stream, maxMessageBytes(config), arriving);
    // The sender went away, so there is nobody to answer, and the message may be cut off.
    if (!frame) return;
    const message = await messageOfFrame(frame, String(headers['grpc-encoding'] ?? ''), maxMessageBytes(config));
    answer(stream, await handler(message, metadata, peerOf(stream)));
  } catch (e) {
    fail(stream, e instanceof GrpcError ? e : new GrpcError(INTERNAL, messageOf(e)));
  } finally {
    clearTimeout(timer);
  }
}

/** False: this is no gRPC call, and that is answered. */
function precondition(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const type = headers['content-type'] ?? '';
  if (headers[':method'] !== 'POST') {
    const text = `Received a HEADERS frame with :method ${JSON.stringify(headers[':method'])} which should be POST`;
    fail(stream, new GrpcError(INTERNAL, text), 405);
    return false;
  }
  if (!/^application\/grpc(?:[+;]|$)/.test(type)) {
    fail(stream, new GrpcError(INVALID_ARGUMENT, `invalid gRPC request content-type ${JSON.stringify(type)}`), 415);
    return false;
  }
  return true;
}

function unknownMethod(path: string, methods: GrpcServerOptions['methods']): GrpcError {
  const slash = path.lastIndexOf('/');
  const service = path.slice(1, Math.max(1, slash));
  const known = [...methods.keys()].some((m) => m.startsWith(`/${service}/`));
  return new GrpcError(
    UNIMPLEMENTED,
    known ? `unknown method ${path.slice(slash + 1)} for service ${service}` : `unknown service ${service}`,
  );
}

async function authenticated(auth: ServerAuth, metadata: Metadata): Promise<void> {
  try {
    await auth.authenticate(metadata);
  } catch (e) {
    throw new GrpcError(UNAUTHENTICATED, messageOf(e));
  }
}

/** The socket of a session that has ended cannot be asked. */
const peerOf = ({ session }: ServerHttp2Stream): string | undefined =>
  session && !session.destroyed ? session.socket.remoteAddress : undefined;

/** Metadata as Go's servers show it: no pseudo headers besides :authority, nothing of gRPC's own. */
function metadataOf(headers: IncomingHttpHeaders): Metadata {
  const map = new Map<string, readonly string[]>();
  for (const [k, v] of Object.entries(headers)) {
    if (v === undefined || (k.startsWith(':') && k !== ':authority') || k === 'te' || k.startsWith('grpc-')) continue;
    // Node joins repeated headers with ", ", which binary ones cannot contain.
    map.set(k, Array.isArray(v) ? v : k.endsWith('-bin') ? v.split(',').map((b) => b.trim()) : [v]);
  }
  return map;
}

/** The message in the frame of a call, unpacked. */
function messageOfFrame(frame: Buffer, encoding: string, maxBytes: number): Buffer | Promise<Buffer> {
  const message = frame.subarray(FRAME_HEAD_BYTES);
  if (frame[0] === 0) return message;
  if (frame[0] !== 1) throw new GrpcError(INTERNAL, `grpc: received unexpected payload format ${frame[0]}`);
  return unpack(message, encoding, maxBytes);
}

/** The one frame of a unary call; undefined: the call was cut off. */
function readFrame(
  stream: ServerHttp2Stream,
  maxBytes: number,
  arriving: ArrivingBodies | undefined,
): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    /** Known as soon as the head is there. */
    let wanted = -1;
    const end = (settle: () => void) => {
      stream.off('data', onData);
      body.close();
      settle();
    };
    const refuse = (code: number, text: string) => end(() => reject(new GrpcError(code, text)));
    const cut = () => refuse(UNAVAILABLE, 'too much data on its way from slow senders');
    const body = arriving ? arriving.open(cut) : new ArrivingBody(cut, () => {});
    const onData = (chunk: Buffer) => {
      body.add(chunk);
      const size = body.sizeBytes;
      if (wanted < 0 && size >= FRAME_HEAD_BYTES) {
        const length = body.head(FRAME_HEAD_BYTES).readUInt32BE(1);
        if (length > maxBytes)
          return refuse(RESOURCE_EXHAUSTED, `grpc: received message larger than max (${length} vs. ${maxBytes})`);
        wanted = FRAME_HEAD_BYTES + length;
      }
      if (wanted >= 0 && size > wanted) refuse(INTERNAL, 'grpc: received more than one message for a unary call');
    };
    stream.on('data', onData);
    stream.once('end', () => {
      const size = body.sizeBytes;
      const frame = body.finish();
      if (stream.aborted) end(() => resolve(undefined));
      else if (size !== wanted) refuse(INTERNAL, size === 0 ? 'EOF' : 'unexpected EOF');
      // Also of one chunk a copy: chunks are views of what the socket read, which is much more than a small message.
      else end(() => resolve(Buffer.from(frame)));
    });
    stream.once('close', () => end(() => resolve(undefined)));
    if (stream.destroyed) end(() => resolve(undefined));
  });
}

const ACCEPT_ENCODING = GRPC_ENCODINGS.join(',');

const isOpen = (stream: ServerHttp2Stream): boolean => !stream.destroyed && !stream.closed && !stream.headersSent;

function answer(stream: ServerHttp2Stream, message: Uint8Array): void {
  if (!isOpen(stream)) return;
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(OK), 'grpc-message': '' }));
  stream.respond(
    { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': ACCEPT_ENCODING },
    { waitForTrailers: true },
  );
  stream.end(Buffer.concat([frameHead(message.length, false), message]));
}

function fail(stream: ServerHttp2Stream, error: GrpcError, httpStatus = 200): void {
  if (!isOpen(stream)) return;
  const { code, description, retryAfterMs } = error;
  stream.respond(
    {
      ':status': httpStatus,
      'content-type': 'application/grpc',
      'grpc-status': String(code),
      'grpc-message': encodeMessage(description),
      ...(retryAfterMs === undefined
        ? {}
        : { 'grpc-status-details-bin': statusDetails(code, description, retryAfterMs) }),
    },
    { endStream: true },
  );
  if (stream.readableEnded) return;
  // What is left of the message is not worth reading. A reset in the same turn would overtake the status.
  setImmediate(() => setImmediate(() => stream.destroyed || stream.close(constants.NGHTTP2_NO_ERROR)));
}
