/** memory_limiter processor: holds or refuses data while the process uses too much memory. */
import * as z from 'zod';
import type { Signal } from '../../../core/batch.ts';
import { defineProcessor } from '../../../core/component.ts';
import { duration } from '../../../core/schema.ts';
import type { Instrument } from '../../../core/telemetry.ts';

const UNITS = { logs: 'log_records', metrics: 'metric_points', traces: 'spans' } as const;
const ITEMS = { logs: '{record}', metrics: '{datapoint}', traces: '{span}' } as const;

export const instrument = (outcome: 'accepted' | 'refused', signal: Signal): Instrument => ({
  name: `otelcol_processor_memory_limiter_${outcome}_${UNITS[signal]}`,
  kind: 'counter',
  help:
    outcome === 'accepted'
      ? `Number of ${UNITS[signal].replace('_', ' ')} successfully pushed into the next component in the pipeline.`
      : `Number of ${UNITS[signal].replace('_', ' ')} that were rejected by the next component in the pipeline.`,
  unit: ITEMS[signal],
});

const mib = () => z.int().min(0).default(0);
const percentage = () => z.int().min(0).default(0);

const schema = z.preprocess(
  (v) => v ?? {},
  z
    .strictObject({
      check_interval: duration().prefault(0).describe('How often memory is measured; must be set'),
      limit_mib: mib().describe('Hard limit in MiB; wins over limit_percentage'),
      spike_limit_mib: mib().describe('Hard minus soft limit; 0: a fifth of the hard limit'),
      limit_percentage: percentage().describe('Hard limit in percent of the memory of the container or machine'),
      spike_limit_percentage: percentage().describe('Hard minus soft limit; 0: a fifth of the hard limit'),
      min_gc_interval_when_soft_limited: duration()
        .prefault('10s')
        .describe('Shortest time between forced collections over the soft limit'),
      min_gc_interval_when_hard_limited: duration()
        .prefault(0)
        .describe('Shortest time between forced collections over the hard limit'),
      max_gc_interval_when_soft_limited: duration()
        .prefault('30s')
        .describe('Longest back-off of forced collections; 0: none'),
      max_gc_interval_when_hard_limited: duration()
        .prefault('30s')
        .describe('Longest back-off of forced collections; 0: none'),
      garbage_collector: z
        .strictObject({
          enabled: z.boolean().default(true).describe('Force collections of garbage'),
        })
        .prefault({})
        .describe('Forced collections'),
    })
    .superRefine((c, ctx) => {
      const refuse = (key: string, message: string): void => {
        ctx.addIssue({ code: 'custom', path: [key], message });
      };
      if (c.check_interval <= 0) refuse('check_interval', "'check_interval' must be greater than zero");
      if (c.limit_mib === 0 && c.limit_percentage === 0)
        ctx.addIssue({ code: 'custom', message: "'limit_mib' or 'limit_percentage' must be greater than zero" });
      if (c.limit_percentage > 100 || c.spike_limit_percentage > 100)
        refuse(
          c.limit_percentage > 100 ? 'limit_percentage' : 'spike_limit_percentage',
          "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or equal to hundred",
        );
      if (c.limit_mib > 0 && c.spike_limit_mib >= c.limit_mib)
        refuse('spike_limit_mib', "'spike_limit_mib' must be smaller than 'limit_mib'");
      if (c.limit_percentage > 0 && c.spike_limit_percentage >= c.limit_percentage)
        refuse('spike_limit_percentage', "'spike_limit_percentage' must be smaller than 'limit_percentage'");
      const [minSoft, minHard] = [c.min_gc_interval_when_soft_limited, c.min_gc_interval_when_hard_limited];
      const [maxSoft, maxHard] = [c.max_gc_interval_when_soft_limited, c.max_gc_interval_when_hard_limited];
      if (minSoft < minHard)
        refuse(
          'min_gc_interval_when_soft_limited',
          "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'",
        );
      if (maxSoft > 0 && maxSoft < minSoft)
        refuse(
          'max_gc_interval_when_soft_limited',
          "'max_gc_interval_when_soft_limited' must not be less than 'min_gc_interval_when_soft_limited'",
        );
      if (maxHard > 0 && maxHard < minHard)
        refuse(
          'max_gc_interval_when_hard_limited',
          "'max_gc_interval_when_hard_limited' must not be less than 'min_gc_interval_when_hard_limited'",
        );
      if (maxSoft > 0 && maxSoft < maxHard)
        refuse(
          'max_gc_interval_when_soft_limited',
          "'max_gc_interval_when_soft_limited' should be larger than 'max_gc_interval_when_hard_limited'",
        );
    }),
);
export type MemoryLimiterConfig = z.output<typeof schema>;

export default defineProcessor({
  id: 'memory_limiter',
  summary: 'Holds back files and refuses pushed data while the process uses too much memory.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: (['logs', 'metrics', 'traces'] as const).flatMap((s) => [
    instrument('accepted', s),
    instrument('refused', s),
  ]),
  create: async (config, ctx) => {
    const { makeMemoryLimiter } = await import('./processor.ts');
    return makeMemoryLimiter(config, ctx);
  },
});
