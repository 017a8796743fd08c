/** Times and durations as text. */
import type { Value } from '../../../wire/otlp.ts';
import { valueText } from '../../edit/values.ts';
import { Duration, Instant, type OttlValue } from '../values.ts';

const NS = 1_000_000_000n;

/** Nanoseconds within the second, and the rest as a Date; both for times before 1970 too. */
export function splitTime(ns: bigint): { readonly date: Date; readonly nano: number } {
  const nano = ((ns % NS) + NS) % NS;
  return { date: new Date(Number((ns - nano) / NS) * 1000), nano: Number(nano) };
}

/** As Go prints a duration: `1h2m3.5s`, `250ms`. */
export function durationText(ns: bigint): string {
  if (ns === 0n) return '0s';
  const sign = ns < 0n ? '-' : '';
  const abs = ns < 0n ? -ns : ns;
  const decimal = (n: bigint, unit: bigint): string => {
    const fraction = (n % unit)
      .toString()
      .padStart(unit.toString().length - 1, '0')
      .replace(/0+$/, '');
    return `${n / unit}${fraction ? `.${fraction}` : ''}`;
  };
  if (abs < 1000n) return `${sign}${abs}ns`;
  if (abs < 1_000_000n) return `${sign}${decimal(abs, 1000n)}µs`;
  if (abs < NS) return `${sign}${decimal(abs, 1_000_000n)}ms`;
  const hours = abs / (3600n * NS);
  const minutes = (abs / (60n * NS)) % 60n;
  return `${sign}${hours > 0n ? `${hours}h` : ''}${hours > 0n || minutes > 0n ? `${minutes}m` : ''}${decimal(abs % (60n * NS), NS)}s`;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** As Go prints a time in UTC: `2026-01-02 03:04:05.6 +0000 UTC`. */
export function timeText(ns: bigint): string {
  const { date, nano } = splitTime(ns);
  if (Number.isNaN(date.getTime())) return String(ns);
  const fraction = String(nano).padStart(9, '0').replace(/0+$/, '');
  return `${date.toISOString().slice(0, 19).replace('T', ' ')}${fraction ? `.${fraction}` : ''} +0000 UTC`;
}

export function valueOrTimeText(v: OttlValue): string {
  if (v instanceof Instant) return timeText(v.ns);
  if (v instanceof Duration) return durationText(v.ns);
  if (v instanceof Uint8Array) return Buffer.from(v).toString('hex');
  return valueText(v as Value);
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

/** One directive of FormatTime, in UTC; undefined when there is none of that letter. */
function directive(letter: string, date: Date, nano: number): string | undefined {
  const day = date.getUTCDate();
  const hour = date.getUTCHours();
  const twelve = hour % 12 || 12;
  const month = date.getUTCMonth();
  const all = (text: string): string =>
    [...text].map((l) => (/[a-zA-Z]/.test(l) ? directive(l, date, nano) : l)).join('');
  switch (letter) {
    case 'Y':
      return String(date.getUTCFullYear()).padStart(4, '0');
    case 'y':
      return two(date.getUTCFullYear() % 100);
    case 'm':
      return two(month + 1);
    case 'o':
      return String(month + 1).padStart(2);
    case 'q':
      return String(month + 1);
    case 'b':
    case 'h':
      return MONTHS[month]!.slice(0, 3);
    case 'B':
      return MONTHS[month]!;
    case 'd':
      return two(day);
    case 'e':
      return String(day).padStart(2);
    case 'g':
      return String(day);
    case 'a':
      return DAYS[date.getUTCDay()]!.slice(0, 3);
    case 'A':
      return DAYS[date.getUTCDay()]!;
    case 'H':
      return two(hour);
    case 'I':
      return two(twelve);
    case 'l':
      return String(twelve);
    case 'p':
      return hour < 12 ? 'AM' : 'PM';
    case 'P':
      return hour < 12 ? 'am' : 'pm';
    case 'M':
      return two(date.getUTCMinutes());
    case 'S':
      return two(date.getUTCSeconds());
    case 'L':
      return String(nano).padStart(9, '0').slice(0, 3);
    case 'f':
      return String(nano).padStart(9, '0').slice(0, 6);
    case 's':
      return String(nano).padStart(9, '0');
    case 'z':
      return '+0000';
    case 'Z':
      return 'UTC';
    case 'i':
      return '+00';
    case 'j':
      return '+00:00';
    case 'k':
      return '+00:00:00';
    case 'w':
      return '+000000';
    case 'D':
    case 'x':
      return all('m/d/y');
    case 'F':
      return all('Y-m-d');
    case 'T':
    case 'X':
      return all('H:M:S');
    case 'r':
      return all('I:M:S p');
    case 'R':
      return all('H:M');
    case 'c':
      return all('a b d H:M:S Y');
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '%':
      return '%';
    default:
      return undefined;
  }
}

/** Throws for directives that do not exist. */
export function compileTimeFormat(format: string): (ns: bigint) => string {
  const parts: (string | { readonly letter: string })[] = [];
  const epoch = new Date(0);
  for (const m of format.matchAll(/%([\s\S])|[^%]+|%$/g)) {
    const letter = m[1];
    if (letter === undefined) parts.push(m[0]);
    else if (directive(letter, epoch, 0) === undefined)
      throw new Error(`invalid time format: unsupported directive %${letter}`);
    else parts.push({ letter });
  }
  return (ns) => {
    const { date, nano } = splitTime(ns);
    return parts.map((p) => (typeof p === 'string' ? p : directive(p.letter, date, nano))).join('');
  };
}
