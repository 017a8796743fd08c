/** The fast path gives what the general way gives: the same records, the same account, whatever the lines are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from '../../../test/helpers/property.ts';
import type { Source } from '../source.ts';
import { runOperators, type SeenRecord, type TestRun } from '../testing.ts';
import { isBlank } from './record.ts';

const DIR = '/var/log/pods/shop_cart-7d9c_0b1c2d3e-aaaa-bbbb-cccc-0123456789ab/cart';
const CONTAINER = { type: 'container' };

/** The window for all that it takes. */
function throughWindow(run: TestRun, source: Source, data: Buffer, sizes: readonly number[]): SeenRecord[] {
  const out: SeenRecord[] = [];
  let from = 0;
  let to = 0;
  for (let i = 0; to < data.length; i++) {
    to = Math.min(data.length, to + (sizes[i % sizes.length] ?? 1));
    for (;;) {
      const took = run.program.window!(source, data, from, to, from);
      run.ledger.read(0, took);
      from += took;
      if (took === 0) break;
      out.push(...run.take());
    }
  }
  return out;
}

/** Line by line through the operators. */
function throughTokens(run: TestRun, source: Source, data: Buffer): SeenRecord[] {
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(10, at);
    let a = at;
    let b = end;
    while (a < b && isBlank(data[a]!)) a++;
    while (b > a && isBlank(data[b - 1]!)) b--;
    run.ledger.read(0, end + 1 - at);
    if (a === b) source.ledger.settle(0, end + 1 - at, { kind: 'filtered', reason: 'blank line' });
    else
      run.program.token(source, {
        buf: data,
        start: a,
        end: b,
        offset: at,
        bytes: end + 1 - at,
        raw: false,
        extra: undefined,
      });
    at = end + 1;
  }
  return run.take();
}

type Feed = readonly { readonly file: number; readonly lines: readonly string[]; readonly waitMs: number }[];

const textOf = (r: SeenRecord): string => inspect(r, { sorted: true });

/** Several files in turn; lines as bytes in Latin-1, so that broken UTF-8 comes, too. */
async function same(operators: readonly unknown[], feed: Feed, sizes: readonly number[], attributes = {}) {
  const both: SeenRecord[][] = [];
  const accounts: unknown[] = [];
  for (const isFast of [true, false]) {
    const run = await runOperators(operators, { attributes });
    if (isFast) assert.ok(run.program.window, 'there is no fast path for this');
    const files = [0, 1].map((i) => run.source({ 'log.file.path': `${DIR}/${i}.log` }));
    const records: SeenRecord[] = [];
    for (const { file, lines, waitMs } of feed) {
      const data = Buffer.from(lines.map((l) => `${l}\n`).join(''), 'latin1');
      const source = files[file]!;
      records.push(...(isFast ? throughWindow(run, source, data, sizes) : throughTokens(run, source, data)));
      run.clock.ms += waitMs;
      run.program.tick();
      records.push(...run.take());
    }
    run.program.flush();
    records.push(...run.take());
    both.push(records);
    accounts.push(run.ledger.snapshot());
    assert.deepEqual(
      files.map((f) => f.holds.size),
      [0, 0],
    );
    // Of bodies that a fast path could not take, each says so in the same way.
    accounts.push(run.logged.map((l) => l.message).length > 0);
  }
  // Parts of two streams that time out together come in either order.
  if (operators.length === 1) for (const records of both) records.sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  // So do groups of two files; in each file the order is the same.
  const byFile = both.map((records) => [...Map.groupBy(records, (r) => String(r.attributes['log.file.path']))].sort());
  assert.deepEqual(byFile[0], byFile[1]);
  assert.deepEqual(accounts[0], accounts[2]);
  assert.deepEqual(accounts[1], accounts[3]);
  return both[0]!;
}

const stamp = fc.constantFrom(
  '2026-11-01T10:00:00.1Z',
  '2026-11-01T10:00:00.123456789Z',
  '2026-11-01T10:00:01+02:00',
  '2026-13-01T10:00:00Z',
  'now',
);
const cri = (body: fc.Arbitrary<string>) =>
  fc.oneof(
    { weight: 12, arbitrary: body.map((b) => `2026-11-01T10:00:00.123456789Z stdout F ${b}`) },
    { weight: 3, arbitrary: body.map((b) => `2026-11-01T10:00:02.5Z stderr F ${b}`) },
    { weight: 1, arbitrary: body.map((b) => `2026-11-01T10:00:00.1Z stdout P ${b}`) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(stamp, fc.constantFrom('stdout F', 'stderr P', 'x F', 'stdout F:x'), body)
        .map((t) => t.join(' ')),
    },
    { weight: 1, arbitrary: body },
    { weight: 1, arbitrary: fc.constantFrom('', '  ', '\r') },
  );
