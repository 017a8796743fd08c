/** Lines of the container runtime interface: `<time> <stdout|stderr> <tag> <text>`, scanned without expressions. */
import type { TimeParser } from '../../core/time-layout.ts';
import { daysFromCivil, daysInMonth } from '../../core/time-zone.ts';

/** The parts of the line scanned last. */
export class CriLine {
  time = '';
  stream = '';
  tag = '';
  log = '';

  /** Which runtime writes such lines; '' when none does. A time with Z is containerd's, one without is CRI-O's. */
  scan(s: string): 'containerd' | 'crio' | '' {
    const space = s.indexOf(' ');
    if (space < 1) return '';
    const j = space + 8;
    if (s.startsWith('stdout ', space + 1)) this.stream = 'stdout';
    else if (s.startsWith('stderr ', space + 1)) this.stream = 'stderr';
    else return '';
    let kind: 'containerd' | 'crio' = 'crio';
    const z = s.indexOf('Z');
    if (z >= 0 && z < space) {
      if (z !== space - 1 || z === 0) return '';
      const caret = s.indexOf('^');
      if (caret >= 0 && caret < space) return '';
      kind = 'containerd';
    }
    // The pattern's text ends with the line.
    if (s.includes('\n')) return '';
    this.time = s.slice(0, space);
    // Nearly always one letter.
    if (s.charCodeAt(j + 1) === 32) {
      const c = s.charCodeAt(j);
      if (c !== 32) {
        this.tag = c === 70 ? 'F' : c === 80 ? 'P' : s[j]!;
        this.log = s.slice(j + 2);
        return kind;
      }
    }
    const end = s.indexOf(' ', j);
    this.tag = end < 0 ? s.slice(j) : s.slice(j, end);
    this.log = end < 0 ? '' : s.slice(end + 1);
    return kind;
  }
}

const two = (s: string, i: number): number => {
  const a = s.charCodeAt(i) - 48;
  const b = s.charCodeAt(i + 1) - 48;
  return a >= 0 && a <= 9 && b >= 0 && b <= 9 ? a * 10 + b : -1;
};

/** Times of CRI lines. Neighbours mostly share the second, so what it comes to is kept. */
export class CriTime {
  #prefix = '-';
  #seconds = 0n;
  /** For times with Z that are written in another way than usual. */
  readonly #other: TimeParser;

  constructor(other: TimeParser) {
    this.#other = other;
  }

  parse(s: string): bigint | undefined {
    if (!s.startsWith(this.#prefix) && !this.#second(s)) return s.endsWith('Z') ? this.#other(s) : undefined;
    let i = 19;
    let nano = 0;
    let c = s.charCodeAt(19);
    if (c === 46 || c === 44) {
      let scale = 1_000_000_000;
      c = s.charCodeAt(++i);
      if (!(c >= 48 && c <= 57)) return undefined;
      while (c >= 48 && c <= 57) {
        if (scale > 1) {
          nano = nano * 10 + c - 48;
          scale /= 10;
        }
        c = s.charCodeAt(++i);
      }
      nano *= scale;
    }
    const time = this.#seconds + BigInt(nano);
    if (c === 90) return i + 1 === s.length ? time : undefined;
    if ((c !== 43 && c !== 45) || s.length !== i + 6 || s[i + 3] !== ':') return undefined;
    const hours = two(s, i + 1);
    const minutes = two(s, i + 4);
    if (hours < 0 || hours > 24 || minutes < 0 || minutes > 59) return undefined;
    const offset = BigInt(hours * 3600 + minutes * 60) * 1_000_000_000n;
    return c === 43 ? time - offset : time + offset;
  }

  /** `2026-01-02T03:04:05` */
  #second(s: string): boolean {
    if (s.length < 20 || s[4] !== '-' || s[7] !== '-' || s[10] !== 'T' || s[13] !== ':' || s[16] !== ':') return false;
    const century = two(s, 0);
    const rest = two(s, 2);
    const month = two(s, 5);
    const day = two(s, 8);
    const hour = two(s, 11);
    const minute = two(s, 14);
    const second = two(s, 17);
    if (
      century < 0 ||
      rest < 0 ||
      month < 1 ||
      month > 12 ||
      hour < 0 ||
      hour > 23 ||
      minute < 0 ||
      minute > 59 ||
      second < 0 ||
      second > 59
    )
      return false;
    const year = century * 100 + rest;
    if (day < 1 || day > daysInMonth(year, month)) return false;
    this.#seconds =
      BigInt(daysFromCivil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000_000n;
    this.#prefix = s.slice(0, 19);
    return true;
  }
}
