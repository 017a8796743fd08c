import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { cpuMs } from '../../../test/helpers/cpu.ts';
import fc from '../../../test/helpers/property.ts';
import { runOperators, type SeenRecord, type TestRun } from '../testing.ts';

const CRI = '2026-01-02T03:04:05.000000000Z';
const run = (config: object = {}): Promise<TestRun> =>
  runOperators([
    { type: 'container', add_metadata_from_filepath: false },
    { type: 'auto_parser', ...config },
  ]);
const plainRun = (config: object = {}): Promise<TestRun> => runOperators([{ type: 'auto_parser', ...config }]);
const write = (r: TestRun, text: string, stream = 'stderr', from = r.source()): void =>
  r.line(`${CRI} ${stream} F ${text}`, from);

async function one(line: string, config: object = {}): Promise<SeenRecord> {
  const r = await plainRun(config);
  r.line(line);
  r.program.flush();
  const [record, ...rest] = r.take();
  assert.deepEqual(rest, []);
  return record!;
}

const T = 1_767_323_045_000_000_000n;

const formats: readonly [name: string, line: string, expected: Partial<SeenRecord>][] = [
  [
    'JSON of zap',
    '{"level":"error","ts":1767323045.5,"caller":"a.go:1","msg":"failed","n":1,"ok":true}',
    {
      body: 'failed',
      severity: 17,
      severityText: 'error',
      time: T + 500_000_000n,
      attributes: { caller: 'a.go:1', n: 1n, ok: true },
    },
  ],
  [
    'JSON of pino',
    '{"level":50,"time":1767323045000,"pid":1,"msg":"failed","err":{"type":"E"}}',
    { body: 'failed', severity: 17, severityText: '50', time: T, attributes: { pid: 1n, err: { type: 'E' } } },
  ],
  [
    'JSON of logback with the names of ECS',
    '{"@timestamp":"2026-01-02T03:04:05.000Z","log.level":"WARN","message":"slow","trace.id":"0af7651916cd43dd8448eb211c80319c","span.id":"b7ad6b7169203331"}',
    {
      body: 'slow',
      severity: 13,
      time: T,
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      attributes: {},
    },
  ],
  [
    'JSON of Serilog',
    '{"@t":"2026-01-02T05:04:05+02:00","@m":"hi","@l":"Information","@tr":"0af7651916cd43dd8448eb211c80319c"}',
    { body: 'hi', severity: 9, time: T, traceId: '0af7651916cd43dd8448eb211c80319c', attributes: {} },
  ],
  ['JSON without a message', '{"a":1}', { body: '{"a":1}', attributes: { a: 1n } }],
  [
    'what is not a level, a time or a trace id stays',
    '{"level":"purple","time":12,"trace_id":"00000000000000000000000000000000","msg":{"a":1}}',
    {
      body: '{"level":"purple","time":12,"trace_id":"00000000000000000000000000000000","msg":{"a":1}}',
      attributes: { level: 'purple', time: 12n, trace_id: '0'.repeat(32), msg: { a: 1n } },
    },
  ],
  ['broken JSON', '{"a":1', { body: '{"a":1', attributes: {} }],
  ['braces that are no JSON', '{a: 1}', { body: '{a: 1}', attributes: {} }],
  ['an empty object', '{}', { body: '{}', attributes: {} }],
  [
    'logfmt',
    'ts=2026-01-02T03:04:05.000Z level=warn caller=x.go:1 msg="a \\"b\\"" dur=5ms empty=',
    {
      body: 'a "b"',
      severity: 13,
      severityText: 'warn',
      time: T,
      attributes: { caller: 'x.go:1', dur: '5ms', empty: '' },
    },
  ],
  [
    'prose with a pair',
    'connected with timeout=5s retries=3',
    { body: 'connected with timeout=5s retries=3', attributes: {} },
  ],
  ['two pairs that tell nothing', 'a=1 b=2', { body: 'a=1 b=2', attributes: {} }],
  ['many pairs', 'a=1 b=2 c=3 d=4 e=5', { attributes: { a: '1', b: '2', c: '3', d: '4', e: '5' } }],
  ['a quote that is not closed', 'level=info msg="a', { body: 'level=info msg="a', attributes: {} }],
  [
    'klog',
    'I0102 03:04:05.000001       7 main.go:12] Started all of it',
    {
      body: 'Started all of it',
      severity: 9,
      severityText: 'I',
      time: T + 1000n,
      attributes: { 'thread.id': 7n, 'code.file.path': 'main.go', 'code.line.number': 12n },
    },
  ],
  [
    'structured klog',
    'W0102 03:04:05.000000       7 main.go:12] "Pod \\"a\\" is gone" pod="ns/a" n=5',
    {
      body: 'Pod "a" is gone',
      severity: 13,
      attributes: { 'thread.id': 7n, 'code.file.path': 'main.go', 'code.line.number': 12n, pod: 'ns/a', n: '5' },
    },
  ],
  ['klog of last year', 'I1231 23:00:00.000000 7 a.go:1] x', { time: 1_767_222_000_000_000_000n }],
  ['nearly klog', 'I1331 23:00:00.000000 7 a.go:1] x', { body: 'I1331 23:00:00.000000 7 a.go:1] x', attributes: {} }],
  ['plain text', 'hello', { body: 'hello', attributes: {} }],
];
for (const [name, line, expected] of formats)
  test(`format: ${name}`, async () => {
    const record = await one(line);
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(record[key as keyof SeenRecord], value, key);
  });

