import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { collector, componentContext, until } from '../../../../test/helpers/component.ts';
import { type Answer, startFakeServer } from '../../../../test/helpers/kubelet.ts';
import { type Metric, metricsOf } from '../../../wire/otlp-metrics.ts';
import definition, { type PrometheusConfig } from './index.ts';

const PAGE = `# HELP requests_total Requests so far.
# TYPE requests_total counter
requests_total{code="200",job="x"} 5
requests_total{code="500"} 1
# TYPE queue_size gauge
queue_size 3
# TYPE wait_seconds histogram
# UNIT wait_seconds seconds
wait_seconds_bucket{le="0.1"} 2
wait_seconds_bucket{le="1"} 5
wait_seconds_bucket{le="+Inf"} 6
wait_seconds_sum 4.5
wait_seconds_count 6
# TYPE rpc summary
rpc{quantile="0.5"} 1.5
rpc_sum 6
rpc_count 3
plain 7 1700000000000
# TYPE target_info gauge
target_info{service_version="1.2"} 1
`;

async function rig(t: TestContext, more: object = {}, scrape: object = {}) {
  let answer: Answer = { status: 200, text: PAGE };
  const server = await startFakeServer(() => answer);
  const sink = collector();
  const { context, lines, clock } = componentContext('prometheus', 'receiver');
  const address = server.url.slice('http://'.length);
  const config = definition.schema.parse({
    config: {
      scrape_configs: [
        {
          job_name: 'web',
          scrape_interval: '20ms',
          scrape_timeout: '20ms',
          static_configs: [{ targets: [address], labels: { zone: 'a' } }],
          ...scrape,
        },
      ],
    },
    ...more,
  }) as PrometheusConfig;
  // Deadlines of requests are real ones; the others are not to be met by chance.
  if (!('scrape_timeout' in scrape)) config.config.scrape_configs[0]!.scrape_timeout = 10_000;
  const receiver = await definition.create(config, { ...context, outputs: { metrics: sink.consumer } });
  t.after(async () => {
    await receiver.stop?.(new AbortController().signal);
    await server.close();
  });
  await receiver.start?.();
  const scrapes = () =>
    sink.batches.map((b) => ({
      resource: Object.fromEntries(b.groups[0]!.resource.attributes),
      metrics: new Map([...metricsOf(b.groups[0]!.items)].map((m): [string, Metric] => [m.name, m])),
      batch: b,
    }));
  type Scrape = ReturnType<typeof scrapes>[number];
  return {
    lines,
    clock,
    server,
    address,
    answer: (next: Answer) => void (answer = next),
    /** The first scrape from now on that fits. */
    async next(fits: (s: Scrape) => boolean, what: string): Promise<Scrape> {
      const from = sink.batches.length;
      let found: Scrape | undefined;
      await until(() => {
        found = scrapes().slice(from).find(fits);
        return found !== undefined;
      }, what);
      return found!;
    },
  };
}

const pointsOf = (m: Metric | undefined) => {
  assert.ok(m, 'the metric');
  return (
    m.data as unknown as {
      points: readonly {
        attributes: ReadonlyMap<string, unknown>;
        value: unknown;
        startTime: bigint;
        time: bigint;
        flags?: number;
      }[];
    }
  ).points;
};
const values = (m: Metric | undefined) =>
  pointsOf(m).map((p) => [Object.fromEntries(p.attributes), Number(p.value)] as const);
const up = (n: number) => (s: { metrics: Map<string, Metric> }) => values(s.metrics.get('up'))[0]?.[1] === n;

