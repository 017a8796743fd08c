/** The pages of the embedded store in a real browser, over data that does not change. Skipped where there is no Chromium. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../../src/core/clock.ts';
import { EMPTY_LEDGER } from '../../src/local/agent-metrics.ts';
import { metricStore, type SentSeries, writeRequest } from '../../src/local/store/metric-testing.ts';
import { decodeWriteRequest } from '../../src/local/store/remote-write.ts';
import { startStoreServer } from '../../src/local/store/server.ts';
import { LogStore } from '../../src/local/store/store.ts';
import { Browser, chromium } from './browser.ts';

const path = chromium();
const now = Date.now();
const logs = new LogStore({ path: ':memory:', maxRows: 100, maxAgeMs: 1e9 });
const metrics = metricStore();

/** Every 5 s for 10 minutes, and on into the future, so that the charts stay full while the test runs. */
const series = (name: string, labels: Record<string, string>, value: (i: number) => number): SentSeries => ({
  name,
  labels: { ...labels, host_name: 'box <b>1</b>' },
  samples: Array.from({ length: 180 }, (_, i) => [now - 600_000 + i * 5000, value(i)] as const),
});
metrics.insert(
  decodeWriteRequest(
    writeRequest([
      ...['user', 'system', 'idle', 'steal'].map((state, k) =>
        series('system_cpu_time_seconds_total', { cpu: 'cpu0', state }, (i) => (k === 3 ? 0 : i * (k + 1))),
      ),
      series('system_memory_usage_bytes', { state: 'used' }, () => 3e9),
      series('system_memory_usage_bytes', { state: 'free' }, () => 5e9),
      series('system_cpu_load_average_1m', {}, (i) => 1 + Math.sin(i / 9)),
      series('system_network_io_bytes_total', { device: 'eth0', direction: 'receive' }, (i) => i * 5e6),
      series('system_network_io_bytes_total', { device: 'lo', direction: 'receive' }, (i) => i * 5e9),
      series('system_filesystem_usage_bytes', { device: '/dev/a', mountpoint: '/', state: 'used' }, () => 95e9),
      series('system_filesystem_usage_bytes', { device: '/dev/a', mountpoint: '/', state: 'free' }, () => 5e9),
    ]),
  ),
  now,
);

let server: Awaited<ReturnType<typeof startStoreServer>>;
let browser: Browser;
before(async () => {
  if (path === undefined) return;
  const view = {
    elapsedMs: 600_000,
    deliveredPerSecond: 12,
    ledger: { ...EMPTY_LEDGER, lostBy: {} },
    agent: { state: 'running', rssBytes: 5e7, cpuShare: 0.01 },
    metrics: { stored: metrics.accepted },
  };
  server = await startStoreServer({ store: logs, metrics, clock: SYSTEM_CLOCK, port: 0, status: () => ({ view }) });
  browser = await Browser.open(path);
});
after(async () => {
  if (path !== undefined) {
    await browser.close();
    await server.close();
  }
  logs.close();
  metrics.close();
});

const until = async <T>(what: string, expression: string, isRight: (found: T) => boolean): Promise<T> => {
  const end = performance.now() + 30_000;
  for (;;) {
    const found = await browser.evaluate<T>(expression).catch((e: Error) => e as T);
    if (!(found instanceof Error) && isRight(found)) return found;
    assert.ok(performance.now() < end, `${what}: ${found}`);
    await sleep(50);
  }
};
/** The chart with this heading. */
const chart = (title: string): string =>
  `[...document.querySelectorAll('.chart')].find((c) => c.querySelector('h3')?.textContent === ${JSON.stringify(title)})`;

test('the charts show the machine, in numbers, shapes and words', { skip: path === undefined }, async () => {
  await browser.send('Page.navigate', { url: `${server.url}/charts` });
  await until<string>('load', `${chart('Load')}.querySelector('.now').textContent`, (t) => /^[\d.]+$/.test(t));
  const text = (title: string) => browser.evaluate<string>(`${chart(title)}.innerText.replace(/\\s+/g, ' ')`);
  // Rates of 1 : 2 : 3 of user, system and idle; what is always 0 is left out.
  assert.match(await text('CPU'), /^CPU 50 % .*user 17 % system 33 %$/);
  assert.match(await text('Memory'), /^Memory 3 GB of 8 GB .*used 3 GB$/);
  assert.match(await text('Network'), /^Network 1 MB\/s .*receive 1 MB\/s$/);
  assert.match(await text('File systems'), /^File systems \/ 95 GB of 100 GB, 95 %$/);
  assert.equal(await browser.evaluate(`document.querySelector('#filesystems .full') !== null`), true);
  assert.equal(await browser.evaluate(`document.querySelector('#host').textContent`), 'box <b>1</b>');
  const [lines, areas] = await browser.evaluate<[number, number]>(
    `['.line', '.area'].map((k) => ${chart('CPU')}.querySelectorAll(k + '[d^=M]').length)`,
  );
  assert.deepEqual([lines, areas], [2, 2]);
  assert.match(
    await browser.evaluate(`${chart('CPU')}.querySelector('svg').getAttribute('aria-label')`),
    /^CPU\. \d\d:\d\d:\d\d: user 17 %, system 33 %\. Arrow keys read earlier values\.$/,
  );
});

