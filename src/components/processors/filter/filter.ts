/**
 * Drops what conditions say. Conditions are looked at from the resource down to the record, and what the resource decides is
 * decided once for each; kept records keep their bytes, and dropped ones are settled as filtered when the next stage has
 * accepted the others.
 */
import { type Batch, filtered, type Group, makeBatch, type Part } from '../../../core/batch.ts';
import type { Processor, ProcessorContext } from '../../../core/component.ts';
import type { Message } from '../../../core/edit/message.ts';
import { type MetricCursor, rewriteMetrics } from '../../../core/edit/metrics.ts';
import { type Rewritten, rewriteItems } from '../../../core/edit/rewrite.ts';
import { onErrorOf } from '../../../core/ottl/errors.ts';
import { FILTER_FUNCTIONS } from '../../../core/ottl/functions/filter.ts';
import {
  anyHolds,
  type ContextName,
  compileProgram,
  Env,
  type OnError,
  type Program,
  resourceHolds,
} from '../../../core/ottl/ottl.ts';
import type { Resource } from '../../../core/resource.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { CONTEXTS, type ConditionGroup, type FilterConfig, instrument } from './index.ts';
import { type Drop, legacyDrop } from './legacy.ts';

interface Rule {
  readonly program: Program;
  readonly onError: OnError;
}

/** All groups of a signal, old keys and new ones. */
function groupsOf(config: FilterConfig, signal: ProcessorContext['signal']): ConditionGroup[] {
  const old = (context: ContextName, conditions: readonly string[]): ConditionGroup[] =>
    conditions.length > 0 ? [{ context, error_mode: undefined, conditions }] : [];
  if (signal === 'logs')
    return [...old('resource', config.logs.resource), ...old('log', config.logs.log_record), ...config.log_conditions];
  if (signal === 'traces') {
    const { resource, span, spanevent } = config.traces;
    return [
      ...old('resource', resource),
      ...old('span', span),
      ...old('spanevent', spanevent),
      ...config.trace_conditions,
    ];
  }
  const { resource, metric, datapoint } = config.metrics;
  return [
    ...old('resource', resource),
    ...old('metric', metric),
    ...old('datapoint', datapoint),
    ...config.metric_conditions,
  ];
}

export function makeFilter(config: FilterConfig, ctx: ProcessorContext): Processor {
  const { signal, next, id } = ctx;
  const rules = groupsOf(config, signal).map((group): Rule => {
    const program = compileProgram(
      { statements: [], conditions: group.conditions },
      { context: group.context, contexts: CONTEXTS[signal], functions: FILTER_FUNCTIONS },
    );
    return { program, onError: onErrorOf(group.error_mode ?? config.error_mode, 'condition', ctx.log, ctx.clock) };
  });
  const legacy = legacyDrop(config, signal, id);
  const env = new Env(ctx.clock);
  const scratch = new ProtoWriter(64 * 1024);
  const children = new ProtoWriter(4096);
  const outcome = filtered(`filter ${id}`);
  const counter = ctx.telemetry.counter(instrument(signal), { filter: id });

  /** Whether a rule of this context drops what `env` stands on; undefined when there is no such rule. */
  const dropsIn = (context: ContextName): (() => boolean) | undefined => {
    const own = rules.filter((r) => r.program.context === context);
    if (own.length === 0) return undefined;
    return () => {
      for (const { program, onError } of own) {
        env.clearCache();
        if (anyHolds(program, env, onError)) return true;
      }
      return false;
    };
  };
  const resource = dropsIn('resource');
  const scope = dropsIn('scope');
  const record = dropsIn(signal === 'logs' ? 'log' : 'span');
  const spanevent = dropsIn('spanevent');
  const metric = dropsIn('metric');
  const datapoint = dropsIn('datapoint');

  /** The events that stay; undefined when all do. */
  const events = (span: Message): Uint8Array | undefined => {
    const ranges = span.children;
    children.reset();
    let dropped = 0;
    for (let i = 0; i < ranges.length; i += 2) {
      env.spanevent.bind(span.buf, ranges[i]!, ranges[i + 1]!);
      env.eventIndex = i / 2;
      if (spanevent!()) dropped++;
      else children.bytes(11, span.buf.subarray(ranges[i]!, ranges[i + 1]!));
    }
    return dropped > 0 ? children.finish() : undefined;
  };

  const records = (group: Group): Rewritten | undefined => {
    if (!record && !spanevent && !legacy) return undefined;
    const message = signal === 'logs' ? env.log : env.span;
    const visit = (m: Message): boolean => !record?.() && !legacy?.(m, group);
    return rewriteItems(group, message, scratch, visit, spanevent ? events : undefined);
  };

  const metrics = (group: Group): Rewritten | undefined => {
    if (!metric && !datapoint && !legacy) return undefined;
    const drops: Drop | undefined = legacy;
    return rewriteMetrics(group, env.metrics, scratch, {
      metric: (c: MetricCursor) => !metric?.() && !drops?.(c.metric, group),
      ...(datapoint ? { point: () => !datapoint() } : {}),
    });
  };

  /** In the order of their turns, when nothing but these says what is dropped. */
  const deciding =
    legacy || spanevent || metric || datapoint || scope
      ? rules.filter((r) => r.program.context === 'resource')
      : [...rules].sort((a, b) => Number(b.program.context === 'resource') - Number(a.program.context === 'resource'));
  const isAll = deciding.length === rules.length && !legacy;
  /** By resource: one pod has many groups, of a few records each. */
  const decided = new WeakMap<Resource, boolean | 'look'>();
  /** Whether all records of the resource go, or stay; 'look': a matter of the records. */
  const ofResource = (resource: Resource): boolean | 'look' => {
    let known = decided.get(resource);
    if (known !== undefined) return known;
    env.beginResource(resource);
    known = isAll ? false : 'look';
    for (const { program } of deciding) {
      const drops = resourceHolds(program, env);
      if (drops === false) continue;
      known = drops ?? 'look';
      break;
    }
    decided.set(resource, known);
    return known;
  };
  const dropAll = ({ parts, count }: Group): Rewritten => ({ group: undefined, dropped: parts, droppedCount: count });

  const visit = (group: Group): Rewritten => {
    const known = ofResource(group.resource);
    if (known !== 'look') return known ? dropAll(group) : { group, dropped: [], droppedCount: 0 };
    env.beginResource(group.resource);
    env.beginScope(group.scope);
    if (resource?.() || scope?.()) return dropAll(group);
    return (signal === 'metrics' ? metrics(group) : records(group)) ?? { group, dropped: [], droppedCount: 0 };
  };

  return {
    async consume(batch: Batch) {
      const groups: Group[] = [];
      const dropped: Part[] = [];
      let droppedCount = 0;
      for (const g of batch.groups) {
        const out = visit(g);
        if (out.group) groups.push(out.group);
        for (const p of out.dropped) dropped.push(p);
        droppedCount += out.droppedCount;
      }
      const isSame =
        droppedCount === 0 && groups.length === batch.groups.length && groups.every((g, i) => g === batch.groups[i]);
      if (groups.length > 0)
        await next.consume(isSame ? batch : makeBatch(batch.signal, groups, batch.metadata, batch.peer));
      // Only now: had the next stage refused, the caller would still own all records.
      if (droppedCount > 0) counter.add(droppedCount);
      for (const p of dropped) p.ack.settle(p.records, p.bytes, outcome);
    },
  };
}
