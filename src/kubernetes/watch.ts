/**
 * WATCH of the API server: one request, from a resource version until the server ends it. Reconnecting is the business
 * of who called it (cache.ts, object-stream.ts), because only they know what an event left behind.
 */
import { messageOf } from '../core/errors.ts';
import { type KubernetesClient, StatusError } from './client.ts';
import { LineScanner } from './json-stream.ts';
import { FutureVersionError, GoneError, isFutureVersion } from './list.ts';
import {
  type KubernetesObject,
  METADATA_ONLY,
  metadataOf,
  pathOf,
  type ResourceType,
  type Selection,
  withQuery,
} from './object.ts';

/** The server ends the watch after this long to twice this long, so that watches spread over its replicas. */
const LIFETIME_S = 300;
/** Beyond the time that was asked for, without a byte: then the connection is dead, and nobody said so. */
const GRACE_MS = 60_000;
const ANSWER_MS = 30_000;
/** Of the objects that exist, with which a watch with initial events begins. */
const INITIAL_SILENCE_MS = 30_000;
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

export interface WatchEvent {
  readonly type: ChangeType | 'BOOKMARK';
  readonly object: KubernetesObject;
  /** The whole event as it came, `{"type":…,"object":…}`; valid until the handler is done. */
  readonly line: Buffer;
  /** The bookmark that ends the objects that existed at the begin. */
  readonly isInitialEnd: boolean;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** The last that was seen. */
  readonly resourceVersion: string;
  /** Begin with the objects that exist (WatchList, Kubernetes 1.32 and later). */
  readonly withInitialEvents?: boolean;
  /** Objects come without spec and status. */
  readonly metadataOnly?: boolean | undefined;
  readonly random?: () => number;
  readonly onBytes?: (count: number) => void;
  /** The server has accepted. */
  readonly onOpen?: () => void;
  /** All events that have arrived were handled; the next bytes are read when it resolves. */
  readonly afterChunk?: () => Promise<void>;
}

/** The server does not do initial events. */
export class NoInitialEventsError extends Error {}

/**
 * Resolves when the server or the signal ends the watch. Throws GoneError when the version is too old, StatusError when
 * it is refused, NoInitialEventsError, or Error when the stream breaks or is no JSON.
 */
export async function watch(
  client: KubernetesClient,
  type: ResourceType,
  selection: Selection,
  options: WatchOptions,
  handle: (event: WatchEvent) => void | Promise<void>,
): Promise<void> {
  const { signal, withInitialEvents = false, random = Math.random } = options;
  const lifetimeS = Math.round(LIFETIME_S * (1 + random()));
  const path = withQuery(pathOf(type, selection.namespace), {
    watch: '1',
    allowWatchBookmarks: 'true',
    labelSelector: selection.labelSelector,
    fieldSelector: selection.fieldSelector,
    resourceVersion: options.resourceVersion,
    timeoutSeconds: String(lifetimeS),
    ...(withInitialEvents ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' } : {}),
  });
  const accept = options.metadataOnly ? { accept: METADATA_ONLY.watch } : {};
  const answer = await client.open(path, { signal, timeoutMs: ANSWER_MS, ...accept }).catch((e: unknown) => {
    if (!(e instanceof StatusError)) throw e;
    if (isFutureVersion(e)) throw new FutureVersionError(e.message, { cause: e });
    if (e.status === 410) throw new GoneError(e.message, { cause: e });
    if (withInitialEvents && (e.status === 400 || e.status === 422))
      throw new NoInitialEventsError(e.message, { cause: e });
    throw e;
  });
  options.onOpen?.();
  const { socket } = answer;
  socket.setKeepAlive(true, 15_000);
  let isInitial = withInitialEvents;
  let timer: NodeJS.Timeout | undefined;
  // Whoever handles events may take long; only waiting for bytes counts as silence.
  const startTimer = () => {
    const ms = isInitial ? INITIAL_SILENCE_MS : lifetimeS * 1000 + GRACE_MS;
    timer = setTimeout(() => answer.destroy(new Error(`no data for ${Math.round(ms / 1000)} s`)), ms);
  };
  const lines = new LineScanner();
  try {
    startTimer();
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      options.onBytes?.(chunk.length);
      lines.push(chunk);
      for (let line = lines.next(); line; line = lines.next()) {
        const event = readEvent(line, withInitialEvents && isInitial);
        if (event.isInitialEnd) isInitial = false;
        const busy = handle(event);
        if (busy) await busy;
        if (signal.aborted) return;
      }
      await options.afterChunk?.();
      startTimer();
    }
    if (lines.rest > 0) throw new Error('the stream ended inside of an event');
  } catch (e) {
    answer.destroy();
    if (signal.aborted) return;
    if (isInitial && withInitialEvents && isSilence(e)) throw new NoInitialEventsError(messageOf(e), { cause: e });
    if (e instanceof GoneError || e instanceof StatusError || e instanceof NoInitialEventsError) throw e;
    const reason = (e as NodeJS.ErrnoException).code === 'ECONNRESET' ? 'connection reset' : messageOf(e);
    throw new Error(`watch ${path}: ${reason}`, { cause: e });
  } finally {
    clearTimeout(timer);
  }
}

const isSilence = (e: unknown): boolean => e instanceof Error && e.message.startsWith('no data for');

interface Status {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly reason?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown };
}

function readEvent(line: Buffer, isInitial: boolean): WatchEvent {
  let parsed: { type?: unknown; object?: unknown } | null;
  try {
    parsed = JSON.parse(line.toString()) as typeof parsed;
  } catch (e) {
    throw new Error(`an event is not JSON: ${messageOf(e).slice(0, 200)}`, { cause: e });
  }
  const type = parsed?.type;
  if (type === 'ERROR') throw errorOf((parsed?.object ?? {}) as Status, isInitial);
  const metadata = metadataOf(parsed?.object);
  if (!metadata || (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED' && type !== 'BOOKMARK'))
    throw new Error(`an event of unknown form: ${line.toString('utf8', 0, 100)}`);
  return {
    type,
    object: parsed?.object as KubernetesObject,
    line,
    isInitialEnd: type === 'BOOKMARK' && metadata.annotations?.[INITIAL_EVENTS_END] === 'true',
  };
}

function errorOf(status: Status, isInitial: boolean): Error {
  const code = typeof status.code === 'number' ? status.code : 0;
  const message = typeof status.message === 'string' ? status.message.slice(0, 1024) : 'without a message';
  if (/too large resource version/i.test(message)) return new FutureVersionError(message);
  if (code === 410 || status.reason === 'Expired' || status.reason === 'Gone') return new GoneError(message);
  // Servers say so in the stream when their storage lacks what initial events need.
  if (isInitial) return new NoInitialEventsError(message);
  const seconds = status.details?.retryAfterSeconds;
  const retryAfterMs = typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, 300) * 1000 : undefined;
  return new StatusError(`the API server ended the watch: ${code} ${message}`, code, message, retryAfterMs);
}
