/** Joins records that belong together, e.g. the lines of a stack trace. */
import * as z from 'zod';
import { messageOf } from '../../core/errors.ts';
import { byteSize, duration } from '../../core/schema.ts';
import type { Entry } from '../entry.ts';
import { exprSchema } from '../expression.ts';
import { fieldSchema } from '../field.ts';
import { Held } from '../held.ts';
import { defineOperator, type Holder, operatorConfig } from '../operator.ts';

interface Batch {
  readonly held: Held;
  readonly sinceMs: number;
  readonly texts: string[];
  count: number;
  size: number;
  /** A first or last entry was seen in it. */
  matched: boolean;
}

const DEFAULT_SOURCE = 'DefaultSourceIdentifier';

export const recombine = defineOperator({
  type: 'recombine',
  summary: 'Joins consecutive records into one.',
  schema: operatorConfig({
    is_first_entry: exprSchema('bool').optional().describe('Expression that is true for the first record of a group'),
    is_last_entry: exprSchema('bool').optional().describe('Expression that is true for the last record of a group'),
    combine_field: fieldSchema().describe('Field whose texts are joined'),
    combine_with: z.string().default('\n').describe('What stands between them'),
    source_identifier: fieldSchema().prefault('attributes["log.file.path"]').describe('Field that tells sources apart'),
    overwrite_with: z.enum(['oldest', 'newest']).default('oldest').describe('Which record gives all other fields'),
    max_batch_size: z.int().min(0).default(1000).describe('Most records of a group; 0: no limit'),
    max_unmatched_batch_size: z
      .int()
      .min(0)
      .default(100)
      .describe('Most records of a group without a first or last one; 0: no limit'),
    max_sources: z.int().min(1).default(1000).describe('Groups open at once'),
    max_log_size: byteSize().prefault(0).describe('Joined text is given out when it exceeds this; 0: never'),
    force_flush_period: duration().prefault('5s').describe('A group is given out after this long'),
  }).refine((c) => (c.is_first_entry === undefined) !== (c.is_last_entry === undefined), {
    message: 'exactly one of is_first_entry and is_last_entry must be set',
  }),
  compile(config, ctx) {
    const { next, fail, clock } = ctx;
    const {
      combine_field: field,
      combine_with: glue,
      source_identifier: identifier,
      max_batch_size: maxCount,
      max_unmatched_batch_size: maxUnmatched,
    } = config;
    const firstMode = config.is_first_entry !== undefined;
    const matches = (config.is_first_entry ?? config.is_last_entry)!;
    const newest = config.overwrite_with === 'newest';
    const open = new Map<string, Batch>();

    const release = (key: string, batch: Batch): void => {
      open.delete(key);
      const entry = batch.held.release();
      if (batch.texts.length > 0) {
        const error = field.set(entry, batch.texts.length === 1 ? batch.texts[0]! : batch.texts.join(glue));
        if (error) {
          fail(entry, `set combine_field: ${error}`);
          return;
        }
      }
      next(entry);
    };
    const releaseAll = (): void => {
      for (const [key, batch] of open) release(key, batch);
    };

    const add = (key: string, entry: Entry, match: boolean): Batch => {
      let batch = open.get(key);
      if (batch) batch.held.join(entry, newest);
      else {
        if (open.size >= config.max_sources) {
          ctx.warn(
            'Batched source exceeds max source size. Flushing all batched logs. Consider increasing max_sources parameter',
          );
          releaseAll();
        }
        batch = { held: new Held(entry), sinceMs: clock.monotonicMs(), texts: [], count: 0, size: 0, matched: false };
        open.set(key, batch);
      }
      batch.matched ||= match;
      batch.count++;
      const value = field.get(entry);
      if (typeof value === 'string') {
        batch.texts.push(value);
        batch.size += Buffer.byteLength(value);
      } else
        ctx.warn('entry does not contain the combine_field, so is being sent without', { combine_field: field.text });
      const full =
        (maxCount > 0 && batch.count >= maxCount) ||
        (config.max_log_size > 0 && batch.size > config.max_log_size) ||
        (!batch.matched && maxUnmatched > 0 && batch.count >= maxUnmatched);
      if (full) release(key, batch);
      return batch;
    };

    const holder: Holder = {
      tick() {
        if (open.size === 0) return;
        const due = clock.monotonicMs() - config.force_flush_period;
        for (const [key, batch] of open) if (batch.sinceMs <= due) release(key, batch);
      },
      flush: releaseAll,
      forget(source) {
        for (const [key, batch] of open) if (batch.held.has(source)) release(key, batch);
      },
      has: (key) => open.has(key),
      release(key) {
        const batch = open.get(key);
        if (batch) release(key, batch);
      },
    };
    ctx.hold(holder);

    return (entry) => {
      let match: boolean;
      try {
        match = matches(entry) === true;
      } catch (error) {
        return fail(entry, `evaluating ${firstMode ? 'is_first_entry' : 'is_last_entry'}: ${messageOf(error)}`);
      }
      const id = identifier.get(entry);
      const key = typeof id === 'string' && id !== '' ? id : DEFAULT_SOURCE;
      if (match && firstMode) {
        const before = open.get(key);
        if (before) release(key, before);
        add(key, entry, true);
      } else if (match) {
        const batch = add(key, entry, true);
        if (open.get(key) === batch) release(key, batch);
      } else add(key, entry, false);
    };
  },
});
