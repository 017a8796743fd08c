import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { runOperators, TEST_NOW_MS } from '../testing.ts';

const PATH = '/var/log/pods/shop_web-1_0b7d1c52-1111-4a4a-8b8b-aaaaaaaaaaaa/web/0.log';
const POD = {
  'k8s.namespace.name': 'shop',
  'k8s.pod.name': 'web-1',
  'k8s.pod.uid': '0b7d1c52-1111-4a4a-8b8b-aaaaaaaaaaaa',
  'k8s.container.name': 'web',
  'k8s.container.restart_count': '0',
};
const NOW = BigInt(TEST_NOW_MS) * 1_000_000n;

async function lines(config: object, ...input: string[]) {
  const run = await runOperators([{ type: 'container', ...config }]);
  const source = run.source({ 'log.file.path': PATH });
  for (const l of input) run.line(l, source);
  return { run, source, records: run.take() };
}

test('the three formats are recognised by themselves, also within one file', async () => {
  const { records } = await lines(
    {},
    '2026-01-02T03:04:05.5Z stderr F on stderr',
    '2026-01-02T05:04:06+02:00 stdout F cri-o',
    '{"log":"docker\\tline\\n","stream":"stdout","time":"2026-01-02T03:04:05.111222333Z","attrs":{"tag":"x1"}}',
  );
  const file = { 'log.file.path': PATH };
  assert.deepEqual(records, [
    {
      body: 'on stderr',
      attributes: { ...file, logtag: 'F', 'log.iostream': 'stderr' },
      resource: POD,
      time: NOW + 500_000_000n,
    },
    {
      body: 'cri-o',
      attributes: { ...file, logtag: 'F', 'log.iostream': 'stdout' },
      resource: POD,
      time: NOW + 1_000_000_000n,
    },
    {
      body: 'docker\tline\n',
      attributes: { ...file, 'log.iostream': 'stdout', attrs: { tag: 'x1' } },
      resource: POD,
      time: NOW + 111_222_333n,
    },
  ]);
});

test('an empty text, blanks inside, and odd tags', async () => {
  const { records } = await lines(
    {},
    '2026-01-02T03:04:05Z stdout F ',
    '2026-01-02T03:04:05Z stdout F   a  b  ',
    '2026-01-02T03:04:05Z stdout F:x text',
  );
  assert.deepEqual(
    records.map((r) => [r.body, r.attributes['logtag']]),
    [
      ['', 'F'],
      ['  a  b', 'F'],
    ],
  );
});

test('times of all shapes', async () => {
  const table: [string, bigint | undefined][] = [
    ['2026-01-02T03:04:05Z', NOW],
    ['2026-01-02T03:04:05.1Z', NOW + 100_000_000n],
    ['2026-01-02T03:04:05.123456789+00:00', NOW + 123_456_789n],
    ['2026-06-30T23:59:59.999999999+02:00', 1_782_856_799_999_999_999n],
    ['2026-06-30T23:59:59.000000001-11:45', 1_782_906_299_000_000_001n],
    ['1969-12-31T23:59:59.5Z', 18_446_744_073_209_551_616n],
    ['2026-01-02T3:04:05Z', NOW],
    ['1999-12-31T23:59:60Z', undefined],
    ['2026-13-02T03:04:05.1Z', undefined],
    ['2026-02-29T03:04:05.1Z', undefined],
    ['2026-01-02T03:04:05+0200', undefined],
    ['2026-01-02T03:04:05.Z', undefined],
    ['yesterdayZ', undefined],
  ];
  for (const [time, expected] of table) {
    const { records } = await lines({}, `${time} stdout F x`);
    assert.equal(records[0]?.time, expected, time);
    if (expected === undefined) {
      assert.equal(records[0]?.body, `${time} stdout F x`);
      assert.deepEqual(records[0]?.attributes, {
        'log.file.path': PATH,
        time,
        stream: 'stdout',
        logtag: 'F',
        log: 'x',
      });
    }
  }
});

