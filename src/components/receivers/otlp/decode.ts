/** Requests as batches: walked to groups whose items stay views of the request. */
import { type Ack, type Batch, type Group, makeBatch, type Part, type Signal } from '../../../core/batch.ts';
import { resourceFromBytes, scopeFromBytes } from '../../../core/resource.ts';
import { decodeRequest } from '../../../wire/otlp-request.ts';

const NO_PARTS: readonly Part[] = [];

/**
 * Throws a ProtoError when `request` is no ExportRequest of the signal. `free` is called when all records are settled
 * and `request` is not needed any more; never when there are metrics without points, of which nobody is told.
 */
export function batchFromRequest(
  signal: Signal,
  request: Uint8Array,
  metadata: Batch['metadata'],
  free?: () => void,
  peer?: string,
): Batch {
  const decoded = decodeRequest(signal, request);
  const ack = free && decoded.every((g) => g.everyCounts) ? memoryAck(decoded, free) : undefined;
  const groups = decoded.map(
    (g): Group => ({
      resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
      scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
      items: g.items,
      messages: g.messages,
      count: g.count,
      parts: ack ? [{ ack, records: g.count, bytes: 0 }] : NO_PARTS,
    }),
  );
  return makeBatch(signal, groups, metadata, peer && plainAddress(peer));
}

/** IPv4 as such, also when the socket is one for both versions. */
const plainAddress = (address: string): string =>
  address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;

function memoryAck(groups: readonly { readonly count: number }[], free: () => void): Ack {
  let left = groups.reduce((n, g) => n + g.count, 0);
  return {
    patient: false,
    isMemory: true,
    settle(records) {
      left -= records;
      if (left === 0) free();
    },
  };
}
