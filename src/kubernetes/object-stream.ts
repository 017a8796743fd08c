/**
 * The changes of some objects as they happen, for receivers that send them on: nothing is kept of an object. Begins
 * where it is told to, goes on where it stopped, and after a version that is gone hands on what is newer than what was
 * seen, as additions; only deletions of that time cannot be known.
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
  done(version: string): void;
  /** It broke off and begins again: what was found is found once more. */
  abandoned(): void;
}

export interface ObjectStreamHandler {
  /** A change of a watch. */
  changed(change: ObjectChange): void;
  /** Objects of a list follow, then its version. */
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
}

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

  async function begin(): Promise<void> {
    if (seen === undefined && !options.withInitialState) {
      version = (await currentVersion(client, type, selection, signal)) || '1';
      handler.passed(version);
    } else {
      const known = Number(seen ?? 0);
      const listing = handler.listing();
      const found = (item: Buffer, head: ListHead): void => {
        const { object, bytes } = typed(item, head);
        if (Number(object.metadata.resourceVersion) <= known) return;
        listing.found({ type: 'ADDED', object, bytes: Buffer.concat([ADDITION, bytes, ADDITION_END]) });
      };
      const pause = () => handler.flush();
      const { resourceVersion } = await list(client, type, selection, { signal, pause }, found).catch((e: unknown) => {
        listing.abandoned();
        throw e;
      });
      version = resourceVersion || '1';
      listing.done(version);
      await handler.flush();
    }
    seen = version;
    isListed = true;
    trouble.over();
  }

  async function follow(): Promise<void> {
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

  while (!signal.aborted) {
    const begun = monotonicMs();
    const before = version;
    let retryAfterMs: number | undefined;
    try {
      if (isListed && version !== undefined) {
        await follow();
        if (version !== before || monotonicMs() - begun >= SHORT_WATCH_MS) {
          backoff.reset();
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
        version = undefined;
        isListed = false;
        if (before !== version) continue;
      } else trouble.tell(e, isListed && !(e instanceof StatusError));
      if (e instanceof StatusError) retryAfterMs = e.retryAfterMs;
    }
    await wait(backoff.next(retryAfterMs), signal);
  }
}

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
