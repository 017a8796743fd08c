/** How far a clock is from ours, by the header Date of an answer. */
import type { Clock } from '../core/clock.ts';

/** The header has whole seconds. */
const RESOLUTION_MS = 1000;

export interface ClockReading {
  /** How far it is ahead of our clock, at least; negative: behind. 0: it may be equal. */
  readonly aheadMs: number;
  /** The header. */
  readonly date: string;
  /** Our clock at that moment. */
  readonly hereMs: number;
}

/** The other clock was looked at after `fromMs` of ours, and before now. Undefined for what is no date. */
export function readingOf(date: string | undefined, fromMs: number, clock: Clock): ClockReading | undefined {
  const ms = Date.parse(date ?? '');
  if (date === undefined || Number.isNaN(ms)) return undefined;
  const hereMs = clock.nowMs();
  const least = ms - hereMs;
  const most = ms + RESOLUTION_MS - fromMs;
  return { aheadMs: least > 0 ? least : most < 0 ? most : 0, date, hereMs };
}

/** `95 s`, `3 min`, `2 h`, `4 days` */
export function spanText(ms: number): string {
  const s = Math.round(Math.abs(ms) / 1000);
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} days`;
}
