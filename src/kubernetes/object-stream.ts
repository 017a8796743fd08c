/**
 * The changes of some objects as they happen, for receivers that send them on: nothing is kept of an object. Begins
 * where it is told to, goes on where it stopped, and after a version that is gone hands on what is newer than what was
 * seen, as additions in the order of their versions; only deletions of that time cannot be known.
 */
import type { Logger } from '../core/log.ts';
import { wait } from '../core/wait.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { type KubernetesClient, StatusError } from './client.ts';
import { FutureVersionError, GoneError, type ListHead, list } from './list.ts';
import { type KubernetesObject, pathOf, type ResourceType, type Selection, withQuery } from './object.ts';
import { Trouble } from './trouble.ts';
import { type ChangeType, watch } from './watch.ts';

export interface ObjectChange {
  readonly type: ChangeType;
  readonly object: KubernetesObject;
  /** `{"type":…,"object":…}`; valid during the call. */
  readonly bytes: Buffer;
}

export interface Listing {
  found(change: ObjectChange): void;
  /** Not before the list is complete, however often it has to begin again. */
  done(version: string): void;
}

export interface ObjectStreamHandler {
  /** A change of a watch. */
  changed(change: ObjectChange): void;
  /** What a list has that is newer than what was seen, in the order of versions. */
  caughtUp(change: ObjectChange): void;
  /** Objects of a list follow in the order of their names, then its version. */
  listing(): Listing;
  /** The stream is at this version, without a change. */
  passed(version: string): void;
  /** Called between pieces of what arrives: the stream waits for it. */
  flush(): Promise<void>;
}

export interface ObjectStreamOptions {
  readonly client: KubernetesClient;
  readonly type: ResourceType;
  readonly selection: Selection;
  readonly log: Logger;
  readonly monotonicMs: () => number;
  /** Where it stopped; undefined: now. */
  readonly version: string | undefined;
  /** Hand on the objects that are there at the begin. */
  readonly withInitialState: boolean;
  readonly backoff?: BackoffOptions;
  /** For tests. */
  readonly maxSortedBytes?: number;
}

/** Of a list, what is held back so that it can be handed on in the order of versions. */
const MAX_SORTED_BYTES = 16 * 1024 * 1024;
/** Objects that are handed on before somebody waits for them to be taken. */
const FLUSH_EVERY = 64;
const SHORT_WATCH_MS = 1000;
const OPEN_OBJECT = 123;
const ADDITION = Buffer.from('{"type":"ADDED","object":');
const ADDITION_END = Buffer.from('}');

