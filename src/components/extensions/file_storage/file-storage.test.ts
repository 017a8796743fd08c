import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import fc from '../../../../test/helpers/property.ts';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import type { ComponentContext } from '../../../core/component.ts';
import { type LogFields, SILENT } from '../../../core/log.ts';
import { StorageFullError, type StorageOp } from '../../../core/storage.ts';
import { TelemetryRegistry } from '../../../core/telemetry.ts';
import { fileName } from './directory.ts';
import { FileStorage } from './extension.ts';
import declaration, { type FileStorageConfig } from './index.ts';

const root = mkdtempSync(join(tmpdir(), 'file-storage-'));
after(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const freshDirectory = (): string => {
  const dir = join(root, String(directories++));
  mkdirSync(dir);
  return dir;
};
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

const open = async (directory: string, keys: Record<string, unknown> = {}, shared = new Map<string, unknown>()) => {
  const config = declaration.schema.parse({ directory, timeout: '20ms', ...keys }) as FileStorageConfig;
  const lines: Line[] = [];
  const say = (level: string) => (message: string, fields?: LogFields) => void lines.push({ level, message, fields });
  const ctx: ComponentContext = {
    id: 'file_storage',
    kind: 'extension',
    log: { ...SILENT, info: say('info'), warn: say('warn'), error: say('error') },
    telemetry: new TelemetryRegistry(),
    clock: SYSTEM_CLOCK,
    build: { command: 'sluice', description: '', version: '0' },
    host: {
      extension: () => undefined,
      fatal() {},
      shared: <T>(key: string, make: () => T): T => {
        if (!shared.has(key)) shared.set(key, make());
        return shared.get(key) as T;
      },
      addLedger() {},
    },
  };
  const extension = new FileStorage(config, ctx);
  await extension.start();
  return { extension, lines };
};

const messages = (keys: unknown): string[] => {
  const parsed = declaration.schema.safeParse(keys);
  return parsed.success ? [] : parsed.error.issues.map((i) => i.message);
};

test('files are named as upstream names them', () => {
  for (const [kind, id, name, expected] of [
    ['receiver', 'filelog', '', 'receiver_filelog_'],
    ['receiver', 'filelog/app', '', 'receiver_filelog_app'],
    ['exporter', 'otlp_http', 'logs', 'exporter_otlp_http__logs'],
    ['exporter', 'otlphttp/a/b', 'logs', 'exporter_otlphttp_a~002Fb_logs'],
    ['receiver', 'filelog/ä.b-C', '', 'receiver_filelog_~00E4.b-C'],
    ['receiver', 'filelog/x-wal', '', 'receiver_filelog_x~002Dwal'],
  ] as const)
    assert.equal(fileName(kind, id, name), expected);
  assert.match(fileName('receiver', `filelog/${'x'.repeat(300)}`, ''), /^[0-9a-f]{64}$/);
});

test('a configuration is refused with the words of upstream', () => {
  const directory = freshDirectory();
  const file = join(directory, 'file');
  writeFileSync(file, '');
  assert.deepEqual(messages({ directory }), []);
  assert.match(
    messages({ directory: `${directory}/missing` })[0]!,
    /^directory must exist: stat .*\/missing: no such file or directory/,
  );
  assert.deepEqual(messages({ directory: `${directory}/missing`, create_directory: true }), []);
  assert.deepEqual(messages({ directory: file }), [`${file} is not a directory`]);
  assert.match(messages({ directory, directory_permissions: 'rwx' })[0]!, /valid octal/);
  assert.match(
    messages({ directory, compaction: { on_rebound: true, check_interval: '0s' } })[0]!,
    /check interval must be positive/,
  );
  assert.match(
    messages({ directory, compaction: { directory: `${directory}/no`, on_start: true } })[0]!,
    /directory must exist/,
  );
  assert.match(messages({ directory, compaction: { max_transaction_size: -1 } })[0]!, /cannot be less than 0/);
  assert.deepEqual(messages({ directory, compaction: null, fsync: true, max_size: '1GiB', recreate: true }), []);
});

test('what was written is there after a restart, in key order, in a file for the owner only', async () => {
  const directory = join(freshDirectory(), 'made', 'here');
  const first = await open(directory, { create_directory: true, directory_permissions: '0700', fsync: true });
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const client = await first.extension.client('receiver', 'filelog', '');
  client.set('b', bytes('2'));
  client.set('a', bytes('1'));
  client.set('a', bytes('one'));
  client.set('empty', new Uint8Array(0));
  client.batch([
    { op: 'set', key: 'c', value: bytes('3') },
    { op: 'delete', key: 'b' },
  ]);
  await first.extension.stop();
  await first.extension.stop();
  assert.throws(() => client.get('a'), /closed/);
  assert.deepEqual(readdirSync(directory), ['receiver_filelog_']);
  assert.equal(statSync(join(directory, 'receiver_filelog_')).mode & 0o777, 0o600);

  const second = await open(directory);
  const again = await second.extension.client('receiver', 'filelog', '');
  const seen: [string, string | undefined][] = [];
  again.walk((k, v) => {
    seen.push([k, text(v)]);
    again.delete(k);
    return seen.length < 2;
  });
  assert.deepEqual(seen, [
    ['a', 'one'],
    ['c', '3'],
  ]);
  assert.equal(again.get('a'), undefined);
  assert.deepEqual(again.get('empty'), new Uint8Array(0));
  assert.deepEqual(second.lines, []);
  again.close();
  again.close();
  const third = await second.extension.client('receiver', 'filelog', '');
  assert.deepEqual(third.get('empty'), new Uint8Array(0));
  await second.extension.stop();
});

test('a store does what a map does', async () => {
  const key = fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string({ unit: 'binary', maxLength: 5 }));
  const operation: fc.Arbitrary<StorageOp> = fc.oneof(
    fc.record({ op: fc.constant('set' as const), key, value: fc.uint8Array({ maxLength: 40 }) }),
    fc.record({ op: fc.constant('delete' as const), key }),
  );
  const { extension } = await open(freshDirectory());
  const client = await extension.client('receiver', 'filelog', '');
  fc.assert(
    fc.property(fc.array(fc.array(operation, { maxLength: 5 }), { maxLength: 20 }), (batches) => {
      client.walk((k) => void client.delete(k));
      const model = new Map<string, Uint8Array>();
      for (const batch of batches) {
        client.batch(batch);
        for (const o of batch) o.op === 'set' ? model.set(o.key, o.value) : model.delete(o.key);
      }
      const all = new Map<string, Uint8Array>();
      client.walk((k, v) => void all.set(k, v));
      const sorted = [...model].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual([...all], sorted);
      for (const [k, v] of model) assert.deepEqual(client.get(k), v);
    }),
    { numRuns: 100 },
  );
  await extension.stop();
});

