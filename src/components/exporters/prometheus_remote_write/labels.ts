/** The labels of series: from attributes of the point, the resource and the scope, and from the configuration. */
import { valueText } from '../../../core/edit/values.ts';
import type { Resource, Scope } from '../../../core/resource.ts';
import { decodeResource, type ReadonlyValueMap } from '../../../wire/otlp.ts';
import type { Label } from '../../../wire/remote-write.ts';
import { labelName } from './naming.ts';

export interface LabelRules {
  /** An attribute's name as a label; undefined when it cannot be one. */
  readonly name: (attribute: string) => string | undefined;
  /** Which resource attributes are put on every series. */
  readonly promote: (attribute: string) => boolean;
  /** With names as they go out. */
  readonly externalLabels: ReadonlyMap<string, string>;
  readonly scopeInfo: boolean;
}

/** Names recur without end, so what became of them is remembered, up to a number that no real set of names reaches. */
const MAX_NAMES = 10_000;

export function labelNames(utf8: boolean): LabelRules['name'] {
  const known = new Map<string, string | undefined>();
  return (attribute) => {
    const name = known.get(attribute);
    if (name !== undefined || known.has(attribute)) return name;
    if (known.size >= MAX_NAMES) known.clear();
    const made = labelName(attribute, utf8);
    known.set(attribute, made);
    return made;
  };
}

/** What all series of one resource and scope share. */
export interface ContextLabels {
  /** Under their own names: they replace attributes of points. */
  readonly promoted: ReadonlyMap<string, string>;
  /** job and instance, where the resource has them. */
  readonly identity: ReadonlyMap<string, string>;
  readonly scope: ReadonlyMap<string, string>;
  /** The labels of a point without attributes. */
  readonly base: BaseLabels;
}

/** Labels that series share. */
export interface BaseLabels {
  readonly names: ReadonlySet<string>;
  /** In the order in which they go out; made when they are asked for. */
  readonly labels: readonly Label[];
}

/** Labels of a point without its name: those of its own, and those it shares, which have other names. */
export interface PointLabels {
  readonly own: readonly Label[];
  readonly base: BaseLabels;
}

export type EncodeLabel = (label: Label) => Uint8Array;

export const NO_LABELS: BaseLabels = { names: new Set(), labels: [] };

const SERVICE_ATTRIBUTES: readonly string[] = ['service.namespace', 'service.name', 'service.instance.id'];
export const isServiceAttribute = (name: string): boolean => SERVICE_ATTRIBUTES.includes(name);

/** Byte order of the UTF-8 text, which differs from that of JavaScript's strings beyond U+D7FF. */
export function compareNames(a: string, b: string): number {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    if (x >= 0xd800 && y >= 0xd800) return Buffer.compare(Buffer.from(a), Buffer.from(b));
    return x - y;
  }
  return a.length - b.length;
}

const byName = (a: readonly [string, unknown], b: readonly [string, unknown]): number => compareNames(a[0], b[0]);
const sorted = <T>(entries: Iterable<readonly [string, T]>): (readonly [string, T])[] => [...entries].sort(byName);

/** Attributes whose names become one label stand in it side by side. */
function join(into: Map<string, string>, label: string, value: string): void {
  const before = into.get(label);
  if (before === undefined) into.set(label, value);
  else if (before !== value) into.set(label, `${before};${value}`);
}

function identityOf(attributes: ReadonlyValueMap): Map<string, string> {
  const text = (key: string) => valueText(attributes.get(key) ?? null);
  const name = text('service.name');
  const namespace = text('service.namespace');
  const instance = text('service.instance.id');
  const out = new Map<string, string>();
  if (name !== '') out.set('job', namespace === '' ? name : `${namespace}/${name}`);
  if (instance !== '') out.set('instance', instance);
  return out;
}

function scopeLabels(scope: Scope, rules: LabelRules): Map<string, string> {
  const out = new Map<string, string>();
  if (!rules.scopeInfo) return out;
  const { name, version, attributes } = scope.fields;
  for (const [k, v] of sorted(attributes)) {
    if (k === 'name' || k === 'version' || k === 'schema_url') continue;
    const label = rules.name(`otel_scope_${k}`);
    if (label !== undefined) join(out, label, valueText(v));
  }
  if (name !== '') out.set('otel_scope_name', name);
  if (version !== '') out.set('otel_scope_version', version);
  return out;
}

/** One set for all contexts whose labels have these names. */
export type ShareNames = (names: readonly string[]) => ReadonlySet<string>;

/**
 * A gateway has a hundred thousand of them, and all that is asked again is in the cache as bytes: so everything is made
 * from the resource when it is asked for, and the resource does not keep its decoded attributes for it.
 */
