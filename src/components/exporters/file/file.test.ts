import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
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
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import zlib from 'node:zlib';
import type * as z from 'zod';
import { componentContext, TestSource } from '../../../../test/helpers/component.ts';
import fc from '../../../../test/helpers/property.ts';
import { type Batch, makeBatch, type Signal } from '../../../core/batch.ts';
import type { Exporter, ExporterDefinition } from '../../../core/component.ts';
import { DeliveryError } from '../../../core/errors.ts';
import { resourceFromBytes, resourceOf, scopeFromBytes } from '../../../core/resource.ts';
import { requestFromJson, requestToJson } from '../../../wire/otlp-json.ts';
import { decodeRequest } from '../../../wire/otlp-request.ts';
import { backupName, backups, FileWriter } from './file-writer.ts';
import definition, { type FileConfig } from './index.ts';
import { pathFor } from './path.ts';

const { schema, create } = definition as ExporterDefinition<z.ZodType<FileConfig>>;
const root = mkdtempSync(join(tmpdir(), 'file-exporter-'));
after(() => rmSync(root, { recursive: true, force: true }));
let directories = 0;
const newDir = (): string => {
  const dir = join(root, String(directories++));
  mkdirSync(dir);
  return dir;
};

const TEXT: Readonly<Record<Signal, string>> = {
  logs: '{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"stringValue":"b"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"body":{"stringValue":"é\\n"}},{"severityText":"y"}]}]}]}',
  metrics:
    '{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}}]}]}]}',
  traces: '{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"name":"n"},{"name":"o"}]}]}]}',
};
function batchOf(signal: Signal): Batch {
  const groups = decodeRequest(signal, requestFromJson(signal, TEXT[signal])).map((g) => ({
    ...g,
    resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
    scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
    parts: [],
  }));
  return makeBatch(signal, groups);
}

type Context = ReturnType<typeof componentContext>;
const make = (config: object, c: Context = componentContext('file', 'exporter'), signal: Signal = 'logs') =>
  create(schema.parse(config), { ...c.context, signal });

async function run(config: object, use: (e: Exporter, c: Context) => Promise<void>, signal: Signal = 'logs') {
  const c = componentContext('file', 'exporter');
  const exporter = await make(config, c, signal);
  try {
    await exporter.start?.();
    await use(exporter, c);
  } finally {
    await exporter.stop?.(AbortSignal.timeout(10_000));
  }
}

/** Messages of a file in which each comes after its length. */
function messages(file: string): Buffer[] {
  const data = readFileSync(file);
  const found: Buffer[] = [];
  for (let at = 0; at < data.length; at += 4 + data.readUInt32BE(at))
    found.push(data.subarray(at + 4, at + 4 + data.readUInt32BE(at)));
  return found;
}

test('every signal in every form, and each request is in the file when it is settled', async () => {
  for (const signal of ['logs', 'metrics', 'traces'] as const) {
    const dir = newDir();
    const path = join(dir, 'out');
    await run(
      { path },
      async (e) => {
        for (let n = 1; n <= 3; n++) {
          await e.consume(batchOf(signal));
          assert.equal(readFileSync(path, 'utf8'), `${TEXT[signal]}\n`.repeat(n));
        }
      },
      signal,
    );
    for (const [config, unpack] of [
      [{ format: 'proto' }, (m: Buffer) => requestToJson(signal, m)],
      [{ format: 'proto', compression: 'zstd' }, (m: Buffer) => requestToJson(signal, zlib.zstdDecompressSync(m))],
      [{ compression: 'zstd', compression_params: { level: 9 } }, (m: Buffer) => String(zlib.zstdDecompressSync(m))],
    ] as const) {
      await run(
        { path, ...config },
        async (e) => {
          await e.consume(batchOf(signal));
          await e.consume(batchOf(signal));
        },
        signal,
      );
      assert.deepEqual(messages(path).map(unpack), [TEXT[signal], TEXT[signal]]);
    }
  }
});

