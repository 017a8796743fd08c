/** Words about HTTP answers. */
import { STATUS_CODES } from 'node:http';

/** Of an answer's body so much is told. */
export const ANSWER_EXCERPT = 1024;

export const httpStatusText = (status: number): string => `${status} ${STATUS_CODES[status] ?? ''}`.trim();

/** Seconds or a date, as milliseconds from now, at most `maxMs`. */
export function retryAfterMs(value: string | undefined, nowMs: number, maxMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(0, wait), maxMs);
}
