import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../core/errors.ts';
import { runOperators, type SeenRecord } from '../testing.ts';

/** Sends the lines through the operators; `error` of what was logged first, if anything. */
async function send(operators: object[], lines: string[]): Promise<SeenRecord[]> {
  const run = await runOperators(operators);
  for (const l of lines) run.line(l);
  run.program.flush();
  const out = run.take();
  assert.deepEqual(run.ledger.snapshot().inFlight, { records: 0, bytes: 0 });
  return out;
}
const attributes = async (operators: object[], ...lines: string[]) =>
  (await send(operators, lines)).map((r) => r.attributes);
const problem = async (operator: object): Promise<string> => {
  try {
    await runOperators([operator]);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.diagnostics.map((d) => `${d.path.slice(4).join('.')}: ${d.message}`).join('\n');
  }
  return '';
};

test('move, copy, add, remove, retain, assign_keys', async () => {
  const out = await send(
    [
      { type: 'json_parser', parse_to: 'attributes' },
      { type: 'copy', from: 'attributes.o.in', to: 'attributes.copied' },
      { type: 'move', from: 'attributes.s', to: 'resource["service.name"]' },
      { type: 'add', field: 'attributes.sum', value: 'EXPR(attributes.i + 1)' },
      { type: 'add', field: 'attributes.list', value: [1, 'two', { k: 'v' }] },
      { type: 'add', field: 'attributes["dotted.key"]', value: 'x' },
      { type: 'remove', field: 'attributes.o.gone' },
      { type: 'assign_keys', field: 'attributes.arr', keys: ['first', 'second'] },
      {
        type: 'retain',
        fields: [
          'attributes.copied',
          'attributes.sum',
          'attributes.list',
          'attributes.o',
          'attributes["dotted.key"]',
          'attributes.arr',
        ],
      },
    ],
    ['{"s":"svc","i":41,"o":{"in":{"x":[1]},"gone":1,"stay":2},"arr":["A","B"]}'],
  );
  assert.deepEqual(out[0]?.resource, { 'service.name': 'svc' });
  assert.deepEqual(out[0]?.attributes, {
    copied: { x: [1] },
    sum: 42,
    list: [1n, 'two', { k: 'v' }],
    'dotted.key': 'x',
    o: { in: { x: [1] }, stay: 2 },
    arr: { first: 'A', second: 'B' },
  });
});

test('a constant of add is not changed by what comes after', async () => {
  const out = await attributes(
    [
      { type: 'add', field: 'attributes.m', value: { deep: { n: 1 } } },
      { type: 'add', field: 'attributes.m.deep.line', value: 'EXPR(body)' },
      { type: 'remove', field: 'attributes.m.deep.n' },
    ],
    'a',
    'b',
  );
  assert.deepEqual(out, [{ m: { deep: { line: 'a' } } }, { m: { deep: { line: 'b' } } }]);
});

test('operators on missing fields fail, and send the record on as it is', async () => {
  for (const o of [
    { type: 'move', from: 'attributes.none', to: 'attributes.a' },
    { type: 'copy', from: 'attributes.none', to: 'attributes.a' },
    { type: 'remove', field: 'attributes.none' },
    { type: 'flatten', field: 'attributes.none' },
    { type: 'flatten', field: 'body' },
    { type: 'assign_keys', field: 'attributes.none', keys: ['a'] },
    { type: 'time_parser', parse_from: 'attributes.none', layout: '%Y' },
    { type: 'severity_parser', parse_from: 'attributes.none' },
    { type: 'json_parser', parse_from: 'attributes.none' },
    { type: 'add', field: 'attributes.a', value: 'EXPR(attributes.none.x)' },
  ]) {
    const run = await runOperators([o]);
    run.line('one');
    assert.deepEqual(run.take(), [{ body: 'one', attributes: {} }], o.type);
    assert.equal(run.logged[0]?.message, 'Failed to process entry', o.type);
  }
});