test('the file is emptied at the start, unless it is to be appended to', async () => {
  const path = join(newDir(), 'out');
  writeFileSync(path, 'before\n');
  await run({ path, append: true }, (e) => e.consume(batchOf('logs')));
  assert.equal(readFileSync(path, 'utf8'), `before\n${TEXT.logs}\n`);
  await run({ path }, async () => assert.equal(readFileSync(path, 'utf8'), ''));
  assert.equal(statSync(path).mode & 0o777 & ~0o644, 0);
});

test('signals of one exporter share the file', async () => {
  const path = join(newDir(), 'out');
  const c = componentContext('file', 'exporter');
  const exporters = await Promise.all((['logs', 'metrics', 'traces'] as const).map((s) => make({ path }, c, s)));
  for (const e of exporters) await e.start?.();
  await Promise.all(exporters.map((e, i) => e.consume(batchOf((['logs', 'metrics', 'traces'] as const)[i]!))));
  await exporters[0]!.stop?.(AbortSignal.timeout(10_000));
  await exporters[1]!.consume(batchOf('metrics'));
  for (const e of exporters) await e.stop?.(AbortSignal.timeout(10_000));
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').sort();
  assert.deepEqual(lines, [TEXT.logs, TEXT.metrics, TEXT.metrics, TEXT.traces].sort());
  await assert.rejects(make({ path, append: true }, c), /another file exporter writes .* with other settings/);
});

test('directories are made when that is asked for', async () => {
  const path = join(newDir(), 'a/b/out');
  await assert.rejects(
    run({ path }, async () => {}),
    /ENOENT/,
  );
  await run({ path, create_directory: true, directory_permissions: '0700' }, (e) => e.consume(batchOf('logs')));
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  assert.equal(readFileSync(path, 'utf8'), `${TEXT.logs}\n`);
});

test('records are settled after they are written; a file that cannot be written is worth another try', async () => {
  const dir = newDir();
  const path = join(dir, 'sub/*.json');
  const source = new TestSource(true);
  const group = (name: string) =>
    source.group([`line of ${name}`], resourceOf(new Map([['fileexporter.path_segment', name]])));
  await run({ path, group_by: { enabled: true } }, async (e, { lines }) => {
    // A directory stands where one of the two files belongs.
    mkdirSync(join(dir, 'sub/b.json'), { recursive: true });
    const consumed = e.consume(makeBatch('logs', [group('a'), group('b'), group('a')]));
    while (!lines.some((l) => l.message.startsWith('Exporting failed. Will retry')))
      await new Promise((r) => setTimeout(r, 5));
    assert.match(String(lines[0]!.fields['error']), /failed to write .*b\.json: EISDIR/);
    assert.equal(source.ledger.snapshot().delivered.records, 0);
    rmSync(join(dir, 'sub/b.json'), { recursive: true });
    await consumed;
    assert.equal(source.ledger.snapshot().delivered.records, 3);
    const count = (name: string) => readFileSync(join(dir, `sub/${name}.json`), 'utf8').split('line of ').length - 1;
    assert.deepEqual([count('a'), count('b')], [2, 1]);
  });
});

test('data that cannot wait goes back to its sender', async () => {
  await run({ path: '/dev/full' }, (e) =>
    assert.rejects(
      e.consume(batchOf('logs')),
      (x) => x instanceof DeliveryError && !x.permanent && /failed to write \/dev\/full: ENOSPC/.test(x.message),
    ),
  );
});

