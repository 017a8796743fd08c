/** Operators of a configuration → one program: wiring, error handling, and the encoding of what comes out. */
import * as z from 'zod';
import { filtered } from '../core/batch.ts';
import { ConfigError, type Diagnostic, messageOf } from '../core/errors.ts';
import { RateLimit } from '../core/log.ts';
import type { Resource, Scope } from '../core/resource.ts';
import { resourceOf, scopeOf } from '../core/resource.ts';
import { zodWords } from '../core/zod-words.ts';
import type { ReadonlyValueMap, Value, ValueMap } from '../wire/otlp.ts';
import { writeLogRecord } from '../wire/otlp-logs.ts';
import { ProtoWriter } from '../wire/proto.ts';
import type { Entry } from './entry.ts';
import { compileTemplate, type EntryExpr, type Template } from './expression.ts';
import { cloneMap, cloneValue } from './field.ts';
import type { Holder, OnError, OperatorContext, OperatorDefinition, Process } from './operator.ts';
import { OPERATORS } from './operators/index.ts';
import type { Program, ProgramContext, Token } from './program.ts';
import { severityMatch, severityName } from './severity.ts';
import type { Source } from './source.ts';
import { chooseWindow } from './window/choose.ts';

const LOG_INTERVAL_MS = 10_000;

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

export interface ProgramConfig {
  readonly operators: readonly unknown[];
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
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
  const first = link(stages, emitter, ctx, holders);
  const token: Program['token'] = (source, t) => first(emitter.entry(source, t));
  const fast = chooseWindow(
    {
      operators: config.operators,
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
function link(stages: readonly Stage[], emitter: Emitter, ctx: ProgramContext, holders: Holder[]): Process {
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
  for (const { holder } of held.sort((a, b) => a.order - b.order)) holders.push(holder);
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

/** Configured attributes or resource: the constant ones, and those with EXPR. */
interface Configured {
  readonly constant: ValueMap;
  readonly templates: readonly (readonly [string, Template])[];
}

function configured(values: Readonly<Record<string, string>>, path: readonly (string | number)[]): Configured {
  const constant: ValueMap = new Map();
  const templates: [string, Template][] = [];
  for (const [key, text] of Object.entries(values)) {
    let template: Template | undefined;
    try {
      template = compileTemplate(text);
    } catch (error) {
      throw new ConfigError([
        { path: [...path, key], message: `failed to compile expression ${JSON.stringify(text)}: ${messageOf(error)}` },
      ]);
    }
    if (template) templates.push([key, template]);
    else constant.set(key, text);
  }
  return { constant, templates };
}

/** Makes entries of tokens and records of entries. */
class Emitter {
  readonly attributes: Configured;
  readonly resource: Configured;
  readonly #ctx: ProgramContext;
  readonly #writer = new ProtoWriter(4096);
  readonly #scopes = new Map<string, Scope>();
  readonly #noScope: Scope = scopeOf();
  readonly #limit: RateLimit;
  readonly #filtered = new Map<string, ReturnType<typeof filtered>>();
  readonly #resources = new WeakMap<Source, { map: ReadonlyValueMap; resource: Resource }>();
  #lastMs = 0;
  #lastNano = 0n;

  constructor(config: ProgramConfig, ctx: ProgramContext) {
    this.#ctx = ctx;
    this.attributes = configured(config.attributes, [...ctx.path, 'attributes']);
    this.resource = configured(config.resource, [...ctx.path, 'resource']);
    this.#limit = new RateLimit(LOG_INTERVAL_MS, () => ctx.clock.monotonicMs());
  }

  entry(source: Source, token: Token): Entry {
    const { buf, start, end } = token;
    const entry: Entry = {
      time: 0n,
      observedTime: this.#now(),
      severityNumber: 0,
      severityText: '',
      // Node decodes as WHATWG says: one U+FFFD for each maximal broken piece, a BOM is kept.
      body: token.raw ? new Uint8Array(buf.subarray(start, end)) : buf.toString('utf8', start, end),
      attributes: new Map(source.attributes),
      resource: new Map(source.resource),
      scopeName: '',
      traceId: undefined,
      spanId: undefined,
      flags: 0,
      source,
      offset: token.offset,
      bytes: token.bytes,
      trimmed: token.untrimmedEnd > end ? buf.toString('latin1', end, token.untrimmedEnd) : '',
    };
    if (token.extra) for (const [k, v] of token.extra) entry.attributes.set(k, v);
    if (this.attributes.templates.length > 0) this.#fill(entry, this.attributes, entry.attributes, source.attributes);
    if (this.resource.templates.length > 0) this.#fill(entry, this.resource, entry.resource, source.resource);
    return entry;
  }

  /** File attributes win over configured ones. One that cannot be computed is left out: the record is worth more. */
  #fill(entry: Entry, from: Configured, into: ValueMap, over: ReadonlyValueMap): void {
    for (const [key, template] of from.templates) {
      if (over.has(key)) continue;
      try {
        into.set(key, template(entry));
      } catch (error) {
        const held = this.#limit.pass(key);
        if (held === undefined) continue;
        this.#ctx.log.error('Failed to compute attribute', {
          attribute: key,
          error: messageOf(error),
          ...(held > 0 ? { suppressed: held } : {}),
        });
      }
    }
  }

  #now(): bigint {
    const ms = this.#ctx.clock.nowMs();
    if (ms !== this.#lastMs) {
      this.#lastMs = ms;
      this.#lastNano = this.#ctx.clock.nowUnixNano();
    }
    return this.#lastNano;
  }