class SharedLabels implements ContextLabels, BaseLabels {
  readonly names: ReadonlySet<string>;
  readonly #resource: Resource;
  readonly #scope: Scope;
  readonly #rules: LabelRules;

  constructor(resource: Resource, scope: Scope, rules: LabelRules, share: ShareNames) {
    this.#resource = resource;
    this.#scope = scope;
    this.#rules = rules;
    this.names = share(this.labels.map(([name]) => name));
  }

  get base(): BaseLabels {
    return this;
  }

  get labels(): readonly Label[] {
    return sorted(allLabels(new Map(), this, this.#rules) ?? []);
  }

  get promoted(): ReadonlyMap<string, string> {
    const rules = this.#rules;
    const promoted = new Map<string, string>();
    // One that cannot be a label is left out: upstream drops all points of the resource for it.
    for (const [k, v] of decodeResource(this.#resource.encoded))
      if (rules.promote(k) && rules.name(k) !== undefined) promoted.set(k, valueText(v));
    return promoted;
  }

  get identity(): ReadonlyMap<string, string> {
    return identityOf(decodeResource(this.#resource.encoded));
  }

  get scope(): ReadonlyMap<string, string> {
    return scopeLabels(this.#scope, this.#rules);
  }
}

export const contextLabels = (resource: Resource, scope: Scope, rules: LabelRules, share: ShareNames): ContextLabels =>
  new SharedLabels(resource, scope, rules, share);

type Sources = Pick<ContextLabels, 'promoted' | 'identity' | 'scope'>;

/** Undefined when one of the attributes has a name that cannot be told. */
function allLabels(
  attributes: ReadonlyMap<string, string>,
  context: Sources,
  rules: LabelRules,
): Map<string, string> | undefined {
  const own = new Map(attributes);
  for (const [k, v] of context.promoted) own.set(k, v);
  const labels = new Map<string, string>();
  for (const [k, v] of sorted(own)) {
    const name = rules.name(k);
    if (name === undefined) return undefined;
    join(labels, name, v);
  }
  for (const [k, v] of context.identity) labels.set(k, v);
  for (const [k, v] of rules.externalLabels) if (!labels.has(k)) labels.set(k, v);
  for (const [k, v] of context.scope) labels.set(k, v);
  return labels;
}

/** Undefined when one of the attributes has a name that cannot be told. */
export function pointLabels(
  attributes: ReadonlyValueMap,
  context: ContextLabels,
  rules: LabelRules,
): PointLabels | undefined {
  const own: [string, string][] = [];
  const names = new Set<string>();
  let apart = true;
  for (const [k, v] of attributes) {
    const name = rules.name(k);
    if (name === undefined) return undefined;
    if (names.has(name) || context.base.names.has(name)) apart = false;
    names.add(name);
    own.push([name, valueText(v)]);
  }
  // Nothing meets: the labels that are shared stay as they are.
  if (apart) return { own: own.sort(byName), base: context.base };
  const texts = new Map<string, string>();
  for (const [k, v] of attributes) texts.set(k, valueText(v));
  const labels = allLabels(texts, context, rules);
  return labels && { own: sorted(labels), base: NO_LABELS };
}

/**
 * Labels of a series: its own in order, and those it shares. `extra` is le or quantile. The metric's name and `extra`
 * win over labels of their names.
 */
export function seriesLabels(point: PointLabels, metric: string, extra: Label | undefined): PointLabels {
  const own = point.own.filter(([name]) => name !== '__name__' && name !== extra?.[0]);
  let { base } = point;
  if (base.names.has('__name__') || (extra && base.names.has(extra[0]))) {
    own.push(...base.labels.filter(([name]) => name !== '__name__' && name !== extra?.[0]));
    base = NO_LABELS;
  }
  own.push(['__name__', metric]);
  if (extra) own.push(extra);
  return { own: own.sort(byName), base };
}

/** Labels of target_info; undefined when a resource has nothing to tell or nobody to tell it of. */
export function targetInfoLabels(
  resource: Resource,
  context: ContextLabels,
  rules: LabelRules,
): PointLabels | undefined {
  const { identity } = context;
  if (identity.size === 0) return undefined;
  const labels = new Map<string, string>();
  for (const [k, v] of sorted(decodeResource(resource.encoded))) {
    if (isServiceAttribute(k)) continue;
    const name = rules.name(k);
    if (name !== undefined) join(labels, name, valueText(v));
  }
  if (labels.size === 0) return undefined;
  for (const [k, v] of identity) labels.set(k, v);
  for (const [k, v] of rules.externalLabels) if (!labels.has(k)) labels.set(k, v);
  return { own: sorted(labels), base: NO_LABELS };
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
