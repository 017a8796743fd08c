/** Batches to files: which file, in which form, and what becomes of records that have none. */
import { type Batch, type Group, lost, makeBatch, settleGroup } from '../../../core/batch.ts';
import type { Exporter, ExporterContext } from '../../../core/component.ts';
import { messageOf, retryable } from '../../../core/errors.ts';
import { RateLimit } from '../../../core/log.ts';
import { createDelivery } from '../../../core/queue.ts';
import { LOG_INTERVAL_MS } from '../../../core/retry.ts';
import { retryOnFailure } from '../../../core/schema.ts';
import { encoder } from './encode.ts';
import { fileSet } from './file-set.ts';
import type { FileConfig } from './index.ts';
import { pathFor } from './path.ts';

/** Upstream's file exporter has neither queue nor retries; data that can wait is tried again all the same. */
const RETRY = retryOnFailure('1s', false).parse({});

export function createFileExporter(config: FileConfig, ctx: ExporterContext): Exporter {
  const encode = encoder(ctx.signal, config);
  const files = fileSet(config, ctx);
  const delivery = createDelivery({
    ctx,
    retry: RETRY,
    onStart: () => files.open(),
    onStop: () => files.close(),
    prepare: async (batch) => {
      const pending = new Map<string, Buffer>();
      for (const [path, groups] of groupsByPath(config, batch)) pending.set(path, await encode(groups));
      return async () => {
        for (const [path, data] of pending) {
          try {
            await files.write(path, data);
          } catch (e) {
            throw retryable(`failed to write ${path}: ${messageOf(e)}`, { cause: e });
          }
          // What is written is not written again when another file fails.
          pending.delete(path);
        }
        return { rejected: 0 };
      };
    },
  });
  if (!config.group_by.enabled) return delivery;
  return withoutStrays(config, ctx, delivery);
}

function groupsByPath(config: FileConfig, batch: Batch): ReadonlyMap<string, readonly Group[]> {
  if (!config.group_by.enabled) return new Map([[config.path, batch.groups]]);
  const byPath = new Map<string, Group[]>();
  for (const g of batch.groups) {
    const path = pathFor(config, g.resource)!;
    const groups = byPath.get(path);
    if (groups) groups.push(g);
    else byPath.set(path, [g]);
  }
  return byPath;
}

/** Records whose resource names no file are lost, as upstream has it; here that is counted and told. */
function withoutStrays(config: FileConfig, ctx: ExporterContext, delivery: Exporter): Exporter {
  const attribute = config.group_by.resource_attribute;
  const limit = new RateLimit(LOG_INTERVAL_MS, () => ctx.clock.monotonicMs());
  return {
    start: () => delivery.start?.() ?? Promise.resolve(),
    stop: (deadline) => delivery.stop?.(deadline) ?? Promise.resolve(),
    async consume(batch) {
      const kept: Group[] = [];
      const strays: Group[] = [];
      for (const g of batch.groups) (pathFor(config, g.resource) === undefined ? strays : kept).push(g);
      if (strays.length === 0) return delivery.consume(batch);
      if (kept.length > 0) await delivery.consume(makeBatch(batch.signal, kept, batch.metadata));
      for (const g of strays) settleGroup(g, lost(`no resource attribute ${attribute}`));
      const heldBack = limit.pass('strays');
      if (heldBack !== undefined)
        ctx.log.warn(`Resource does not contain ${attribute} attribute, dropping it`, {
          dropped_items: strays.reduce((n, g) => n + g.count, 0),
          ...(heldBack > 0 ? { held_back: heldBack } : {}),
        });
    },
  };
}
