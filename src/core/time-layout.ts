/** Time layouts (strptime, Go, epoch) → parsers with nanosecond precision. Rules of parsing are those of Go's time package. */
import {
  ABBREVIATIONS,
  daysFromCivil,
  daysInMonth,
  fromWall,
  localZone,
  type ZoneOffset,
  zoneOffset,
} from './time-zone.ts';

/** One piece of a layout. */
export type Step =
  | { readonly k: 'text'; readonly text: string }
  | {
      readonly k:
        | 'year4'
        | 'year2'
        | 'yearday'
        | 'month-name'
        | 'month-short'
        | 'weekday-name'
        | 'weekday-short'
        | 'am-pm'
        | 'AM-PM'
        | 'zone-name';
    }
  | { readonly k: 'month' | 'day' | 'hour12' | 'minute' | 'second'; readonly fixed: boolean; readonly blank?: boolean }
  | { readonly k: 'hour' }
  /** digits 0: any number of them, and none at all. */
  | { readonly k: 'fraction'; readonly digits: number }
  | {
      readonly k: 'offset';
      readonly form: 'hhmm' | 'hh:mm' | 'hh' | 'hhmmss' | 'hh:mm:ss' | 'any';
      readonly z: boolean;
    };

/** Nanoseconds since 1970, or undefined when the text does not fit. */
export type TimeParser = (text: string) => bigint | undefined;

export interface LayoutOptions {
  /** IANA name; undefined or empty: UTC for layouts that end with a literal Z, else the zone of this machine. */
  readonly location?: string | undefined;
  /** Milliseconds since 1970, for layouts without a year. */
  readonly nowMs: () => number;
}

const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const SHORT_MONTHS = MONTHS.map((m) => m.slice(0, 3));
const SHORT_WEEKDAYS = WEEKDAYS.map((m) => m.slice(0, 3));
const WEEK_MS = 7 * 86_400_000;

const text = (t: string): Step => ({ k: 'text', text: t });
const num = (k: 'month' | 'day' | 'hour12' | 'minute' | 'second', fixed: boolean, blank = false): Step => ({
  k,
  fixed,
  blank,
});
const fraction = (digits = 0): Step => ({ k: 'fraction', digits });
const DATE: Step[] = [num('month', true), text('/'), num('day', true), text('/'), { k: 'year4' }];
const CLOCK: Step[] = [{ k: 'hour' }, text(':'), num('minute', true), text(':'), num('second', true)];

const DIRECTIVES: Readonly<Record<string, readonly Step[]>> = {
  Y: [{ k: 'year4' }],
  y: [{ k: 'year2' }],
  m: [num('month', true)],
  o: [num('month', false, true)],
  q: [num('month', false)],
  b: [{ k: 'month-short' }],
  h: [{ k: 'month-short' }],
  B: [{ k: 'month-name' }],
  d: [num('day', true)],
  e: [num('day', false, true)],
  g: [num('day', false)],
  a: [{ k: 'weekday-short' }],
  A: [{ k: 'weekday-name' }],
  H: [{ k: 'hour' }],
  I: [num('hour12', true)],
  l: [num('hour12', false)],
  p: [{ k: 'AM-PM' }],
  P: [{ k: 'am-pm' }],
  M: [num('minute', true)],
  S: [num('second', true)],
  Z: [{ k: 'zone-name' }],
  z: [{ k: 'offset', form: 'any', z: true }],
  w: [{ k: 'offset', form: 'hhmmss', z: true }],
  i: [{ k: 'offset', form: 'hh', z: true }],
  j: [{ k: 'offset', form: 'hh:mm', z: true }],
  k: [{ k: 'offset', form: 'hh:mm:ss', z: true }],
  D: DATE,
  x: DATE,
  F: [{ k: 'year4' }, text('-'), num('month', true), text('-'), num('day', true)],
  T: CLOCK,
  X: CLOCK,
  r: [num('hour12', true), text(':'), num('minute', true), text(':'), num('second', true), text(' '), { k: 'am-pm' }],
  R: [{ k: 'hour' }, text(':'), num('minute', true)],
  n: [text('\n')],
  t: [text('\t')],
  '%': [text('%')],
  c: [
    { k: 'weekday-short' },
    text(' '),
    { k: 'month-short' },
    text(' '),
    num('day', true),
    text(' '),
    ...CLOCK,
    text(' '),
    { k: 'year4' },
  ],
};

