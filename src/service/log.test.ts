import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { retryable } from '../core/errors.ts';
import { localIso, makeLogger, openLog } from './log.ts';

const NOON = Date.UTC(2026, 10, 22, 12, 0, 0, 25);
const stamp = localIso(new Date(NOON));
const plain = {
  level: 'info',
  encoding: 'console',
  disableCaller: false,
  disableStacktrace: false,
  initialFields: {},
  nowMs: () => NOON,
} as const;

function collect(options: Partial<Parameters<typeof makeLogger>[0]> = {}) {
  const lines: string[] = [];
  return { lines, log: makeLogger({ ...plain, ...options }, (l) => lines.push(l)) };
}

test('console lines are time, level, caller, message and fields between tabs', () => {
  const { lines, log } = collect({ resource: { 'service.name': 'sluice' } });
  log
    .from('receivers/otlp')
    .with({ 'otelcol.component.id': 'otlp/a' })
    .warn('Careful', {
      n: 5,
      list: [1, 'x'],
      big: 7n,
      nested: { a: true },
      missing: undefined,
      map: new Map([['k', 0.5]]),
    });
  assert.deepEqual(lines, [
    `${stamp}\twarn\treceivers/otlp\tCareful\t{"resource": {"service.name": "sluice"}, "otelcol.component.id": "otlp/a", "n": 5, "list": [1, "x"], "big": 7, "nested": {"a": true}, "map": {"k": 0.5}}\n`,
  ]);
});

test('a line without fields ends after the message, and the caller can be left out', () => {
  const { lines, log } = collect({ disableCaller: true });
  log.info('Everything is ready. Begin running and processing data.');
  assert.deepEqual(lines, [`${stamp}\tinfo\tEverything is ready. Begin running and processing data.\n`]);
});

test('json lines carry level, ts, caller, msg and the fields', () => {
  const { lines, log } = collect({ encoding: 'json', initialFields: { team: 'core' } });
  log.error('Failed', { error: retryable('busy\n"now"') });
  assert.equal(
    lines[0],
    `{"level":"error","ts":"${stamp}","caller":"service","msg":"Failed","team":"core","error":"busy\\n\\"now\\""}\n`,
  );
});

test('levels below the configured one are not written', () => {
  const { lines, log } = collect({ level: 'warn' });
  log.debug('a');
  log.info('b');
  log.warn('c');
  assert.equal(lines.length, 1);
  assert.deepEqual([log.enabled('info'), log.enabled('error')], [false, true]);
});

test('bugs are logged with their stack, expected errors without', () => {
  const { lines, log } = collect();
  log.error('x', { error: new TypeError('boom') });
  log.error('x', { error: retryable('later') });
  log.warn('x', { error: new TypeError('boom') });
  assert.match(lines[0]!, /"error": "boom"}\nTypeError: boom\n {4}at /);
  assert.equal(lines[1]!.split('\n').length, 2);
  assert.equal(lines[2]!.split('\n').length, 2);
});

test('sampling lets the first of each message and tick pass, then every n-th', () => {
  let now = NOON;
  const { lines, log } = collect({ sampling: { tickMs: 1000, initial: 2, thereafter: 3 }, nowMs: () => now });
  for (let i = 0; i < 8; i++) log.info('same');
  assert.equal(lines.length, 4);
  log.info('other');
  log.warn('same');
  assert.equal(lines.length, 6);
  now += 1000;
  log.info('same');
  assert.equal(lines.length, 7);
});

test('output paths may be files, which are appended to', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-log-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const path = join(dir, 'own.log');
  for (const message of ['one', 'two']) {
    const log = openLog({ ...plain, outputPaths: [path] });
    log.logger.info(message);
    log.close();
    log.logger.info('after close goes nowhere');
  }
  assert.equal(readFileSync(path, 'utf8'), `${stamp}\tinfo\tservice\tone\n${stamp}\tinfo\tservice\ttwo\n`);
});
