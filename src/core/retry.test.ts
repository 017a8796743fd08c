import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { Clock } from './clock.ts';
import { DeliveryError, permanent, retryable } from './errors.ts';
import type { LogFields, Logger } from './log.ts';
import { createRetry, InterruptedError } from './retry.ts';
import { retryOnFailure } from './schema.ts';

/** Time that moves only by waiting: each wait is over at once, and the clock has moved by it. */
function setUp(config: object, random = () => 0.5) {
  let nowMs = 0;
  const intervals: unknown[] = [];
  const at = (_message: string, fields: LogFields = {}) => void intervals.push(fields['interval']);
  const log: Logger = { debug: at, info: at, warn: at, error: at, enabled: () => true, with: () => log };
  const clock: Clock = { nowMs: () => nowMs, nowUnixNano: () => 0n, monotonicMs: () => nowMs };
  const timers = mock.method(globalThis, 'setTimeout', (f: () => void, ms: number) => {
    nowMs += ms;
    setImmediate(f);
  });
  const stopping = new AbortController();
  const deadline = new AbortController();
  const retry = createRetry(retryOnFailure().parse(config), {
    clock,
    log,
    stopping: stopping.signal,
    deadline: deadline.signal,
    random,
  });
  return { retry, intervals, stopping, deadline, now: () => nowMs, restore: () => timers.mock.restore() };
}

/** Fails `times` times, each time with another message, so that no log line is held back. */
const failing = (times: number, error = (n: number): unknown => retryable(`failure ${n}`)) => {
  let n = 0;
  return async () => {
    if (++n <= times) throw error(n);
    return { rejected: 0 };
  };
};

test('waits grow by the multiplier up to max_interval, and are spread by randomization_factor', async () => {
  for (const [config, random, expected] of [
    [{}, 0.5, ['5s', '7.5s', '11.25s', '16.875s', '25.3125s', '30s', '30s']],
    [{}, 0, ['2.5s', '3.75s', '5.625s', '8.4375s', '12.65625s', '15s', '15s']],
    [
      { randomization_factor: 0, initial_interval: '1s', multiplier: 2, max_interval: '3s' },
      0.9,
      ['1s', '2s', '3s', '3s', '3s', '3s', '3s'],
    ],
  ] as const) {
    const s = setUp({ ...config, max_elapsed_time: 0 }, () => random);
    try {
      await s.retry(failing(7), false);
    } finally {
      s.restore();
    }
    assert.deepEqual(s.intervals, expected);
  }
});

test('after max_elapsed_time there are no more retries, unless the source can wait', async () => {
  const s = setUp({ max_elapsed_time: '1m' });
  try {
    await assert.rejects(
      s.retry(failing(1000), false),
      (e) => e instanceof DeliveryError && !e.permanent && /^no more retries left: failure \d+$/.test(e.message),
    );
    assert.ok(s.now() <= 60_000);
    await s.retry(failing(100), true);
    assert.ok(s.now() > 60_000);
  } finally {
    s.restore();
  }
});

test('an error for good ends it at once and keeps what it carries', async () => {
  const s = setUp({});
  try {
    await assert.rejects(
      s.retry(
        failing(5, () => permanent('no', { status: 400, grpcCode: 3 })),
        true,
      ),
      (e) =>
        e instanceof DeliveryError &&
        e.permanent &&
        e.status === 400 &&
        e.grpcCode === 3 &&
        e.message === 'not retryable error: Permanent error: no',
    );
    assert.equal(s.now(), 0);
  } finally {
    s.restore();
  }
});

test('a wait that the destination asked for counts when it is longer', async () => {
  const s = setUp({ max_elapsed_time: 0 });
  try {
    await s.retry(
      failing(2, (n) => retryable(`f${n}`, { retryAfterMs: n === 1 ? 60_000 : 10 })),
      false,
    );
  } finally {
    s.restore();
  }
  assert.deepEqual(s.intervals, ['1m0s', '7.5s']);
});

test('stopping ends waits and forbids new ones; one attempt is still made', async () => {
  const { retry, stopping } = setUp({ initial_interval: '1h', max_interval: '1h', max_elapsed_time: 0 });
  mock.restoreAll();
  let attempts = 0;
  const waiting = retry(async () => {
    attempts++;
    setImmediate(() => stopping.abort());
    throw retryable('down');
  }, false);
  await assert.rejects(
    waiting,
    (e) => e instanceof InterruptedError && e.message === 'interrupted due to shutdown: down',
  );
  await assert.rejects(retry(failing(1), true), InterruptedError);
  assert.deepEqual(await retry(failing(0), false), { rejected: 0 });
  assert.equal(attempts, 1);
});
