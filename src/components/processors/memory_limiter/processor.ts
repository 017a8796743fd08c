/** The processor in front of a shared limiter: files wait, push senders get an error that they may retry. */
import type { Batch } from '../../../core/batch.ts';
import { type Processor, type ProcessorContext, STOPPING } from '../../../core/component.ts';
import { retryable } from '../../../core/errors.ts';
import { findCollector } from './collect.ts';
import { instrument, type MemoryLimiterConfig } from './index.ts';
import { Limiter, limitsOf } from './limiter.ts';
import { totalMemory } from './total-memory.ts';

const UNAVAILABLE = 14;

export function makeMemoryLimiter(config: MemoryLimiterConfig, ctx: ProcessorContext, usage = bytesInUse): Processor {
  const limiter = ctx.host.shared(
    `memory_limiter/${ctx.id}`,
    () =>
      new Limiter({
        config,
        limits: limitsOf(config, totalMemory),
        clock: ctx.clock,
        log: ctx.log,
        usage,
        room: () => ({ totalBytes: totalMemory(), runtimeBytes: runtimeBytes() }),
        collect: findCollector(),
      }),
  );
  // Aborted when the whole service begins to stop: callers must come down then.
  const stopping = ctx.host.shared(STOPPING, () => new AbortController()).signal;
  const labels = { processor: ctx.id };
  const accepted = ctx.telemetry.counter(instrument('accepted', ctx.signal), labels);
  const refused = ctx.telemetry.counter(instrument('refused', ctx.signal), labels);
  let isRunning = false;

  return {
    async start() {
      isRunning = true;
      limiter.start();
    },
    async stop() {
      if (isRunning) limiter.stop();
      isRunning = false;
    },
    async consume(batch: Batch) {
      limiter.take(batch.sizeBytes);
      if (limiter.isRefusing && batch.patient) await limiter.passable(stopping);
      if (limiter.isRefusing) {
        refused.add(batch.count);
        throw retryable('data refused due to high memory usage', { grpcCode: UNAVAILABLE });
      }
      accepted.add(batch.count);
      await ctx.next.consume(batch);
    },
  };
}

/** Heap in use and what buffers hold outside of it (`external` includes them); not pages that the runtime keeps free. */
function bytesInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Code, stacks, free pages: resident, but neither heap in use nor buffers. */
function runtimeBytes(): number {
  const { rss, heapUsed, external } = process.memoryUsage();
  return Math.max(0, rss - heapUsed - external);
}