const feedOf = (body: fc.Arbitrary<string>): fc.Arbitrary<Feed> =>
  fc.array(
    fc.record({
      file: fc.constantFrom(0, 0, 0, 1),
      lines: fc.array(cri(body), { maxLength: 14 }),
      // A group that is handed over waits anew; that is the one thing that may come later.
      waitMs: fc.constantFrom(0, 0, 0, 6000),
    }),
    { maxLength: 4 },
  );
const sizesOf = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 4 });
const odd = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom('', ' ', 'é', '\xff\xfe', '\u00c3\u00a9', '{', '{}', '"', 'null', 'x'.repeat(300)),
);

/** Parts that the fast path joins and odd tags that the general way takes for parts do not find each other. */
const hasOddTags = (feed: Feed): boolean => feed.some((f) => f.lines.some((l) => l.includes('F:x')));

function check(name: string, operators: readonly unknown[], body: fc.Arbitrary<string>, attributes = {}): void {
  test(name, async () => {
    await fc.assert(
      fc.asyncProperty(feedOf(body), sizesOf, async (feed, sizes) => {
        fc.pre(operators.length > 1 || !hasOddTags(feed));
        await same(operators, feed, sizes, attributes);
      }),
      { numRuns: 150 },
    );
  });
}

const member = fc.tuple(
  fc.constantFrom('level', 'time', 'msg', 'n', 'logtag', 'a', 'trace_id', 'level'),
  fc.oneof(
    fc.constantFrom('"info"', '"WARN"', '"2026-11-22T12:00:00.25Z"', '"2026-11-22 12:00:00,250"', '1793354400'),
    fc.jsonValue({ maxDepth: 2 }).map((v) => JSON.stringify(v)),
  ),
);
const json = fc
  .oneof(
    {
      weight: 8,
      arbitrary: fc
        .array(member, { maxLength: 5 })
        .map((m) => `{"level":"info","time":"2026-11-22T12:00:00.5Z"${m.map(([k, v]) => `, "${k}": ${v}`).join('')}}`),
    },
    {
      weight: 4,
      arbitrary: fc.array(member, { maxLength: 4 }).map((m) => `{${m.map(([k, v]) => `"${k}":${v}`).join()}}`),
    },
    { weight: 1, arbitrary: odd },
  )
  .map((s) => Buffer.from(s).toString('latin1'));

const PARSED = { parse_from: 'attributes.level', mapping: { error: ['bad'], warn: 'WARN' } };
check('container alone', [CONTAINER], odd);
check('json_parser', [CONTAINER, { type: 'json_parser' }], json);
check('json_parser into attributes that are there', [CONTAINER, { type: 'json_parser' }], json, { msg: 'configured' });
check(
  'json_parser with blocks',
  [
    CONTAINER,
    {
      type: 'json_parser',
      timestamp: { parse_from: 'attributes.time', layout_type: 'gotime', layout: '2006-01-02T15:04:05.999Z07:00' },
      severity: PARSED,
    },
  ],
  json,
);
check(
  'json_parser, then operators for time and severity, and fields taken away',
  [
    { ...CONTAINER, output: 'j' },
    { type: 'json_parser', id: 'j' },
    { type: 'time_parser', parse_from: 'attributes.time', layout: '%Y-%m-%d %H:%M:%S,%L' },
    { type: 'severity_parser', parse_from: 'attributes.level', overwrite_text: true },
    { type: 'remove', field: 'attributes.time' },
  ],
  json,
);

const REGEX =
  '^(?P<addr>\\S+) (?P<user>[^ ]*) \\[(?P<time>[^\\]]+)\\] "(?P<path>[^"]*)"(?: (?P<status>\\d{3}))?(?P<rest>.*)$';