test('only the configured formats are parsed', async () => {
  assert.equal((await one('{"msg":"x","level":"info"}', { formats: ['klog'] })).body, '{"msg":"x","level":"info"}');
  assert.equal((await one('level=info msg=x', { formats: ['json'] })).body, 'level=info msg=x');
});

test('attributes of the file are not replaced', async () => {
  const r = await run();
  write(r, '{"msg":"x","logtag":"mine","log.iostream":"theirs"}', 'stdout');
  assert.deepEqual(r.take()[0]?.attributes, {
    'log.iostream': 'stdout',
    logtag: 'F',
    'parsed.logtag': 'mine',
    'parsed.log.iostream': 'theirs',
  });
});

test('a stream that writes logfmt may write short lines of it', async () => {
  const r = await plainRun();
  r.line('level=info msg=x');
  r.line('a=1 b=2');
  assert.deepEqual(
    r.take().map((x) => x.attributes),
    [{}, { a: '1', b: '2' }],
  );
});

test('records that are not text pass', async () => {
  const r = await runOperators([{ type: 'json_parser', parse_to: 'body' }, { type: 'auto_parser' }]);
  r.line('{"a":1}');
  assert.deepEqual(
    r.take().map((x) => x.body),
    [{ a: 1 }],
  );
});

/** Messages of several lines can only be told by their indentation, which a receiver may have trimmed. */
const NEEDS_INDENTATION = ['python 6'];
const LANGUAGES = ['java', 'python', 'go', 'node', 'dotnet', 'ruby'];
for (const language of LANGUAGES) {
  const file = new URL(`../auto/testdata/${language}.txt`, import.meta.url);
  const traces = readFileSync(file, 'utf8').trimEnd().split('\n=====\n');
  test(`${language}: there are enough traces`, () => assert.ok(traces.length >= 5));
  for (const [i, trace] of traces.entries()) {
    const lines = trace.split('\n');
    const title = `${language} ${i + 1}: ${lines
      .find((l) => /error|exception|panic/i.test(l))
      ?.trim()
      .slice(0, 60)}`;
    test(`${title}, container`, async () => {
      const r = await run();
      for (const l of ['before', ...lines, 'after', ...lines, '2026-11-22 INFO after']) write(r, l);
      r.program.flush();
      const bodies = r.take().map((x) => x.body);
      // The header of klog becomes fields.
      const expected = trace.replace(/^E1122 .*?\] /, '');
      assert.deepEqual(bodies, ['before', expected, 'after', expected, '2026-11-22 INFO after']);
    });
    if (NEEDS_INDENTATION.includes(`${language} ${i + 1}`)) continue;
    test(`${title}, trimmed lines`, async () => {
      const r = await plainRun();
      const trimmed = lines.map((l) => l.trim()).filter((l) => l !== '');
      for (const l of ['before', ...trimmed, 'after']) r.line(l);
      r.program.flush();
      const expected = trimmed.join('\n').replace(/^E1122 .*?\] /, '');
      assert.deepEqual(
        r.take().map((x) => x.body),
        ['before', expected, 'after'],
      );
    });
  }
}

const separate: readonly (readonly string[])[] = [
  ['2026 ERROR a failed', '2026 ERROR b failed', '2026 INFO c'],
  ['java.io.IOException: a', 'java.io.IOException: b'],
  ['{"level":"error","msg":"x"}', 'at the end of the day', 'Error: x', '{"level":"error","msg":"x"}'],
  ['level=error msg=x', 'level=error msg=y'],
  ['/app/main.go', 'from here to there', 'File not found', '... 5 more'],
  ['ERROR: a', 'INFO: b', 'at 10:00 it was over'],
];
for (const lines of separate)
  test(`not joined: ${lines.join(' | ')}`, async () => {
    const r = await run();
    for (const l of lines) write(r, l);
    r.program.flush();
    assert.equal(r.take().length, lines.length);
  });

const JAVA = ['java.lang.Error: x', '\tat a.B.c(B.java:1)', '\tat a.B.d(B.java:2)', '\tat a.B.e(B.java:3)'];

test('streams and files are joined on their own', async () => {
  const r = await run();
  const [a, b] = [r.source({ 'log.file.path': '/a' }), r.source({ 'log.file.path': '/b' })];
  for (const l of JAVA) {
    write(r, l, 'stderr', a);
    write(r, l, 'stdout', a);
    write(r, l, 'stderr', b);
  }
  r.program.flush();
  assert.deepEqual(
    r.take().map((x) => x.body),
    Array(3).fill(JAVA.join('\n')),
  );
});

