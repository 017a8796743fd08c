/** The rules, applied to attributes and bodies. Works on decoded maps, which it changes in place. */
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import { DETECTORS } from './detectors.ts';
import type { DetectorName, RedactionConfig } from './index.ts';
import { type Mask, maskAll, maskOf } from './mask.ts';
import { nothingTouched, SUMMARY_KEYS, summarize, type Touched } from './summary.ts';

/** What matches are counted under. */
export type Rule = DetectorName | 'blocked_values' | 'blocked_key_patterns' | 'allowed_keys';

/** Deeper values are not looked into: the codec refuses them anyway. */
const MAX_DEPTH = 100;

export class Redactor {
  readonly #config: RedactionConfig;
  readonly #mask: Mask;
  readonly #allowed: ReadonlySet<string>;
  readonly #ignored: ReadonlySet<string>;
  /** Matches since the last `take`. */
  readonly #matches = new Map<Rule, number>();

  constructor(config: RedactionConfig) {
    this.#config = config;
    this.#mask = maskOf(config);
    this.#allowed = new Set([...(config.allowed_keys ?? []), ...SUMMARY_KEYS]);
    this.#ignored = new Set(config.ignored_keys);
  }

  takeMatches(): readonly (readonly [Rule, number])[] {
    if (this.#matches.size === 0) return [];
    const out = [...this.#matches];
    this.#matches.clear();
    return out;
  }

  /** True when something was changed. */
  attributes(map: ValueMap): boolean {
    if (map.size === 0) return false;
    const touched = nothingTouched();
    const { redact_all_types: all, summary } = this.#config;
    let isChanged = false;
    for (const [key, value] of map) {
      if (this.#isIgnored(key)) {
        touched.ignored.push(key);
        continue;
      }
      if (this.#isRedacted(key)) {
        touched.redacted.push(key);
        this.#count('allowed_keys');
        map.delete(key);
        isChanged = true;
        continue;
      }
      const text = typeof value === 'string' ? value : all ? textOf(value) : '';
      if (this.#isAllowedValue(text)) {
        touched.allowed.push(key);
        continue;
      }
      if (this.#isMaskedKey(key)) {
        touched.masked.push(key);
        map.set(key, this.#maskWhole(text));
        isChanged = true;
        continue;
      }
      const masked = this.#text(text);
      if (masked !== text) map.set(key, masked);
      // Our detectors also look into what upstream only sees as a whole, or not at all.
      else if (typeof value !== 'object' || value === null || !this.#deepText(value, (v) => map.set(key, v))) continue;
      touched.masked.push(key);
      isChanged = true;
    }
    return summarize(touched, map, 'redaction', summary) || isChanged;
  }

  /** `set` takes a body that is not a map or list; summaries go to `attributes`. */
  body(body: Value, attributes: ValueMap, set: (v: Value) => void): { body: boolean; attributes: boolean } {
    if (body === null) return { body: false, attributes: false };
    const touched = nothingTouched();
    let isChanged = false;
    if (body instanceof Map || Array.isArray(body)) isChanged = this.#nested(body, '', touched, 0);
    else {
      const text = textOf(body);
      // As upstream, an allowed body is not in the summary.
      if (this.#isAllowedValue(text)) return { body: false, attributes: false };
      const masked = this.#text(text);
      if (masked !== text) {
        touched.masked.push('body');
        set(masked);
        isChanged = true;
      }
    }
    return { body: isChanged, attributes: summarize(touched, attributes, 'redaction.body', this.#config.summary) };
  }

  #nested(value: ValueMap | Value[], path: string, touched: Touched, depth: number): boolean {
    if (depth > MAX_DEPTH) return false;
    let isChanged = false;
    const visit = (full: string, v: Value, set: (v: Value) => void): void => {
      if (v instanceof Map || Array.isArray(v)) {
        if (this.#nested(v, full, touched, depth + 1)) isChanged = true;
        return;
      }
      const text = textOf(v);
      if (this.#isAllowedValue(text)) {
        touched.allowed.push(full);
        return;
      }
      const masked = this.#text(text);
      if (masked === text) return;
      touched.masked.push(full);
      set(masked);
      isChanged = true;
    };
    if (Array.isArray(value)) {
      value.forEach((v, i) => {
        const full = path === '' ? `[${i}]` : `${path}.[${i}]`;
        visit(full, v, (x) => {
          value[i] = x;
        });
      });
      return isChanged;
    }
    for (const [key, v] of value) {
      const full = path === '' ? key : `${path}.${key}`;
      if (this.#isIgnored(key)) touched.ignored.push(full);
      else if (this.#isRedacted(key)) {
        touched.redacted.push(full);
        this.#count('allowed_keys');
        value.delete(key);
        isChanged = true;
      } else if (this.#isMaskedKey(key)) {
        touched.masked.push(full);
        value.set(key, this.#maskWhole(typeof v === 'string' ? v : ''));
        isChanged = true;
      } else visit(full, v, (x) => value.set(key, x));
    }
    return isChanged;
  }

  /** Texts inside of maps and lists, for the detectors only. */
  #deepText(value: Value, set: (v: Value) => void, depth = 0): boolean {
    if (this.#config.detectors.length === 0 || depth > MAX_DEPTH) return false;
    if (typeof value === 'string') {
      if (this.#isAllowedValue(value)) return false;
      const masked = this.#detect(value);
      if (masked === value) return false;
      set(masked);
      return true;
    }
    let isChanged = false;
    if (Array.isArray(value))
      value.forEach((v, i) => {
        if (this.#deepText(v, (x) => (value[i] = x), depth + 1)) isChanged = true;
      });
    else if (value instanceof Map)
      for (const [k, v] of value) if (this.#deepText(v, (x) => value.set(k, x), depth + 1)) isChanged = true;
    return isChanged;
  }

  #text(text: string): string {
    if (text === '') return text;
    let out = text;
    for (const regex of this.#config.blocked_values) {
      if (!regex.test(out)) continue;
      this.#count('blocked_values');
      out = regex.replaceEach(out, (m) => this.#mask(m[0]!));
    }
    return this.#detect(out);
  }

  #detect(text: string): string {
    let out = text;
    for (const name of this.#config.detectors) {
      const found: [number, number][] = [];
      DETECTORS[name](out, (start, end) => found.push([start, end]));
      if (found.length === 0) continue;
      // A detector has several expressions; what they find may be out of order, or overlap.
      found.sort((a, b) => a[0] - b[0]);
      let copied = 0;
      let next = '';
      for (const [start, end] of found) {
        if (start < copied) continue;
        this.#count(name);
        next += out.slice(copied, start) + this.#mask(out.slice(start, end));
        copied = end;
      }
      out = next + out.slice(copied);
    }
    return out;
  }

  #maskWhole(text: string): string {
    this.#count('blocked_key_patterns');
    return maskAll(this.#mask, text);
  }

  #count(rule: Rule): void {
    this.#matches.set(rule, (this.#matches.get(rule) ?? 0) + 1);
  }

  #isIgnored(key: string): boolean {
    return this.#ignored.has(key) || this.#config.ignored_key_patterns.some((p) => p.test(key));
  }

  #isRedacted(key: string): boolean {
    return !this.#config.allow_all_keys && !this.#allowed.has(key);
  }

  #isMaskedKey(key: string): boolean {
    return this.#config.blocked_key_patterns.some((p) => p.test(key));
  }

  #isAllowedValue(text: string): boolean {
    return this.#config.allowed_values.some((p) => p.test(text));
  }
}

/** As upstream's AsString: maps and lists as JSON. */
function textOf(v: Value): string {
  if (v === null) return '';
  if (typeof v === 'string') return v;
  if (v instanceof Uint8Array) return Buffer.from(v).toString('base64');
  return typeof v === 'object' ? JSON.stringify(v, json) : String(v);
}

const json = (_key: string, v: unknown): unknown =>
  v instanceof Map
    ? Object.fromEntries(v)
    : v instanceof Uint8Array
      ? Buffer.from(v).toString('base64')
      : typeof v === 'bigint'
        ? Number(v)
        : v;