const access = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(
        fc.constantFrom('10.0.0.1', 'h', ''),
        fc.constantFrom('-', 'bob', ''),
        fc.constantFrom('22/Nov/2026:10:00:00 +0000', '22/Nov/2026:10:00:01 +0200', '22/Nov/1969:10:00:01 +0200', 'x'),
        fc.constantFrom('GET /', '', 'é', 'x'.repeat(200)),
        fc.constantFrom(' 200', ' 404', ' 503', '', ' 99'),
        fc.constantFrom('', ' "y"', ' é'),
      )
      .map(([a, u, t, p, s, r]) => `${a} ${u} [${t}] "${p}"${s}${r}`),
  },
  { weight: 1, arbitrary: odd },
);
check('regex_parser', [CONTAINER, { type: 'regex_parser', regex: REGEX }], access);
check('regex_parser into attributes that are there', [CONTAINER, { type: 'regex_parser', regex: REGEX }], access, {
  user: 'x',
});
check(
  'regex_parser with blocks',
  [
    CONTAINER,
    {
      type: 'regex_parser',
      regex: REGEX,
      timestamp: { parse_from: 'attributes.time', layout: '%d/%b/%Y:%H:%M:%S %z' },
      severity: { parse_from: 'attributes.status', mapping: { error: '5xx', warn: '4xx', info: ['2xx', '3xx'] } },
    },
  ],
  access,
);
check(
  'regex_parser, then operators for time and severity, and fields taken away',
  [
    CONTAINER,
    { type: 'regex_parser', regex: '(?P<status>[0-9]{3})(?P<rest>.*?)"(?P<quoted>.*)"' },
    { type: 'severity_parser', parse_from: 'attributes.status' },
    { type: 'remove', field: 'attributes.rest' },
  ],
  access,
);
check(
  'regex_parser with a time that has no year',
  [
    CONTAINER,
    {
      type: 'regex_parser',
      regex: '^(?P<t>\\w+ +\\d+ [\\d:]+) (?P<m>.*)',
      timestamp: { parse_from: 'attributes.t', layout: '%b %e %H:%M:%S', location: 'Europe/Berlin' },
    },
  ],
  fc.oneof(fc.constantFrom('Nov 2 10:00:00 x', 'Jan  2 03:04:05 y', 'Feb 29 10:00:00 z'), odd),
);

const java = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('2026-11-22 10:00:00,1 ERROR x', '2026-11-22 10:00:00,1 INFO [y] "z"') },
  { weight: 6, arbitrary: fc.constantFrom('\tat a.b(C.java:1)', 'java.lang.E: e', '... 3 more', 'END') },
  { weight: 1, arbitrary: odd },
);
const RECOMBINE = { type: 'recombine', combine_field: 'body' };
const FIRST = { ...RECOMBINE, is_first_entry: 'body matches "^\\\\d{4}-"' };
check('recombine by the first line', [CONTAINER, FIRST], java);
check(
  'recombine by what the first line is not, with the newest fields',
  [
    CONTAINER,
    {
      ...RECOMBINE,
      is_first_entry: 'not (body matches "^(\\\\s|\\\\.\\\\.\\\\.|java)" or body startsWith "END")',
      overwrite_with: 'newest',
      combine_with: '',
    },
  ],
  java,
);
check('recombine by the last line', [CONTAINER, { ...RECOMBINE, is_last_entry: 'body matches "D$"' }], java);
check(
  'recombine with bounds',
  [
    CONTAINER,
    {
      ...FIRST,
      max_batch_size: 4,
      max_unmatched_batch_size: 2,
      max_log_size: 60,

      force_flush_period: '4s',
    },
  ],
  java,
);
check(
  'recombine, then regex_parser',
  [
    CONTAINER,
    FIRST,
    {
      type: 'regex_parser',
      regex: '^(?P<time>[\\d-]+ [\\d:,]+) (?P<level>INFO|ERROR) (?P<message>(?s).*)$',
      severity: { parse_from: 'attributes.level' },
    },
  ],
  java,
);

test('most lines of these take the fast way', async () => {
  const general: string[] = [];
  for (const [operators, body] of [
    [[CONTAINER, { type: 'regex_parser', regex: REGEX }], '10.0.0.1 - [22/Nov/2026:10:00:00 +0000] "GET /" 200 x'],
    [[CONTAINER, { type: 'json_parser' }, { type: 'remove', field: 'attributes.a' }], '{"a":1,"b":"x"}'],
  ] as const) {
    const run = await runOperators(operators);
    const line = Buffer.from(`2026-11-01T10:00:00.1Z stdout F ${body}\n`);
    const source = run.source({ 'log.file.path': `${DIR}/0.log` });
    const token = run.program.token;
    Object.assign(run.program, { token: (...args: Parameters<typeof token>) => general.push(body) && token(...args) });
    throughWindow(run, source, line, [1000]);
  }
  assert.deepEqual(general, []);
});