test('values are read with the keyboard alone, and series hidden', { skip: path === undefined }, async () => {
  await browser.evaluate(`${chart('CPU')}.querySelector('svg').focus()`);
  await browser.press('End');
  const spoken = `document.querySelector('#spoken').textContent`;
  const latest = await browser.evaluate<string>(spoken);
  assert.match(latest, /^\d\d:\d\d:\d\d: user 17 %, system 33 %$/);
  await browser.press('ArrowLeft');
  const earlier = await browser.evaluate<string>(spoken);
  assert.ok(earlier < latest, `${earlier} is before ${latest}`);
  const tip = `${chart('CPU')}.querySelector('.tip')`;
  assert.match(await browser.evaluate(`${tip}.innerText`), /user\s+17 %/);
  await browser.press('Escape');
  assert.equal(await browser.evaluate(`${tip}.hidden`), true);
  await browser.evaluate(`${chart('CPU')}.querySelector('.legend button').click()`);
  assert.equal(await browser.evaluate(`${chart('CPU')}.querySelectorAll('.line').length`), 1);
  assert.equal(
    await browser.evaluate(`${chart('CPU')}.querySelector('.legend button').getAttribute('aria-pressed')`),
    'false',
  );
});

test('the explorer writes queries, takes typed ones, and tells what it does not know', {
  skip: path === undefined,
}, async () => {
  const set = (id: string, value: string) =>
    browser.evaluate(
      `{ const e = document.querySelector(${JSON.stringify(id)}); e.value = ${JSON.stringify(value)}; e.dispatchEvent(new Event('change')); }`,
    );
  const rows = `[...document.querySelectorAll('#found tbody tr')].map((r) => r.innerText.replace(/\\s+/g, ' ').trim())`;
  const query = `document.querySelector('#promql').value`;
  await set('#metric', 'system_network_io_bytes_total');
  await until<string>('query', query, (q) => q === 'rate(system_network_io_bytes_total[20s])');
  await until<string[]>('rows', rows, (r) => r.length === 2 && r.some((t) => /device=eth0 .*1 MB\/s/.test(t)));
  await set('#filters select', 'lo');
  await until<string>('filter', query, (q) => q === 'rate(system_network_io_bytes_total{device="lo"}[20s])');
  await until<string[]>('filtered', rows, (r) => r.length === 1 && /device=lo .*1 GB\/s/.test(r[0]!));
  await browser.evaluate(`document.activeElement.blur()`);
  await browser.press('/');
  await browser.evaluate(`document.activeElement.value = 'sum(system_memory_usage_bytes) * 2'`);
  await browser.evaluate(`document.querySelector('#ask').requestSubmit()`);
  await until<string>('told', `document.querySelector('#answer.bad')?.textContent ?? ''`, (t) =>
    t.startsWith('operator * is not supported by the embedded store'),
  );
  assert.match(await browser.evaluate('location.hash'), /q=sum%28system_memory_usage_bytes%29/);
});

test('the log page leads to the charts and back; nothing breaks its security policy', {
  skip: path === undefined,
}, async () => {
  await browser.send('Page.navigate', { url: `${server.url}/` });
  await until<string>('logs', `document.querySelector('nav [aria-current]')?.textContent ?? ''`, (t) => t === 'Logs');
  await until<string>('status', `document.querySelector('#samples').textContent`, (t) => t !== '–');
  await browser.evaluate(`document.querySelector('nav a[href="/charts"]').click()`);
  await until<string>(
    'charts',
    `document.querySelector('nav [aria-current]')?.textContent ?? ''`,
    (t) => t === 'Metrics',
  );
  // The refused query of above is the only thing that was not answered.
  assert.deepEqual(
    browser.complaints.filter((c) => !/status of 422/.test(c)),
    [],
  );
});
