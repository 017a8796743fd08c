/** Match properties of include and exclude blocks: which records, spans and metrics a processor acts on. */
import * as z from 'zod';
import type { Value } from '../../wire/otlp.ts';
import type { Signal } from '../batch.ts';
import { tryRegex } from '../regex.ts';
import type { Resource, Scope } from '../resource.ts';
import { section } from '../schema.ts';
import { Key, type LazyMap } from './lazy-map.ts';
import type { Message } from './message.ts';
import { equalValues, toValue, valueText } from './values.ts';

export const attributeList = (what: string) =>
  z
    .array(
      z.strictObject({
        key: z.string().describe('Name of the attribute'),
        value: z.unknown().optional().describe('Value to match; without it the attribute must only be there'),
      }),
    )
    .default([])
    .describe(what);
export const texts = (what: string) => z.array(z.string()).default([]).describe(what);

export const matchSchema = () =>
  section(
    z.strictObject({
      match_type: z.enum(['strict', 'regexp']).describe('Whether texts are compared or are regular expressions'),
      regexp: section(
        z.strictObject({
          cacheenabled: z.boolean().default(false).describe('Accepted without effect'),
          cachemaxnumentries: z.int().default(0).describe('Accepted without effect'),
        }),
      )
        .optional()
        .describe('Accepted for compatibility'),
      services: texts('Spans: service.name of the resource is one of these'),
      span_names: texts('Spans: the name is one of these'),
      span_kinds: texts('Spans: the kind is one of these, e.g. SPAN_KIND_SERVER'),
      log_bodies: texts('Logs: the body is text and one of these'),
      log_severity_texts: texts('Logs: the severity text is one of these'),
      log_severity_number: section(
        z.strictObject({
          min: z.union([z.int(), z.string()]).default(0).describe('Lowest severity number'),
          match_undefined: z.boolean().default(false).describe('Records without severity match too'),
        }),
      )
        .optional()
        .describe('Logs: the severity'),
      metric_names: texts('Metrics: the name is one of these'),
      attributes: attributeList('Attributes that must all match'),
      resources: attributeList('Resource attributes that must all match'),
      libraries: z
        .array(
          z.strictObject({
            name: z.string().describe('Name of the scope'),
            version: z.string().optional().describe('Version of the scope; without it any'),
          }),
        )
        .default([])
        .describe('The scope is one of these'),
    }),
  );
export type MatchConfig = z.output<ReturnType<typeof matchSchema>>;

/** Keys that mean something for each signal. */
const KEYS: Readonly<Record<Signal, readonly (keyof MatchConfig)[]>> = {
  logs: ['log_bodies', 'log_severity_texts', 'log_severity_number', 'attributes', 'resources', 'libraries'],
  traces: ['services', 'span_names', 'span_kinds', 'attributes', 'resources', 'libraries'],
  metrics: ['metric_names', 'resources'],
};
const ALL_KEYS = [...new Set(Object.values(KEYS).flat())];
const isGiven = (v: unknown): boolean => (Array.isArray(v) ? v.length > 0 : v !== undefined);

/** What is wrong with these properties for a signal; undefined when nothing is. */
export function matchComplaint(c: MatchConfig, signal: Signal): string | undefined {
  const item = { logs: 'log', traces: 'span', metrics: 'metric' }[signal];
  for (const key of ALL_KEYS)
    if (isGiven(c[key]) && !KEYS[signal].includes(key)) return `${key} should not be specified for ${item} records`;
  if (!KEYS[signal].some((key) => isGiven(c[key])))
    return `at least one of ${KEYS[signal].map((k) => JSON.stringify(k)).join(', ')} must be specified`;
  if (c.match_type === 'regexp') {
    const patterns = [
      ...c.services,
      ...c.span_names,
      ...c.span_kinds,
      ...c.log_bodies,
      ...c.log_severity_texts,
      ...c.metric_names,
    ];
    for (const p of patterns) {
      const regex = tryRegex(p);
      if ('error' in regex) return regex.error;
    }
    for (const { key, value } of [...c.attributes, ...c.resources]) {
      if (value === undefined || value === null) continue;
      if (typeof value !== 'string')
        return `error creating filters: match_type=regexp for ${JSON.stringify(key)} only supports string values`;
      const regex = tryRegex(value);
      if ('error' in regex) return regex.error;
    }
  }
  if (severityMin(c) === undefined) return `unknown severity ${JSON.stringify(c.log_severity_number?.min)}`;
  return undefined;
}

const SEVERITIES = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