test('a file in use is refused after the timeout, and free once its holder is gone', async () => {
  const directory = freshDirectory();
  const path = join(directory, 'receiver_filelog_');
  const child = spawn(process.execPath, [fileURLToPath(new URL('./testdata/writer.ts', import.meta.url)), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.stdout.resume();
  const { extension } = await open(directory);
  await assert.rejects(extension.client('receiver', 'filelog', ''), /receiver_filelog_ is in use: timeout after 20ms/);
  const shared = new Map<string, unknown>();
  const patient = await open(directory, { timeout: '60s' }, shared);
  const waiting = patient.extension.client('receiver', 'filelog', '');
  child.kill('SIGKILL');
  const client = await waiting;
  assert.equal(text(client.get('n')), text(client.get('same')));
  // In the same process too.
  const other = await open(directory, {}, shared);
  await assert.rejects(other.extension.client('receiver', 'filelog', ''), /in use/);
  await patient.extension.stop();
});

test('kill -9 at any moment loses no write that returned, and tears none', async () => {
  const directory = freshDirectory();
  const path = join(directory, 'exporter_otlp_http__logs');
  let before = 0;
  for (let round = 0; round < 12; round++) {
    const child = spawn(process.execPath, [fileURLToPath(new URL('./testdata/writer.ts', import.meta.url)), path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    const enough = 20 + round * 37;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output.split('\n').length > enough) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const returned = Number(output.split('\n').filter(Boolean).at(-1));
    const { extension, lines } = await open(directory, { timeout: '60s' });
    const client = await extension.client('exporter', 'otlp_http', 'logs');
    const n = Number(text(client.get('n')));
    assert.equal(text(client.get('same')), String(n));
    assert.ok(returned > before && (n === returned || n === returned + 1), `${n} stored, ${returned} returned`);
    let items = 0;
    client.walk((k, v) => {
      if (!k.startsWith('item-')) return;
      const i = Number(k.slice(5));
      assert.equal(v.length, i % 50_000);
      assert.ok(i > n - 20 && i <= n && v.every((b) => b === (i & 255)));
      items++;
    });
    assert.equal(items, Math.min(n, 20));
    assert.deepEqual(lines, []);
    await extension.stop();
    before = n;
  }
});

test('damaged files give a clear error, or with recreate are kept aside; never a crash, never wrong values', async () => {
  const values = new Map(Array.from({ length: 30 }, (_, i) => [`key-${i}`, Buffer.alloc(i * 400, i)]));
  const directory = freshDirectory();
  const { extension } = await open(directory);
  const client = await extension.client('receiver', 'filelog', '');
  for (const [k, v] of values) client.set(k, v);
  await extension.stop();
  const good = readFileSync(join(directory, 'receiver_filelog_'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 6 }),
      fc.option(fc.nat(good.length), { nil: good.length }),
      fc.boolean(),
      async (flips, length, recreate) => {
        const dir = freshDirectory();
        const bad = Buffer.from(good);
        for (const [at, mask] of flips) bad[at] = bad[at]! ^ mask;
        writeFileSync(join(dir, 'receiver_filelog_'), bad.subarray(0, length));
        const { extension, lines } = await open(dir, { recreate });
        try {
          const c = await extension.client('receiver', 'filelog', '');
          c.walk((k, v) => {
            assert.deepEqual(Buffer.from(v), values.get(k));
            return true;
          });
          c.set('new', bytes('value'));
          assert.equal(text(c.get('new')), 'value');
          const backup = readdirSync(dir).find((f) => f.endsWith('.backup'));
          assert.equal(
            backup !== undefined,
            lines.some((l) => l.message.startsWith('a store is damaged')),
          );
          if (backup)
            assert.equal(bad.compare(readFileSync(join(dir, backup)), 100, length, 100, length), 0, 'kept as it was');
        } catch (error) {
          assert.match((error as Error).message, /receiver_filelog_ is (damaged|in use)/);
          assert.equal(recreate, false);
        }
        await extension.stop();
        rmSync(dir, { recursive: true });
      },
    ),
    {
      numRuns: 150,
      examples: [
        // The header says that only a later SQLite may write, which no read shows.
        [[[18, 1]], good.length, false],
        // The schema names other columns.
        [[[16_349, 1]], good.length, false],
        // A key reads otherwise.
        [[[28_698, 1]], good.length, false],
        // Cut short, SQLite takes it for whole and writes its journal into it.
        [[[92, 1]], 16_385, true],
      ],
    },
  );
});

const bbolt = (name: string): Buffer => gunzipSync(readFileSync(new URL(`./testdata/${name}.db.gz`, import.meta.url)));

/** What the program that made the files in testdata wrote: n numbered keys without every third, and two more. */
function bboltContent(n: number): Map<string, string> {
  const all = new Map<string, string>();
  for (let i = 0; i < n; i++)
    if (i % 3 !== 0) all.set(`key-${String(i).padStart(5, '0')}`, `value ${i} `.repeat(i % 40));
  return all.set('big', '0123456789'.repeat(3000)).set('file_input.knownFiles', 'known');
}

test('a store of otelcol is taken over, and its file kept', async () => {
  for (const [name, n] of [
    ['bbolt-inline', 3],
    ['bbolt-tree', 600],
  ] as const) {
    const directory = freshDirectory();
    writeFileSync(join(directory, 'receiver_filelog_'), bbolt(name));
    // Of a take-over that was killed.
    writeFileSync(join(directory, 'receiver_filelog_~copy'), 'half');
    const { extension, lines } = await open(directory);
    const client = await extension.client('receiver', 'filelog', '');
    const found = new Map<string, string>();
    client.walk((k, v) => {
      found.set(k, text(v) ?? '');
      return true;
    });
    assert.deepEqual([...found].sort(), [...bboltContent(n)].sort());
    await extension.stop();
    const [now, original, ...more] = readdirSync(directory).sort();
    assert.deepEqual([now, more], ['receiver_filelog_', []]);
    assert.match(original!, /^receiver_filelog_\.\d{4}-\d\d-\d\dT[\d:.]+Z\.bbolt$/);
    assert.deepEqual(readFileSync(join(directory, original!)), bbolt(name));
    assert.deepEqual(
      lines.map((l) => [l.level, l.message, l.fields?.['entries']]),
      [['info', 'took over the store of a former otelcol', found.size]],
    );
    const again = await open(directory);
    assert.equal(text((await again.extension.client('receiver', 'filelog', '')).get('file_input.knownFiles')), 'known');
    assert.deepEqual(again.lines, []);
    await again.extension.stop();
  }
});

test('a damaged store of otelcol is refused or kept aside, never half taken over, never harmed', async () => {
  const good = bbolt('bbolt-inline');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(16_500), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 8 }),
      fc.option(fc.integer({ min: 20, max: good.length }), { nil: good.length }),
      fc.boolean(),
      async (flips, length, recreate) => {
        const dir = freshDirectory();
        const bad = Buffer.from(good);
        // The magic stays, or it is no store of otelcol.
        for (const [at, mask] of flips) if (at < 16 || at > 19) bad[at] = bad[at]! ^ mask;
        writeFileSync(join(dir, 'receiver_filelog_'), bad.subarray(0, length));
        const { extension } = await open(dir, { recreate });
        await extension.client('receiver', 'filelog', '').then(
          () => {
            const aside = readdirSync(dir).find((f) => /\.(bbolt|backup)$/.test(f));
            assert.deepEqual(readFileSync(join(dir, aside!)), bad.subarray(0, length));
          },
          (error: Error) => {
            assert.match(error.message, /receiver_filelog_ is damaged \(a store of otelcol: /);
            assert.equal(recreate, false);
            assert.deepEqual(readdirSync(dir), ['receiver_filelog_']);
            assert.deepEqual(readFileSync(join(dir, 'receiver_filelog_')), bad.subarray(0, length));
          },
        );
        await extension.stop();
        rmSync(dir, { recursive: true });
      },
    ),
    { numRuns: 150 },
  );
});

