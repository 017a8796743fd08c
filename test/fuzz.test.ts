/** Arbitrary input: no configuration and no log file makes the collector crash, hang, or lose count. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findComponent } from '../src/components/index.ts';
import { DELIVERED, settleBatch } from '../src/core/batch.ts';
import { SYSTEM_CLOCK } from '../src/core/clock.ts';
import type { Receiver, ReceiverDefinition } from '../src/core/component.ts';
import { ConfigError } from '../src/core/errors.ts';
import type { Ledger } from '../src/core/ledger.ts';
import { SILENT } from '../src/core/log.ts';
import { TelemetryRegistry } from '../src/core/telemetry.ts';
import { loadConfig } from '../src/service/config/load.ts';
import { validateService } from '../src/service/service.ts';
import { type LogRecord, logRecords } from '../src/wire/otlp-logs.ts';
import { tempDir, until } from './helpers/agent.ts';
import { filesToOtlp } from './helpers/config.ts';
import { cpuMs } from './helpers/cpu.ts';
import fc from './helpers/property.ts';

const BUILD = { command: 'sluice', description: '', version: '0' };
/** CPU time far above what any of these takes; a quadratic parser is far above it. */
const SLOW_MS = 5000;

/** Loads and builds; whatever is wrong must be a ConfigError that prints, within a moment. */
async function validate(file: string): Promise<'good' | 'refused'> {
  const start = cpuMs();
  try {
    const config = await loadConfig({ configs: [file], sets: [] }, { HOME: '/root' });
    await validateService(config, BUILD);
    return 'good';
  } catch (e) {
    if (!(e instanceof ConfigError)) throw e;
    assert.ok(e.message.length > 0);
    for (const d of e.diagnostics) assert.equal(typeof d.message, 'string');
    return 'refused';
  } finally {
    const took = cpuMs() - start;
    assert.ok(took < SLOW_MS, `took ${took} ms of CPU`);
  }
}

const GOOD = filesToOtlp({ include: '/nowhere/*.log', endpoint: 'http://127.0.0.1:1', processors: 'batch: {}' });

test('arbitrary bytes are refused or accepted as a configuration, never a crash', async (t) => {
  const file = join(tempDir(t), 'agent.yaml');
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.string({ unit: 'binary', maxLength: 400 }).map((s) => Buffer.from(s)),
    fc
      .array(
        fc.constantFrom(
          ...'{}[]:,-?!&*|>\'"%@`#$\n\t \\~',
          '${env:X}',
          '$${',
          '<<',
          '---',
          '...',
          '!!binary',
          'a',
          '1',
        ),
        {
          maxLength: 120,
        },
      )
      .map((parts) => Buffer.from(parts.join(''))),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (b) => {
      writeFileSync(file, b);
      await validate(file);
    }),
    { numRuns: 300 },
  );
});

test('a good configuration with a few bytes changed is refused or accepted, never a crash', async (t) => {
  const file = join(tempDir(t), 'agent.yaml');
  const good = Buffer.from(GOOD);
  writeFileSync(file, good);
  assert.equal(await validate(file), 'good');
  const edit = fc.record({
    at: fc.nat({ max: good.length - 1 }),
    drop: fc.nat({ max: 12 }),
    put: fc.oneof(
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.constantFrom('- ', ': ', '{', '${env:', '\n', '&a ', '*a'),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
      let text = good;
      for (const { at, drop, put } of edits)
        text = Buffer.concat([text.subarray(0, at), Buffer.from(put), text.subarray(at + drop)]);
      writeFileSync(file, text);
      await validate(file);
    }),
    { numRuns: 300 },
  );
});

