/** Times as logging libraries write them, without a configured layout. */
import { daysFromCivil } from '../../core/time-zone.ts';
import type { Value } from '../../wire/otlp.ts';

const ISO = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?$/;
/** 2001-09-09 to 2096: what is outside of it is no time but some other number. */
const MIN_S = 1e9;
const MAX_S = 4e9;

/** Nanoseconds since 1970; undefined when it is not surely a time. Without a zone it is UTC. */
export function guessTime(value: Value): bigint | undefined {
  if (typeof value === 'string')
    return isoTime(value) ?? (/^\d{10}(?:\.\d{1,9}|\d{3,9})?$/.test(value) ? epoch(value) : undefined);
  if (typeof value === 'bigint') return epoch(value.toString());
  if (typeof value === 'number' && Number.isFinite(value)) return epoch(value.toFixed(Number.isInteger(value) ? 0 : 6));
  return undefined;
}

function isoTime(text: string): bigint | undefined {
  const m = ISO.exec(text);
  if (!m) return undefined;
  const [year, month, day, hour, minute, second] = m.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return undefined;
  const seconds = daysFromCivil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - zoneSeconds(m[8]);
  return BigInt(seconds) * 1_000_000_000n + BigInt((m[7] ?? '').padEnd(9, '0'));
}

function zoneSeconds(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const digits = zone.replace(':', '');
  return (digits[0] === '-' ? -1 : 1) * (Number(digits.slice(1, 3)) * 3600 + Number(digits.slice(3, 5)) * 60);
}

/** Seconds, milliseconds, microseconds or nanoseconds: the size says which. */
function epoch(text: string): bigint | undefined {
  const [whole = '', fraction = ''] = text.split('.');
  if (!/^\d{10,19}$/.test(whole)) return undefined;
  const scale = whole.length <= 10 ? 9 : whole.length <= 13 ? 6 : whole.length <= 16 ? 3 : 0;
  const nanos = BigInt(whole) * 10n ** BigInt(scale) + BigInt(fraction.slice(0, scale).padEnd(scale, '0') || '0');
  const seconds = Number(nanos / 1_000_000_000n);
  return seconds >= MIN_S && seconds <= MAX_S ? nanos : undefined;
}