test('a full store refuses writes, keeps what it has, and takes writes again after deletes', async () => {
  const directory = freshDirectory();
  const { extension } = await open(directory, { max_size: '1MiB' });
  const client = await extension.client('exporter', 'otlp_http', 'logs');
  client.set('offset', bytes('1'));
  let stored = 0;
  assert.throws(() => {
    for (; ; stored++) client.set(`item-${stored}`, Buffer.alloc(50_000, stored));
  }, StorageFullError);
  assert.ok(stored >= 15 && stored <= 21, `${stored} values`);
  assert.throws(
    () =>
      client.batch([
        { op: 'delete', key: 'offset' },
        { op: 'set', key: 'big', value: Buffer.alloc(500_000) },
      ]),
    StorageFullError,
  );
  assert.equal(text(client.get('offset')), '1');
  client.set('offset', bytes('2'));
  for (let i = 0; i < stored; i++) assert.equal(client.get(`item-${i}`)?.length, 50_000);
  client.delete('item-0');
  client.delete('item-1');
  client.set('again', Buffer.alloc(50_000));
  assert.equal(text(client.get('offset')), '2');
  await extension.stop();
  assert.ok(statSync(join(directory, 'exporter_otlp_http__logs')).size <= 1 << 20);
});

test('a place that cannot be written gives a clear error', async () => {
  const directory = freshDirectory();
  mkdirSync(join(directory, 'receiver_filelog_'));
  const { extension } = await open(directory);
  await assert.rejects(extension.client('receiver', 'filelog', ''), /receiver_filelog_/);
  const proc = await open('/proc/self/task');
  await assert.rejects(proc.extension.client('receiver', 'filelog', ''), /receiver_filelog_/);
});

