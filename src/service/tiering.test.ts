import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LoadWatch } from './tiering.ts';

/** Looks as often as it is told to; `share` of a core is used at each time. Returns when it said busy, or undefined. */
function run(share: (ms: number) => number, untilMs: number): number | undefined {
  let nowMs = 0;
  let cpuMs = 0;
  const watch = new LoadWatch({ cpuMs: () => cpuMs, nowMs: () => nowMs });
  let next = 25;
  while (nowMs < untilMs) {
    for (let i = 0; i < next; i++) cpuMs += share(nowMs + i);
    nowMs += next;
    const said = watch.look();
    if (said === 'busy') return nowMs;
    next = said;
  }
  return undefined;
}

describe('load watch', () => {
  it('never calls an idle process busy', () => {
    assert.equal(
      run(() => 0.01, 600_000),
      undefined,
    );
  });

  it('lets the reading of a quiet node at the start pass', () => {
    assert.equal(
      run((ms) => (ms < 125 ? 1 : 0.005), 600_000),
      undefined,
    );
  });

  it('lets the start of an agent with all presets pass, and an export every ten seconds', () => {
    assert.equal(
      run((ms) => (ms < 350 || (ms >= 10_000 && ms % 10_000 < 180) ? 1 : 0.003), 600_000),
      undefined,
    );
  });

  it('sees a burst within half a second at the start, and within a second later', () => {
    assert.equal(
      run(() => 1, 10_000),
      400,
    );
    const at = run((ms) => (ms >= 20_000 ? 1.2 : 0.005), 60_000);
    assert.ok(at !== undefined && at >= 20_000 && at <= 21_100, `${at}`);
  });

  it('sees a burst that gets a part of a core only', () => {
    const at = run((ms) => (ms >= 20_000 ? 0.4 : 0.005), 60_000);
    assert.ok(at !== undefined && at <= 24_000, `${at}`);
    const throttled = run((ms) => (ms >= 20_000 ? 0.1 : 0.005), 60_000);
    assert.ok(throttled !== undefined && throttled <= 41_000, `${throttled}`);
  });

  it('sees steady light work, such as a scrape of 60 ms every second', () => {
    const at = run((ms) => (ms % 1000 < 60 ? 1 : 0), 600_000);
    assert.ok(at !== undefined && at <= 61_000, `${at}`);
  });
});
