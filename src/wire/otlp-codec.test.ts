/** OTLP/JSON and the request envelope against an independent protobuf implementation, over generated messages. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../test/helpers/property.ts';
import { OtlpJsonError, requestFromJson, requestToJson } from './otlp-json.ts';
import { decodeRequest, encodeRequest } from './otlp-request.ts';
import { ProtoError } from './proto.ts';
import { flat, forOracle, type Json, readByOracle, requestJson, SIGNALS, writtenByOracle } from './testing.ts';

for (const signal of SIGNALS) {
  test(`JSON of ${signal} becomes the protobuf that another implementation reads, and comes back`, () => {
    fc.assert(
      fc.property(requestJson(signal), (message) => {
        const bytes = requestFromJson(signal, JSON.stringify(message));
        assert.deepEqual(readByOracle(signal, bytes), forOracle(message));
        assert.deepEqual(JSON.parse(requestToJson(signal, bytes)), message);
        const theirs = writtenByOracle(signal, message);
        assert.deepEqual(JSON.parse(requestToJson(signal, theirs)), message);
      }),
      { numRuns: 60 },
    );
  });

  test(`a request of ${signal} survives decoding to groups and encoding again, and is counted`, () => {
    fc.assert(
      fc.property(requestJson(signal), (message) => {
        const bytes = writtenByOracle(signal, message);
        const groups = decodeRequest(signal, bytes);
        const again = readByOracle(signal, encodeRequest(groups));
        const sent = flat(signal, forOracle(message) as Json);
        assert.deepEqual(flat(signal, again), sent);
        assert.equal(
          groups.reduce((n, g) => n + g.messages, 0),
          sent.length,
        );
        const points = sent.reduce((n, row) => {
          const item = row[4] as Json;
          return (
            n +
            Object.values(item).reduce(
              (k: number, v) => k + ((v as { dataPoints?: unknown[] }).dataPoints?.length ?? 0),
              0,
            )
          );
        }, 0);
        assert.equal(
          groups.reduce((n, g) => n + g.count, 0),
          signal === 'metrics' ? points : sent.length,
        );
      }),
      { numRuns: 60 },
    );
  });

  test(`broken bytes of ${signal} are refused or read, and never anything else`, () => {
    fc.assert(
      fc.property(
        requestJson(signal),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.nat(),
        (message, edits, cut) => {
          const bytes = Buffer.from(requestFromJson(signal, JSON.stringify(message)));
          for (const [at, value] of edits) if (bytes.length) bytes[at % bytes.length] = value;
          const data = bytes.subarray(0, bytes.length - (cut % 4));
          try {
            const groups = decodeRequest(signal, data);
            // What was let through must be readable all the way down.
            for (const g of groups) requestToJson(signal, encodeRequest([g]));
          } catch (e) {
            assert.ok(e instanceof ProtoError, String(e));
          }
        },
      ),
      { numRuns: 200 },
    );
  });
}

test('groups of the same resource and scope that follow each other share an envelope', () => {
  const bytes = requestFromJson(
    'logs',
    '{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeLogs":[{"logRecords":[{"severityText":"x"}]}]}]}',
  );
  const [g] = decodeRequest('logs', bytes);
  const other = { ...g!, scope: { encoded: new Uint8Array(0), schemaUrl: 'u' } };
  const read = JSON.parse(
    requestToJson('logs', encodeRequest([g!, g!, other, { ...g!, resource: { ...g!.resource } }])),
  );
  assert.deepEqual(
    read.resourceLogs.map((r: { scopeLogs: { logRecords: unknown[] }[] }) =>
      r.scopeLogs.map((s) => s.logRecords.length),
    ),
    [[2, 1], [1]],
  );
});

test('items that do not stand together, or have overlong tags, are put together', () => {
  const record = [0x1a, 1, 0x78];
  const scope = [0x12, 3, ...record, 0x1a, 1, 0x75, 0x92, 0x00, 0x83, 0x00, ...record, 0x12, 0];
  const body = Buffer.from([0x0a, scope.length + 2, 0x12, scope.length, ...scope]);
  const [g] = decodeRequest('logs', body);
  assert.deepEqual([...g!.items], [0x12, 3, ...record, 0x12, 3, ...record, 0x12, 0]);
  assert.equal(g!.messages, 3);
  assert.equal(g!.scope.schemaUrl, 'u');
});

test('JSON input is as tolerant as the protocol asks, and no more', () => {
  const same = (a: string, b: string) =>
    assert.deepEqual(requestFromJson('traces', a), requestFromJson('traces', b), a);
  const span = (fields: string) => `{"resourceSpans":[{"scopeSpans":[{"spans":[{${fields}}]}]}]}`;
  same(span('"kind":"SPAN_KIND_SERVER"'), span('"kind":2'));
  same(span('"startTimeUnixNano":1767323045000000001'), span('"startTimeUnixNano":"1767323045000000001"'));
  same(span('"start_time_unix_nano":"5","unknown":[{}]'), span('"startTimeUnixNano":5'));
  same(span('"traceId":"0102030405060708090A0B0C0D0E0F10"'), span('"traceId":"0102030405060708090a0b0c0d0e0f10"'));
  same(span('"status":null'), span(''));
  for (const bad of [
    '',
    '[]',
    'null',
    '{"resourceSpans":{}}',
    '{"resourceSpans":[1]}',
    span('"traceId":"01"'),
    span('"traceId":"zz"'),
    span('"kind":"NOPE"'),
    span('"name":5'),
    span('"startTimeUnixNano":"-1"'),
    span('"startTimeUnixNano":1.5'),
    span('"startTimeUnixNano":18446744073709551616'),
    span('"attributes":[{"key":"a","value":{"bytesValue":"*"}}]'),
    span(`"attributes":[{"key":"a","value":${'{"arrayValue":{"values":['.repeat(200)}{}${']}}'.repeat(200)}}]`),
  ])
    assert.throws(() => requestFromJson('traces', bad), OtlpJsonError, bad.slice(0, 80));
});

test('values at their defaults are kept where being set means something', () => {
  for (const value of [
    '{"stringValue":""}',
    '{"boolValue":false}',
    '{"intValue":"0"}',
    '{"doubleValue":0}',
    '{}',
    '{"arrayValue":{}}',
    '{"bytesValue":""}',
  ]) {
    const text = `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${value}}]}]}]}`;
    assert.equal(requestToJson('logs', requestFromJson('logs', text)), text);
  }
  const point =
    '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asDouble":"NaN"},{"asInt":"0"}]}}]}]}]}';
  assert.equal(requestToJson('metrics', requestFromJson('metrics', point)), point);
});
