import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { collector, componentContext, TestSource } from '../../../../test/helpers/component.ts';
import { type Group, makeBatch, type Signal } from '../../../core/batch.ts';
import type { ProcessorContext } from '../../../core/component.ts';
import { EMPTY_SCOPE, resourceOf, scopeOf } from '../../../core/resource.ts';
import { plain, plainMap } from '../../../stanza/testing.ts';
import { type Value, writeAttributes } from '../../../wire/otlp.ts';
import { logRecords, writeLogRecord } from '../../../wire/otlp-logs.ts';
import { metricsOf } from '../../../wire/otlp-metrics.ts';
import { spansOf } from '../../../wire/otlp-traces.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import definition, { type RedactionConfig } from './index.ts';
import { makeRedaction } from './processor.ts';

const parse = (raw: unknown) => definition.schema.parse(raw) as RedactionConfig;

function setup(raw: object, signal: Signal = 'logs') {
  const helper = componentContext('redaction', 'processor');
  const out = collector();
  const ctx = { ...helper.context, signal, pipelineId: signal, next: out.consumer } as ProcessorContext;
  return { ...helper, out, processor: makeRedaction(parse(raw), ctx) };
}

type Plain = null | string | boolean | number | bigint | Uint8Array | Plain[] | { [k: string]: Plain };
const value = (p: Plain): Value =>
  Array.isArray(p)
    ? p.map(value)
    : typeof p === 'object' && p !== null && !(p instanceof Uint8Array)
      ? new Map(Object.entries(p).map(([k, v]) => [k, value(v)]))
      : p;
const map = (o: { [k: string]: Plain }) => value(o) as Map<string, Value>;

/** One record through the processor. */
async function record(raw: object, attributes: { [k: string]: Plain }, body: Plain = 'hello') {
  const { processor, out } = setup(raw);
  const w = new ProtoWriter();
  writeLogRecord(w, {
    time: 7n,
    observedTime: 8n,
    severityNumber: 9,
    severityText: 'Info',
    body: value(body),
    attributes: map(attributes),
    traceId: new Uint8Array(16).fill(1),
  });
  const group: Group = {
    resource: resourceOf(new Map()),
    scope: EMPTY_SCOPE,
    items: w.finish(),
    messages: 1,
    count: 1,
    parts: [],
  };
  await processor.consume(makeBatch('logs', [group]));
  const [r] = [...logRecords(out.batches[0]!.groups[0]!.items)];
  assert.ok(r && r.time === 7n && r.observedTime === 8n && r.severityText === 'Info' && r.traceId[0] === 1);
  return { attributes: plainMap(r.attributes), body: plain(r.body) };
}

const hash = (name: string, text: string): string => createHash(name).update(text).digest('hex');

interface Case {
  readonly name: string;
  readonly config: object;
  readonly attributes?: { [k: string]: Plain };
  readonly body?: Plain;
  readonly expected: { readonly attributes: object; readonly body?: unknown };
}

