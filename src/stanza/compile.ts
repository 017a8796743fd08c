/** Operators of a configuration → one program: wiring and error handling. */
import * as z from 'zod';
import { ConfigError, type Diagnostic, messageOf } from '../core/errors.ts';
import { RateLimit } from '../core/log.ts';
import { zodWords } from '../core/zod-words.ts';
import { Emitter, type EmitterConfig, LOG_INTERVAL_MS } from './emitter.ts';
import type { Entry } from './entry.ts';
import type { EntryExpr } from './expression.ts';
import { cloneMap, cloneValue } from './field.ts';
import type { Holder, OnError, OperatorContext, OperatorDefinition, Process } from './operator.ts';
import { OPERATORS } from './operators/index.ts';
import type { Program, ProgramContext } from './program.ts';
import { severityMatch } from './severity.ts';
import { chooseWindow } from './window/choose.ts';

/** Configured operator as far as the wiring knows it. */
export interface OperatorConfig {
  readonly type: string;
  readonly id?: string | undefined;
  readonly output?: string | readonly string[] | undefined;
  readonly on_error: OnError;
  readonly if?: EntryExpr | undefined;
}

function definitionOf(config: unknown): OperatorDefinition | { error: string; key?: string } {
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    return { error: 'an operator is a map with a `type`' };
  const type = (config as Record<string, unknown>)['type'];
  if (type === undefined || type === '') return { error: 'missing required field `type`' };
  if (typeof type !== 'string') return { error: 'the type of an operator is text', key: 'type' };
  return OPERATORS.get(type) ?? { error: `unsupported type '${type}'` };
}

/** The `operators` key of a receiver. What it yields is what it got: `compileProgram` reads it again. */
export const operatorsSchema = z
  .preprocess((v) => v ?? [], z.array(z.unknown()))
  .superRefine((operators, ctx) => {
    operators.forEach((config, i) => {
      const definition = definitionOf(config);
      if ('error' in definition) {
        ctx.addIssue({ code: 'custom', path: definition.key ? [i, definition.key] : [i], message: definition.error });
        return;
      }
      const result = definition.schema.safeParse(config, { error: zodWords });
      if (result.success) return;
      // As they are, so that whoever loads the configuration sees what was wanted where.
      for (const issue of result.error.issues) ctx.addIssue({ ...issue, path: [i, ...issue.path] });
    });
  })
  .describe('Operators that each record goes through, in order');

export interface ProgramConfig extends EmitterConfig {
  readonly operators: readonly unknown[];
}

interface Stage {
  readonly index: number;
  readonly id: string;
  readonly definition: OperatorDefinition;
  readonly config: OperatorConfig;
  /** Of other stages, by position; -1 is the end of the program. */
  next: number[];
  named: ReadonlyMap<string, number>;
}

/** Throws a ConfigError with the positions of everything that is wrong. */
export async function compileProgram(config: ProgramConfig, ctx: ProgramContext): Promise<Program> {
  const stages = wire(config.operators, ctx.path);
  const emitter = new Emitter(config, ctx);
  const holders: Holder[] = [];
  const holderOf = new Map<number, Holder>();
  const first = link(stages, emitter, ctx, holders, holderOf);
  const token: Program['token'] = (source, t) => first(emitter.entry(source, t));
  const fast = chooseWindow(
    {
      operators: config.operators,
      parsed: stages.map((s) => s.config),
      groups: (index) => {
        const holder = holderOf.get(index);
        return { has: (key) => holder?.has?.(key) ?? false, release: (key) => holder?.release?.(key) };
      },
      computed: emitter.attributes.templates.length + emitter.resource.templates.length > 0,
      token,
      severityOf: severityMatch,
    },
    ctx,
  );
  return {
    baseAttributes: emitter.attributes.constant,
    baseResource: emitter.resource.constant,
    window: fast?.window,
    token,
    tick() {
      fast?.flush(false);
      for (const h of holders) h.tick();
    },
    flush() {
      fast?.flush(true);
      for (const h of holders) h.flush();
    },
    inherit: (from, to) => fast?.inherit(from, to),
    detach: (source) => fast?.detach(source),
    forget(source) {
      fast?.forget(source);
      for (const h of holders) h.forget(source);
      emitter.forget(source);
    },
  };
}

