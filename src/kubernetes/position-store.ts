/** Keeps positions in a storage extension, under otelcol's keys: soon after they moved, and at once while stopping. */
import type { Clock } from '../core/clock.ts';
import type { Host } from '../core/component.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import { type Logger, RateLimit } from '../core/log.ts';
import { isStorageExtension, type StorageClient, type StorageOp } from '../core/storage.ts';

const INTERVAL_MS = 200;

/** `latestResourceVersion/pods`, `latestResourceVersion/pods.shop`. */
export const positionKey = (resource: string, namespace: string): string =>
  `latestResourceVersion/${resource}${namespace === '' ? '' : `.${namespace}`}`;

export class PositionStore {
  readonly #client: StorageClient;
  readonly #log: Logger;
  readonly #limit: RateLimit;
  readonly #changed = new Map<string, string | undefined>();
  #timer: NodeJS.Timeout | undefined;
  #isFinishing = false;
  #isSoon = false;
  #isClosed = false;

  constructor(client: StorageClient, log: Logger, nowMs: () => number) {
    this.#client = client;
    this.#log = log;
    this.#limit = new RateLimit(10_000, nowMs);
  }

  /** What is stored, when it is a version. */
  get(key: string): string | undefined {
    const bytes = this.#client.get(key);
    const text = bytes === undefined ? '' : Buffer.from(bytes).toString();
    return /^[1-9]\d*$/.test(text) ? text : undefined;
  }

  /** undefined: forgets it. */
  set(key: string, version: string | undefined): void {
    if (this.#isClosed) return;
    this.#changed.set(key, version);
    if (!this.#isFinishing) this.#timer ??= setTimeout(() => this.flush(), INTERVAL_MS);
    else if (!this.#isSoon) {
      // Once for all that settles together: the store is closed as soon as the pipeline has stopped.
      this.#isSoon = true;
      queueMicrotask(() => {
        this.#isSoon = false;
        this.flush();
      });
    }
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#changed.size === 0 || this.#isClosed) return;
    const ops = [...this.#changed].map(
      ([key, version]): StorageOp =>
        version === undefined ? { op: 'delete', key } : { op: 'set', key, value: Buffer.from(version) },
    );
    try {
      this.#client.batch(ops);
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
    this.#client.close();
  }
}

interface StoreContext {
  readonly host: Pick<Host, 'extension'>;
  readonly log: Logger;
  readonly clock: Clock;
}

/** @param owner id of the receiver as otelcol knows it, so that its versions are found. */
export async function openPositionStore(id: string, owner: string, ctx: StoreContext): Promise<PositionStore> {
  const extension = ctx.host.extension(id);
  if (extension === undefined) throw new ConfigError(`storage client: storage extension '${id}' not found`);
  if (!isStorageExtension(extension)) throw new ConfigError(`storage client: non-storage extension '${id}' found`);
  return new PositionStore(await extension.client('receiver', owner, ''), ctx.log, () => ctx.clock.monotonicMs());
}