const cases: readonly Case[] = [
  { name: 'without keys all attributes go', config: {}, attributes: { a: '1', b: 2n }, expected: { attributes: {} } },
  {
    name: 'only allowed and ignored keys stay',
    config: { allowed_keys: ['a'], ignored_keys: ['b'], ignored_key_patterns: ['^x'] },
    attributes: { a: '1', b: '2', c: '3', xy: '4' },
    expected: { attributes: { a: '1', b: '2', xy: '4' } },
  },
  {
    name: 'blocked values are masked where they match',
    config: { allow_all_keys: true, blocked_values: ['4[0-9]{12}(?:[0-9]{3})?', 'secret'] },
    attributes: { a: 'card 4111111111111111, secret', n: 4111111111111111n },
    body: 'secret body',
    expected: { attributes: { a: 'card ****, ****', n: 4111111111111111n }, body: '**** body' },
  },
  {
    name: 'values of other types when asked',
    config: { allow_all_keys: true, redact_all_types: true, blocked_values: ['4[0-9]{15}'] },
    attributes: { n: 4111111111111111n, m: { x: '4111111111111111' }, ok: 1n },
    expected: { attributes: { n: '****', m: '{"x":"****"}', ok: 1n } },
  },
  {
    name: 'blocked keys lose their whole value',
    config: { allow_all_keys: true, blocked_key_patterns: ['token', '^pass'] },
    attributes: { my_token: 'a\nb', password: 5n, other: 'x' },
    body: { token: 't', deep: { password: 'p', list: ['x'] } },
    expected: {
      attributes: { my_token: '****\n****', password: '****', other: 'x' },
      body: { token: '****', deep: { password: '****', list: ['x'] } },
    },
  },
  {
    name: 'allowed values stay although they are blocked',
    config: { allow_all_keys: true, blocked_values: ['mycompany'], allowed_values: ['.+@mycompany.com'] },
    attributes: { a: 'amy@mycompany.com', b: 'mycompany' },
    expected: { attributes: { a: 'amy@mycompany.com', b: '****' } },
  },
  {
    name: 'summary debug names keys and counts',
    config: {
      allowed_keys: ['a', 'b', 'secret'],
      ignored_keys: ['i'],
      blocked_values: ['x'],
      allowed_values: ['ok'],
      summary: 'debug',
    },
    attributes: { z: '1', y: '2', a: 'x', b: 'ok', i: 'x' },
    body: { secret: 'x', gone: '1' },
    expected: {
      attributes: {
        a: '****',
        b: 'ok',
        i: 'x',
        'redaction.redacted.keys': 'y,z',
        'redaction.redacted.count': 2n,
        'redaction.masked.keys': 'a',
        'redaction.masked.count': 1n,
        'redaction.allowed.keys': 'b',
        'redaction.allowed.count': 1n,
        'redaction.ignored.count': 1n,
        'redaction.body.redacted.keys': 'gone',
        'redaction.body.redacted.count': 1n,
        'redaction.body.masked.keys': 'secret',
        'redaction.body.masked.count': 1n,
      },
      body: { secret: '****' },
    },
  },
  {
    name: 'summary info gives counts only and adds to those that are there',
    config: { allowed_keys: ['a'], blocked_values: ['x'], summary: 'info' },
    attributes: { a: 'x', b: '1', 'redaction.masked.count': 4n },
    expected: { attributes: { a: '****', 'redaction.masked.count': 5n, 'redaction.redacted.count': 1n } },
  },
  {
    name: 'detectors mask bodies and attributes, and let all keys stay',
    config: { detectors: ['email', 'card'] },
    attributes: { user: 'amy@example.com', n: 1n, list: ['bob@example.com', 'x'], m: { k: { c: '4111111111111111' } } },
    body: 'mail to amy@example.com, card 4111 1111 1111 1111',
    expected: {
      attributes: { user: '****', n: 1n, list: ['****', 'x'], m: { k: { c: '****' } } },
      body: 'mail to ****, card ****',
    },
  },
  {
    name: 'detectors with allowed_keys do not allow other keys',
    config: { detectors: ['email'], allowed_keys: ['a'] },
    attributes: { a: 'amy@example.com', b: '1' },
    expected: { attributes: { a: '****' } },
  },
  {
    name: 'md5',
    config: { allow_all_keys: true, blocked_values: ['x+'], hash_function: 'md5' },
    attributes: { a: 'axxb' },
    expected: { attributes: { a: `a${hash('md5', 'xx')}b` } },
  },
  {
    name: 'sha3 is SHA3-256',
    config: { detectors: ['email'], hash_function: 'sha3' },
    attributes: { a: 'amy@example.com' },
    expected: { attributes: { a: hash('sha3-256', 'amy@example.com') } },
  },
  {
    name: 'hmac-sha256',
    config: { detectors: ['email'], hash_function: 'hmac-sha256', hmac_key: 'k' },
    attributes: { a: 'amy@example.com' },
    expected: { attributes: { a: createHmac('sha256', 'k').update('amy@example.com').digest('hex') } },
  },
  {
    name: 'lists and bytes in bodies',
    config: { allow_all_keys: true, blocked_values: ['secret'] },
    body: ['secret', 5n, { a: ['a secret'] }, null],
    expected: { attributes: {}, body: ['****', 5n, { a: ['a ****'] }, null] },
  },
];
for (const { name, config, attributes = {}, body = 'hello', expected } of cases)
  test(name, async () => {
    const found = await record(config, attributes, body);
    assert.deepEqual(found, { body: plain(value(body)), ...expected });
  });

test('shadow counts and changes nothing', async () => {
  const {
    processor,
    out,
    value: counted,
  } = setup({ detectors: ['email'], blocked_values: ['a'], mode: 'shadow', summary: 'debug' });
  const source = new TestSource(true);
  const batch = makeBatch('logs', [
    source.group(['amy@example.com b@example.com', 'x'], resourceOf(new Map([['k', 'c@example.com']]))),
  ]);
  await processor.consume(batch);
  assert.equal(out.batches[0], batch);
  assert.ok((counted('sluice_redaction_matches', 'detector=blocked_values', 'mode=shadow') ?? 0) > 0);
});

test('matches are counted by detector', async () => {
  const { processor, value: counted } = setup({ detectors: ['email', 'card'] });
  await processor.consume(new TestSource(true).logs(['amy@example.com b@example.com', '4111111111111111', 'x']));
  assert.equal(counted('sluice_redaction_matches', 'detector=email', 'mode=enforce', 'processor=redaction'), 2);
  assert.equal(counted('sluice_redaction_matches', 'detector=card'), 1);
  assert.equal(counted('sluice_redaction_matches', 'detector=jwt'), undefined);
});

