/** Groups of a batch as OTLP nests them: neighbours of one resource together, and in them neighbours of one scope. */
import type { Batch } from '../../../core/batch.ts';
import type { Resource, Scope } from '../../../core/resource.ts';

export interface NestedScope {
  readonly scope: Scope;
  readonly items: Uint8Array[];
}

export interface NestedResource {
  readonly resource: Resource;
  readonly scopes: NestedScope[];
}

export function nest(batch: Batch): NestedResource[] {
  const out: NestedResource[] = [];
  for (const g of batch.groups) {
    let r = out.at(-1);
    if (r?.resource !== g.resource) out.push((r = { resource: g.resource, scopes: [] }));
    let s = r.scopes.at(-1);
    if (s?.scope !== g.scope) r.scopes.push((s = { scope: g.scope, items: [] }));
    s.items.push(g.items);
  }
  return out;
}
