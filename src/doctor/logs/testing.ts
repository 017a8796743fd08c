/** For tests of rules: lines in the forms that collectors write, and the check of a table of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLine } from './line.ts';
import type { LogRule } from './rule.ts';
import { LOG_RULES } from './rules.ts';

/** When the lines are read. */
export const NOW = Date.UTC(2026, 10, 23, 12);
/** As the console encoding writes a line. */
export const console_ = (level: string, caller: string, message: string, fields: object): string =>
  `2026-11-23T10:00:00.000Z\t${level}\t${caller}\t${message}\t${JSON.stringify(fields)}`;
/** As the JSON encoding writes it. */
export const json = (level: string, message: string, fields: object): string =>
  JSON.stringify({ level, ts: 1795428000.25, caller: 'internal/queue_sender.go:128', msg: message, ...fields });
export const LOGS = {
  'otelcol.component.id': 'otlphttp/logs',
  'otelcol.component.kind': 'Exporter',
  'otelcol.signal': 'logs',
};
/** How collectors before 0.123 name the component of a line. */
export const OLD = { kind: 'exporter', data_type: 'logs', name: 'otlphttp/logs' };
export const RETRY = 'Exporting failed. Will retry the request after interval.';
export const retry = (error: string) =>
  console_('info', 'internal/retry_sender.go:133', RETRY, { ...LOGS, error, interval: '5s' });
export const drop = (error: string) =>
  json('error', 'Exporting failed. Dropping data.', {
    ...OLD,
    error,
    dropped_items: 20,
    stacktrace: 'go.opentelemetry.io/x\n\tx.go:1',
  });

/** Rule, a line as collectors write it, and what is made of it; the fix only by a word that must be in it. */
export type Row = readonly [id: string, line: string, what: string, fix: RegExp];

/** Each line has its rule, among all rules; each of `rules` has a line. */
export function testRules(rules: readonly LogRule[], table: readonly Row[]): void {
  for (const [id, line, what, fix] of table)
    test(`a log line is known as ${id}: ${line.slice(0, 60)}…`, () => {
      const entry = readLine(line, NOW);
      assert.ok(entry);
      const rule = LOG_RULES.find((r) => r.pattern.test(entry.text));
      assert.equal(rule?.id, id, entry.text);
      const match = rule!.pattern.exec(entry.text)!;
      assert.equal(rule!.what(match, entry), what);
      assert.match(rule!.fix(match, entry), fix);
      assert.doesNotMatch(rule!.fix(match, entry), /\n/, 'a fix is one line');
    });

  test('every rule has a line of its own', () => {
    const without = rules.map((r) => r.id).filter((id) => !table.some((row) => row[0] === id));
    assert.deepEqual(without, []);
  });
}
