/** Scans a text by the steps of a layout, as Go's time package does. */
import type { Step } from './time-layout-steps.ts';

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

const digitAt = (s: string, i: number): number => {
  const d = s.charCodeAt(i) - 48;
  return d >= 0 && d <= 9 ? d : -1;
};

/** One parse at a time, so its results are fields. */
export class Scanner {
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