function strptimeSteps(layout: string): Step[] | { error: string } {
  const steps: Step[] = [];
  let plain = '';
  for (let i = 0; i < layout.length; i++) {
    const c = layout[i]!;
    if (c !== '%') {
      if (c >= '0' && c <= '9')
        return { error: `invalid strptime layout ${JSON.stringify(layout)}: digits are not allowed in it` };
      plain += c;
      continue;
    }
    const d = layout[++i] ?? '';
    if (d === 'L' || d === 'f' || d === 's') {
      if (!plain.endsWith('.') && !plain.endsWith(','))
        return { error: `invalid fractional seconds directive: '%${d}'. must be preceded with '.' or ','` };
      plain = plain.slice(0, -1);
      if (plain) steps.push(text(plain));
      plain = '';
      steps.push(fraction());
      continue;
    }
    const directive = DIRECTIVES[d];
    if (!directive || d === '')
      return { error: `unsupported directive in strptime layout ${JSON.stringify(layout)}: %${d}` };
    if (plain) steps.push(text(plain));
    plain = '';
    steps.push(...directive);
  }
  if (plain) steps.push(text(plain));
  return steps;
}

const OFFSETS: readonly (readonly [string, 'hhmm' | 'hh:mm' | 'hh' | 'hhmmss' | 'hh:mm:ss'])[] = [
  ['070000', 'hhmmss'],
  ['07:00:00', 'hh:mm:ss'],
  ['0700', 'hhmm'],
  ['07:00', 'hh:mm'],
  ['07', 'hh'],
];

const lowerCaseAt = (s: string, i: number): boolean => /[a-z]/.test(s[i] ?? '');

/** The directive of Go's reference time that starts at `i`, and how long it is. */
function goStep(s: string, i: number): [Step | Step[], number] | undefined {
  const at = (w: string) => s.startsWith(w, i);
  switch (s[i]) {
    case 'J':
      if (at('January')) return [{ k: 'month-name' }, 7];
      return at('Jan') && !lowerCaseAt(s, i + 3) ? [{ k: 'month-short' }, 3] : undefined;
    case 'M':
      if (at('Monday')) return [{ k: 'weekday-name' }, 6];
      if (at('MST')) return [{ k: 'zone-name' }, 3];
      return at('Mon') && !lowerCaseAt(s, i + 3) ? [{ k: 'weekday-short' }, 3] : undefined;
    case '0': {
      if (at('002')) return [{ k: 'yearday' }, 3];
      const names = [
        num('month', true),
        num('day', true),
        num('hour12', true),
        num('minute', true),
        num('second', true),
        { k: 'year2' } as Step,
      ];
      const n = (s.charCodeAt(i + 1) || 0) - 49;
      return names[n] ? [names[n], 2] : undefined;
    }
    case '1':
      return at('15') ? [{ k: 'hour' }, 2] : [num('month', false), 1];
    case '2':
      return at('2006') ? [{ k: 'year4' }, 4] : [num('day', false), 1];
    case '_':
      if (at('_2006')) return [[text('_'), { k: 'year4' }], 5];
      if (at('__2')) return [{ k: 'yearday' }, 3];
      return at('_2') ? [num('day', false, true), 2] : undefined;
    case '3':
      return [num('hour12', false), 1];
    case '4':
      return [num('minute', false), 1];
    case '5':
      return [num('second', false), 1];
    case 'P':
      return at('PM') ? [{ k: 'AM-PM' }, 2] : undefined;
    case 'p':
      return at('pm') ? [{ k: 'am-pm' }, 2] : undefined;
    case '-':
    case 'Z':
      for (const [form, name] of OFFSETS)
        if (s.startsWith(form, i + 1)) return [{ k: 'offset', form: name, z: s[i] === 'Z' }, form.length + 1];
      return undefined;
    case '.':
    case ',': {
      const m = /^(?:0+|9+)(?!\d)/.exec(s.slice(i + 1));
      return m ? [fraction(m[0][0] === '0' ? m[0].length : 0), m[0].length + 1] : undefined;
    }
    default:
      return undefined;
  }
}

