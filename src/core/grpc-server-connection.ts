/** Keepalive of a server's connections: signs of life, idle time and age (keepalive.server_parameters). */
import type { ServerHttp2Session } from 'node:http2';
import type { GrpcServerConfig } from './grpc-schema.ts';

/** gRPC's defaults. */
const TIME_MS = 7_200_000;
const TIMEOUT_MS = 20_000;
/** For the client's preface and settings, as in gRPC for Go. */
export const HANDSHAKE_MS = 120_000;
const MAX_TIMER_MS = 2_000_000_000;
const AGE_JITTER = 0.1;

export function superviseConnection(
  session: ServerHttp2Session,
  config: GrpcServerConfig['keepalive']['server_parameters'],
  random: () => number = Math.random,
): void {
  const timers = new Set<NodeJS.Timeout>();
  const later: Later = (ms, action) => {
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        action();
      },
      Math.min(ms, MAX_TIMER_MS),
    ).unref();
    timers.add(timer);
    return () => {
      clearTimeout(timer);
      timers.delete(timer);
    };
  };
  session.once('close', () => {
    for (const t of timers) clearTimeout(t);
  });
  const arrived = later(HANDSHAKE_MS, () => session.destroy());
  session.once('remoteSettings', arrived);
  keepAlive(session, config.time || TIME_MS, config.timeout || TIMEOUT_MS, later);
  if (config.max_connection_idle > 0) closeWhenIdle(session, config.max_connection_idle, later);
  if (config.max_connection_age > 0)
    later(config.max_connection_age * (1 - AGE_JITTER + 2 * AGE_JITTER * random()), () => {
      session.close();
      if (config.max_connection_age_grace > 0) later(config.max_connection_age_grace, () => session.destroy());
    });
}

/** A timer that goes with the connection; the result cancels it. */
type Later = (ms: number, action: () => void) => () => void;

/** Asks a silent peer for an answer, and drops the connection when none comes. */
function keepAlive(session: ServerHttp2Session, timeMs: number, timeoutMs: number, later: Later): void {
  const wait = () => !session.destroyed && session.setTimeout(Math.min(timeMs, MAX_TIMER_MS));
  session.on('timeout', () => {
    if (session.destroyed) return;
    const cancel = later(timeoutMs, () => session.destroy());
    session.ping(() => {
      cancel();
      wait();
    });
  });
  wait();
}

function closeWhenIdle(session: ServerHttp2Session, idleMs: number, later: Later): void {
  let open = 0;
  let cancel: (() => void) | undefined;
  const arm = () => {
    cancel = later(idleMs, () => session.close());
  };
  session.on('stream', (stream) => {
    open++;
    cancel?.();
    stream.once('close', () => {
      open--;
      if (open === 0 && !session.destroyed) arm();
    });
  });
  arm();
}