test('flatten, unquote, regex_replace, sanitize_utf8', async () => {
  const out = await attributes(
    [
      { type: 'json_parser', parse_to: 'attributes.j' },
      { type: 'flatten', field: 'attributes.j.nest' },
      { type: 'unquote', field: 'attributes.j.q', on_error: 'send_quiet' },
      { type: 'regex_replace', field: 'attributes.j.path', regex: '\\d+', replace_with: '#' },
      { type: 'regex_replace', field: 'attributes.j.ansi', regex_name: 'ansi_control_sequences' },
      { type: 'sanitize_utf8', field: 'attributes.j.bad' },
    ],
    '{"nest":{"a":{"b":1},"c":[1]},"q":"\\"x\\\\u00e9\\\\n\\"","path":"/x/12/y/3","ansi":"\\u001b[31mred\\u001b[0m","bad":"a\\ud800b"}',
    '{"nest":{"n":1},"q":"not quoted","path":""}',
  );
  assert.deepEqual(out, [
    { j: { q: 'xé\n', path: '/x/#/y/#', ansi: 'red', bad: 'a\ufffdb', a: { b: 1 }, c: [1] } },
    { j: { q: 'not quoted', path: '', n: 1 } },
  ]);
});

test('regex_parser: named groups, optional groups, no match', async () => {
  const out = await send(
    [
      {
        type: 'regex_parser',
        regex: '^(?P<user>\\S+)(?: (?P<opt>x\\w*))? (?P<code>\\d{3})',
        severity: {
          parse_from: 'attributes.code',
          mapping: { error: '5xx', warn: ['4xx'], info: [{ min: 299, max: 200 }] },
        },
      },
    ],
    ['bob xray 200', 'amy 503', 'no', 'eve 404 tail'],
  );
  assert.deepEqual(
    out.map((r) => [r.attributes, r.severity]),
    [
      [{ user: 'bob', opt: 'xray', code: '200' }, 9],
      [{ user: 'amy', opt: '', code: '503' }, 17],
      [{}, undefined],
      [{ user: 'eve', opt: '', code: '404' }, 13],
    ],
  );
});

test('key_value_parser', async () => {
  const out = await attributes(
    [{ type: 'key_value_parser' }],
    `a=1 b=two c="three four" d='five six'`,
    'x= y=',
    'nodelim',
    'a=b=c d=e',
    'k=v  k2=v2\tk3=v3',
    'q="open',
  );
  assert.deepEqual(out, [
    { a: '1', b: 'two', c: 'three four', d: 'five six' },
    { x: '', y: '' },
    {},
    { a: 'b=c', d: 'e' },
    { k: 'v', k2: 'v2\tk3=v3' },
    {},
  ]);
  assert.deepEqual(
    await attributes([{ type: 'key_value_parser', delimiter: ':', pair_delimiter: '; ' }], 'a:1; b: 2'),
    [{ a: '1', b: '2' }],
  );
});

test('csv_parser', async () => {
  const header = { type: 'csv_parser', header: 'id,name,note' };
  assert.deepEqual(
    await attributes([header], '1,alpha,plain', '2,"be,ta","say ""hi"""', '3,short', '4,,', '5,a"b,c', '6,"a"b,c'),
    [
      { id: '1', name: 'alpha', note: 'plain' },
      { id: '2', name: 'be,ta', note: 'say "hi"' },
      {},
      { id: '4', name: '', note: '' },
      {},
      {},
    ],
  );
  assert.deepEqual(
    await attributes(
      [{ type: 'csv_parser', header: 'a|b|c', header_delimiter: '|', delimiter: ';', ignore_quotes: true }],
      '"1;2;3"',
      '4;"5;6',
    ),
    [
      { a: '"1', b: '2', c: '3"' },
      { a: '4', b: '"5', c: '6' },
    ],
  );
  assert.deepEqual(await attributes([{ ...header, lazy_quotes: true }], '1,a"b,"c"d"'), [
    { id: '1', name: 'a"b', note: 'c"d' },
  ]);
  assert.deepEqual(
    await attributes(
      [
        { type: 'add', field: 'attributes.h', value: 'x,y' },
        { type: 'csv_parser', header_attribute: 'h' },
      ],
      '1,2',
    ),
    [{ h: 'x,y', x: '1', y: '2' }],
  );
});

test('json_array_parser and uri_parser', async () => {
  assert.deepEqual(
    await attributes([{ type: 'json_array_parser', parse_to: 'attributes.l' }], '[1.9,"a",null,{"b":1},true]', '[[1]]'),
    [{ l: [1n, 'a', null, '{"b":1}', true] }, {}],
  );
  assert.deepEqual(await attributes([{ type: 'json_array_parser', header: 'a,b' }], '[1,2]', '[1]'), [
    { a: 1n, b: 2n },
    {},
  ]);
  assert.deepEqual(
    await attributes(
      [{ type: 'uri_parser' }],
      'https://user:pw@example.com:8080/a%20b?x=1&y=&x=2#f',
      '?q=a+b',
      'not a uri',
      '/only/path',
    ),
    [
      {
        scheme: 'https',
        user: 'user',
        host: 'example.com',
        port: '8080',
        path: '/a b',
        query: { x: ['1', '2'], y: [''] },
      },
      { query: { q: ['a b'] } },
      {},
      { path: '/only/path' },
    ],
  );
});