test('lines that no runtime writes go on as they are', async () => {
  for (const line of [
    'plain text',
    '2026-01-02 03:04:05Z stdout F x',
    '2026-01-02T03:04:05.1Z stdin F x',
    '2026-01-02T03:04:05Zx stdout F x',
    'Z stdout F x',
  ]) {
    const { records, run } = await lines({}, line);
    assert.deepEqual(records, [{ body: line, attributes: { 'log.file.path': PATH } }], line);
    assert.equal(run.logged[0]?.message, 'Failed to process entry');
  }
});

test('a fixed format refuses the others', async () => {
  const input = [
    '2026-01-02T03:04:05.1Z stdout F a',
    '2026-01-02T03:04:05.1+00:00 stdout F b',
    '{"log":"c","stream":"stdout","time":"2026-01-02T03:04:05Z"}',
    'plain',
    '{"not":"docker"}',
  ];
  for (const [format, body] of Object.entries({ containerd: 'a', crio: 'b', docker: 'c' })) {
    const { records } = await lines({ format, on_error: 'drop_quiet' }, ...input);
    assert.deepEqual(
      records.map((r) => r.body),
      [body],
      format,
    );
  }
});

test('parts are joined by stream, trimmed like any line, as the first part', async () => {
  const { records, run, source } = await lines(
    {},
    '2026-01-02T03:04:05.1Z stdout P out1 ',
    '2026-01-02T03:04:05.2Z stderr P err1-',
    '2026-01-02T03:04:05.3Z stdout P  ',
    '2026-01-02T03:04:05.4Z stdout F out2 ',
    '2026-01-02T03:04:05.5Z stderr F err2',
    '2026-01-02T03:04:05.6Z stderr F single',
  );
  assert.deepEqual(
    records.map((r) => [r.body, r.attributes['logtag'], r.attributes['log.iostream'], r.time]),
    [
      ['out1out2', 'P', 'stdout', NOW + 100_000_000n],
      ['err1-err2', 'P', 'stderr', NOW + 200_000_000n],
      ['single', 'F', 'stderr', NOW + 600_000_000n],
    ],
  );
  const sum = run.ledger.snapshot();
  assert.equal(sum.delivered.records, 3);
  assert.deepEqual(sum.inFlight, { records: 0, bytes: 0 });
  assert.equal(source.holds.size, 0);
});

test('an unfinished line is held back, and given out after five seconds, at a flush and when its file goes', async () => {
  const cases: [string, (t: Awaited<ReturnType<typeof lines>>) => void][] = [
    [
      'tick',
      (t) => {
        t.run.clock.ms += 4999;
        t.run.program.tick();
        assert.deepEqual(t.run.take(), []);
        t.run.clock.ms += 1;
        t.run.program.tick();
      },
    ],
    ['flush', (t) => t.run.program.flush()],
    ['forget', (t) => t.run.program.forget(t.source)],
  ];
  for (const [name, act] of cases) {
    const t = await lines(
      {},
      '2026-01-02T03:04:05.1Z stdout F done',
      '2026-01-02T03:04:05.2Z stdout P never ',
      '2026-01-02T03:04:05.3Z stdout P finished ',
    );
    assert.deepEqual(
      t.records.map((r) => r.body),
      ['done'],
    );
    assert.equal(t.source.holds.lowest, '2026-01-02T03:04:05.1Z stdout F done\n'.length);
    act(t);
    assert.deepEqual(
      t.run.take().map((r) => r.body),
      ['neverfinished'],
      name,
    );
    assert.equal(t.source.holds.size, 0);
  }
});

test('a line over a rotation is joined, and both files wait for its outcome', async () => {
  const { run, source } = await lines({}, '2026-01-02T03:04:05.1Z stdout P first ');
  const after = run.source({ 'log.file.path': PATH });
  run.line('2026-01-02T03:04:05.2Z stdout F second', after);
  assert.equal(source.range.pendingRecords, 1);
  assert.equal(after.range.pendingRecords, 1);
  assert.deepEqual(
    run.take().map((r) => r.body),
    ['firstsecond'],
  );
  assert.equal(source.range.pendingRecords, 0);
  assert.equal(after.range.pendingRecords, 0);
  assert.equal(run.ledger.snapshot().inFlight.bytes, 0);
});

