/**
 * Runs groups of statements one after another over a batch. Statements of the resource context run once per resource,
 * the others decode only what they look at, and only records that changed are written again.
 */
import { type Batch, type Group, makeBatch } from '../../../core/batch.ts';
import type { Processor, ProcessorContext } from '../../../core/component.ts';
import type { Message } from '../../../core/edit/message.ts';
import { rewriteMetrics } from '../../../core/edit/metrics.ts';
import { bufferOf, rewriteItems } from '../../../core/edit/rewrite.ts';
import { SlabWriter } from '../../../core/edit/slab-writer.ts';
import { onErrorOf } from '../../../core/ottl/errors.ts';
import { TRANSFORM_FUNCTIONS } from '../../../core/ottl/functions/metrics.ts';
import { compileProgram, Env, type OnError, type Program, runProgram } from '../../../core/ottl/ottl.ts';
import type { Resource } from '../../../core/resource.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { CONTEXTS, type TransformConfig } from './index.ts';

interface Step {
  readonly program: Program;
  readonly onError: OnError;
  /** Results of pure resource statements. */
  readonly known: WeakMap<Resource, Resource> | undefined;
}

const LISTS = { logs: 'log_statements', metrics: 'metric_statements', traces: 'trace_statements' } as const;

export function makeTransform(config: TransformConfig, ctx: ProcessorContext): Processor {
  const { signal, next } = ctx;
  const steps = config[LISTS[signal]].map((group): Step => {
    const program = compileProgram(group, {
      context: group.context,
      contexts: CONTEXTS[signal],
      functions: TRANSFORM_FUNCTIONS,
    });
    return {
      program,
      onError: onErrorOf(group.error_mode ?? config.error_mode, 'statement', ctx.log, ctx.clock),
      known: program.context === 'resource' && program.isPure ? new WeakMap() : undefined,
    };
  });
  const passes = passesOf(steps);
  const env = new Env(ctx.clock);
  const scratch = new SlabWriter(64 * 1024);
  const children = new ProtoWriter(4096);

  const run = (pass: readonly Step[]): void => {
    for (const { program, onError } of pass) {
      env.clearCache();
      runProgram(program, env, onError);
    }
  };

  const resourceOf = (pass: readonly Step[], resource: Resource): Resource => {
    const { known } = pass[0]!;
    const before = known?.get(resource);
    if (before) return before;
    env.beginResource(resource);
    run(pass);
    const after = env.endResource(resource);
    known?.set(resource, after);
    return after;
  };

  const events = (pass: readonly Step[], span: Message): Uint8Array | undefined => {
    const ranges = span.children;
    if (ranges.length === 0) return undefined;
    children.reset();
    let changed = false;
    for (let i = 0; i < ranges.length; i += 2) {
      env.spanevent.bind(span.buf, ranges[i]!, ranges[i + 1]!);
      env.eventIndex = i / 2;
      run(pass);
      if (env.spanevent.isChanged) {
        env.spanevent.write(children, 11);
        changed = true;
      } else children.bytes(11, span.buf.subarray(ranges[i]!, ranges[i + 1]!));
    }
    return changed ? children.finish() : undefined;
  };

  const keep = (): boolean => true;
  const items = (pass: readonly Step[], group: Group): Group => {
    switch (pass[0]!.program.context) {
      case 'log':
      case 'span': {
        const message = signal === 'logs' ? env.log : env.span;
        const visit = (): boolean => {
          run(pass);
          return true;
        };
        return rewriteItems(group, message, scratch, visit).group ?? group;
      }
      case 'spanevent':
        return rewriteItems(group, env.span, scratch, keep, (span) => events(pass, span)).group ?? group;
      case 'metric':
        return metrics(pass, group);
      case 'datapoint': {
        const point = (): boolean => {
          run(pass);
          return true;
        };
        return rewriteMetrics(group, env.metrics, scratch, { point }).group ?? group;
      }
      default:
        run(pass);
        return group;
    }
  };

  /** Statements may add metrics; those are seen by all statements in turn. */
  const metrics = (pass: readonly Step[], group: Group): Group => {
    const metric = (): boolean => {
      run(pass);
      return true;
    };
    const more = (w: ProtoWriter): { messages: number; points: number } => {
      let messages = 0;
      let points = 0;
      for (let item = env.newMetrics.shift(); item; item = env.newMetrics.shift()) {
        env.metrics.bind(bufferOf(item), 0, item.length);
        // What a new metric makes in turn would not end.
        if (messages < MAX_NEW_METRICS) run(pass);
        else env.newMetrics.length = 0;
        if (env.metrics.data.isChanged) env.metrics.rewriteData();
        points += env.metrics.points;
        env.metrics.metric.write(w, 2);
        messages++;
      }
      return { messages, points };
    };
    env.newMetrics.length = 0;
    return rewriteMetrics(group, env.metrics, scratch, { metric, more }).group ?? group;
  };

  const apply = (pass: readonly Step[], groups: readonly Group[]): Group[] => {
    if (pass[0]!.program.context === 'resource')
      return groups.map((g) => {
        const resource = resourceOf(pass, g.resource);
        return resource === g.resource ? g : { ...g, resource };
      });
    const out: Group[] = [];
    // Groups side by side with one resource came as one; a change to it in one of them shows in all.
    for (let i = 0; i < groups.length; ) {
      const { resource } = groups[i]!;
      const first = out.length;
      env.beginResource(resource);
      for (; i < groups.length && groups[i]!.resource === resource; i++) {
        const g = groups[i]!;
        env.beginScope(g.scope);
        const changed = items(pass, g);
        const scope = env.endScope(g.scope);
        out.push(scope === g.scope ? changed : { ...changed, scope });
      }
      const after = env.endResource(resource);
      if (after !== resource) for (let k = first; k < out.length; k++) out[k] = { ...out[k]!, resource: after };
    }
    return out;
  };

  return {
    async consume(batch: Batch) {
      let { groups } = batch;
      for (const pass of passes) groups = apply(pass, groups);
      await next.consume(passes.length === 0 ? batch : makeBatch(batch.signal, groups, batch.metadata, batch.peer));
    },
  };
}

const MAX_NEW_METRICS = 1000;

/** Neighbours that work on the same records share a walk, unless one could see what another record's changes did. */
function passesOf(steps: readonly Step[]): Step[][] {
  const passes: Step[][] = [];
  for (const step of steps) {
    const last = passes.at(-1);
    const { context, writesShared } = step.program;
    const isMergeable =
      last?.every((s) => s.program.context === context && !s.program.writesShared) &&
      !writesShared &&
      (context === 'log' || context === 'span' || context === 'spanevent');
    if (isMergeable) last!.push(step);
    else passes.push([step]);
  }
  return passes;
}