function wire(operators: readonly unknown[], path: readonly (string | number)[]): Stage[] {
  const problems: Diagnostic[] = [];
  const stages: Stage[] = [];
  const byId = new Map<string, number>();
  const explicit = new Set<string>();
  operators.forEach((raw, index) => {
    const at = [...path, 'operators', index];
    const definition = definitionOf(raw);
    if ('error' in definition) {
      problems.push({ path: definition.key ? [...at, definition.key] : at, message: definition.error });
      return;
    }
    const parsed = definition.schema.safeParse(raw);
    if (!parsed.success) {
      for (const issue of parsed.error.issues)
        problems.push({ path: [...at, ...(issue.path as (string | number)[])], message: issue.message });
      return;
    }
    const operator = parsed.data as OperatorConfig;
    if (operator.id) {
      if (explicit.has(operator.id))
        problems.push({ path: [...at, 'id'], message: `operator with id '${operator.id}' already exists in pipeline` });
      explicit.add(operator.id);
    }
    stages.push({ index, id: operator.id ?? '', definition, config: operator, next: [], named: new Map() });
  });
  if (problems.length > 0) throw new ConfigError(problems);

  const used = new Map<string, number>();
  for (const stage of stages as { id: string; index: number; config: OperatorConfig }[]) {
    if (stage.id === '') {
      const { type } = stage.config;
      let n = used.get(type) ?? 0;
      let id = n === 0 ? type : `${type}${n}`;
      while (byId.has(id) || explicit.has(id)) id = `${type}${++n}`;
      used.set(type, n + 1);
      stage.id = id;
    }
    byId.set(stage.id, stage.index);
  }

  for (const stage of stages) {
    const at = [...path, 'operators', stage.index];
    const find = (id: string, key: string): number | undefined => {
      const to = byId.get(id);
      if (to === undefined) problems.push({ path: [...at, key], message: `operator '${id}' does not exist` });
      else if (to === stage.index)
        problems.push({ path: [...at, key], message: `operator '${id}' cannot output to itself` });
      else return to;
      return undefined;
    };
    const { outputs } = stage.definition;
    if (outputs) {
      const named = new Map<string, number>();
      for (const id of outputs(stage.config)) {
        const to = find(id, 'routes');
        if (to !== undefined) named.set(id, to);
      }
      stage.named = named;
      continue;
    }
    const { output } = stage.config;
    const ids = output === undefined ? [] : typeof output === 'string' ? [output] : output;
    if (ids.length === 0) stage.next = [stage.index + 1 < stages.length ? stage.index + 1 : -1];
    else stage.next = [...new Set(ids)].flatMap((id) => find(id, 'output') ?? []);
  }
  if (problems.length > 0) throw new ConfigError(problems);

  // Operators may only lead forward to ones that do not lead back.
  const state = new Array<0 | 1 | 2>(stages.length).fill(0);
  const visit = (i: number, trail: readonly string[]): void => {
    if (i < 0 || state[i] === 2) return;
    const stage = stages[i]!;
    if (state[i] === 1) {
      const from = trail.indexOf(stage.id);
      throw new ConfigError([
        {
          path: [...path, 'operators', i],
          message: `pipeline has a circular dependency: ${[...trail.slice(from), stage.id].join(' -> ')}`,
        },
      ]);
    }
    state[i] = 1;
    for (const to of [...stage.next, ...stage.named.values()]) visit(to, [...trail, stage.id]);
    state[i] = 2;
  };
  for (let i = 0; i < stages.length; i++) visit(i, []);
  return stages;
}

/** Chains the stages from the end to the front; each closure knows what comes after it. */
function link(
  stages: readonly Stage[],
  emitter: Emitter,
  ctx: ProgramContext,
  holders: Holder[],
  holderOf: Map<number, Holder>,
): Process {
  const made = new Map<number, Process>();
  const held: { order: number; holder: Holder }[] = [];
  const end: Process = (entry) => emitter.emit(entry);
  const build = (i: number): Process => {
    if (i < 0) return end;
    let process = made.get(i);
    if (!process) made.set(i, (process = buildStage(stages[i]!)));
    return process;
  };
  const fan = (targets: readonly number[]): Process => {
    const outs = targets.map(build);
    const last = outs.pop() ?? end;
    if (outs.length === 0) return last;
    return (entry) => {
      for (const out of outs) out(copyEntry(entry));
      last(entry);
    };
  };
  const buildStage = (stage: Stage): Process => {
    const { config, definition } = stage;
    const next = fan(stage.next);
    const named = new Map([...stage.named].map(([id, to]) => [id, build(to)] as const));
    const log = ctx.log.with({ operator_id: stage.id, operator_type: definition.type });
    const limit = new RateLimit(LOG_INTERVAL_MS, () => ctx.clock.monotonicMs());
    const drop = (entry: Entry, reason: string) => emitter.drop(entry, reason);
    const quiet = config.on_error === 'send_quiet' || config.on_error === 'drop_quiet';
    const send = config.on_error === 'send' || config.on_error === 'send_quiet';
    const reason = `on_error: drop ${stage.id}`;
    const fail = (entry: Entry, error: string): void => {
      if (!quiet || log.enabled('debug')) {
        const held = limit.pass(error.slice(0, 60));
        if (held !== undefined) {
          const fields = {
            error,
            action: config.on_error,
            'entry.timestamp': entry.time.toString(),
            ...Object.fromEntries(entry.attributes),
            ...(held > 0 ? { suppressed: held } : {}),
          };
          if (quiet) log.debug('Failed to process entry', fields);
          else log.error('Failed to process entry', fields);
        }
      }
      if (send) next(entry);
      else emitter.drop(entry, reason);
    };
    const context: OperatorContext = {
      id: stage.id,
      receiver: String(ctx.path[1] ?? ''),
      telemetry: ctx.telemetry,
      log,
      clock: ctx.clock,
      next,
      output: (id) => named.get(id)!,
      fail,
      copy: copyEntry,
      drop,
      warn(message, fields) {
        const held = limit.pass(message);
        if (held !== undefined) log.warn(message, held > 0 ? { ...fields, suppressed: held } : fields);
      },
      hold: (holder) => held.push({ order: stage.index, holder }),
    };
    const inner = definition.compile(config, context);
    const condition = config.if;
    if (!condition || definition.unconditional) return inner;
    return (entry) => {
      let met: boolean;
      try {
        met = condition(entry) === true;
      } catch (error) {
        fail(entry, `running if expr: ${messageOf(error)}`);
        return;
      }
      if (met) inner(entry);
      else next(entry);
    };
  };
  for (let i = stages.length - 1; i >= 0; i--) build(i);
  // What a first operator gives out at a flush may stay in one behind it: those come later.
  for (const { holder, order } of held.sort((a, b) => a.order - b.order)) {
    holders.push(holder);
    holderOf.set(order, holder);
  }
  return stages.length > 0 ? build(0) : end;
}

/** The copy counts as a record of its own without bytes, so that bytes add up. */
function copyEntry(entry: Entry): Entry {
  return {
    ...entry,
    body: cloneValue(entry.body),
    attributes: cloneMap(entry.attributes),
    resource: cloneMap(entry.resource),
    bytes: 0,
  };
}
