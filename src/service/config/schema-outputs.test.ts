import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod';
import { defineReceiver } from '../../core/component.ts';
import { byteSize, duration, headers, retryOnFailure, section, stringList, tlsClient } from '../../core/schema.ts';
import { describeSchema } from './describe-schema.ts';
import { configJsonSchema } from './json-schema.ts';
import { printable } from './printable.ts';
import { telemetrySchema } from './telemetry.ts';

const schema = z
  .strictObject({
    endpoint: z.string().describe('Where to'),
    password: z.string().default('').describe('Secret').meta({ secret: true }),
    timeout: duration().prefault('90s').describe('How long'),
    size: byteSize().prefault('1KiB'),
    mode: z.enum(['a', 'b']).default('a'),
    include: stringList().default([]),
    headers: headers(),
    tls: section(tlsClient()).optional(),
    retry: retryOnFailure(),
    labels: z.record(z.string(), z.string()).default({}),
    pattern: z
      .string()
      .optional()
      .transform((v) => (v === undefined ? undefined : new RegExp(v))),
  })
  .superRefine(() => {});

test('rows name every key with type, default and meaning', () => {
  const rows = new Map(describeSchema(schema).map((r) => [r.key, r]));
  const table: [string, string, string][] = [
    ['endpoint', 'string', ''],
    ['timeout', 'duration', '90s'],
    ['size', 'size', '1KiB'],
    ['mode', 'one of a, b', 'a'],
    ['include', 'list of string', '[]'],
    ['tls', 'section', ''],
    ['tls.insecure', 'bool', 'false'],
    ['tls.reload_interval', 'duration', '0s'],
    ['retry', 'section', ''],
    ['retry.multiplier', 'number', '1.5'],
    ['retry.max_interval', 'duration', '30s'],
    ['labels', 'map of string', '{}'],
    ['headers', 'map of string or list of section', '{}'],
  ];
  for (const [key, type, value] of table)
    assert.deepEqual([rows.get(key)?.type, rows.get(key)?.default], [type, value], key);
  assert.equal(rows.get('endpoint')?.description, 'Where to');
  assert.deepEqual(
    [...rows.values()].filter((r) => r.isSecret).map((r) => r.key),
    ['password', 'headers', 'tls.key_pem'],
  );
});

test('a parsed section prints as YAML has it, secrets hidden', () => {
  const raw = {
    endpoint: 'x',
    password: 'p',
    timeout: '1h',
    headers: { Authorization: 'token' },
    tls: { key_pem: 'KEY' },
    labels: { a: 'b' },
    pattern: 'a+',
  };
  const value = schema.parse(raw);
  const printed = printable(schema, value, raw, { secrets: 'redacted' }) as Record<string, Record<string, unknown>>;
  assert.equal(printed['timeout'], '1h0m0s');
  assert.equal(printed['size'], 1024);
  assert.equal(printed['pattern'], 'a+');
  assert.equal(printed['password'], '[REDACTED]');
  assert.deepEqual(printed['headers'], { Authorization: '[REDACTED]' });
  assert.deepEqual(
    [printed['tls']?.['key_pem'], printed['tls']?.['insecure'], printed['tls']?.['cert_pem']],
    ['[REDACTED]', false, ''],
  );
  assert.deepEqual([printed['retry']?.['initial_interval'], printed['labels']], ['5s', { a: 'b' }]);
  const open = printable(schema, value, raw, { secrets: 'unredacted' }) as Record<string, unknown>;
  assert.deepEqual([open['password'], open['headers']], ['p', { Authorization: 'token' }]);
  assert.deepEqual(schema.parse(open), value);
});

test('secrets stay hidden when only what was written is known', () => {
  const raw = { endpoint: 'x', password: 'p', headers: [{ name: 'a', value: 'v' }] };
  const text = JSON.stringify(printable(schema, raw, raw, { secrets: 'redacted' }));
  assert.ok(!text.includes('"p"') && !text.includes('"v"'), text);
});

test('defaults of self telemetry print in the form that can be read again', () => {
  const value = telemetrySchema.parse({ resource: { 'service.name': 'x' } });
  const printed = printable(telemetrySchema, value, undefined, { secrets: 'redacted' });
  assert.deepEqual(telemetrySchema.parse(printed), value);
});

test('the JSON Schema covers new and old names, references and empty sections', async () => {
  const definition = defineReceiver({
    id: 'file_log',
    aliases: ['filelog'],
    summary: 'Reads files',
    stability: 'beta',
    signals: ['logs'],
    schema,
    create: () => Promise.reject(new Error()),
  });
  const json = await configJsonSchema([
    { kind: 'receiver', id: 'file_log', aliases: ['filelog'], load: async () => ({ default: definition }) },
  ]);
  const receivers = (
    json['properties'] as Record<string, { patternProperties: Record<string, Record<string, unknown>> }>
  )['receivers'];
  const pattern = '^(file_log|filelog)(/.*)?$';
  const found = receivers?.patternProperties[pattern];
  assert.deepEqual(Object.keys(receivers?.patternProperties ?? {}), [pattern]);
  assert.deepEqual(
    [found?.['description'], found?.['type'], found?.['additionalProperties'], found?.['required']],
    ['Reads files', ['object', 'null'], false, ['endpoint']],
  );
  const retry = (found!['properties'] as Record<string, { properties: Record<string, unknown> }>)['retry'];
  assert.deepEqual(retry?.properties['multiplier'], {
    description: 'Growth of the wait',
    default: 1.5,
    type: ['number', 'string'],
    pattern: '\\$\\{.+\\}',
  });
  assert.ok('service' in (json['properties'] as object));
});
