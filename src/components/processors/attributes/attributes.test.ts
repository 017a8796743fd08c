/** Actions, include and exclude, over the three signals. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collector, componentContext } from '../../../../test/helpers/component.ts';
import { type Batch, type Group, makeBatch, type Signal } from '../../../core/batch.ts';
import type { Processor, ProcessorDefinition } from '../../../core/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { resourceOf, scopeOf } from '../../../core/resource.ts';
import type { Value } from '../../../wire/otlp.ts';
import { logRecords, writeLogRecord } from '../../../wire/otlp-logs.ts';
import { spansOf } from '../../../wire/otlp-traces.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import definition from './index.ts';

const { schema, create } = definition as ProcessorDefinition;

async function processor(config: object, signal: Signal, next: ReturnType<typeof collector>): Promise<Processor> {
  const { context } = componentContext('attributes', 'processor');
  return create(schema.parse(config), { ...context, signal, pipelineId: signal, next: next.consumer });
}

interface Record_ {
  readonly body?: Value;
  readonly severityNumber?: number;
  readonly severityText?: string;
  readonly attributes?: Record<string, Value>;
}
function logs(records: readonly Record_[], metadata?: Batch['metadata']): Batch {
  const w = new ProtoWriter();
  for (const r of records)
    writeLogRecord(w, {
      time: 1n,
      observedTime: 0n,
      severityNumber: r.severityNumber ?? 0,
      severityText: r.severityText ?? '',
      body: r.body ?? null,
      attributes: new Map(Object.entries(r.attributes ?? {})),
    });
  const group: Group = {
    resource: resourceOf(new Map([['service.name', 'shop']])),
    scope: scopeOf('lib', '1.0'),
    items: w.finish(),
    messages: records.length,
    count: records.length,
    parts: [],
  };
  return makeBatch('logs', [group], metadata);
}
const attributesOf = (batch: Batch): Record<string, Value>[] =>
  batch.groups.flatMap((g) => [...logRecords(g.items)].map((r) => Object.fromEntries(r.attributes)));

async function run(actions: object[], attributes: Record<string, Value>, metadata?: Batch['metadata']) {
  const next = collector();
  await (await processor({ actions }, 'logs', next)).consume(logs([{ attributes }], metadata));
  return attributesOf(next.batches[0]!)[0];
}

const metadata = new Map([['x-tenant', ['a', 'b']]]);
const table: { name: string; action: object; before: Record<string, Value>; after: Record<string, Value> }[] = [
  { name: 'insert of an absent key', action: { key: 'a', value: 1, action: 'insert' }, before: {}, after: { a: 1n } },
  {
    name: 'insert of a present key',
    action: { key: 'a', value: 1, action: 'insert' },
    before: { a: 'x' },
    after: { a: 'x' },
  },
  { name: 'update of an absent key', action: { key: 'a', value: 1.5, action: 'update' }, before: {}, after: {} },
  {
    name: 'update of a present key',
    action: { key: 'a', value: 1.5, action: 'update' },
    before: { a: 'x' },
    after: { a: 1.5 },
  },
  { name: 'upsert', action: { key: 'a', value: [1, 'b'], action: 'UPSERT' }, before: {}, after: { a: [1n, 'b'] } },
  {
    name: 'from_attribute',
    action: { key: 'a', from_attribute: 'b', action: 'insert' },
    before: { b: 2n },
    after: { b: 2n, a: 2n },
  },
  {
    name: 'from_attribute without it',
    action: { key: 'a', from_attribute: 'b', action: 'upsert' },
    before: { a: 1n },
    after: { a: 1n },
  },
  {
    name: 'from_attribute without it, with default_value',
    action: { key: 'a', from_attribute: 'b', default_value: 'd', action: 'upsert' },
    before: { a: 1n },
    after: { a: 'd' },
  },
  {
    name: 'from_context',
    action: { key: 'a', from_context: 'metadata.X-Tenant', action: 'insert' },
    before: {},
    after: { a: 'a;b' },
  },
  {
    name: 'from_context without it',
    action: { key: 'a', from_context: 'metadata.no', action: 'insert' },
    before: {},
    after: {},
  },
  {
    name: 'from_context of another kind',
    action: { key: 'a', from_context: 'auth.user', action: 'insert' },
    before: {},
    after: {},
  },
  { name: 'delete by key', action: { key: 'a', action: 'delete' }, before: { a: 1n, b: 2n }, after: { b: 2n } },
  {
    name: 'delete by pattern',
    action: { pattern: '^a', action: 'delete' },
    before: { a: 1n, ab: 1n, b: 2n },
    after: { b: 2n },
  },
  {
    name: 'hash of text',
    action: { key: 'a', action: 'hash' },
    before: { a: 'amy@example.com' },
    after: { a: '2869db370ff7c68b3752d21544dc7398ba49fda94f6bbb185261b126db6be479' },
  },
  { name: 'hash of empty text', action: { key: 'a', action: 'hash' }, before: { a: '' }, after: { a: '' } },
  {
    name: 'hash of an integer, by pattern',
    action: { pattern: 'a', action: 'hash' },
    before: { a: 1n, b: 'b' },
    after: { a: '7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8', b: 'b' },
  },
  {
    name: 'extract',
    action: { key: 'p', pattern: '^/(?P<x>[^/]+)/(?P<y>\\d+)?', action: 'extract' },
    before: { p: '/a/', y: 'old' },
    after: { p: '/a/', y: '', x: 'a' },
  },
  {
    name: 'extract without match',
    action: { key: 'p', pattern: '(?P<x>\\d)', action: 'extract' },
    before: { p: 'a' },
    after: { p: 'a' },
  },
  {
    name: 'extract of a number',
    action: { key: 'p', pattern: '(?P<x>\\d)', action: 'extract' },
    before: { p: 1n },
    after: { p: 1n },
  },
  {
    name: 'convert to int',
    action: { key: 'a', action: 'convert', converted_type: 'int' },
    before: { a: '12' },
    after: { a: 12n },
  },
  {
    name: 'convert of no number',
    action: { key: 'a', action: 'convert', converted_type: 'int' },
    before: { a: '1x' },
    after: { a: '1x' },
  },
  {
    name: 'convert double to int',
    action: { key: 'a', action: 'convert', converted_type: 'int' },
    before: { a: -1.9 },
    after: { a: -1n },
  },
  {
    name: 'convert to double',
    action: { key: 'a', action: 'convert', converted_type: 'double' },
    before: { a: '1e2' },
    after: { a: 100 },
  },
  {
    name: 'convert bool to double',
    action: { key: 'a', action: 'convert', converted_type: 'double' },
    before: { a: true },
    after: { a: 1 },
  },
  {
    name: 'convert to string',
    action: { key: 'a', action: 'convert', converted_type: 'string' },
    before: { a: [1n] },
    after: { a: '[1]' },
  },
];
for (const { name, action, before, after } of table)
  test(name, async () => assert.deepEqual(await run([action], before, metadata), after));

const refused: [object, RegExp][] = [
  [{}, /missing required field "actions"/],
  [{ actions: [{ action: 'insert', value: 1 }] }, /missing required field "key" at the 0-th action/],
  [{ actions: [{ key: 'a', action: 'explode' }] }, /unsupported action "explode" at the 0-th actions/],
  [{ actions: [{ key: 'a', action: 'insert' }] }, /Either field "value", "from_attribute" or "from_context"/],
  [{ actions: [{ key: 'a', action: 'insert', value: 1, from_attribute: 'b' }] }, /multiple value sources/],
  [{ actions: [{ key: 'a', action: 'extract' }] }, /missing required field "pattern" for action "extract"/],
  [{ actions: [{ key: 'a', action: 'extract', pattern: 'x' }] }, /contains no named matcher groups/],
  [{ actions: [{ key: 'a', action: 'extract', pattern: '(x)(?P<y>z)' }] }, /at least one unnamed matcher group/],
  [{ actions: [{ key: 'a', action: 'convert' }] }, /missing required field "converted_type"/],
  [{ actions: [{ key: 'a', action: 'convert', converted_type: 'long' }] }, /invalid value "long"/],
  [{ actions: [{ pattern: '(', action: 'delete' }] }, /invalid pattern/],
  [{ actions: [{ key: 'a', action: 'delete', value: 1 }] }, /does not use value sources/],
];
for (const [config, message] of refused)
  test(`refused: ${JSON.stringify(config)}`, () => {
    const result = schema.safeParse(config);
    assert.ok(!result.success);
    assert.match(result.error.issues[0]!.message, message);
  });

const ACTIONS = [{ key: 'got', value: true, action: 'insert' }];
const RECORDS: Record_[] = [
  { body: 'GET /a', severityNumber: 9, severityText: 'Info', attributes: { n: 1n } },
  { body: 'POST /b', severityNumber: 17, severityText: 'Error', attributes: { n: 2n, s: 'x1' } },
  { body: 7n },
];
const matches: [object, boolean[]][] = [
  [{ include: { match_type: 'strict', log_bodies: ['GET /a'] } }, [true, false, false]],
  [{ include: { match_type: 'regexp', log_bodies: ['^(GET|POST)'] } }, [true, true, false]],
  [{ exclude: { match_type: 'strict', log_severity_texts: ['Info', 'x'] } }, [false, true, true]],
  [{ include: { match_type: 'strict', log_severity_number: { min: 10 } } }, [false, true, false]],
  [{ include: { match_type: 'strict', log_severity_number: { min: 10, match_undefined: true } } }, [false, true, true]],
  [{ include: { match_type: 'strict', log_severity_number: { min: 'ERROR' } } }, [false, true, false]],
  [{ include: { match_type: 'strict', attributes: [{ key: 'n' }] } }, [true, true, false]],
  [{ include: { match_type: 'strict', attributes: [{ key: 'n', value: 2 }] } }, [false, true, false]],
  [
    { include: { match_type: 'regexp', attributes: [{ key: 's', value: '^x\\d$' }, { key: 'n' }] } },
    [false, true, false],
  ],
  [{ include: { match_type: 'strict', resources: [{ key: 'service.name', value: 'shop' }] } }, [true, true, true]],
  [{ include: { match_type: 'strict', resources: [{ key: 'service.name', value: 'other' }] } }, [false, false, false]],
  [{ include: { match_type: 'strict', libraries: [{ name: 'lib' }] } }, [true, true, true]],
  [{ include: { match_type: 'strict', libraries: [{ name: 'lib', version: '2' }] } }, [false, false, false]],
  [
    {
      include: { match_type: 'regexp', log_bodies: ['/'] },
      exclude: { match_type: 'strict', log_severity_texts: ['Info'] },
    },
    [false, true, false],
  ],
];
for (const [config, expected] of matches)
  test(`acts on ${JSON.stringify(expected)} with ${JSON.stringify(config)}`, async () => {
    const next = collector();
    await (await processor({ actions: ACTIONS, ...config }, 'logs', next)).consume(logs(RECORDS));
    assert.deepEqual(
      attributesOf(next.batches[0]!).map((a) => a['got'] === true),
      expected,
    );
  });

test('keys of another signal, and none at all, are refused at the start', async () => {
  for (const [signal, include, message] of [
    ['logs', { match_type: 'strict', span_names: ['a'] }, /span_names should not be specified for log records/],
    ['traces', { match_type: 'strict', log_bodies: ['a'] }, /log_bodies should not be specified for span records/],
    ['metrics', { match_type: 'strict', attributes: [{ key: 'a' }] }, /attributes should not be specified for metric/],
    ['logs', { match_type: 'strict' }, /at least one of "log_bodies"/],
    ['logs', { match_type: 'regexp', log_bodies: ['('] }, /missing closing \)/],
  ] as const)
    await assert.rejects(processor({ actions: ACTIONS, include }, signal, collector()), (e) => {
      assert.ok(e instanceof ConfigError);
      assert.match(e.message, message);
      return true;
    });
});

test('spans are chosen by service, name and kind, and all of their other fields stay', async () => {
  const w = new ProtoWriter();
  for (const [name, kind] of [
    ['GET', 2],
    ['GET', 3],
    ['PUT', 2],
  ] as const) {
    const at = w.open(2);
    w.bytes(1, new Uint8Array(16).fill(1));
    w.string(5, name);
    w.tag(6, 0);
    w.varint(kind);
    w.close(at);
  }
  const group: Group = {
    resource: resourceOf(new Map([['service.name', 'shop']])),
    scope: scopeOf(),
    items: w.finish(),
    messages: 3,
    count: 3,
    parts: [],
  };
  const next = collector();
  const include = { match_type: 'strict', services: ['shop'], span_names: ['GET'], span_kinds: ['SPAN_KIND_SERVER'] };
  await (await processor({ actions: ACTIONS, include }, 'traces', next)).consume(makeBatch('traces', [group]));
  const spans = [...spansOf(next.batches[0]!.groups[0]!.items)];
  assert.deepEqual(
    spans.map((s) => [s.name, s.kind, s.traceId.length, s.attributes.get('got')]),
    [
      ['GET', 2, 16, true],
      ['GET', 3, 16, undefined],
      ['PUT', 2, 16, undefined],
    ],
  );
});
