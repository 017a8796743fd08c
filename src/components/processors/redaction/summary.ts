/** The attributes that say what was done to a record. */
import type { ValueMap } from '../../../wire/otlp.ts';
import type { RedactionConfig } from './index.ts';

/** Keys that a rule applied to. */
export interface Touched {
  readonly redacted: string[];
  readonly masked: string[];
  readonly allowed: string[];
  readonly ignored: string[];
}

export const nothingTouched = (): Touched => ({ redacted: [], masked: [], allowed: [], ignored: [] });

const KINDS = ['redacted', 'masked', 'allowed', 'ignored'] as const;

/** They are never deleted, so that a second processor adds to them. */
export const SUMMARY_KEYS: readonly string[] = ['redaction', 'redaction.body'].flatMap((prefix) =>
  KINDS.flatMap((k) => (k === 'ignored' ? [`${prefix}.${k}.count`] : [`${prefix}.${k}.keys`, `${prefix}.${k}.count`])),
);

/** True when it set something. */
export function summarize(
  touched: Touched,
  into: ValueMap,
  prefix: 'redaction' | 'redaction.body',
  level: RedactionConfig['summary'],
): boolean {
  if (level !== 'debug' && level !== 'info') return false;
  let hasSet = false;
  for (const kind of KINDS) {
    let keys = touched[kind];
    if (keys.length === 0) continue;
    hasSet = true;
    const countKey = `${prefix}.${kind}.count`;
    const before = into.get(countKey);
    if (level === 'debug' && kind !== 'ignored') {
      const known = into.get(`${prefix}.${kind}.keys`);
      if (typeof known === 'string' && known !== '') keys = [...keys, ...known.split(',')];
      into.set(`${prefix}.${kind}.keys`, keys.toSorted().join(','));
    }
    into.set(countKey, BigInt(touched[kind].length) + (typeof before === 'bigint' ? before : 0n));
  }
  return hasSet;
}