test('any value in the place of any section is refused or accepted, never a crash', async (t) => {
  const file = join(tempDir(t), 'agent.yaml');
  const paths = [
    ['receivers'],
    ['receivers', 'file_log'],
    ['receivers', 'file_log', 'include'],
    ['receivers', 'file_log', 'operators'],
    ['receivers', 'file_log', 'multiline'],
    ['processors', 'batch'],
    ['exporters', 'otlp_http'],
    ['exporters', 'otlp_http', 'endpoint'],
    ['exporters', 'otlp_http', 'sending_queue'],
    ['extensions'],
    ['service'],
    ['service', 'pipelines'],
    ['service', 'pipelines', 'logs'],
    ['service', 'telemetry'],
  ];
  const base = {
    receivers: { file_log: { include: ['/nowhere/*.log'] } },
    processors: { batch: {} },
    exporters: { otlp_http: { endpoint: 'http://127.0.0.1:1' } },
    extensions: {},
    service: { pipelines: { logs: { receivers: ['file_log'], processors: ['batch'], exporters: ['otlp_http'] } } },
  };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 4 }), async (path, value) => {
      const root: Record<string, unknown> = structuredClone(base);
      let at = root;
      for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
      at[path.at(-1)!] = value;
      writeFileSync(file, JSON.stringify(root));
      await validate(file);
    }),
    { numRuns: 300 },
  );
});