test('a write that fails half-way leaves nothing behind', async (t) => {
  const path = join(newDir(), 'out');
  const { context } = componentContext('file', 'exporter');
  const w = new FileWriter({ path, truncate: true, clock: context.clock, log: context.log });
  await w.write(Buffer.from('one\n'));
  const some = await open(path);
  const handles = Object.getPrototypeOf(some) as FileHandle;
  await some.close();
  for (const cutFails of [false, true]) {
    const write = t.mock.method(handles, 'write', async (data: Buffer) => {
      appendFileSync(path, data.subarray(0, 2));
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    });
    const truncate = t.mock.method(handles, 'truncate', async () => {
      throw new Error('EIO');
    });
    if (!cutFails) truncate.mock.restore();
    await assert.rejects(w.write(Buffer.from('broken\n')), /ENOSPC/);
    assert.equal(readFileSync(path, 'utf8').includes('br'), cutFails);
    write.mock.restore();
    truncate.mock.restore();
    await w.write(Buffer.from('two\n'));
  }
  assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\ntwo\n');
  // Somebody else empties the file: no hole, and no bytes are cut that are not there.
  truncateSync(path, 0);
  await w.write(Buffer.from('three\n'));
  assert.equal(readFileSync(path, 'utf8'), 'three\n');
  await w.close();
});

test('a full file gets a name with the time, and only so many of those are kept', async () => {
  const dir = newDir();
  const path = join(dir, 'out.json');
  const { context, clock } = componentContext('file', 'exporter');
  const rotation = { maxBytes: 100, maxDays: 2, maxBackups: 3, localTime: false };
  const reopen = () => new FileWriter({ path, truncate: true, rotation, clock: context.clock, log: context.log });
  let w = reopen();
  const line = (n: number) => Buffer.from(`${String(n).padStart(38, '.')}.\n`);
  for (let n = 0; n < 4; n++) await w.write(line(n));
  assert.deepEqual(readdirSync(dir).sort(), ['out-2026-11-22T12-00-00.000.json', 'out.json']);
  assert.equal(readFileSync(join(dir, 'out-2026-11-22T12-00-00.000.json'), 'utf8'), `${line(0)}${line(1)}`);
  await w.close();
  // Rotation goes on with the file that is there, and two in a millisecond have two names.
  w = reopen();
  for (let n = 4; n < 12; n++) await w.write(line(n));
  const names = (await backups(path, false)).map((b) => b.file);
  assert.equal(names.length, 3);
  const all = [...names.reverse(), path].map((f) => readFileSync(f, 'utf8')).join('');
  assert.equal(all, [4, 5, 6, 7, 8, 9, 10, 11].map((n) => String(line(n))).join(''));
  // One larger than the limit has a file to itself.
  await w.write(Buffer.alloc(500, 'x'));
  assert.equal(statSync(path).size, 500);
  clock.ms += 3 * 86_400_000;
  writeFileSync(join(dir, 'out-of-place.json'), '');
  await w.write(line(12));
  assert.deepEqual(readdirSync(dir).length, 3);
  assert.ok(existsSync(join(dir, 'out-of-place.json')));
  await w.close();
});

test('names of older files', () => {
  const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
  assert.equal(backupName('/a/b.json', ms, false), '/a/b-2026-01-02T03-04-05.006.json');
  assert.equal(backupName('/a.b/c', ms, false), '/a.b/c-2026-01-02T03-04-05.006');
});

const named = (value: unknown, key = 'fileexporter.path_segment') => resourceOf(new Map([[key, value as string]]));

test('an attribute names the file, and cannot lead out of its directory', () => {
  const config = schema.parse({ path: '/data/logs-*.json', group_by: { enabled: true } });
  for (const [value, path] of [
    ['a', '/data/logs-a.json'],
    ['a/b', '/data/logs-a/b.json'],
    ['../../etc/passwd', '/data/logs-etc/passwd.json'],
    ['a/../../../x', '/data/logs-x.json'],
    ['./a', '/data/logs-a.json'],
    ['', '/data/logs-.json'],
    ['a\0b', undefined],
    ['x'.repeat(300), undefined],
    [7n, undefined],
  ] as const)
    assert.equal(pathFor(config, named(value)), path, String(value));
  assert.equal(pathFor(config, named('a', 'other')), undefined);
  assert.equal(pathFor(schema.parse({ path: '/data/*', group_by: { enabled: true } }), named('x/..')), undefined);
});