/** Runs until the signal. */
export async function streamObjects(
  options: ObjectStreamOptions,
  handler: ObjectStreamHandler,
  signal: AbortSignal,
): Promise<void> {
  const { client, type, selection, log, monotonicMs } = options;
  const trouble = new Trouble(log, 'error in watching objects, trying on');
  const backoff = new Backoff(options.backoff);
  let version = options.version;
  /** Objects up to this version are known; undefined: none is. */
  let seen = options.version;
  let isListed = !options.withInitialState && version !== undefined;
  /** A server waits for a version that it has not reached, and says nothing: the version may be of another cluster. */
  let isDoubtful = version !== undefined;
  /** A list that is handed on as it comes, and what of it was: one that breaks off begins again. */
  let listing: Listing | undefined;
  const handedOn = new Map<string, string>();

  async function begin(): Promise<void> {
    if (seen === undefined && !options.withInitialState) {
      version = (await currentVersion(client, type, selection, signal)) || '1';
      handler.passed(version);
    } else {
      await catchUp(Number(seen ?? 0));
    }
    seen = version;
    isListed = true;
    trouble.over();
  }

  /**
   * Sorted, each object moves the position by itself, and a list that breaks off has handed on nothing. What is too much
   * for that goes on as it comes.
   */
  async function catchUp(known: number): Promise<void> {
    let held: ObjectChange[] | undefined = listing ? undefined : [];
    let heldBytes = 0;
    const handOn = (change: ObjectChange): void => {
      const { uid, resourceVersion } = change.object.metadata;
      if (handedOn.get(uid) === resourceVersion) return;
      handedOn.set(uid, resourceVersion);
      listing ??= handler.listing();
      listing.found(change);
    };
    const found = (item: Buffer, head: ListHead): void => {
      const { object, bytes } = typed(item, head);
      if (Number(object.metadata.resourceVersion) <= known) return;
      const change: ObjectChange = { type: 'ADDED', object, bytes: Buffer.concat([ADDITION, bytes, ADDITION_END]) };
      heldBytes += change.bytes.length;
      if (held && heldBytes <= (options.maxSortedBytes ?? MAX_SORTED_BYTES)) held.push(change);
      else {
        for (const before of held ?? []) handOn(before);
        held = undefined;
        handOn(change);
      }
    };
    const pause = () => (held ? undefined : handler.flush());
    const { resourceVersion } = await list(client, type, selection, { signal, pause }, found);
    version = resourceVersion || '1';
    if (listing) {
      listing.done(version);
      listing = undefined;
      handedOn.clear();
    } else {
      for (const [i, change] of (held ?? []).sort(byVersion).entries()) {
        handler.caughtUp(change);
        if (i % FLUSH_EVERY === FLUSH_EVERY - 1) await handler.flush();
        if (signal.aborted) return;
      }
      handler.passed(version);
    }
    await handler.flush();
  }

  async function follow(): Promise<void> {
    if (isDoubtful) {
      const current = await currentVersion(client, type, selection, signal);
      if (Number(current) < Number(version))
        throw new FutureVersionError(`the API server is at version ${current}, before ${version}`);
      isDoubtful = false;
    }
    await watch(
      client,
      type,
      selection,
      { signal, resourceVersion: version ?? '', onOpen: () => trouble.over(), afterChunk: () => handler.flush() },
      (event) => {
        const at = event.object.metadata.resourceVersion;
        if (event.type === 'BOOKMARK') handler.passed(at);
        else handler.changed({ type: event.type, object: event.object, bytes: event.line });
        if (at) version = seen = at;
      },
    );
  }

  let wasGone = false;
  while (!signal.aborted) {
    const begun = monotonicMs();
    const before = version;
    let retryAfterMs: number | undefined;
    try {
      if (isListed && version !== undefined) {
        await follow();
        if (version !== before || monotonicMs() - begun >= SHORT_WATCH_MS) {
          backoff.reset();
          wasGone = false;
          continue;
        }
      } else {
        await begin();
        continue;
      }
    } catch (e) {
      if (signal.aborted) return;
      if (e instanceof GoneError) {
        log.info('received a 410, grabbing new resource version', { resource_version: version });
        // A cluster that was set up anew counts from the start: what was seen says nothing about it.
        if (e instanceof FutureVersionError) seen = undefined;
        isDoubtful = false;
        version = undefined;
        isListed = false;
        // Once is usual; a list whose version is gone at once again has to wait.
        if (!wasGone) {
          wasGone = true;
          continue;
        }
      } else {
        trouble.tell(e, isListed && !(e instanceof StatusError));
        isDoubtful = true;
      }
      if (e instanceof StatusError) retryAfterMs = e.retryAfterMs;
    }
    await wait(backoff.next(retryAfterMs), signal);
  }
}

const byVersion = (a: ObjectChange, b: ObjectChange): number =>
  Number(a.object.metadata.resourceVersion) - Number(b.object.metadata.resourceVersion);

/** A list of one object says which version the whole has. */
async function currentVersion(
  client: KubernetesClient,
  type: ResourceType,
  { namespace, labelSelector, fieldSelector }: Selection,
  signal: AbortSignal,
): Promise<string> {
  const path = withQuery(pathOf(type, namespace), { limit: '1', labelSelector, fieldSelector });
  const { metadata } = (await client.getJson(path, { signal })) as { metadata?: { resourceVersion?: unknown } };
  return typeof metadata?.resourceVersion === 'string' ? metadata.resourceVersion : '';
}

/** Objects of a list leave out what the list says for all; here it is put back. */
export function typed(item: Buffer, head: ListHead): { readonly object: KubernetesObject; readonly bytes: Buffer } {
  const raw = JSON.parse(item.toString()) as KubernetesObject;
  if (raw.kind !== undefined) return { object: raw, bytes: item };
  const type = { kind: head.kind.replace(/List$/, ''), apiVersion: head.apiVersion };
  const start = JSON.stringify(type).replace(/\}$/, Object.keys(raw).length === 0 ? '' : ',');
  return {
    object: { ...type, ...raw },
    bytes: Buffer.concat([Buffer.from(start), item.subarray(item.indexOf(OPEN_OBJECT) + 1)]),
  };
}
