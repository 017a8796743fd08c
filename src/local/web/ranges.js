// Asks the embedded metric store for the range of time that the page shows.
import { $ } from './common.js';

export const RANGES_MS = { '5m': 300_000, '15m': 900_000, '1h': 3_600_000, '6h': 21_600_000 };
const POINTS = 120;
/** The agent measures every 5 s; a rate needs two values also when one is late. */
const SHORTEST_STEP_MS = 5000;
const SHORTEST_RATE_MS = 20_000;
export const LOOKBACK = '20s';
/** Younger than its range, the page shows as much as there is. */
const SHORTEST_WINDOW_MS = 60_000;

let elapsedMs = Infinity;
export function setElapsed(ms) {
  elapsedMs = ms;
}

const secondsOf = (ms) => `${Math.round(ms / 1000)}s`;

export async function prometheus(path, parameters) {
  const response = await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== 'success') throw new Error(answer.error);
  return answer.data;
}

/** Aligned, so that the same moments are asked for again while the window moves on. */
export function windowNow() {
  const ms = RANGES_MS[$('range').value];
  const stepMs = Math.max(SHORTEST_STEP_MS, Math.round(ms / POINTS / 500) * 500);
  const endMs = Math.floor(Date.now() / stepMs) * stepMs;
  const sinceMs = Math.max(elapsedMs, SHORTEST_WINDOW_MS);
  const startMs = endMs - Math.min(ms, Math.ceil(sinceMs / stepMs) * stepMs);
  return { startMs, endMs, stepMs, rate: secondsOf(Math.max(SHORTEST_RATE_MS, stepMs * 2)) };
}

export async function rangeOf(query, { startMs, endMs, stepMs }) {
  const { result } = await prometheus('query_range', {
    query,
    start: startMs / 1000,
    end: endMs / 1000,
    step: stepMs / 1000,
    lookback_delta: LOOKBACK,
  });
  const count = Math.round((endMs - startMs) / stepMs) + 1;
  return {
    times: Array.from({ length: count }, (_, i) => startMs + i * stepMs),
    series: result.map(({ metric, values }) => {
      const own = Array(count).fill(null);
      for (const [t, v] of values) own[Math.round((t * 1000 - startMs) / stepMs)] = numberOf(v);
      return { metric, values: own };
    }),
  };
}

const numberOf = (text) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));