function severityMin(c: MatchConfig): number | undefined {
  const min = c.log_severity_number?.min ?? 0;
  if (typeof min === 'number') return min;
  const m = /^([a-z]+)([2-4]?)$/i.exec(min);
  const i = SEVERITIES.indexOf(m?.[1]?.toLowerCase() ?? '');
  if (i >= 0) return i * 4 + Number(m![2] || 1);
  return /^\d+$/.test(min) ? Number(min) : undefined;
}

export interface Matched {
  readonly resource: Resource;
  readonly scope: Scope;
  /** The record, span or metric. */
  readonly message: Message;
  /** Of the record, span or point. */
  readonly attributes: LazyMap | undefined;
}
export type Matcher = (m: Matched) => boolean;

export function compileMatch(c: MatchConfig, signal: Signal): Matcher {
  const isRegex = c.match_type === 'regexp';
  const anyOf = (list: readonly string[]): ((text: string) => boolean) => {
    if (!isRegex) {
      const set = new Set(list);
      return (text) => set.has(text);
    }
    const regexes = list.map((p) => tryRegex(p)).filter((r) => !('error' in r));
    return (text) => regexes.some((r) => 'test' in r && r.test(text));
  };
  const valueTest = (wanted: unknown): ((v: Value) => boolean) => {
    if (wanted === undefined || wanted === null) return () => true;
    if (isRegex) {
      const test = anyOf([String(wanted)]);
      return (v) => test(valueText(v));
    }
    const value = toValue(wanted);
    return (v) => equalValues(v, value) || (typeof v === 'number' && typeof value === 'bigint' && v === Number(value));
  };
  const tests: Matcher[] = [];
  if (c.services.length > 0) {
    const test = anyOf(c.services);
    tests.push((m) => {
      const name = m.resource.attributes.get('service.name');
      return test(name === undefined ? '<nil-service-name>' : valueText(name));
    });
  }
  for (const { key, value } of c.resources) {
    const test = valueTest(value);
    tests.push((m) => {
      const v = m.resource.attributes.get(key);
      return v !== undefined && test(v);
    });
  }
  if (c.libraries.length > 0) {
    const list = c.libraries.map((l) => ({
      name: anyOf([l.name]),
      version: l.version === undefined ? undefined : anyOf([l.version]),
    }));
    tests.push(({ scope: { fields } }) =>
      list.some((l) => l.name(fields.name) && (l.version === undefined || l.version(fields.version))),
    );
  }
  if (signal === 'traces') {
    if (c.span_names.length > 0) {
      const test = anyOf(c.span_names);
      tests.push((m) => test(m.message.get(5, 'string') as string));
    }
    if (c.span_kinds.length > 0) {
      const test = anyOf(c.span_kinds);
      tests.push((m) => {
        const kind = SPAN_KINDS[Number(m.message.get(6, 'varint'))] ?? '';
        return test(`SPAN_KIND_${kind.toUpperCase()}`) || test(kind);
      });
    }
  }
  if (signal === 'logs') {
    if (c.log_severity_texts.length > 0) {
      const test = anyOf(c.log_severity_texts);
      tests.push((m) => test(m.message.get(3, 'string') as string));
    }
    const severity = c.log_severity_number;
    if (severity) {
      const min = severityMin(c) ?? 0;
      tests.push((m) => {
        const n = Number(m.message.get(2, 'varint'));
        return n === 0 ? severity.match_undefined : n >= min;
      });
    }
    if (c.log_bodies.length > 0) {
      const test = anyOf(c.log_bodies);
      tests.push((m) => {
        const body = m.message.get(5, 'any');
        return typeof body === 'string' && test(body);
      });
    }
  }
  if (signal === 'metrics' && c.metric_names.length > 0) {
    const test = anyOf(c.metric_names);
    tests.push((m) => test(m.message.get(1, 'string') as string));
  }
  for (const { key, value } of c.attributes) {
    const k = new Key(key);
    const test = valueTest(value);
    tests.push((m) => {
      const v = m.attributes?.getKey(k);
      return v !== undefined && test(v);
    });
  }
  return (m) => {
    for (const test of tests) if (!test(m)) return false;
    return true;
  };
}

const SPAN_KINDS = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'];

/** include and exclude together: whether the processor acts. */
export function compileInclude(
  include: MatchConfig | undefined,
  exclude: MatchConfig | undefined,
  signal: Signal,
): Matcher {
  const wanted = include && compileMatch(include, signal);
  const unwanted = exclude && compileMatch(exclude, signal);
  return (m) => (!wanted || wanted(m)) && !unwanted?.(m);
}