function goSteps(layout: string): Step[] | { error: string } {
  const bad = /(?:^|[^.,9])(9+)(?!\d)/.exec(layout);
  if (bad) return { error: `invalid fractional seconds directive: '${bad[1]}'. must be preceded with '.' or ','` };
  const steps: Step[] = [];
  let plain = '';
  for (let i = 0; i < layout.length; ) {
    const found = goStep(layout, i);
    if (!found) {
      plain += layout[i++];
      continue;
    }
    if (plain) steps.push(text(plain));
    plain = '';
    steps.push(...(Array.isArray(found[0]) ? found[0] : [found[0]]));
    i += found[1];
  }
  if (plain) steps.push(text(plain));
  return steps;
}

const digitAt = (s: string, i: number): number => {
  const d = s.charCodeAt(i) - 48;
  return d >= 0 && d <= 9 ? d : -1;
};

/** One parse at a time, so its results are fields. */
class Scanner {
  at = 0;
  year = 0;
  month = -1;
  day = -1;
  yearDay = -1;
  hour = 0;
  minute = 0;
  second = 0;
  nano = 0;
  pm = false;
  am = false;
  /** Seconds east; NaN: none given. */
  offset = Number.NaN;
  zoneName = '';

  scan(steps: readonly Step[], s: string): boolean {
    this.at = 0;
    this.year = 0;
    this.month = -1;
    this.day = -1;
    this.yearDay = -1;
    this.hour = 0;
    this.minute = 0;
    this.second = 0;
    this.nano = 0;
    this.pm = false;
    this.am = false;
    this.offset = Number.NaN;
    this.zoneName = '';
    for (let i = 0; i < steps.length; i++) if (!this.#step(steps[i]!, s, steps[i + 1])) return false;
    return this.at === s.length;
  }

  /** One or two digits; -1 when there are none (or not two where two are due). */
  #number(s: string, fixed: boolean): number {
    const a = digitAt(s, this.at);
    if (a < 0) return -1;
    const b = digitAt(s, this.at + 1);
    if (b < 0) {
      if (fixed) return -1;
      this.at++;
      return a;
    }
    this.at += 2;
    return a * 10 + b;
  }