test('syslog_parser', async () => {
  const [old] = await send(
    [{ type: 'syslog_parser', protocol: 'rfc3164' }],
    ['<34>Jan  2 03:04:05 host su[42]: it failed'],
  );
  assert.deepEqual(old?.attributes, {
    priority: 34n,
    facility: 4n,
    hostname: 'host',
    appname: 'su',
    proc_id: '42',
    message: 'it failed',
  });
  assert.deepEqual([old?.severity, old?.severityText, old?.time], [19, 'crit', 1_767_323_045_000_000_000n]);
  const [modern] = await send(
    [{ type: 'syslog_parser', protocol: 'rfc5424' }],
    ['<165>1 2026-01-02T03:04:05.5Z host app 7 ID47 [ex@1 a="b\\"c" d="e"] hello'],
  );
  assert.deepEqual(modern?.attributes, {
    priority: 165n,
    facility: 20n,
    version: 1n,
    hostname: 'host',
    appname: 'app',
    proc_id: '7',
    msg_id: 'ID47',
    structured_data: { 'ex@1': { a: 'b"c', d: 'e' } },
    message: 'hello',
  });
  assert.deepEqual([modern?.severity, modern?.time], [10, 1_767_323_045_500_000_000n]);
  assert.deepEqual(
    await attributes([{ type: 'syslog_parser', protocol: 'rfc5424' }], 'nonsense', '<999>1 - - - - - -'),
    [{}, {}],
  );
});

test('embedded timestamp, severity, scope_name and trace are all tried', async () => {
  const out = await send(
    [
      {
        type: 'json_parser',
        parse_to: 'body',
        timestamp: { parse_from: 'body.ts', layout_type: 'gotime', layout: '2006-01-02T15:04:05Z07:00' },
        severity: { parse_from: 'body.level' },
        scope_name: { parse_from: 'body.logger' },
        trace: {
          trace_id: { parse_from: 'body.trace' },
          span_id: { parse_from: 'body.span' },
          trace_flags: { parse_from: 'body.flags' },
        },
      },
    ],
    [
      '{"ts":"2026-01-02T03:04:05Z","level":"error","logger":"shop.cart","trace":"0102030405060708090a0b0c0d0e0f10","span":"0102030405060708","flags":"01"}',
      '{"ts":"nope","level":"info","logger":"x"}',
      '{"level":"warn","trace":"zz"}',
    ],
  );
  const [first, second, third] = out;
  assert.deepEqual(
    [first?.time, first?.severity, first?.severityText, first?.scope, first?.traceId, first?.spanId, first?.flags],
    [1_767_323_045_000_000_000n, 17, 'error', 'shop.cart', '0102030405060708090a0b0c0d0e0f10', '0102030405060708', 1],
  );
  assert.deepEqual([second?.time, second?.severity, second?.scope], [undefined, 9, 'x']);
  assert.deepEqual([third?.severity, third?.traceId], [13, undefined]);
});

test('severity: presets, mapping, overwrite_text, unknown words', async () => {
  const severities = async (config: object, ...lines: string[]) =>
    (await send([{ type: 'severity_parser', parse_from: 'body', ...config }], lines)).map((r) => [
      r.severity,
      r.severityText,
    ]);
  assert.deepEqual(
    await severities(
      { mapping: { error2: 'oops', warn: ['hmm', { min: 400, max: 499 }], info: '2xx' } },
      'TRACE3',
      'Warning',
      'err',
      'OOPS',
      '404',
      '204',
      '24',
      'weird',
    ),
    [
      [3, 'TRACE3'],
      [13, 'Warning'],
      [17, 'err'],
      [18, 'OOPS'],
      [13, '404'],
      [9, '204'],
      [24, '24'],
      [undefined, 'weird'], // biome-ignore format: a table
    ],
  );
  assert.deepEqual(await severities({ overwrite_text: true }, 'Warning', 'weird'), [
    [13, 'WARN'],
    [undefined, 'weird'],
  ]);
  assert.deepEqual(await severities({ preset: 'otel' }, 'warn', 'warning'), [
    [13, 'warn'],
    [undefined, 'warning'],
  ]);
  assert.deepEqual(await severities({ preset: 'none', mapping: { fatal: 'boom' } }, 'warn', 'boom'), [
    [undefined, 'warn'],
    [21, 'boom'],
  ]);
});