test('whatever an attribute holds, its file is below the directory', () => {
  const config = schema.parse({ path: '/data/x/*', group_by: { enabled: true } });
  const piece = fc.oneof(fc.constantFrom('..', '.', '/', '//', '\\\\', 'a', '\0', '*'), fc.string());
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const path = pathFor(config, named(pieces.join('')));
      assert.ok(path === undefined || (path.startsWith('/data/x/') && !path.split('/').includes('..')), String(path));
    }),
  );
});

test('a file per value, few of them open, none emptied twice; resources without a value are told as lost', async () => {
  const dir = newDir();
  writeFileSync(join(dir, 'a.json'), 'before\n');
  const source = new TestSource(true);
  const config = {
    path: join(dir, '*.json'),
    group_by: { enabled: true, resource_attribute: 'app', max_open_files: 2 },
  };
  await run(config, async (e, { lines }) => {
    for (let round = 0; round < 3; round++)
      await e.consume(
        makeBatch(
          'logs',
          ['a', 'b', 'c', 'd'].map((n) => source.group([`${n}${round}`], named(n, 'app'))),
        ),
      );
    await e.consume(makeBatch('logs', [source.group(['stray']), source.group(['a3'], named('a', 'app'))]));
    await e.consume(makeBatch('logs', [source.group(['stray'])]));
    assert.equal(lines.filter((l) => /Resource does not contain app attribute/.test(l.message)).length, 1);
  });
  for (const n of ['a', 'b', 'c', 'd']) {
    const text = readFileSync(join(dir, `${n}.json`), 'utf8');
    assert.deepEqual(
      [...text.matchAll(/"([a-d]\d)"/g)].map((m) => m[1]),
      n === 'a' ? ['a0', 'a1', 'a2', 'a3'] : [0, 1, 2].map((r) => `${n}${r}`),
    );
  }
  const { delivered, lost } = source.ledger.snapshot();
  assert.deepEqual([delivered.records, lost.records], [13, 2]);
});

test('what cannot be opened fails the start', async () => {
  const dir = newDir();
  const path = join(dir, 'locked');
  writeFileSync(path, '');
  chmodSync(path, 0o400);
  for (const bad of process.getuid?.() === 0 ? [dir] : [dir, path])
    await assert.rejects(
      run({ path: bad }, async () => {}),
      /^Error: open .*: E(ISDIR|ACCES)/,
    );
});

test('configurations that cannot work', () => {
  const message = (config: object) => schema.safeParse(config).error?.issues[0]?.message;
  for (const [config, text] of [
    [{}, 'path must be non-empty'],
    [{ path: 'x', format: 'text' }, 'format type is not supported'],
    [{ path: 'x', compression: 'gzip' }, 'compression is not supported'],
    [{ path: 'x', flush_interval: '-1s' }, 'flush_interval must be larger than zero'],
    [
      { path: 'x', append: true, compression: 'zstd' },
      'append and compression enabled at the same time is not supported',
    ],
    [{ path: 'x', append: true, rotation: null }, 'append and rotation enabled at the same time is not supported'],
    [{ path: 'x', encoding: 'text_encoding' }, "'encoding' extensions are not supported; use format"],
    [{ path: 'x', group_by: { enabled: true } }, 'path must contain exactly one * when group_by is enabled'],
    [{ path: '*x', group_by: { enabled: true } }, 'path must not start with * when group_by is enabled'],
    [{ path: 'x', directory_permissions: 'rwx' }, 'directory_permissions must be octal, for example "0755"'],
  ] as const)
    assert.equal(message(config), text);
  assert.equal(schema.parse({ path: 'x', rotation: null }).rotation!.max_megabytes, 100);
});
