import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { ConfigError } from '../../core/errors.ts';
import { runOperators } from '../testing.ts';
import { OPERATORS } from './index.ts';

const FIELDS = [
  'body',
  'attributes',
  'attributes.a',
  'attributes.a.b',
  'resource',
  'resource["x.y"]',
  'body.k',
  'nope',
];
const EXPRESSIONS = [
  'true',
  'body contains "a"',
  'attributes.a == nil',
  'body.x > 1',
  'len(body) > 2',
  'body matches "(a+)+$"',
  'EXPR(body)',
  '1 +',
];
const texts = fc.oneof(
  fc.constantFrom(...FIELDS, ...EXPRESSIONS),
  fc.constantFrom(
    'send',
    'drop',
    'noop',
    'strptime',
    '%Y-%m-%d',
    'epoch',
    's',
    'a,b',
    '(?P<a>.*)',
    '(',
    'rfc3164',
    '1s',
    'docker',
    ';',
  ),
  fc.string({ maxLength: 8 }),
);
const values = fc.oneof(
  { weight: 6, arbitrary: texts },
  fc.boolean(),
  fc.integer({ min: -2, max: 5 }),
  fc.constant(null),
  fc.array(texts, { maxLength: 2 }),
  fc.dictionary(
    fc.constantFrom('parse_from', 'layout', 'layout_type', 'mapping', 'info', 'trace_id', 'expr', 'output'),
    texts,
    { maxKeys: 3 },
  ),
  fc.array(fc.record({ expr: texts, output: texts }), { maxLength: 2 }),
);
const KEYS = [
  'id',
  'output',
  'on_error',
  'if',
  'parse_from',
  'parse_to',
  'body',
  'timestamp',
  'severity',
  'trace',
  'scope_name',
  'field',
  'from',
  'to',
  'fields',
  'value',
  'regex',
  'replace_with',
  'layout',
  'layout_type',
  'location',
  'mapping',
  'preset',
  'header',
  'delimiter',
  'keys',
  'expr',
  'routes',
  'default',
  'combine_field',
  'is_first_entry',
  'is_last_entry',
  'source_identifier',
  'max_log_size',
  'format',
  'protocol',
  'drop_ratio',
];
/** Keys that an operator needs, so that many of the configurations are valid. */
const NEEDED: Readonly<Record<string, object>> = {
  add: { field: 'attributes.a', value: 'x' },
  assign_keys: { field: 'attributes.a', keys: ['k'] },
  copy: { from: 'body', to: 'attributes.a' },
  csv_parser: { header: 'a,b' },
  filter: { expr: 'body == ""' },
  flatten: { field: 'attributes.a' },
  move: { from: 'body', to: 'attributes.a' },
  recombine: { combine_field: 'body', is_first_entry: 'body startsWith "2"' },
  regex_parser: { regex: '(?P<a>\\w+)' },
  regex_replace: { field: 'body', regex: 'a' },
  remove: { field: 'attributes.a' },
  retain: { fields: ['body'] },
  router: { routes: [{ expr: 'true', output: 'noop' }] },
  scope_name_parser: { parse_from: 'attributes.a' },
  severity_parser: { parse_from: 'attributes.a' },
  syslog_parser: { protocol: 'rfc5424' },
  time_parser: { parse_from: 'attributes.a', layout: '%Y' },
  unquote: { field: 'body' },
};
const operator = fc
  .tuple(
    fc.constantFrom(...OPERATORS.keys()),
    fc.dictionary(fc.constantFrom(...KEYS), values, { maxKeys: 3 }),
    fc.boolean(),
  )
  .map(([type, extra, sound]) => (sound ? { type, ...NEEDED[type] } : { type, ...NEEDED[type], ...extra }));
const line = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((b) => Buffer.from(b)),
  fc
    .constantFrom(
      '{"a":{"b":1},"k":[1]}',
      '2026-01-02T03:04:05Z stdout P x',
      '2026-01-02T03:04:05Z stdout F y',
      'a=1 b=2',
      '1,2',
      '<34>1 - - - - - -',
      `${'a'.repeat(60)}b`,
      '"q"',
    )
    .map((t) => Buffer.from(t)),
);

test('any operators are refused with a ConfigError, or take any line and account for it', async () => {
  let sound = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(operator, { minLength: 1, maxLength: 4 }),
      fc.array(line, { maxLength: 6 }),
      async (operators, lines) => {
        let run: Awaited<ReturnType<typeof runOperators>>;
        try {
          run = await runOperators([...operators, { type: 'noop', id: 'noop' }]);
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error instanceof Error ? error.stack : error));
          return;
        }
        sound++;
        const source = run.source({ 'log.file.path': '/p/a_b_0/c/0.log' });
        for (const l of lines) run.line(l, source);
        run.program.tick();
        run.program.flush();
        run.take();
        assert.deepEqual(run.ledger.snapshot().inFlight, { records: 0, bytes: 0 });
        assert.equal(source.holds.size, 0);
      },
    ),
    { numRuns: 1500 },
  );
  assert.ok(sound > 200, `only ${sound} configurations were valid`);
});