  emit(entry: Entry): void {
    if (entry.severityNumber !== 0 && entry.severityText === '')
      entry.severityText = severityName(entry.severityNumber);
    const { sink } = this.#ctx;
    const { source } = entry;
    const w = this.#writer;
    w.reset();
    writeLogRecord(w, entry);
    const size = w.pos;
    sink.open(source, this.#resourceOf(source, entry.resource), this.#scopeOf(entry.scopeName));
    sink.reserve(size);
    w.buf.copy(sink.mem, sink.pos, 0, size);
    sink.wrote(sink.pos + size, 1, entry.bytes);
  }

  drop(entry: Entry, reason: string): void {
    let outcome = this.#filtered.get(reason);
    if (!outcome) this.#filtered.set(reason, (outcome = filtered(reason)));
    const { range } = entry.source;
    range.add(1);
    range.settle(1, entry.bytes, outcome);
  }

  forget(source: Source): void {
    this.#resources.delete(source);
  }

  /** Entries of a file mostly share their resource: the last one is compared before another is made. */
  #resourceOf(source: Source, map: ReadonlyValueMap): Resource {
    const last = this.#resources.get(source);
    if (last && sameFlat(last.map, map)) return last.resource;
    const resource = resourceOf(map);
    this.#resources.set(source, { map, resource });
    return resource;
  }

  #scopeOf(name: string): Scope {
    if (name === '') return this.#noScope;
    let scope = this.#scopes.get(name);
    if (!scope) {
      // Names come from the data; a table of them must not grow with it.
      if (this.#scopes.size >= 1000) this.#scopes.clear();
      this.#scopes.set(name, (scope = scopeOf(name)));
    }
    return scope;
  }
}

/** Same keys in the same order with the same plain values; false for anything nested. */
function sameFlat(a: ReadonlyMap<string, Value>, b: ReadonlyMap<string, Value>): boolean {
  if (a.size !== b.size) return false;
  if (a.size === 0) return true;
  const other = b[Symbol.iterator]();
  for (const [k, v] of a) {
    const [k2, v2] = other.next().value as [string, Value];
    if (k !== k2 || v !== v2 || typeof v === 'object') return false;
  }
  return true;
}