test('unchanged groups keep their bytes, and all groups their parts', async () => {
  const { processor, out } = setup({ detectors: ['email'] });
  const source = new TestSource(true);
  const batch = makeBatch(
    'logs',
    [source.group(['x', 'y']), source.group(['x', 'amy@example.com', 'y'])],
    new Map([['t', ['1']]]),
  );
  await processor.consume(batch);
  const [a, b] = out.batches[0]!.groups;
  assert.equal(a?.items, batch.groups[0]?.items);
  assert.deepEqual(
    [...logRecords(b!.items)].map((r) => r.body),
    ['x', '****', 'y'],
  );
  assert.deepEqual(b?.parts, batch.groups[1]?.parts);
  assert.equal(out.batches[0]?.metadata, batch.metadata);
});

test('attributes of resources and scopes are redacted', async () => {
  const { processor, out } = setup({ allowed_keys: ['keep'], blocked_values: ['secret'] });
  const attributes = new Map([
    ['keep', 'secret'],
    ['drop', '1'],
  ]);
  const group = {
    ...new TestSource(true).group(['x'], resourceOf(attributes, 'u')),
    scope: scopeOf('s', 'v', attributes, 'u'),
  };
  await processor.consume(makeBatch('logs', [group]));
  await processor.consume(makeBatch('logs', [group]));
  const [first, second] = out.batches;
  const g = first!.groups[0]!;
  assert.deepEqual(plainMap(g.resource.attributes), { keep: '****' });
  assert.equal(g.resource.schemaUrl, 'u');
  assert.deepEqual(plainMap(g.scope.fields.attributes), { keep: '****' });
  assert.deepEqual([g.scope.fields.name, g.scope.fields.version, g.scope.schemaUrl], ['s', 'v', 'u']);
  assert.equal(second!.groups[0]!.resource, g.resource);
});

const SECRET = new Map([['k', 'amy@example.com']]);

test('spans and their events', async () => {
  const { processor, out } = setup({ detectors: ['email'] }, 'traces');
  const w = new ProtoWriter();
  const span = w.open(2);
  w.string(5, 'name');
  writeAttributes(w, 9, SECRET);
  const event = w.open(11);
  w.string(2, 'event');
  writeAttributes(w, 3, SECRET);
  w.close(event);
  w.close(span);
  await processor.consume(
    makeBatch('traces', [
      { resource: resourceOf(new Map()), scope: EMPTY_SCOPE, items: w.finish(), messages: 1, count: 1, parts: [] },
    ]),
  );
  const [s] = [...spansOf(out.batches[0]!.groups[0]!.items)];
  assert.equal(s?.name, 'name');
  assert.equal(s?.attributes.get('k'), '****');
  assert.equal(s?.events[0]?.name, 'event');
  assert.equal(s?.events[0]?.attributes.get('k'), '****');
});

for (const [type, data, attributes] of [
  ['gauge', 5, 7],
  ['sum', 7, 7],
  ['histogram', 9, 9],
  ['exponentialHistogram', 10, 1],
  ['summary', 11, 7],
] as const)
  test(`points of a ${type}`, async () => {
    const { processor, out } = setup({ detectors: ['email'] }, 'metrics');
    const w = new ProtoWriter();
    const metric = w.open(2);
    w.string(1, 'm');
    const d = w.open(data);
    for (const a of [SECRET, new Map([['k', 'v']])]) {
      const point = w.open(1);
      writeAttributes(w, attributes, a);
      w.fixed64(3, 5n);
      w.close(point);
    }
    w.close(d);
    w.close(metric);
    await processor.consume(
      makeBatch('metrics', [
        { resource: resourceOf(new Map()), scope: EMPTY_SCOPE, items: w.finish(), messages: 1, count: 2, parts: [] },
      ]),
    );
    const [m] = [...metricsOf(out.batches[0]!.groups[0]!.items)];
    assert.equal(m?.data.type, type);
    assert.deepEqual(
      m?.data.points.map((p) => [p.attributes.get('k'), p.time]),
      [
        ['****', 5n],
        ['v', 5n],
      ],
    );
  });

const refused: readonly [raw: object, message: RegExp][] = [
  [{ blocked_values: ['('] }, /error compiling regex in list: compiling regex/],
  [{ hash_function: 'crc' }, /unknown hash function "crc"/],
  [{ hash_function: 'hmac-sha256' }, /hmac_key must not be empty/],
  [{ detectors: ['ssn'] }, /unknown detector "ssn"; known are card/],
  [{ url_sanitizer: { enabled: true } }, /url_sanitizer is not supported/],
  [{ db_sanitizer: { sql: { enabled: true } } }, /db_sanitizer is not supported/],
  [{ block_values: [] }, /block_values/],
];
for (const [raw, message] of refused)
  test(`refused: ${JSON.stringify(raw)}`, () => {
    const result = definition.schema.safeParse(raw);
    assert.match(result.error?.issues.map((i) => i.message).join() ?? '', message);
  });
