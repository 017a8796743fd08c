/** Tokens → entries, and entries → encoded records: the two ends of a program. */
import { filtered } from '../core/batch.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import { RateLimit } from '../core/log.ts';
import { type Resource, resourceOf, type Scope, scopeOf } from '../core/resource.ts';
import type { ReadonlyValueMap, Value, ValueMap } from '../wire/otlp.ts';
import { writeLogRecord } from '../wire/otlp-logs.ts';
import { ProtoWriter } from '../wire/proto.ts';
import type { Entry } from './entry.ts';
import { compileTemplate, type Template } from './expression.ts';
import type { ProgramContext, Token } from './program.ts';
import { severityName } from './severity.ts';
import type { Source } from './source.ts';

/** Same messages are logged once in so long. */
export const LOG_INTERVAL_MS = 10_000;

export interface EmitterConfig {
  readonly attributes: Readonly<Record<string, string>>;
  readonly resource: Readonly<Record<string, string>>;
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
export class Emitter {
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

  constructor(config: EmitterConfig, ctx: ProgramContext) {
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
