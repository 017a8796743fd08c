/** What holds for all rules together; the lines of each are in the tests of its theme. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuMs } from '../../../test/helpers/cpu.ts';
import { readLine } from './line.ts';
import { LOG_RULES } from './rules.ts';
import { console_, json, NOW } from './testing.ts';

test('ids are used once', () => {
  const ids = LOG_RULES.map((r) => r.id);
  assert.equal(new Set(ids).size, ids.length);
});

test('lines of a collector that is well are nobody’s trouble', () => {
  const fine = [
    console_('info', 'service', 'Everything is ready. Begin running and processing data.', {}),
    console_('info', 'service', 'Ledger', { records: { read: 10, delivered: 10, lost: 0 }, lost_by: {} }),
    console_('info', 'receivers/file_log', 'Started watching file', { path: '/var/log/pods/a_b_c/d/0.log' }),
    console_('info', 'service', 'Starting extensions...', {}),
    json('info', 'Serving metrics', { address: 'localhost:8888' }),
    'I1123 10:00:00.395926       1 leaderelection.go:257] attempting to acquire leader lease opentelemetry/gw...',
  ];
  for (const line of fine) {
    const entry = readLine(line, NOW)!;
    assert.equal(LOG_RULES.find((r) => r.pattern.test(entry.text))?.id, undefined, line);
  }
});

test('no pattern takes long, whatever the line', () => {
  const pieces = [
    '"',
    'a',
    '\n',
    'a\n',
    '\\"a',
    '/var/lib/',
    'open ',
    'open /var/log/pods ',
    'mkdir /',
    'listen tcp ',
    'User "a" cannot get resource ',
    'failed to start "a" x',
    'x509: certificate is valid for ',
    'Failed to process entry\n',
    'WriteRequest to remote endpoint\n',
    'Configuration references unset environment variable\n',
  ];
  const bad = pieces.map((p) => p.repeat(Math.ceil(32_000 / p.length)));
  for (const text of bad)
    for (const rule of LOG_RULES) {
      const start = cpuMs();
      rule.pattern.test(text);
      assert.ok(cpuMs() - start < 1000, `${rule.id} on ${text.slice(0, 20)}`);
    }
});
