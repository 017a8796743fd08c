/** What is accepted survives the end of the process, in `wal` and in a queue with storage. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  AT,
  batchOf,
  closeDestinations,
  context,
  create,
  destination,
  flat,
  gauge,
  point,
  resource,
  run,
  schema,
  teller,
  until,
} from './testing.ts';

const dir = mkdtempSync(join(tmpdir(), 'remote-write-'));
after(() => {
  closeDestinations();
  rmSync(dir, { recursive: true, force: true });
});

test('the wal: data is queued on disk, survives a restart, and leaves it when it is sent', async () => {
  const directory = join(dir, 'a');
  const down = await destination((res) => res.writeHead(503).end());
  const { ack, told } = teller();
  await run({ endpoint: down.url, wal: { directory }, timeout: '1s' }, async (e) => {
    await e.consume(batchOf([resource({}, [gauge('g', point(1))])], ack));
    await e.consume(batchOf([resource({}, [gauge('g', point(2, {}, AT + 1))])], ack));
    assert.deepEqual(told, ['1 queued', '1 queued']);
  });
  const [file] = readdirSync(join(directory, 'prom_remotewrite')).filter((f) => f.endsWith('.db'));
  assert.equal(statSync(join(directory, 'prom_remotewrite', file!)).mode & 0o777, 0o600);
  const up = await destination();
  await run({ endpoint: up.url, wal: { directory } }, async (_e, { value }) => {
    await until(() => value('otelcol_exporter_sent_metric_points') >= 2, 'both points');
  });
  assert.deepEqual(flat(up.seen), [`g 1@${AT}`, `g 2@${AT + 1}`]);
  const empty = await destination();
  await run({ endpoint: empty.url, wal: { directory } }, async (_e, { value }) => {
    assert.equal(value('otelcol_exporter_queue_size'), 0);
  });
  assert.equal(empty.seen.length, 0);
});

test('kill -9 after data was accepted loses none of it', async () => {
  const directory = join(dir, 'b');
  const down = await destination((res) => res.writeHead(503).end());
  const script = join(dir, 'killed.ts');
  writeFileSync(
    script,
    `import { batchOf, context, create, gauge, point, resource, schema } from ${JSON.stringify(join(import.meta.dirname, 'testing.ts'))};
const e = await create(schema.parse({ endpoint: ${JSON.stringify(down.url)}, wal: { directory: ${JSON.stringify(directory)} } }), context().ctx);
await e.start();
for (let i = 0; i < 20; i++) await e.consume(batchOf([resource({}, [gauge('g' + i, point(i))])]));
process.stdout.write('accepted');
setInterval(() => {}, 1000);
`,
  );
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  const up = await destination();
  await run({ endpoint: up.url, wal: { directory } }, async (_e, { value }) => {
    await until(() => value('otelcol_exporter_sent_metric_points') >= 20, 'all points');
  });
  assert.deepEqual(new Set(flat(up.seen)), new Set(Array.from({ length: 20 }, (_, i) => `g${i} ${i}@${AT}`)));
});

test('a folder that cannot be used fails the start, and two exporters do not share a file', async () => {
  writeFileSync(join(dir, 'file'), '');
  const config = (directory: string) => schema.parse({ endpoint: 'http://127.0.0.1:1/', wal: { directory } });
  const bad = await create(config(join(dir, 'file')), context().ctx);
  await assert.rejects(async () => bad.start?.(), /wal: cannot use .*file/);
  await bad.stop?.(AbortSignal.timeout(1000));
  const first = await create(config(join(dir, 'c')), context().ctx);
  await first.start?.();
  const second = await create(config(join(dir, 'c')), context().ctx);
  await assert.rejects(async () => second.start?.(), /wal: cannot use .*another collector uses it/);
  const other = await create(config(join(dir, 'c')), { ...context().ctx, id: 'prometheusremotewrite/2' });
  await other.start?.();
  for (const e of [first, second, other]) await e.stop?.(AbortSignal.timeout(1000));
});

test('a source that can wait is never given up: it waits through an outage', async () => {
  const { ack, told } = teller(true);
  const d = await destination((res, _r, n) => res.writeHead(n < 5 ? 503 : 204).end());
  const retry_on_failure = { initial_interval: '1ms', max_interval: '2ms', max_elapsed_time: '2ms' };
  await run({ endpoint: d.url, retry_on_failure }, async (e) => {
    await e.consume(batchOf([resource({}, [gauge('g', point(1))])], ack));
    await until(() => told.length > 0, 'an outcome');
  });
  assert.deepEqual(told, ['1 delivered']);
  assert.equal(d.seen.length, 5);
});

test('others are given up after max_elapsed_time: lost, counted, logged', async () => {
  const { ack, told } = teller();
  const d = await destination((res) => res.writeHead(503).end('down'));
  const retry_on_failure = { initial_interval: '1ms', max_interval: '2ms', max_elapsed_time: '20ms' };
  await run({ endpoint: d.url, retry_on_failure }, async (e, { lines, value }) => {
    await e.consume(batchOf([resource({}, [gauge('g', point(1))])], ack));
    await until(() => told.length > 0, 'an outcome');
    assert.deepEqual(told, ['1 lost retries exhausted']);
    assert.equal(value('otelcol_exporter_send_failed_metric_points'), 1);
    const line = lines.find((l) => l.message === 'Exporting failed. Dropping data.')!;
    assert.match(
      String(line.fields['error']),
      /remote_write: returned HTTP status 503 Service Unavailable; err = down/,
    );
  });
});