test('a trace that has no end is given out after a while, and its offset is held until then', async () => {
  const r = await run({ flush_after: '2s' });
  const source = r.source();
  for (const l of JAVA) write(r, l, 'stderr', source);
  r.clock.ms += 1999;
  r.program.tick();
  assert.deepEqual(r.take(), []);
  assert.equal(source.holds.lowest, 0);
  r.clock.ms += 1;
  r.program.tick();
  assert.deepEqual(
    r.take().map((x) => x.body),
    [JAVA.join('\n')],
  );
  assert.equal(source.holds.size, 0);
  assert.equal(r.counter('sluice_auto_parser_forced_flushes', 'reason', 'time'), 1);
});

test('lines that the runtime wrote in parts are whole before they are looked at', async () => {
  const r = await run();
  const source = r.source();
  const part = (flag: 'P' | 'F', text: string, stream = 'stderr'): void =>
    r.line(`${CRI} ${stream} ${flag} ${text}`, source);
  part('P', 'java.lang.');
  part('F', 'Error: x');
  part('P', '{"level":"warn",', 'stdout');
  part('P', '\tat a.B.c(');
  part('F', 'B.java:1)');
  part('F', '"msg":"slow"}', 'stdout');
  part('F', '\tat a.B.d(B.java:2)');
  part('F', 'done');
  r.program.flush();
  const seen = r.take().map((x) => [x.body, x.severity]);
  assert.deepEqual(
    seen.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    [
      ['done', undefined],
      ['java.lang.Error: x\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)', undefined],
      ['slow', 13],
    ],
  );
});

test('a trace over the limits becomes several records, and each flush is counted', async () => {
  const lines = await run({ max_lines: 2 });
  for (const l of JAVA) write(lines, l);
  assert.deepEqual(
    lines.take().map((x) => x.body),
    [JAVA.slice(0, 2).join('\n'), JAVA.slice(2).join('\n')],
  );
  assert.equal(lines.counter('sluice_auto_parser_forced_flushes', 'reason', 'lines'), 2);
  const bytes = await run({ max_bytes: 45 });
  for (const l of JAVA) write(bytes, l);
  bytes.program.flush();
  assert.deepEqual(
    bytes.take().map((x) => x.body),
    [JAVA.slice(0, 2).join('\n'), JAVA.slice(2).join('\n')],
  );
  assert.equal(bytes.counter('sluice_auto_parser_forced_flushes', 'reason', 'bytes'), 1);
});

test('what is held goes out when its file is gone', async () => {
  const r = await run();
  const source = r.source();
  for (const l of JAVA) write(r, l, 'stderr', source);
  r.program.forget(source);
  assert.deepEqual(
    r.take().map((x) => x.body),
    [JAVA.join('\n')],
  );
});

test('formats are counted by workload', async () => {
  const r = await runOperators([{ type: 'auto_parser' }], {
    resource: { 'k8s.namespace.name': 'shop', 'k8s.container.name': 'web' },
  });
  for (const l of ['{"msg":"x"}', 'x', 'level=info msg=x', '{"msg":"x"}']) r.line(l);
  const of = (format: string) => r.counter('sluice_auto_parser_verdicts', 'format', format);
  assert.deepEqual([of('json'), of('logfmt'), of('plain'), of('klog')], [2, 1, 1, undefined]);
  assert.equal(r.counter('sluice_auto_parser_verdicts', 'workload', 'shop/web'), 2);
});

test('whatever is written: every line is in some record, and the books are balanced', async () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(
      ...JAVA,
      'Traceback (most recent call last):',
      'panic: x',
      'goroutine 1 [running]:',
      '',
      '{"a":1}',
      'ERROR x',
      '/a.js:1',
      'a=1 level=b',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 40 }), fc.integer({ min: 2, max: 9 }), async (lines, maxLines) => {
      const r = await run({ max_lines: maxLines, max_bytes: 100 });
      for (const [i, l] of lines.entries()) write(r, l.replace(/[\n\r]/g, ' '), i % 3 ? 'stderr' : 'stdout');
      r.program.flush();
      r.take();
      const { read, delivered, inFlight } = r.ledger.snapshot();
      assert.deepEqual(delivered, read);
      assert.equal(inFlight.bytes, 0);
    }),
  );
});

test('hostile lines take no time that matters', async () => {
  const units = ['a.', '(', 'Error', 'at ', 'a:1:', ' ', '/', '"', 'a=', '{', '^ ~', 'panic: ', '...'];
  const starts = [
    'ERROR x',
    'java.lang.Error: x',
    'Traceback (most recent call last):',
    'panic: x',
    '/a.js:1',
    'goroutine 1 [running]:',
  ];
  const startMs = cpuMs();
  const r = await run();
  for (const start of starts)
    for (const unit of units) {
      write(r, start);
      write(r, unit.repeat(100_000 / unit.length));
    }
  r.program.flush();
  // A few hundred milliseconds; quadratic time would be hours.
  assert.ok(cpuMs() - startMs < 30_000);
});