test('filter drops what its expression is true for, and what it fails on', async () => {
  const run = await runOperators([
    { type: 'json_parser', on_error: 'send_quiet' },
    { type: 'filter', expr: 'attributes.level in ["debug", "trace"]' },
    { type: 'filter', expr: 'attributes.n != nil and attributes.n > 5', drop_ratio: 1 },
    { type: 'filter', expr: 'body startsWith "keep"', drop_ratio: 0 },
  ]);
  for (const l of ['{"level":"debug"}', '{"n":9}', '{"n":"x"}', 'keep', '{"level":"info"}']) run.line(l);
  assert.deepEqual(
    run.take().map((r) => r.body),
    ['keep', '{"level":"info"}'],
  );
  const { filteredBy, inFlight } = run.ledger.snapshot();
  assert.deepEqual(
    [...filteredBy].map(([k, v]) => [k, v.records]),
    [
      ['filter operator', 2],
      ['filter operator: expression failed', 1],
    ],
  );
  assert.deepEqual(inFlight, { records: 0, bytes: 0 });
});

test('router: the first route that fits, its attributes, default, none', async () => {
  const routes = [
    { expr: 'body startsWith "{"', output: 'js' },
    { expr: 'body.x == 1', output: 'kv' },
    { expr: 'body contains "="', output: ['kv', 'end'], attributes: { routed: 'kv', up: 'EXPR(upper(body))' } },
  ];
  const rest = [
    { type: 'json_parser', id: 'js', output: 'end' },
    { type: 'key_value_parser', id: 'kv', output: 'end' },
    { type: 'add', id: 'other', field: 'attributes.default', value: true, output: 'end' },
    { type: 'noop', id: 'end' },
  ];
  const lines = ['{"a":"x=1"}', 'k=v', 'plain'];
  assert.deepEqual(await attributes([{ type: 'router', routes, default: 'other' }, ...rest], ...lines), [
    { a: 'x=1' },
    { routed: 'kv', up: 'K=V', k: 'v' },
    { routed: 'kv', up: 'K=V' },
    { default: true },
  ]);
  const run = await runOperators([{ type: 'router', routes: routes.slice(0, 1) }, ...rest]);
  run.line('plain');
  assert.deepEqual(run.take(), []);
  assert.equal(run.ledger.snapshot().filteredBy.get('router: no route')?.records, 1);
});

test('recombine by first entry, by last entry, and what limits a group', async () => {
  const bodies = async (config: object, ...lines: string[]) =>
    (await send([{ type: 'recombine', combine_field: 'body', ...config }], lines)).map((r) => r.body);
  assert.deepEqual(
    await bodies(
      { is_first_entry: 'body matches "^\\\\d{4}"' },
      'stray',
      '2026 one',
      'a',
      'b',
      '2026 two',
      '2026 three',
      'c',
    ),
    ['stray', '2026 one\na\nb', '2026 two', '2026 three\nc'],
  );
  assert.deepEqual(await bodies({ is_last_entry: 'body endsWith ";"', combine_with: '+' }, 'a', 'b;', 'c;', 'd'), [
    'a+b;',
    'c;',
    'd',
  ]);
  assert.deepEqual(
    await bodies(
      { is_first_entry: 'body startsWith "#"', max_unmatched_batch_size: 2 },
      'u1',
      'u2',
      'u3',
      '#1',
      'a',
      '#2',
    ),
    ['u1\nu2', 'u3', '#1\na', '#2'],
  );
  assert.deepEqual(
    await bodies({ is_first_entry: 'body startsWith "#"', max_batch_size: 3 }, '#1', 'a', 'b', 'c', 'd'),
    ['#1\na\nb', 'c\nd'],
  );
  assert.deepEqual(await bodies({ is_first_entry: 'body startsWith "#"', max_log_size: 5 }, '#123', 'abc', 'd'), [
    '#123\nabc',
    'd',
  ]);
  assert.deepEqual(
    await bodies({ is_last_entry: 'body == "F"', max_sources: 1, source_identifier: 'attributes.none' }, 'a', 'F'),
    ['a\nF'],
  );
});