test('max_log_size cuts a chain of parts behind the part that exceeds it', async () => {
  const part = (tag: string, text: string) => `2026-01-02T03:04:05.1Z stdout ${tag} ${text}`;
  const input = [
    part('P', 'aaaaaaaaaa'),
    part('P', 'bbbbbbbbbb'),
    part('P', 'cccccccccc'),
    part('F', 'dddd'),
    part('F', '0123456789'.repeat(4)),
  ];
  const cut = await lines({ max_log_size: 20 }, ...input);
  assert.deepEqual(
    cut.records.map((r) => r.body),
    ['aaaaaaaaaabbbbbbbbbbcccccccccc', 'dddd', '0123456789'.repeat(4)],
  );
  const whole = await lines({ max_log_size: 0 }, ...input);
  assert.equal(whole.records[0]?.body, 'aaaaaaaaaabbbbbbbbbbccccccccccdddd');
});

test('paths that are not those of pods leave the resource alone', async () => {
  const table: [string, boolean][] = [
    [PATH, true],
    [PATH.replace('0.log', '0.log.20260102-030405'), true],
    ['/p/shop_mirror_0123456789abcdef0123456789abcdef/one/12.log', true],
    [PATH.replace('0.log', '0.log.20260102-030405.gz'), false],
    ['/p/shop_x_ABCDEF/one/0.log', false],
    ['/p/shop_x_0b7d1c52/con.tainer/0.log', false],
    ['/app.log', false],
  ];
  for (const [path, known] of table) {
    const run = await runOperators([{ type: 'container' }]);
    run.line('2026-01-02T03:04:05.1Z stdout F x', run.source({ 'log.file.path': path }));
    const [record] = run.take();
    assert.equal(record?.resource !== undefined, known, path);
    assert.equal(record?.body, 'x');
  }
});

test('without a path attribute the record goes on, with a hint in the log', async () => {
  const run = await runOperators([{ type: 'container' }]);
  run.line('2026-01-02T03:04:05.1Z stdout F x');
  assert.equal(run.take()[0]?.body, 'x');
  assert.match(String(run.logged[0]?.fields?.['error']), /include_file_path/);
  const off = await runOperators([{ type: 'container', add_metadata_from_filepath: false }]);
  off.line('2026-01-02T03:04:05.1Z stdout F x');
  assert.equal(off.take().length, 1);
  assert.equal(off.logged.length, 0);
});

test('embedded blocks see what was parsed, before it is moved', async () => {
  const { records } = await lines(
    { severity: { parse_from: 'attributes.stream', mapping: { error: 'stderr', info: 'stdout' } } },
    '2026-01-02T03:04:05.1Z stderr F x',
  );
  assert.deepEqual(
    [records[0]?.severity, records[0]?.body, records[0]?.attributes],
    [17, 'x', { 'log.file.path': PATH, 'log.iostream': 'stderr', logtag: 'F' }],
  );
});

test('whatever bytes come, nothing throws and the account is balanced', async () => {
  const run = await runOperators([
    { type: 'container' },
    {
      type: 'json_parser',
      on_error: 'send_quiet',
      parse_to: 'attributes.j',
      severity: { parse_from: 'attributes.j.level' },
    },
  ]);
  const source = run.source({ 'log.file.path': PATH });
  const piece = fc.constantFrom(
    '2026-01-02T03:04:05',
    'Z',
    '.1',
    '+02:00',
    ' ',
    'stdout',
    'stderr',
    'P',
    'F',
    '{',
    '}',
    '"',
    '\\',
    ':',
    ',',
    '[',
    ']',
    '1e5',
    'null',
    '\\u12',
    '\n',
    '{"log":"x","stream":"stdout","time":"',
  );
  const line = fc.oneof(
    fc.uint8Array({ maxLength: 80 }).map((b) => Buffer.from(b)),
    fc.array(piece, { maxLength: 20 }).map((p) => Buffer.from(p.join(''))),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 10 }), (input) => {
      for (const l of input) run.line(l, source);
      run.program.flush();
      run.take();
      const { inFlight } = run.ledger.snapshot();
      assert.deepEqual(inFlight, { records: 0, bytes: 0 });
      assert.equal(source.holds.size, 0);
    }),
    { numRuns: 500 },
  );
});
