/** Time layouts (strptime, Go, epoch) → parsers with nanosecond precision. Rules of parsing are those of Go's time package. */
import { Scanner } from './time-layout-scan.ts';
import { goSteps, strptimeSteps } from './time-layout-steps.ts';
import {
  ABBREVIATIONS,
  daysFromCivil,
  daysInMonth,
  fromWall,
  localZone,
  type ZoneOffset,
  zoneOffset,
} from './time-zone.ts';

/** Nanoseconds since 1970, or undefined when the text does not fit. */
export type TimeParser = (text: string) => bigint | undefined;

export interface LayoutOptions {
  /** IANA name; undefined or empty: UTC for layouts that end with a literal Z, else the zone of this machine. */
  readonly location?: string | undefined;
  /** Milliseconds since 1970, for layouts without a year. */
  readonly nowMs: () => number;
}

const WEEK_MS = 7 * 86_400_000;

function resolve(p: Scanner, zone: ZoneOffset, isUtc: boolean, nowMs: () => number): bigint | undefined {
  let { year, month, day, hour } = p;
  if (p.pm && hour < 12) hour += 12;
  else if (p.am && hour === 12) hour = 0;
  const noYear = year === 0;
  if (noYear) year = new Date(nowMs()).getUTCFullYear();
  if (p.yearDay >= 0) {
    const leap = daysInMonth(year, 2) === 29;
    if (p.yearDay < 1 || p.yearDay > (leap ? 366 : 365)) return undefined;
    month = 1;
    while (day < 0 && month <= 12) {
      const before = daysFromCivil(year, month, 1) - daysFromCivil(year, 1, 1);
      if (p.yearDay <= before + daysInMonth(year, month)) day = p.yearDay - before;
      else month++;
    }
  }
  if (month < 0) month = 1;
  if (day < 0) day = 1;
  // Without a year it is year 0 that decides about the 29th of February: a leap year.
  if (day < 1 || day > daysInMonth(noYear ? 2000 : year, month)) return undefined;
  const at = (y: number): number | undefined => {
    const wall = daysFromCivil(y, month, day) * 86_400 + hour * 3600 + p.minute * 60 + p.second;
    if (!Number.isNaN(p.offset)) return wall - p.offset;
    if (p.zoneName !== '') return namedZone(p.zoneName, wall, zone);
    return isUtc ? wall : fromWall(wall, zone);
  };
  let unix = at(year);
  if (noYear && unix !== undefined && unix * 1000 > nowMs() + WEEK_MS) unix = at(year - 1);
  return unix === undefined ? undefined : BigInt(unix) * 1_000_000_000n + BigInt(p.nano);
}

const zones = new Map<string, ZoneOffset | undefined>();

/** An abbreviation: of the configured zone, else the name of a zone, else unknown. */
function namedZone(name: string, wall: number, zone: ZoneOffset): number | undefined {
  const gmt = /^GMT([+-]\d{1,2})$/.exec(name);
  if (gmt) return wall - Number(gmt[1]) * 3600;
  const hours = ABBREVIATIONS[name];
  if (hours !== undefined) {
    const offset = hours * 3600;
    const half = 182 * 86_400;
    if (zone(wall) === offset || zone(wall - half) === offset || zone(wall + half) === offset) return wall - offset;
  }
  if (!zones.has(name)) {
    // Names come from the data: only so many are remembered.
    if (zones.size >= 200) zones.clear();
    zones.set(name, /^[A-Z]/.test(name) ? zoneOffset(name) : undefined);
  }
  const named = zones.get(name);
  return named && fromWall(wall, named);
}

export type LayoutType = 'strptime' | 'gotime';

/** A parser, or what is wrong with the layout or the location. */
export function compileTimeLayout(
  type: LayoutType,
  layout: string,
  options: LayoutOptions,
): TimeParser | { error: string } {
  const steps = type === 'strptime' ? strptimeSteps(layout) : goSteps(layout);
  if (!Array.isArray(steps)) return steps;
  let name = options.location ?? '';
  if (name === '') name = layout.endsWith('Z') && !(type === 'strptime' && layout.endsWith('%Z')) ? 'UTC' : localZone();
  if (name === 'Local') name = localZone();
  const zone = zoneOffset(name);
  if (!zone) return { error: `failed to load location ${JSON.stringify(name)}: unknown time zone ${name}` };
  const isUtc = name === 'UTC';
  const scanner = new Scanner();
  const { nowMs } = options;
  return (value) => (scanner.scan(steps, value) ? resolve(scanner, zone, isUtc, nowMs) : undefined);
}

export const EPOCH_LAYOUTS = ['s', 'ms', 'us', 'ns', 's.ms', 's.us', 's.ns'] as const;
export type EpochLayout = (typeof EPOCH_LAYOUTS)[number];

const UNITS: Readonly<Record<string, bigint>> = { s: 1_000_000_000n, ms: 1_000_000n, us: 1000n, ns: 1n };
const DECIMALS: Readonly<Record<string, number>> = { ms: 3, us: 6, ns: 9 };

function int64(digits: string): bigint | undefined {
  if (!/^[+-]?\d{1,19}$/.test(digits)) return undefined;
  const n = BigInt(digits.startsWith('+') ? digits.slice(1) : digits);
  return n === BigInt.asIntN(64, n) ? n : undefined;
}

/** Parser of seconds (milliseconds, …) since 1970: numbers, or text of them. */
export function compileEpoch(layout: EpochLayout): (value: string | number | bigint) => bigint | undefined {
  const [main, sub] = layout.split('.') as [string, string | undefined];
  const unit = UNITS[main]!;
  if (sub === undefined)
    return (value) => {
      if (typeof value === 'bigint') return value * unit;
      if (typeof value === 'number') return Number.isFinite(value) ? BigInt(Math.trunc(value)) * unit : undefined;
      const n = int64(value);
      return n === undefined ? undefined : n * unit;
    };
  const subUnit = UNITS[sub]!;
  const decimals = DECIMALS[sub]!;
  return (value) => {
    if (typeof value === 'bigint') return value * unit;
    const parts = (typeof value === 'number' ? value.toFixed(decimals) : value).split('.');
    if (parts.length !== 2) return undefined;
    const whole = int64(parts[0]!);
    // What stands behind the point counts as a number of small units: 1.5 with s.us is one second and 5 µs.
    const rest = int64(parts[1]!);
    return whole === undefined || rest === undefined ? undefined : whole * unit + rest * subUnit;
  };
}