test('recombine by source, with the fields of the newest, held until it is due', async () => {
  const run = await runOperators([
    { type: 'regex_parser', regex: '^(?P<src>\\w+) (?P<flag>[PF]) (?P<txt>.*)$' },
    {
      type: 'recombine',
      combine_field: 'attributes.txt',
      combine_with: '+',
      is_last_entry: "attributes.flag == 'F'",
      source_identifier: 'attributes.src',
      overwrite_with: 'newest',
      force_flush_period: '1s',
    },
  ]);
  const source = run.source();
  for (const l of ['a P 1', 'b P 10', 'a F 2', 'b P 11', 'b F 12', 'c P left']) run.line(l, source);
  assert.deepEqual(
    run.take().map((r) => [r.body, r.attributes['txt'], r.attributes['flag']]),
    [
      ['a F 2', '1+2', 'F'],
      ['b F 12', '10+11+12', 'F'],
    ],
  );
  assert.equal(source.holds.size, 1);
  run.clock.ms += 999;
  run.program.tick();
  assert.deepEqual(run.take(), []);
  run.clock.ms += 1;
  run.program.tick();
  assert.deepEqual(
    run.take().map((r) => r.body),
    ['c P left'],
  );
  assert.equal(source.holds.size, 0);
  assert.deepEqual(run.ledger.snapshot().inFlight, { records: 0, bytes: 0 });
});

test('mistakes in operators are found at start, at their key', async () => {
  const table: [object, RegExp][] = [
    [{ type: 'regex_parser' }, /regex: missing required field 'regex'/],
    [
      { type: 'regex_parser', regex: '(?P<a>[' },
      /regex: compiling regex: error parsing regexp: missing closing \]: `\[`/,
    ],
    [{ type: 'regex_parser', regex: 'a(b)' }, /regex: no named capture groups in regex pattern/],
    [{ type: 'add', field: 'attributes.a' }, /value: add: missing required field 'value'/],
    [{ type: 'add', field: 'attributes.a', value: 'EXPR(1 +)' }, /value: failed to compile expression/],
    [{ type: 'recombine', combine_field: 'body' }, /exactly one of is_first_entry and is_last_entry/],
    [{ type: 'csv_parser' }, /header: missing required field/],
    [{ type: 'csv_parser', header: 'a' }, /header: missing field delimiter in header/],
    [{ type: 'key_value_parser', delimiter: ' ' }, /pair_delimiter: .*cannot be the same/],
    [{ type: 'time_parser', parse_from: 'body' }, /layout: /],
    [{ type: 'time_parser', parse_from: 'body', layout: '%Q' }, /layout: unsupported directive/],
    [
      { type: 'time_parser', parse_from: 'body', layout: 'x', layout_type: 'epoch' },
      /layout: invalid `layout` for 'epoch' type/,
    ],
    [
      { type: 'json_parser', timestamp: { parse_from: 'body', layout: '%Y', location: 'Mars' } },
      /timestamp\.location: .*unknown time zone Mars/,
    ],
    [
      { type: 'severity_parser', parse_from: 'body', mapping: { loud: 'x' } },
      /mapping\.loud: unrecognized severity level/,
    ],
    [{ type: 'severity_parser', parse_from: 'body', mapping: { info: { min: 1 } } }, /mapping\.info: .*min and max/],
    [{ type: 'json_parser', body: 'body.m', parse_to: 'body' }, /body: `body` cannot be used with `parse_to: body`/],
    [{ type: 'filter', expr: 'len(body)' }, /expr: .*expected bool, but got int/],
    [{ type: 'filter', expr: 'true', drop_ratio: 2 }, /drop_ratio: .*between 0 and 1/],
    [{ type: 'router' }, /routes: missing required field 'routes'/],
    [{ type: 'router', routes: [{ expr: 'true', output: 'gone' }] }, /routes: operator 'gone' does not exist/],
    [{ type: 'regex_replace', field: 'body' }, /either 'regex' or 'regex_name' must be set/],
    [{ type: 'syslog_parser' }, /protocol: missing field 'protocol'/],
    [{ type: 'container', format: 'podman' }, /format: invalid `format` "podman"/],
  ];
  for (const [operator, message] of table) assert.match(await problem(operator), message, JSON.stringify(operator));
});