const monsters: readonly [string, () => string][] = [
  ['brackets, 100 000 deep', () => '['.repeat(100_000)],
  ['maps, 20 000 deep', () => 'a: {'.repeat(20_000)],
  ['indentation, 2000 deep', () => Array.from({ length: 2000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  [
    'aliases of aliases',
    () =>
      `a0: &a0 [x]\n${Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(9)}]`).join('\n')}`,
  ],
  ['an alias inside its own anchor', () => 'receivers: &a\n  filelog: *a'],
  ['merge keys in a circle', () => 'a: &a\n  <<: *a\n'],
  ['references of references', () => `receivers: ${'${env:'.repeat(5000)}`],
  ['an environment variable that names itself', () => 'receivers: ${env:HOME:-${env:HOME}}'],
  ['200 000 keys', () => Array.from({ length: 200_000 }, (_, i) => `k${i}: 1`).join('\n')],
  ['a scalar of 20 MB', () => `receivers: "${'x'.repeat(20_000_000)}"`],
  ['10 000 documents', () => '---\na: 1\n'.repeat(10_000)],
  ['a byte order mark and NUL', () => '\ufeffreceivers:\0 1'],
  [
    'keys that objects have by nature',
    () => '__proto__: {a: 1}\nconstructor: {prototype: {}}\nreceivers: {__proto__: {}, toString: {}}',
  ],
];
for (const [what, text] of monsters)
  test(`${what}: refused in time`, async (t) => {
    const file = join(tempDir(t), 'agent.yaml');
    writeFileSync(file, text());
    assert.equal(await validate(file), 'refused');
    assert.equal(({} as Record<string, unknown>)['a'], undefined, 'no prototype is polluted');
  });

/** Runs a file_log receiver on one file until all of it is settled; gives its records and its account. */
async function readFile(
  t: TestContext,
  content: Uint8Array,
  config: object,
): Promise<{ records: LogRecord[]; ledger: Ledger }> {
  const dir = tempDir(t);
  const pod = join(dir, 'shop_cart-0_1c8e2d63-2222-4b4b-9c9c-bbbbbbbbbbbb');
  writeFileSync(join(dir, 'a.log'), content);
  const { default: definition } = await findComponent('receiver', 'file_log')!.load();
  const records: LogRecord[] = [];
  let ledger: Ledger | undefined;
  const receiver: Receiver = await (definition as ReceiverDefinition).create(
    definition.schema.parse({ include: [join(dir, '*.log')], start_at: 'beginning', poll_interval: '10ms', ...config }),
    {
      id: 'file_log',
      kind: 'receiver',
      log: SILENT,
      telemetry: new TelemetryRegistry(),
      clock: SYSTEM_CLOCK,
      build: BUILD,
      host: {
        extension: () => undefined,
        fatal: (_, e) => {
          throw e;
        },
        shared: (_, make) => make(),
        addLedger: (_, l) => {
          ledger = l;
        },
      },
      outputs: {
        logs: {
          async consume(batch) {
            for (const g of batch.groups) records.push(...logRecords(g.items));
            settleBatch(batch, DELIVERED);
          },
        },
      },
    },
  );
  await receiver.start?.();
  await until(
    () => ledger!.snapshot().read.bytes >= content.length,
    `all ${content.length} bytes of ${pod} to be read`,
  );
  await receiver.stop?.(AbortSignal.timeout(30_000));
  return { records, ledger: ledger! };
}

/** Bytes that meet in logs, and bytes that never should. */
const chunk = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom('\n', '\r\n', ' ', 'x', 'é', '漢', '😀', '\0', '{', '}', '"', '{"a":1}', '{"a":"\\ud800"}')
      .map((s) => Buffer.from(s)),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(
        '2026-11-01T10:00:00.1Z stdout F ',
        '2026-11-01T10:00:00.1Z stderr P ',
        '2026-11-01T10:00:00+02:00 stdout F ',
        '2026-13-01T99:00:00Z stdout F x',
        '{"log":"a\\n","stream":"stdout","time":"2026-11-01T10:00:00Z"}',
      )
      .map((s) => Buffer.from(s)),
  },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 5 }) },
  // Cut, overlong, surrogate, beyond U+10FFFF, stray continuation, and the edges of each rule.
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(
        [0xe6, 0xbc],
        [0xf0, 0x9f, 0x98],
        [0xc0, 0xaf],
        [0xe0, 0x80, 0x80],
        [0xed, 0xa0, 0x80],
        [0xf4, 0x90, 0x80, 0x80],
        [0x80],
        [0xff],
        [0xf0, 0x80, 0x80, 0x80],
        [0xef, 0xbb, 0xbf],
        [0xc2],
        [0xe1, 0x80, 0xe2, 0xf0, 0x91, 0x92, 0xf1, 0xbf],
      )
      .map((b) => Uint8Array.from(b)),
  },
);
const content = fc
  .array(chunk, { minLength: 1, maxLength: 300 })
  .map((chunks) => Buffer.concat([...chunks, Buffer.from('\n')]));

test('arbitrary bytes in a file become the lines that they are, each ill-formed part one U+FFFD', async (t) => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      const { records, ledger } = await readFile(t, bytes, {});
      // Cut and trimmed as bytes, then decoded.
      const expected: string[] = [];
      for (let at = 0; at < bytes.length; ) {
        const end = bytes.indexOf(10, at);
        let [from, to] = [at, end];
        const blank = (b: number | undefined): boolean => b === 32 || b === 9 || b === 13 || b === 10;
        while (from < to && blank(bytes[from])) from++;
        while (to > from && blank(bytes[to - 1])) to--;
        if (to > from) expected.push(decoder.decode(bytes.subarray(from, to)));
        at = end + 1;
      }
      assert.deepEqual(
        records.map((r) => r.body),
        expected,
      );
      assertBalanced(ledger, bytes.length);
    }),
    { numRuns: 60 },
  );
});

test('arbitrary bytes through container and json_parser: no crash, no stall, every byte accounted for', async (t) => {
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      const { records, ledger } = await readFile(t, bytes, {
        include_file_path: true,
        operators: [
          { type: 'container', add_metadata_from_filepath: false, on_error: 'send_quiet' },
          { type: 'json_parser', on_error: 'send_quiet', if: 'body matches "^{"' },
        ],
      });
      const lines = bytes.toString('latin1').split('\n').length - 1;
      assert.ok(records.length <= lines, `${records.length} records of ${lines} lines`);
      for (const r of records) if (typeof r.body === 'string') assert.ok(r.body.isWellFormed());
      assertBalanced(ledger, bytes.length);
    }),
    { numRuns: 60 },
  );
});

function assertBalanced(ledger: Ledger, sizeBytes: number): void {
  const { read, delivered, queued, filtered, lost, inFlight } = ledger.snapshot();
  assert.equal(read.bytes, sizeBytes);
  assert.deepEqual(inFlight, { records: 0, bytes: 0 });
  assert.deepEqual(lost, { records: 0, bytes: 0 });
  assert.equal(read.bytes, delivered.bytes + queued.bytes + filtered.bytes);
}
