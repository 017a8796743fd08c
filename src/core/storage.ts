/** What a storage extension gives its users: a small durable key-value store per client. */

export type StorageOp =
  | { readonly op: 'set'; readonly key: string; readonly value: Uint8Array }
  | { readonly op: 'delete'; readonly key: string };

export interface StorageClient {
  get(key: string): Uint8Array | undefined;
  set(key: string, value: Uint8Array): void;
  delete(key: string): void;
  /** All or nothing, in order. */
  batch(ops: readonly StorageOp[]): void;
  /** In key order; stops when the callback returns false. */
  walk(visit: (key: string, value: Uint8Array) => boolean | undefined): void;
  close(): void;
}

/** Thrown by set and batch when the store may not grow further (max_size, disk full). */
export class StorageFullError extends Error {}

export interface StorageExtension {
  /**
   * @param kind receiver, processor, exporter, …
   * @param id component id as written in the configuration
   * @param name what the component calls the store, '' when it has only one (an exporter's queue: the signal)
   */
  client(kind: string, id: string, name: string): Promise<StorageClient>;
}

export const isStorageExtension = (x: unknown): x is StorageExtension =>
  typeof (x as StorageExtension | undefined)?.client === 'function';
