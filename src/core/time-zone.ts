/** Offsets of time zones, from the platform's tables. */

const QUARTER_S = 900;
const MAX_CACHED = 512;

/** Seconds east of UTC at a point in time (seconds since 1970). */
export type ZoneOffset = (unixSeconds: number) => number;

const UTC: ZoneOffset = () => 0;

/** undefined: no such zone. */
export function zoneOffset(name: string): ZoneOffset | undefined {
  if (name === '' || name === 'UTC') return UTC;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch {
    return undefined;
  }
  const cache = new Map<number, number>();
  const look = (unix: number): number => {
    const p: Record<string, string> = {};
    for (const { type, value } of format.formatToParts(unix * 1000)) p[type] = value;
    const year = p['era'] === 'B' || p['era'] === 'BC' ? 1 - Number(p['year']) : Number(p['year']);
    const local =
      daysFromCivil(year, Number(p['month']), Number(p['day'])) * 86_400 +
      Number(p['hour']) * 3600 +
      Number(p['minute']) * 60 +
      Number(p['second']);
    return local - unix;
  };
  return (unix) => {
    // Zones change their offset at full quarters of an hour.
    const quarter = Math.floor(unix / QUARTER_S);
    let offset = cache.get(quarter);
    if (offset === undefined) {
      if (cache.size >= MAX_CACHED) cache.clear();
      // Years that Date cannot hold have the zone of the nearest one that it can.
      const inside = Math.max(-8e12, Math.min(8e12, quarter * QUARTER_S));
      cache.set(quarter, (offset = look(inside)));
    }
    return offset;
  };
}

export const localZone = (): string => new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Days since 1970-01-01 of a date in the (proleptic) Gregorian calendar. */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yoe = y - era * 400;
  const doy = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy - 719_468;
}

const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
export const daysInMonth = (year: number, month: number): number =>
  month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : (DAYS[month - 1] ?? 0);

/** The point in time that clocks of the zone show as `wall`. In a gap or an overlap it is the one Go chooses. */
export function fromWall(wall: number, zone: ZoneOffset): number {
  const guess = zone(wall);
  if (guess === 0) return wall;
  const utc = wall - guess;
  const there = zone(utc);
  return wall - (there === guess ? guess : there);
}

/** Abbreviations that no IANA zone is named after, in hours: taken when the zone has that offset at some time. */
export const ABBREVIATIONS: Readonly<Record<string, number>> = {
  CEST: 2,
  EEST: 3,
  WEST: 1,
  BST: 1,
  IST: 5.5,
  MSK: 3,
  JST: 9,
  KST: 9,
  AEST: 10,
  AEDT: 11,
  ACST: 9.5,
  ACDT: 10.5,
  AWST: 8,
  NZST: 12,
  NZDT: 13,
  EDT: -4,
  CST: -6,
  CDT: -5,
  MDT: -6,
  PST: -8,
  PDT: -7,
  AKST: -9,
  AKDT: -8,
  SAST: 2,
  CAT: 2,
  EAT: 3,
  WAT: 1,
  CET: 1,
  EET: 2,
  WET: 0,
  EST: -5,
  MST: -7,
  HST: -10, // biome-ignore format: a table
};
