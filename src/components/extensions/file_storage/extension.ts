/** The extension: makes the directory, opens one store per client, looks for rebound, closes all at the end. */
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ComponentContext, Extension } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Store } from '../../../core/sqlite-store.ts';
import type { StorageClient, StorageExtension } from '../../../core/storage.ts';
import { directoryProblem, fileName } from './directory.ts';
import type { FileStorageConfig } from './index.ts';
import { openStore } from './open.ts';

const MIB = 1 << 20;

export class FileStorage implements Extension, StorageExtension {
  readonly #config: FileStorageConfig;
  readonly #ctx: ComponentContext;
  readonly #stores = new Map<string, Store>();
  /** Paths open in this process: a second open and close of a file would drop the first one's kernel lock. */
  readonly #held: Set<string>;
  #timer: NodeJS.Timeout | undefined;

  constructor(config: FileStorageConfig, ctx: ComponentContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#held = ctx.host.shared('file_storage/held', () => new Set<string>());
  }

  async start(): Promise<void> {
    const { directory, create_directory, directory_permissions, compaction } = this.#config;
    const wanted = compaction.on_start ? [directory, compaction.directory] : [directory];
    for (const dir of wanted) {
      if (create_directory) mkdirSync(dir, { recursive: true, mode: Number.parseInt(directory_permissions, 8) });
      const problem = directoryProblem(dir, false);
      if (problem) throw new Error(problem);
    }
    if (compaction.cleanup_on_start) this.#cleanUp(compaction.directory);
    if (compaction.on_rebound) {
      this.#timer = setInterval(() => this.#rebound(), compaction.check_interval);
      this.#timer.unref();
    }
  }

  #cleanUp(directory: string): void {
    try {
      for (const name of readdirSync(directory)) if (name.startsWith('tempdb')) unlinkSync(join(directory, name));
    } catch (error) {
      this.#ctx.log.warn('could not remove temporary files of an earlier compaction', {
        directory,
        error: messageOf(error),
      });
    }
  }

  async client(kind: string, id: string, name: string): Promise<StorageClient> {
    const path = join(this.#config.directory, fileName(kind, id, name));
    const store = await openStore(path, this.#held, this.#config, this.#ctx);
    this.#stores.set(path, store);
    return {
      get: (key) => store.get(key),
      set: (key, value) => store.set(key, value),
      delete: (key) => store.delete(key),
      batch: (ops) => store.batch(ops),
      walk: (visit) => store.walk(visit),
      close: () => this.#close(path, store),
    };
  }

  #close(path: string, store: Store): void {
    if (this.#stores.get(path) !== store) return;
    this.#stores.delete(path);
    this.#held.delete(path);
    store.close();
  }

  #rebound(): void {
    const { rebound_needed_threshold_mib, rebound_trigger_threshold_mib } = this.#config.compaction;
    for (const [path, store] of this.#stores) {
      try {
        const { totalBytes, liveBytes } = store.size();
        if (totalBytes < rebound_needed_threshold_mib * MIB || liveBytes > rebound_trigger_threshold_mib * MIB)
          continue;
        store.compact();
        this.#ctx.log.info('finished compaction', { path, before: totalBytes, after: store.size().totalBytes });
      } catch (error) {
        this.#ctx.log.warn('compaction failure', { path, error: messageOf(error) });
      }
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (const [path, store] of [...this.#stores]) {
      try {
        this.#close(path, store);
      } catch (error) {
        this.#ctx.log.warn('could not close a store', { path, error: messageOf(error) });
      }
    }
  }
}
