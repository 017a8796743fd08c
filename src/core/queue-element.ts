/** What a queue holds, and how large it is by each sizer. */
import { planRequest } from '../wire/otlp-request.ts';
import type { Batch } from './batch.ts';
import type { QueueConfig } from './schema.ts';

export interface Element {
  readonly batch: Batch;
  /** Nobody gives up on it for retryable errors. */
  readonly patient: boolean;
  /** Sends that are not over yet; at 0 the element leaves the queue. */
  pending: number;
  /** The first final failure of one of its sends. */
  failure: unknown;
  /** Shutdown came before its end was known. */
  interrupted: boolean;
  /** The store's part of leaving the queue. */
  readonly finish: (element: Element) => void;
}

export interface QueueStore {
  /** Resolves when the batch is in the queue (or delivered, with wait_for_result). */
  offer(batch: Batch): Promise<void>;
  /** The next element to send. */
  take(): Element | undefined;
  /** In units of the sizer. */
  size(): number;
  /** Takes nothing more; those who wait for space get an error. */
  close(): void;
  /** What is left is kept elsewhere, so that stopping need not send it. */
  readonly durable: boolean;
}

export type Sizer = QueueConfig['sizer'];

export const sizeOf = (batch: Batch, sizer: Sizer): number =>
  sizer === 'requests' ? 1 : sizer === 'items' ? batch.count : planRequest(batch.groups).sizeBytes;

export function endPiece(elements: readonly Element[]): void {
  for (const e of elements) if (--e.pending === 0) e.finish(e);
}