test('compaction gives space back, at the start and on rebound', async (t) => {
  const directory = freshDirectory();
  const path = join(directory, 'exporter_otlp_http__logs');
  const grow = async (keys: Record<string, unknown>) => {
    const { extension, lines } = await open(directory, keys);
    const client = await extension.client('exporter', 'otlp_http', 'logs');
    for (let i = 0; i < 40; i++) client.set(`item-${i}`, Buffer.alloc(100_000));
    for (let i = 0; i < 40; i++) client.delete(`item-${i}`);
    client.set('kept', bytes('yes'));
    return { extension, client, lines };
  };
  await (await grow({})).extension.stop();
  assert.ok(statSync(path).size > 3_000_000);
  writeFileSync(join(directory, 'tempdb123'), '');
  const started = await open(directory, { compaction: { on_start: true, cleanup_on_start: true, directory } });
  const client = await started.extension.client('exporter', 'otlp_http', 'logs');
  assert.equal(text(client.get('kept')), 'yes');
  await started.extension.stop();
  assert.ok(statSync(path).size < 100_000);
  assert.equal(existsSync(join(directory, 'tempdb123')), false);

  t.mock.timers.enable({ apis: ['setInterval'] });
  const rebound = await grow({
    compaction: { on_rebound: true, rebound_needed_threshold_mib: 2, rebound_trigger_threshold_mib: 1 },
  });
  t.mock.timers.tick(5000);
  assert.ok(rebound.lines.some((l) => l.message === 'finished compaction'));
  assert.equal(text(rebound.client.get('kept')), 'yes');
  await rebound.extension.stop();
  assert.ok(statSync(path).size < 100_000);
});

test('a journal cut short by a power failure takes the store back to a whole earlier state', async () => {
  const directory = freshDirectory();
  const path = join(directory, 'receiver_filelog_');
  const child = spawn(process.execPath, [fileURLToPath(new URL('./testdata/writer.ts', import.meta.url)), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  truncateSync(`${path}-wal`, Math.floor(statSync(`${path}-wal`).size * 0.7));
  const { extension } = await open(directory, { timeout: '60s' });
  const client = await extension.client('receiver', 'filelog', '');
  assert.equal(text(client.get('n')), text(client.get('same')));
  await extension.stop();
});
