/** The labels of series: from attributes of the point, the resource and the scope, and from the configuration. */
import { valueText } from '../../../core/edit/values.ts';
import type { Resource, Scope } from '../../../core/resource.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import type { Label } from '../../../wire/remote-write.ts';
import { labelName } from './naming.ts';

export interface LabelRules {
  /** Names stay as they are. */
  readonly utf8: boolean;
  /** Which resource attributes are put on every series. */
  readonly promote: (attribute: string) => boolean;
  /** With names as they go out. */
  readonly externalLabels: ReadonlyMap<string, string>;
  readonly scopeInfo: boolean;
}

/** What all series of one resource and scope share. */
export interface ContextLabels {
  /** Under their own names: they replace attributes of points. */
  readonly promoted: ReadonlyMap<string, string>;
  /** job and instance, where the resource has them. */
  readonly identity: ReadonlyMap<string, string>;
  readonly scope: ReadonlyMap<string, string>;
}

const SERVICE_ATTRIBUTES: readonly string[] = ['service.namespace', 'service.name', 'service.instance.id'];
export const isServiceAttribute = (name: string): boolean => SERVICE_ATTRIBUTES.includes(name);

/** Byte order of the UTF-8 text, which differs from that of JavaScript's strings beyond U+D7FF. */
export function compareNames(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    if (x >= 0xd800 && y >= 0xd800) return Buffer.compare(Buffer.from(a), Buffer.from(b));
    return x - y;
  }
  return a.length - b.length;
}

function identityOf(resource: Resource): Map<string, string> {
  const text = (key: string) => valueText(resource.attributes.get(key) ?? null);
  const name = text('service.name');
  const namespace = text('service.namespace');
  const instance = text('service.instance.id');
  const out = new Map<string, string>();
  if (name !== '') out.set('job', namespace === '' ? name : `${namespace}/${name}`);
  if (instance !== '') out.set('instance', instance);
  return out;
}

export function contextLabels(resource: Resource, scope: Scope, rules: LabelRules): ContextLabels {
  const promoted = new Map<string, string>();
  for (const [k, v] of resource.attributes) if (rules.promote(k)) promoted.set(k, valueText(v));
  const scopeLabels = new Map<string, string>();
  if (rules.scopeInfo) {
    const { name, version, attributes } = scope.fields;
    for (const [k, v] of sorted(attributes)) {
      if (k === 'name' || k === 'version' || k === 'schema_url') continue;
      const label = labelName(`otel_scope_${k}`, rules.utf8);
      if (label !== undefined) join(scopeLabels, label, valueText(v));
    }
    if (name !== '') scopeLabels.set('otel_scope_name', name);
    if (version !== '') scopeLabels.set('otel_scope_version', version);
  }
  return { promoted, identity: identityOf(resource), scope: scopeLabels };
}

const sorted = <T>(attributes: ReadonlyMap<string, T>): [string, T][] =>
  [...attributes].sort(([a], [b]) => compareNames(a, b));

/** Attributes whose names become one label stand in it side by side. */
function join(into: Map<string, string>, label: string, value: string): void {
  const before = into.get(label);
  if (before === undefined) into.set(label, value);
  else if (before !== value) into.set(label, `${before};${value}`);
}

/** Labels of a point without its name; undefined when one of its attributes has a name that cannot be told. */
export function pointLabels(
  attributes: ReadonlyValueMap,
  context: ContextLabels,
  rules: LabelRules,
): Map<string, string> | undefined {
  const own = new Map<string, string>();
  for (const [k, v] of attributes) own.set(k, valueText(v));
  for (const [k, v] of context.promoted) own.set(k, v);
  const labels = new Map<string, string>();
  for (const [k, v] of sorted(own)) {
    const name = labelName(k, rules.utf8);
    if (name === undefined) return undefined;
    join(labels, name, v);
  }
  for (const [k, v] of context.identity) labels.set(k, v);
  for (const [k, v] of rules.externalLabels) if (!labels.has(k)) labels.set(k, v);
  for (const [k, v] of context.scope) labels.set(k, v);
  return labels;
}

/** In the order in which they go out. `extra` is le or quantile; it wins over an attribute of that name. */
export function seriesLabels(labels: ReadonlyMap<string, string>, metric: string, extra?: Label): Label[] {
  const all = new Map(labels);
  all.set('__name__', metric);
  if (extra) all.set(extra[0], extra[1]);
  return sorted(all);
}

/** Labels of target_info; undefined when a resource has nothing to tell or nobody to tell it of. */
export function targetInfoLabels(
  resource: Resource,
  metric: string,
  context: ContextLabels,
  rules: LabelRules,
): Label[] | undefined {
  if (context.identity.size === 0) return undefined;
  const labels = new Map<string, string>();
  for (const [k, v] of sorted(resource.attributes)) {
    if (isServiceAttribute(k)) continue;
    const name = labelName(k, rules.utf8);
    if (name !== undefined) join(labels, name, valueText(v));
  }
  if (labels.size === 0) return undefined;
  for (const [k, v] of context.identity) labels.set(k, v);
  for (const [k, v] of rules.externalLabels) if (!labels.has(k)) labels.set(k, v);
  return seriesLabels(labels, metric);
}

/** Go's FormatFloat(v, 'f', -1, 64), as le and quantile are written. */
export function plainDecimal(v: number): string {
  if (Number.isNaN(v)) return 'NaN';
  if (!Number.isFinite(v)) return v > 0 ? '+Inf' : '-Inf';
  if (Object.is(v, -0)) return '-0';
  const text = String(v);
  const e = text.indexOf('e');
  if (e < 0) return text;
  const exponent = Number(text.slice(e + 1));
  const sign = text.startsWith('-') ? '-' : '';
  const [whole = '', fraction = ''] = text.slice(sign.length, e).split('.');
  const digits = whole + fraction;
  const point = whole.length + exponent;
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  return `${sign}${digits.padEnd(point, '0')}`;
}
