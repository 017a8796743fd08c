/** Keeps positions in a storage extension, under otelcol's keys: as soon as they move, but not more often than it is worth. */
import type { Clock } from '../core/clock.ts';
import type { Host } from '../core/component.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import { type Logger, RateLimit } from '../core/log.ts';
import { isStorageExtension, type StorageClient, type StorageOp } from '../core/storage.ts';
import { furthest, type Handover, isVersion } from './handover.ts';
import { electorOf } from './leader.ts';

/** A position that moved again so soon waits this long: what a kill in between sends again. */
const INTERVAL_MS = 50;

/** `latestResourceVersion/pods`, `latestResourceVersion/pods.shop`. */
export const positionKey = (resource: string, namespace: string): string =>
  `latestResourceVersion/${resource}${namespace === '' ? '' : `.${namespace}`}`;

export class PositionStore {
  readonly #client: StorageClient | undefined;
  readonly #handover: Handover | undefined;
  readonly #owner: string;
  readonly #log: Logger;
  readonly #nowMs: () => number;
  readonly #limit: RateLimit;
  readonly #changed = new Map<string, string | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #writtenAtMs = Number.NEGATIVE_INFINITY;
  #isFinishing = false;
  #isSoon = false;
  #isClosed = false;

  /** @param owner of the keys, where others have some too */
  constructor(client: StorageClient | undefined, log: Logger, nowMs: () => number, handover?: Handover, owner = '') {
    this.#client = client;
    this.#handover = handover;
    this.#owner = owner;
    this.#log = log;
    this.#nowMs = nowMs;
    this.#limit = new RateLimit(10_000, nowMs);
  }

  /** What is stored, when it is a version. */
  get(key: string): string | undefined {
    return furthest(this.#own(key), this.#handover?.get(this.#shared(key)));
  }

  follow(key: string, beyond: (most: number) => readonly string[]): void {
    this.#handover?.follow(this.#shared(key), beyond);
  }

  /** Changes behind the stored version that need not come again. */
  known(key: string): Set<string> {
    return this.#handover?.known(this.#shared(key)) ?? new Set();
  }

  #shared(key: string): string {
    return `${this.#owner}/${key}`;
  }

  #own(key: string): string | undefined {
    if (this.#changed.has(key)) return this.#changed.get(key);
    const bytes = this.#client?.get(key);
    const text = bytes === undefined ? '' : Buffer.from(bytes).toString();
    return isVersion(text) ? text : undefined;
  }

  /** undefined: forgets it. */
  set(key: string, version: string | undefined): void {
    if (this.#isClosed) return;
    this.#handover?.set(this.#shared(key), version);
    if (!this.#client) return;
    this.#changed.set(key, version);
    if (this.#timer || this.#isSoon) return;
    const restMs = this.#writtenAtMs + INTERVAL_MS - this.#nowMs();
    if (restMs > 0 && !this.#isFinishing) {
      this.#timer = setTimeout(() => this.flush(), restMs);
      return;
    }
    // Once for all that settles together; the store is closed as soon as the pipeline has stopped.
    this.#isSoon = true;
    queueMicrotask(() => {
      this.#isSoon = false;
      this.flush();
    });
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#changed.size === 0 || this.#isClosed) return;
    this.#writtenAtMs = this.#nowMs();
    const ops = [...this.#changed].map(
      ([key, version]): StorageOp =>
        version === undefined ? { op: 'delete', key } : { op: 'set', key, value: Buffer.from(version) },
    );
    try {
      this.#client?.batch(ops);
      this.#changed.clear();
    } catch (e) {
      const suppressed = this.#limit.pass('store');
      if (suppressed !== undefined)
        this.#log.error('resource versions could not be stored', { error: messageOf(e), suppressed });
    }
  }

  /** The receiver has stopped; what settles behind it is stored at once. */
  finish(): void {
    this.#isFinishing = true;
    this.flush();
  }

  close(): void {
    this.flush();
    this.#isClosed = true;
    this.#client?.close();
  }
}

interface StoreContext {
  readonly host: Pick<Host, 'extension'>;
  readonly log: Logger;
  readonly clock: Clock;
}

/**
 * Where positions are kept: in the storage, in what the leader leaves to the next, in both (then what is further counts),
 * or nowhere.
 *
 * @param owner id of the receiver as otelcol knows it, so that its versions are found
 */
export async function openPositionStore(
  { storage, elector }: { readonly storage: string | undefined; readonly elector: string | undefined },
  owner: string,
  ctx: StoreContext,
): Promise<PositionStore | undefined> {
  const handover = elector === undefined ? undefined : electorOf(ctx.host, elector).handover;
  const client = storage === undefined ? undefined : await storageClient(storage, owner, ctx);
  if (!client && !handover) return undefined;
  return new PositionStore(client, ctx.log, () => ctx.clock.monotonicMs(), handover, owner);
}

function storageClient(id: string, owner: string, ctx: StoreContext): Promise<StorageClient> {
  const extension = ctx.host.extension(id);
  if (extension === undefined) throw new ConfigError(`storage client: storage extension '${id}' not found`);
  if (!isStorageExtension(extension)) throw new ConfigError(`storage client: non-storage extension '${id}' found`);
  return extension.client('receiver', owner, '');
}
