import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../core/errors.ts';
import { operatorsSchema } from './compile.ts';
import { runOperators } from './testing.ts';

const problems = async (operators: readonly unknown[]) => {
  try {
    await runOperators(operators);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.diagnostics.map((d) => `${d.path.slice(2).join('.')}: ${d.message}`);
  }
  return [];
};

test('a program without operators passes lines on with their source attributes', async () => {
  const run = await runOperators([], { attributes: { kind: 'fixed' }, resource: { 'service.name': 's' } });
  run.line('  hello \r', run.source({ 'log.file.name': 'a.log' }));
  assert.deepEqual(run.take(), [
    { body: 'hello', attributes: { kind: 'fixed', 'log.file.name': 'a.log' }, resource: { 'service.name': 's' } },
  ]);
  const sum = run.ledger.snapshot();
  assert.deepEqual(sum.delivered, { records: 1, bytes: 10 });
  assert.deepEqual(sum.inFlight, { records: 0, bytes: 0 });
});

test('invalid UTF-8 becomes one U+FFFD for each maximal broken piece', async () => {
  const run = await runOperators([]);
  run.line(Buffer.from('lone \x80 x', 'latin1'));
  run.line(Buffer.from('overlong \xc0\xaf q', 'latin1'));
  run.line(Buffer.from('cut \xf0\x9f\x98 z', 'latin1'));
  assert.deepEqual(
    run.take().map((r) => r.body),
    ['lone \ufffd x', 'overlong \ufffd\ufffd q', 'cut \ufffd z'],
  );
});

test('EXPR in attributes and resource is computed for each record', async () => {
  const run = await runOperators([], {
    attributes: { up: 'EXPR(upper(body))', both: '<EXPR(body)|EXPR(trim(body))>' },
    resource: { 'service.name': 'svc-EXPR(split(body, " ")[0])' },
  });
  run.line('alpha one');
  run.line('beta two');
  assert.deepEqual(run.take(), [
    {
      body: 'alpha one',
      attributes: { up: 'ALPHA ONE', both: '<alpha one|alpha one>' },
      resource: { 'service.name': 'svc-alpha' },
    },
    {
      body: 'beta two',
      attributes: { up: 'BETA TWO', both: '<beta two|beta two>' },
      resource: { 'service.name': 'svc-beta' },
    },
  ]);
});

test('an EXPR that does not give text leaves the attribute out and the record is delivered', async () => {
  const run = await runOperators([], { attributes: { bad: 'EXPR(len(body))' } });
  run.line('one');
  assert.deepEqual(run.take(), [{ body: 'one', attributes: {} }]);
  assert.equal(run.logged[0]?.fields?.['error'], 'embedded expression returned non-string');
});

test('on_error decides what becomes of a record that cannot be processed', async () => {
  const expected = { send: 1, send_quiet: 1, drop: 0, drop_quiet: 0 };
  for (const [on_error, records] of Object.entries(expected)) {
    const run = await runOperators([
      { type: 'json_parser', on_error },
      { type: 'add', field: 'attributes.after', value: 'yes' },
    ]);
    run.line('not json');
    assert.equal(run.take().length, records, on_error);
    assert.equal(run.logged.length, on_error.endsWith('quiet') ? 0 : 1, on_error);
    const sum = run.ledger.snapshot();
    assert.deepEqual(sum.inFlight, { records: 0, bytes: 0 });
    assert.equal(sum.filteredBy.get('on_error: drop json_parser')?.records ?? 0, 1 - records);
  }
});

test('outputs by id, several outputs, and if', async () => {
  const run = await runOperators([
    { type: 'noop', id: 'start', output: ['left', 'right'] },
    { type: 'add', id: 'skipped', field: 'attributes.skipped', value: 'yes' },
    { type: 'add', id: 'left', field: 'attributes.side', value: 'left', output: 'end', if: 'body != "two"' },
    { type: 'add', id: 'right', field: 'attributes.side', value: 'right' },
    { type: 'noop', id: 'end' },
  ]);
  run.line('one');
  run.line('two');
  assert.deepEqual(
    run.take().map((r) => [r.body, r.attributes['side']]),
    [
      ['one', 'left'],
      ['one', 'right'],
      ['two', undefined],
      ['two', 'right'],
    ],
  );
  assert.deepEqual(run.ledger.snapshot().delivered, { records: 4, bytes: 8 });
});

test('repeated default ids are made unique', async () => {
  assert.deepEqual(await problems([{ type: 'noop', output: 'noop2' }, { type: 'noop' }, { type: 'noop' }]), []);
});

test('wiring errors name the place', async () => {
  assert.deepEqual(await problems([{ type: 'magic_parser' }]), ["operators.0: unsupported type 'magic_parser'"]);
  assert.deepEqual(await problems([{ type: 'noop' }, { type: 'noop', output: 'gone' }]), [
    "operators.1.output: operator 'gone' does not exist",
  ]);
  assert.deepEqual(
    await problems([
      { type: 'noop', id: 'a' },
      { type: 'noop', id: 'a' },
    ]),
    ["operators.1.id: operator with id 'a' already exists in pipeline"],
  );
  assert.deepEqual(
    await problems([
      { type: 'noop', id: 'a', output: 'b' },
      { type: 'noop', id: 'b', output: 'a' },
    ]),
    ['operators.0: pipeline has a circular dependency: a -> b -> a'],
  );
  assert.match(
    (await problems([{ type: 'noop', if: 'len(body)' }]))[0]!,
    /^operators\.0\.if: .*expected bool, but got int/,
  );
  assert.match(
    (await problems([{ type: 'move', from: 'nothing', to: 'body' }]))[0]!,
    /^operators\.0\.from: unrecognized prefix/,
  );
  assert.match(
    (await problems([{ type: 'noop', on_error: 'panic' }]))[0]!,
    /^operators\.0\.on_error: invalid on_error "panic"/,
  );
  assert.match((await problems([{ type: 'json_parser', parse_ints: 'x' }]))[0]!, /^operators\.0\.parse_ints: /);
});

test('the schema tells the same problems, and lets unknown keys through', () => {
  const bad = operatorsSchema.safeParse([{ type: 'json_parser', parse_form: 'body' }, { type: 'magic_parser' }]);
  assert.deepEqual(
    bad.error?.issues.map((i) => [i.path, i.message]),
    [[[1], "unsupported type 'magic_parser'"]],
  );
  assert.ok(operatorsSchema.safeParse(undefined).success);
});