  #word(s: string, words: readonly string[]): number {
    for (let i = 0; i < words.length; i++) {
      const w = words[i]!;
      if (s.slice(this.at, this.at + w.length).toLowerCase() === w) {
        this.at += w.length;
        return i;
      }
    }
    return -1;
  }

  #step(step: Step, s: string, following: Step | undefined): boolean {
    switch (step.k) {
      case 'text':
        return this.#text(step.text, s);
      case 'year4': {
        let y = 0;
        for (let i = 0; i < 4; i++) {
          const d = digitAt(s, this.at + i);
          if (d < 0) return false;
          y = y * 10 + d;
        }
        this.at += 4;
        this.year = y;
        return true;
      }
      case 'year2': {
        const y = this.#number(s, true);
        this.year = y >= 69 ? 1900 + y : 2000 + y;
        return y >= 0;
      }
      case 'month': {
        if (step.blank && s[this.at] === ' ') this.at++;
        this.month = this.#number(s, step.fixed);
        return this.month >= 1 && this.month <= 12;
      }
      case 'month-name':
        return (this.month = this.#word(s, MONTHS) + 1) > 0;
      case 'month-short':
        return (this.month = this.#word(s, SHORT_MONTHS) + 1) > 0;
      case 'weekday-name':
        return this.#word(s, WEEKDAYS) >= 0;
      case 'weekday-short':
        return this.#word(s, SHORT_WEEKDAYS) >= 0;
      case 'day':
        if (step.blank && s[this.at] === ' ') this.at++;
        return (this.day = this.#number(s, step.fixed)) >= 0;
      case 'yearday': {
        while (this.at < s.length && s[this.at] === ' ') this.at++;
        const m = /^\d{1,3}/.exec(s.slice(this.at, this.at + 3));
        if (!m) return false;
        this.at += m[0].length;
        this.yearDay = Number(m[0]);
        return true;
      }
      case 'hour':
        this.hour = this.#number(s, false);
        return this.hour >= 0 && this.hour < 24;
      case 'hour12':
        this.hour = this.#number(s, step.fixed);
        return this.hour >= 0 && this.hour <= 12;
      case 'minute':
        this.minute = this.#number(s, step.fixed);
        return this.minute >= 0 && this.minute < 60;
      case 'second':
        this.second = this.#number(s, step.fixed);
        if (this.second < 0 || this.second >= 60) return false;
        // A fraction behind the seconds is taken even when the layout has none.
        if (following?.k !== 'fraction') this.#fraction(s, 0);
        return true;
      case 'fraction':
        return this.#fraction(s, step.digits);
      case 'AM-PM':
      case 'am-pm': {
        const w = s.slice(this.at, this.at + 2);
        this.pm = w === (step.k === 'AM-PM' ? 'PM' : 'pm');
        this.am = w === (step.k === 'AM-PM' ? 'AM' : 'am');
        this.at += 2;
        return this.pm || this.am;
      }
      case 'offset':
        return this.#offset(s, step.form, step.z);
      case 'zone-name':
        return this.#zoneName(s);
    }
  }

  /** Runs of blanks match runs of blanks of any length. */
  #text(t: string, s: string): boolean {
    let i = 0;
    while (i < t.length) {
      if (t[i] === ' ') {
        if (this.at < s.length && s[this.at] !== ' ') return false;
        while (t[i] === ' ') i++;
        while (s[this.at] === ' ') this.at++;
        continue;
      }
      if (s[this.at] !== t[i]) return false;
      this.at++;
      i++;
    }
    return true;
  }

  #fraction(s: string, digits: number): boolean {
    const c = s[this.at];
    if ((c !== '.' && c !== ',') || digitAt(s, this.at + 1) < 0) return digits === 0;
    let i = this.at + 1;
    let n = 0;
    let scale = 1_000_000_000;
    for (let d = digitAt(s, i); d >= 0; d = digitAt(s, ++i)) {
      if (digits > 0 && i - this.at > digits) break;
      if (scale > 1) {
        n = n * 10 + d;
        scale /= 10;
      }
    }
    if (digits > 0 && i - this.at - 1 !== digits) return false;
    this.at = i;
    this.nano = n * scale;
    return true;
  }

  #offset(s: string, form: (Step & { k: 'offset' })['form'], z: boolean): boolean {
    if (z && s[this.at] === 'Z') {
      this.at++;
      this.offset = 0;
      return true;
    }
    const sign = s[this.at] === '+' ? 1 : s[this.at] === '-' ? -1 : 0;
    if (sign === 0) return false;
    this.at++;
    const hours = this.#number(s, true);
    let minutes = 0;
    let seconds = 0;
    if (form === 'any') {
      const from = this.at;
      if (s[this.at] === ':') this.at++;
      minutes = this.#number(s, true);
      if (minutes < 0) {
        this.at = from;
        minutes = 0;
      }
    } else if (form !== 'hh') {
      const colon = form === 'hh:mm' || form === 'hh:mm:ss';
      if (colon && s[this.at++] !== ':') return false;
      minutes = this.#number(s, true);
      if (form === 'hhmmss' || form === 'hh:mm:ss') {
        if (colon && s[this.at++] !== ':') return false;
        seconds = this.#number(s, true);
      }
    }
    this.offset = sign * (hours * 3600 + minutes * 60 + seconds);
    return hours >= 0 && hours <= 24 && minutes >= 0 && minutes < 60 && seconds >= 0 && seconds < 60;
  }

  #zoneName(s: string): boolean {
    const m = /^(?:UTC|GMT[+-]\d{1,2}|[A-Z]{3,5}(?![A-Z])|[+-]\d{2}(?:\d{2})?)/.exec(s.slice(this.at, this.at + 12));
    if (!m) return false;
    this.at += m[0].length;
    if (m[0] === 'UTC') this.offset = 0;
    else this.zoneName = m[0];
    return true;
  }
}

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
