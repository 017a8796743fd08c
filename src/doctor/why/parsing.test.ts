import assert from 'node:assert/strict';
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { told } from '../testing.ts';
import { ask, config, file, line, section, write } from './testing.ts';

test('operators that complain, and operators that drop', async (t) => {
  write('app', ['{"level": "warn", "msg": "a"}', 'not json']);
  const complaining = await ask(t, { config: config({ operators: '{type: container}, {type: json_parser}' }) });
  const [found] = section(complaining.results, 'parsing');
  assert.equal(told([found!])[0], 'warning: 2 lines of app become 2 records, and operators complain');
  assert.match(found!.how, /file_log: container → json_parser; json_parser: Failed to process entry: /);
  const dropping = await ask(t, {
    config: config({ operators: `{type: container}, {type: filter, expr: 'body matches "json"'}` }),
  });
  const [dropped] = section(dropping.results, 'parsing');
  assert.equal(told([dropped!])[0], 'ok: 2 lines of app become 1 record');
  assert.match(dropped!.how, /dropped: 1 filter/);
});

test('lines that belong together are joined as the receiver and its operators join them', async (t) => {
  const trace = ['2026-11-22 boom', '  at a', '  at b', '2026-11-22 fine'];
  const recombine = `{type: container}, {type: recombine, combine_field: body, is_first_entry: 'body matches "^[0-9]"'}`;
  const ways: [string, readonly string[], (lines: readonly string[]) => void, string][] = [
    [recombine, trace, (lines) => write('app', lines), 'file_log: container → recombine'],
    [
      '',
      trace,
      (lines) => writeFileSync(file('app'), lines.map((l) => `${l}\n`).join('')),
      'file_log: multiline line_start_pattern ^\\d{4}-',
    ],
    [
      '',
      trace.map((l) => (l.startsWith(' ') ? l : `${l};`)).toReversed(),
      (lines) => writeFileSync(file('app'), lines.map((l) => `${l}\n`).join('')),
      'file_log: multiline line_end_pattern ;\\n',
    ],
  ];
  for (const [operators, lines, put, how] of ways) {
    put(lines);
    const [, key, pattern] = / multiline (\w+) (.*)$/.exec(how) ?? [];
    const multiline = key === undefined ? '' : `multiline: {${key}: '${pattern}'}\n    `;
    const text = config({ operators }).replace('    include:', `    ${multiline}include:`);
    const { results } = await ask(t, { config: text });
    const [found, ...more] = section(results, 'parsing');
    assert.deepEqual([told([found!])[0], more], ['ok: 4 lines of app become 2 records', []], how);
    assert.equal(found!.how, how);
    assert.match(section(results, 'destination')[0]!.how, /the last: "(?:2026-11-22 fine|at b.*2026-11-22 boom;)"/);
  }
});

test('the records that are shown begin where a group of lines begins', async (t) => {
  const recombine = `{type: container}, {type: recombine, combine_field: body, is_last_entry: 'body == "}"', combine_with: ""}, {type: json_parser}`;
  const record = ['{', '"a": 1,', '"b": 2', '}'];
  // 50 lines from the end is in the middle of one, and what begins before it is joined all the same.
  write('app', Array.from({ length: 40 }, () => record).flat());
  const { results } = await ask(t, { config: config({ operators: recombine }) });
  assert.deepEqual(told(section(results, 'parsing')), ['ok: 50 lines of app become 13 records']);
  assert.match(section(results, 'destination')[0]!.how, /attributes .*\ba, b\b/);
});

test('a pattern that fits nothing makes one record of all', async (t) => {
  const text = config({ operators: '' }).replace(
    '    include:',
    `    multiline: {line_start_pattern: '^never'}\n    include:`,
  );
  for (const n of [10, 5000]) {
    writeFileSync(file('app'), `${'z'.repeat(99)}\n`.repeat(n));
    const [found] = section((await ask(t, { config: text })).results, 'parsing');
    const [, lines, records] = / (\d+) lines of app become (\d+) record/.exec(told([found!])[0]!) ?? [];
    assert.equal(records, '1');
    // Of the larger file, those of its last 256 KiB.
    assert.ok(n === 10 ? lines === '10' : Number(lines) > 2600 && Number(lines) < 2630, `${lines} lines`);
  }
});

test('multiline where the runtime puts something before each line is told', async (t) => {
  write('app', ['2026 boom', '  at a', '2026 fine']);
  const text = config().replace('    include:', `    multiline: {line_start_pattern: '^\\d{4} '}\n    include:`);
  const [found] = section((await ask(t, { config: text })).results, 'parsing');
  assert.match(told([found!])[0]!, /^warning: 3 lines of app become 1 record: multiline sees lines with what the/);
  assert.match(found!.fix!, /type: recombine/);
});

test('only the end of a large file is read, from its first whole line on', async (t) => {
  write('big', [], '0.log');
  for (let i = 0; i < 100; i++) appendFileSync(file('big'), line(`${i} ${'y'.repeat(8000)}`));
  const { results } = await ask(t, { config: config(), container: 'big' });
  assert.match(told(section(results, 'parsing'))[0]!, /^ok: (?:2\d|3\d) lines of big become/);
  rmSync(join(file('big'), '..'), { recursive: true });
});