describe('prometheus', () => {
  it('makes metrics of a page, with the target as resource and its labels on every point', async (t) => {
    const r = await rig(t);
    const { resource, metrics, batch } = await r.next(up(1), 'a scrape');
    const [host, port] = r.address.split(':');
    assert.deepEqual(resource, {
      'service.name': 'web',
      'service.instance.id': r.address,
      'server.address': host,
      'server.port': port,
      'url.scheme': 'http',
      service_version: '1.2',
    });
    assert.deepEqual([...metrics.keys()].sort(), [
      'plain',
      'queue_size',
      'requests_total',
      'rpc',
      'scrape_duration_seconds',
      'scrape_samples_post_metric_relabeling',
      'scrape_samples_scraped',
      'scrape_series_added',
      'up',
      'wait_seconds',
    ]);
    const requests = metrics.get('requests_total')!;
    assert.equal(requests.description, 'Requests so far.');
    assert.deepEqual(values(requests), [
      [{ zone: 'a', code: '200', exported_job: 'x' }, 5],
      [{ zone: 'a', code: '500' }, 1],
    ]);
    assert.equal(requests.data.type, 'sum');
    assert.deepEqual(values(metrics.get('queue_size')), [[{ zone: 'a' }, 3]]);
    assert.equal(pointsOf(metrics.get('plain'))[0]!.time, 1_700_000_000_000_000_000n);
    const wait = metrics.get('wait_seconds')!;
    assert.equal(wait.unit, 's');
    assert.equal(wait.data.type, 'histogram');
    const [h] = (
      wait.data as {
        points: readonly {
          count: bigint;
          sum: number;
          bucketCounts: readonly bigint[];
          explicitBounds: readonly number[];
        }[];
      }
    ).points;
    assert.deepEqual(
      [h!.count, h!.sum, [...h!.bucketCounts].map(Number), [...h!.explicitBounds]],
      [6n, 4.5, [2, 3, 1], [0.1, 1]],
    );
    const rpc = metrics.get('rpc')!;
    assert.equal(rpc.data.type, 'summary');
    const [s] = (
      rpc.data as unknown as { points: readonly { count: bigint; sum: number; quantiles: readonly unknown[] }[] }
    ).points;
    assert.deepEqual([s!.count, s!.sum], [3n, 6]);
    assert.equal(values(metrics.get('scrape_samples_scraped'))[0]![1], 13);
    assert.equal(batch.count, 2 + 1 + 1 + 1 + 1 + 5);
  });

  it('keeps the begin of a counter until it falls', async (t) => {
    const r = await rig(t);
    const start = (s: { metrics: Map<string, Metric> }) => pointsOf(s.metrics.get('requests_total'))[0]!.startTime;
    const first = start(await r.next(up(1), 'a scrape'));
    r.clock.ms += 5000;
    r.answer({ status: 200, text: '# TYPE requests_total counter\nrequests_total{code="200",job="x"} 9\n' });
    const has = (n: number) => (s: { metrics: Map<string, Metric> }) =>
      up(1)(s) && values(s.metrics.get('requests_total'))[0]?.[1] === n;
    assert.equal(start(await r.next(has(9), 'more')), first);
    r.answer({ status: 200, text: '# TYPE requests_total counter\nrequests_total{code="200",job="x"} 2\n' });
    assert.ok(start(await r.next(has(2), 'less')) > first);
  });

  it('tells once of a series that is gone', async (t) => {
    const r = await rig(t);
    await r.next(up(1), 'a scrape');
    r.answer({ status: 200, text: 'plain 7\n' });
    const isGone = (s: { metrics: Map<string, Metric> }) =>
      s.metrics.has('queue_size') && pointsOf(s.metrics.get('queue_size'))[0]!.flags === 1;
    const marked = await r.next(isGone, 'the mark').catch(() => undefined);
    assert.ok(marked);
    const later = await r.next((s) => !s.metrics.has('queue_size'), 'no more marks');
    assert.ok(later.metrics.has('plain'));
  });

  for (const [what, answer, said] of [
    ['an error', { status: 503, text: 'later' }, /server returned HTTP status 503/],
    ['no page', { status: 200, text: '<html>' }, /line 1: /],
    ['a cut answer', 'cut', /Failed to scrape/],
  ] as const)
    it(`${what} is up 0, marks on all series and a line in the log`, async (t) => {
      const r = await rig(t);
      await r.next(up(1), 'a scrape');
      r.answer(answer);
      const failed = await r.next((s) => up(0)(s) && s.metrics.has('queue_size'), 'the failure');
      assert.equal(pointsOf(failed.metrics.get('queue_size'))[0]!.flags, 1);
      assert.ok(
        r.lines.some((l) => said.test(JSON.stringify(l))),
        JSON.stringify(r.lines),
      );
      r.answer({ status: 200, text: PAGE });
      await r.next(up(1), 'the page again');
    });

  it('does not wait for ever', async (t) => {
    const r = await rig(t, {}, { scrape_timeout: '20ms' });
    r.answer('silence');
    await r.next(up(0), 'the failure');
    assert.ok(r.lines.some((l) => /no answer within 0.02 s/.test(JSON.stringify(l))));
  });

  it('takes the address of a pod as Kubernetes tells it, of IPv6 too', async (t) => {
    const ipv6 = createServer((_, response) => response.end('up_since 1\n'));
    const { promise, resolve } = Promise.withResolvers<boolean>();
    ipv6.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true));
    if (!(await promise)) return t.skip('this machine has no IPv6');
    t.after(() => ipv6.close());
    const address = `::1:${(ipv6.address() as AddressInfo).port}`;
    const r = await rig(t, {}, { static_configs: [{ targets: [address] }] });
    const { resource } = await r.next(up(1), 'a scrape');
    assert.equal(resource['service.instance.id'], address);
    assert.equal(resource['server.address'], '::1');
  });

  it('honors labels of the page when told to, and trims names', async (t) => {
    const r = await rig(t, { trim_metric_suffixes: true }, { honor_labels: true });
    const { metrics } = await r.next(up(1), 'a scrape');
    assert.deepEqual(values(metrics.get('requests'))[0]![0], { zone: 'a', code: '200', job: 'x' });
    assert.ok(metrics.has('wait'));
  });

  for (const [what, config, message] of [
    ['no scrape_configs', {}, /no Prometheus scrape_configs/],
    [
      'a target with a scheme',
      { scrape_configs: [{ job_name: 'a', static_configs: [{ targets: ['http://a:1'] }] }] },
      /not a valid hostname/,
    ],
    ['two jobs of a name', { scrape_configs: [{ job_name: 'a' }, { job_name: 'a' }] }, /multiple scrape configs/],
    [
      'a long timeout',
      { scrape_configs: [{ job_name: 'a', scrape_interval: '1s', scrape_timeout: '2s' }] },
      /scrape timeout greater/,
    ],
    [
      'discovery',
      { scrape_configs: [{ job_name: 'a', kubernetes_sd_configs: [{ role: 'pod' }] }] },
      /only static_configs/,
    ],
    [
      'relabelling',
      { scrape_configs: [{ job_name: 'a', metric_relabel_configs: [{ action: 'drop' }] }] },
      /not supported: use the processors/,
    ],
  ] as const)
    it(`refuses ${what}`, () => {
      const parsed = definition.schema.safeParse({ config });
      assert.ok(!parsed.success);
      assert.match(parsed.error.message, message);
    });
});
