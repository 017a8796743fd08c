/** Requests as batches: walked to groups whose items stay views of the request. */
import { type Batch, type Group, makeBatch, type Part, type Signal } from '../../../core/batch.ts';
import { resourceFromBytes, scopeFromBytes } from '../../../core/resource.ts';
import { decodeRequest } from '../../../wire/otlp-request.ts';

const NO_PARTS: readonly Part[] = [];

/** Throws a ProtoError when `request` is no ExportRequest of the signal. */
export function batchFromRequest(signal: Signal, request: Uint8Array, metadata: Batch['metadata']): Batch {
  const groups = decodeRequest(signal, request).map(
    (g): Group => ({
      resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
      scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
      items: g.items,
      messages: g.messages,
      count: g.count,
      parts: NO_PARTS,
    }),
  );
  return makeBatch(signal, groups, metadata);
}
