import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { DeliveryError } from '../../../core/errors.ts';
import { promotion } from './exporter.ts';
import {
  AT,
  attributes,
  batchOf,
  closeDestinations,
  context,
  create,
  DIRECT,
  destination,
  flat,
  gauge,
  nanos,
  point,
  resource,
  run,
  schema,
  teller,
  until,
} from './testing.ts';

after(closeDestinations);

const sum = (name: string, aggregationTemporality: number, ...dataPoints: unknown[]) => ({
  name,
  sum: { isMonotonic: true, aggregationTemporality, dataPoints },
});
const RETRY = { initial_interval: '1ms', max_interval: '1ms' };
const quick = { remote_write_queue: { enabled: false }, retry_on_failure: RETRY };

test('values arrive bit for bit: NaN, infinities, stale markers, integers beyond 2^53', async () => {
  const d = await destination();
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 5e-324, 1e300];
  const dataPoints: unknown[] = values.map((v, i) => ({
    ...point(0, { i: String(i) }),
    asDouble: Number.isFinite(v) ? v : String(v),
  }));
  dataPoints.push({ ...point(0, { i: 'int' }), asDouble: undefined, asInt: '-9007199254740993' });
  dataPoints.push({ ...point(7, { i: 'stale' }), flags: 1 });
  await run({ ...DIRECT, endpoint: d.url }, (e) => e.consume(batchOf([resource({}, [gauge('v', ...dataPoints)])])));
  const byI = new Map(d.seen[0]!.series.map((s) => [s.labels['i'], s.samples[0]!.value]));
  for (const [i, v] of values.entries()) assert.ok(Object.is(byI.get(String(i)), v), `${v}`);
  assert.equal(byI.get('int'), -9007199254740992);
  const stale = Buffer.from('020000000000f07f', 'hex');
  assert.ok(d.seen[0]!.plain.includes(Buffer.concat([Buffer.from([0x09]), stale])));
});

test('delta points are told as dropped and not counted as sent; the others arrive', async () => {
  const d = await destination();
  await run({ ...DIRECT, endpoint: d.url }, async (e, { lines, value }) => {
    const { ack, told } = teller();
    await e.consume(
      batchOf(
        [
          resource({}, [
            sum('a', 2, point(1)),
            sum('d', 1, point(2), point(3, { x: 'y' })),
            sum('u', 0, point(1)),
            gauge('b', point(4)),
          ]),
        ],
        ack,
      ),
    );
    assert.deepEqual(told, ['1 delivered', '2 lost delta temporality', '1 lost no temporality', '1 delivered']);
    assert.equal(value('otelcol_exporter_sent_metric_points'), 2);
    assert.equal(value('otelcol_exporter_send_failed_metric_points'), 0);
    assert.equal(value('sluice_remote_write_dropped_points', { reason: 'delta temporality' }), 2);
    assert.equal(value('otelcol_exporter_prometheusremotewrite_failed_translations'), 1);
    const line = lines.find((l) => l.fields['reason'] === 'delta temporality')!;
    assert.match(line.message, /^remote_write: failed to translate metrics.*delta_to_cumulative/);
  });
  assert.deepEqual(flat(d.seen), [`a_total 1@${AT}`, `b 4@${AT}`]);
});

test('a batch of nothing but deltas makes no request, and its points are told', async () => {
  const d = await destination();
  await run({ ...DIRECT, endpoint: d.url }, async (e, { value }) => {
    const { ack, told } = teller(true);
    await e.consume(batchOf([resource({}, [sum('d', 1, point(2))])], ack));
    assert.deepEqual(told, ['1 lost delta temporality']);
    assert.equal(value('otelcol_exporter_sent_metric_points'), 0);
  });
  assert.equal(d.seen.length, 0);
});

test('delta_to_cumulative adds up sums and histograms; what is late is dropped', async () => {
  const d = await destination();
  const config = { ...DIRECT, endpoint: d.url, delta_to_cumulative: { enabled: true, max_streams: 4 } };
  const histogram = (counts: number[], total: number, ms: number) => ({
    name: 'h',
    histogram: {
      aggregationTemporality: 1,
      dataPoints: [
        {
          timeUnixNano: nanos(ms),
          count: counts.reduce((a, b) => a + b),
          sum: total,
          bucketCounts: counts,
          explicitBounds: [1],
        },
      ],
    },
  });
  await run(config, async (e, { value }) => {
    const { ack, told } = teller();
    const send = (...metrics: unknown[]) => e.consume(batchOf([resource({}, metrics)], ack));
    await send(sum('d', 1, point(2)), histogram([1, 2], 10, AT));
    await send(sum('d', 1, point(3, {}, AT + 1)), histogram([4, 0], 1, AT + 1));
    await send(sum('d', 1, point(100, {}, AT + 1)));
    await send(sum('d', 1, point(1, { a: '1' }), point(1, { a: '2' }), point(1, { a: '3' })));
    assert.deepEqual(told.slice(2), ['1 lost delta out of order', '2 delivered', '1 lost too many delta streams']);
    assert.equal(value('sluice_remote_write_dropped_points'), 2);
  });
  assert.deepEqual(
    flat(d.seen).filter((s) => !s.includes('{a=')),
    [
      `d_total 2@${AT}`,
      `d_total 5@${AT + 1}`,
      `h_bucket{le=+Inf} 3@${AT}`,
      `h_bucket{le=+Inf} 7@${AT + 1}`,
      `h_bucket{le=1} 1@${AT}`,
      `h_bucket{le=1} 5@${AT + 1}`,
      `h_count 3@${AT}`,
      `h_count 7@${AT + 1}`,
      `h_sum 10@${AT}`,
      `h_sum 11@${AT + 1}`,
    ],
  );
});

test('statuses: which are tried again, and the error line that names remote_write', async () => {
  for (const [status, config, retried] of [
    [500, {}, true],
    [501, {}, true],
    [503, {}, true],
    [400, {}, false],
    [401, {}, false],
    [404, {}, false],
    [408, {}, false],
    [429, {}, false],
    [429, { retry_on_http_429: true }, true],
  ] as const) {
    const d = await destination((res, _r, n) =>
      res.writeHead(n === 1 ? status : 204, { 'retry-after': '0' }).end('why'),
    );
    await run({ ...quick, ...config, endpoint: d.url }, async (e, { lines }) => {
      const sent = e.consume(batchOf([resource({}, [gauge('g', point(1))])]));
      if (retried) await sent;
      else
        await assert.rejects(sent, (x) => {
          assert.ok(x instanceof DeliveryError && x.permanent && x.status === status);
          assert.match(x.message, /remote_write: returned HTTP status \d+ .*err = why/);
          return true;
        });
      assert.equal(d.seen.length, retried ? 2 : 1, `${status}`);
      const line = lines.find((l) => l.level === 'error')!;
      assert.equal(line.message, 'remote_write: failed to send WriteRequest to remote endpoint');
      assert.equal(line.fields['status_code'], status);
      assert.equal(line.fields['error'], 'why');
    });
  }
});

test('the gate RetryOn429 is honoured, and Retry-After waits no longer than max_interval', async () => {
  const d = await destination((res, _r, n) => res.writeHead(n === 1 ? 429 : 204, { 'retry-after': '3600' }).end());
  await run({ ...quick, endpoint: d.url }, (e) => e.consume(batchOf([resource({}, [gauge('g', point(1))])])), [
    'RetryOn429',
  ]);
  assert.equal(d.seen.length, 2);
});

test('only the request that failed is sent again, and nothing is doubled', async () => {
  const names = Array.from({ length: 40 }, (_, i) => `metric_number_${i}`);
  const failed = new Set<string>();
  const d = await destination((res, r) => {
    const name = r.series[0]!.labels['__name__']!;
    const again = failed.has(name);
    failed.add(name);
    res.writeHead(again || failed.size % 2 === 0 ? 204 : 503).end();
    if (!again && failed.size % 2 === 1) (r as { dropped?: boolean }).dropped = true;
  });
  await run({ ...quick, endpoint: d.url, max_batch_size_bytes: 400 }, async (e, { value }) => {
    await e.consume(
      batchOf([
        resource(
          {},
          names.map((n, i) => gauge(n, point(i))),
        ),
      ]),
    );
    assert.equal(value('otelcol_exporter_sent_metric_points'), 40);
  });
  assert.ok(failed.size > 4);
  const kept = d.seen.filter((r) => !(r as { dropped?: boolean }).dropped);
  assert.deepEqual(flat(kept), names.map((n, i) => `${n} ${i}@${AT}`).sort());
});

test('a rejected series is found out; the others of its request arrive, and it is named', async () => {
  for (const config of [{}, { compression: 'zstd' }]) {
    const isBad = (name: string) => name === 'bad_one' || name === 'bad_two';
    const d = await destination((res, r, n) => {
      if (n === 1 && 'compression' in config) return void res.writeHead(204).end();
      const bad = r.series.find((s) => isBad(s.labels['__name__']!));
      if (!bad) return void res.writeHead(204).end();
      (r as { dropped?: boolean }).dropped = true;
      res.writeHead(400).end(`out of order sample: ${bad.labels['__name__']}`);
    });
    await run({ ...quick, ...config, endpoint: d.url }, async (e, { lines, value }) => {
      if ('compression' in config) await e.consume(batchOf([resource({}, [gauge('first', point(0))])]));
      const before = value('otelcol_exporter_sent_metric_points');
      const { ack, told, total } = teller();
      const names = Array.from({ length: 100 }, (_, i) => (i === 17 ? 'bad_one' : i === 80 ? 'bad_two' : `m${i}`));
      await e.consume(
        batchOf(
          [
            resource(
              {},
              names.map((n, i) => gauge(n, point(i))),
            ),
          ],
          ack,
        ),
      );
      assert.equal(total(), 100);
      assert.deepEqual(told, [
        '17 delivered',
        '1 lost rejected: 400',
        '62 delivered',
        '1 lost rejected: 400',
        '19 delivered',
      ]);
      assert.equal(value('otelcol_exporter_sent_metric_points') - before, 98);
      assert.equal(value('otelcol_exporter_send_failed_metric_points'), 2);
      const line = lines.find((l) => /rejects a series/.test(l.message))!;
      assert.equal(line.level, 'error');
      assert.equal(line.fields['series'], 'bad_one{}');
      assert.match(String(line.fields['error']), /out of order sample: bad_one/);
      assert.ok(value('sluice_remote_write_split_requests') <= 64);
    });
    const kept = new Set(flat(d.seen.filter((r) => !(r as { dropped?: boolean }).dropped)));
    for (let i = 0; i < 100; i++) if (i !== 17 && i !== 80) assert.ok(kept.has(`m${i} ${i}@${AT}`), `m${i}`);
  }
});

test('dividing a request is bounded, and not tried again at once when all of it is rejected', async () => {
  const d = await destination((res) => res.writeHead(400).end('out of bounds'));
  await run({ ...quick, endpoint: d.url }, async (e, { value }) => {
    const send = () =>
      e.consume(
        batchOf([
          resource(
            {},
            Array.from({ length: 500 }, (_, i) => gauge(`m${i}`, point(i))),
          ),
        ]),
      );
    await assert.rejects(send(), /out of bounds/);
    const first = d.seen.length;
    assert.ok(first > 3 && first <= 65, `${first}`);
    await assert.rejects(send(), /out of bounds/);
    assert.equal(d.seen.length, first + 1);
    assert.equal(value('otelcol_exporter_send_failed_metric_points'), 1000);
  });
});

test('a 400 without an explanation is not divided, one of another kind neither; 413 is', async () => {
  for (const [status, text, all] of [
    [400, '', 0],
    [403, 'no', 0],
    [413, '', 10],
  ] as const) {
    const d = await destination((res, r) => res.writeHead(r.series.length > 3 ? status : 204).end(text));
    await run({ ...quick, endpoint: d.url }, async (e, { value }) => {
      const sent = e.consume(
        batchOf([
          resource(
            {},
            Array.from({ length: 10 }, (_, i) => gauge(`m${i}`, point(i))),
          ),
        ]),
      );
      await (all > 0 ? sent : assert.rejects(sent));
      assert.equal(value('otelcol_exporter_sent_metric_points'), all);
    });
  }
});

test('zstd: the variant of VictoriaMetrics, and snappy for good when it is refused, said once', async () => {
  const metrics = () => batchOf([resource({}, [gauge('g', point(1))])]);
  const d = await destination();
  await run({ ...DIRECT, endpoint: d.url, compression: 'zstd' }, async (e) => e.consume(metrics()));
  assert.equal(d.seen[0]!.headers['content-encoding'], 'zstd');
  assert.equal(d.seen[0]!.headers['x-victoriametrics-remote-write-version'], '1');
  for (const status of [400, 415]) {
    const old = await destination((res, r) =>
      res.writeHead(r.headers['content-encoding'] === 'zstd' ? status : 204).end('unsupported'),
    );
    await run({ ...DIRECT, endpoint: old.url, compression: 'zstd' }, async (e, { lines, value }) => {
      await e.consume(metrics());
      await e.consume(metrics());
      assert.deepEqual(
        old.seen.map((r) => r.headers['content-encoding']),
        ['zstd', 'snappy', 'snappy'],
      );
      assert.equal(old.seen[1]!.headers['x-prometheus-remote-write-version'], '0.1.0');
      assert.equal(old.seen[1]!.headers['x-victoriametrics-remote-write-version'], undefined);
      assert.equal(lines.filter((l) => /refuses zstd/.test(l.message)).length, 1);
      assert.equal(value('otelcol_exporter_sent_metric_points'), 2);
    });
  }
});

test('an answer that never ends is an error after the timeout, and is worth another try', async () => {
  const d = await destination((res, _r, n) => {
    if (n > 1) res.writeHead(204).end();
    else res.writeHead(200).write('...');
  });
  await run({ ...quick, endpoint: d.url, timeout: '200ms' }, async (e, { lines }) => {
    await e.consume(batchOf([resource({}, [gauge('g', point(1))])]));
    assert.equal(d.seen.length, 2);
    const line = lines.find((l) => l.level === 'error')!;
    assert.match(String(line.fields['error']), /^remote_write: failed to make an HTTP request: .*deadline exceeded/);
  });
});

test('an answer without end that is a success at once fills no memory', async () => {
  const d = await destination((res) => {
    res.writeHead(200);
    const more = () => {
      while (!res.destroyed && res.write(Buffer.alloc(65_536)));
    };
    res.on('drain', more);
    more();
  });
  await run({ ...DIRECT, endpoint: d.url }, (e) => e.consume(batchOf([resource({}, [gauge('g', point(1))])])));
});

test('streams that meet in one series are merged in order, counted and named; one that follows another is not', async () => {
  const d = await destination();
  await run({ ...DIRECT, endpoint: d.url }, async (e, { lines, value }) => {
    const pod = (name: string, v: number, ms: number) =>
      resource({ 'service.name': 's', 'k8s.pod.name': name }, [gauge('g', point(v, {}, ms))]);
    await e.consume(batchOf([pod('a', 1, AT)]));
    await e.consume(batchOf([pod('b', 2, AT + 1)]));
    await e.consume(batchOf([pod('b', 3, AT + 2)]));
    assert.equal(value('sluice_remote_write_colliding_samples'), 0);
    await e.consume(batchOf([pod('c', 5, AT + 4), pod('d', 4, AT + 3)]));
    assert.equal(value('sluice_remote_write_colliding_samples'), 1);
    const line = lines.find((l) => /two streams have the same labels/.test(l.message))!;
    assert.match(line.message, /^remote_write/);
    assert.equal(line.fields['series'], 'g{job="s"}');
    assert.match(`${line.fields['first']} ${line.fields['second']}`, /"k8s.pod.name":"c".*"k8s.pod.name":"d"/);
    // The first one comes back: both are alive.
    await e.consume(batchOf([pod('b', 6, AT + 5)]));
    assert.equal(value('sluice_remote_write_colliding_samples'), 2);
    // The same attributes in another order are the same stream.
    const both = (a: Record<string, string>) => batchOf([resource({}, [gauge('o', point(1, a))])]);
    await e.consume(both({ x: '1', y: '2' }));
    await e.consume(both({ y: '2', x: '1' }));
    await e.consume(both({ x: '1', y: '2' }));
    assert.equal(value('sluice_remote_write_colliding_samples'), 2);
  });
  const series = d.seen[3]!.series.find((s) => s.labels['__name__'] === 'g')!;
  assert.deepEqual(
    series.samples.map((s) => s.value),
    [4, 5],
  );
});

test('the cache of label sets has a bound, and its hits are counted', async () => {
  const d = await destination();
  await run({ ...DIRECT, endpoint: d.url, label_cache_size: '64kiB' }, async (e, { value }) => {
    const size = () => value('sluice_remote_write_label_cache_size');
    const send = (round: number) =>
      e.consume(
        batchOf([
          resource({}, [gauge('g', ...Array.from({ length: 50 }, (_, i) => point(i, { i: `${round} ${i}` })))]),
        ]),
      );
    for (let round = 0; round < 20; round++) {
      await send(round);
      await send(round);
      assert.ok(size() < 64 * 1024 + 40_000, `${size()}`);
    }
    assert.ok(value('sluice_remote_write_label_cache_lookups', { result: 'hit' }) > 500);
    assert.equal(value('sluice_remote_write_label_cache_lookups'), 2000);
    assert.ok(value('sluice_remote_write_label_cache_resets') >= 2);
  });
  assert.equal(flat(d.seen).length, 2000);
  assert.equal(new Set(flat(d.seen)).size, 1000);
});

test('series stay in order when several batches are on their way, and shards do not wait for each other', async () => {
  const waiting: (() => void)[] = [];
  const d = await destination((res) => waiting.push(() => res.writeHead(204).end()));
  const config = {
    endpoint: d.url,
    remote_write_queue: { num_consumers: 4 },
    max_batch_request_parallelism: 3,
    retry_on_failure: RETRY,
  };
  const names = Array.from({ length: 12 }, (_, i) => `m${i}`);
  await run(
    config,
    async (e, { value }) => {
      for (let round = 0; round < 8; round++)
        await e.consume(
          batchOf([
            resource(
              {},
              names.map((n) => gauge(n, point(round, {}, AT + round))),
            ),
          ]),
        );
      // Answers come in an order that has nothing to do with that of the requests.
      await until(() => {
        if (waiting.length > 0) waiting.splice(waiting.length > 1 && d.seen.length % 2 ? 1 : 0, 1)[0]!();
        return value('otelcol_exporter_sent_metric_points') >= 8 * names.length;
      }, 'all batches');
    },
    ['EnableMultipleWorkers'],
  );
  for (const name of names)
    assert.deepEqual(
      d.seen.flatMap((r) =>
        r.series.filter((s) => s.labels['__name__'] === name).flatMap((s) => s.samples.map((x) => x.value)),
      ),
      [0, 1, 2, 3, 4, 5, 6, 7],
      name,
    );
  assert.ok(d.seen.some((r) => r.series.length < names.length));
});

test('max_batch_size_bytes bounds requests, in both versions; a single series may be larger', async () => {
  for (const [config, gates] of [
    [{}, []],
    [{ protobuf_message: 'io.prometheus.write.v2.Request' }, ['enableSendingRW2']],
  ] as const) {
    const d = await destination();
    const metrics = Array.from({ length: 50 }, (_, i) =>
      gauge(`metric_${i}`, point(i, { label: 'x'.repeat(i === 9 ? 2000 : 20) })),
    );
    await run(
      { ...DIRECT, ...config, endpoint: d.url, max_batch_size_bytes: 1000 },
      (e) => e.consume(batchOf([resource({}, metrics)])),
      gates,
    );
    assert.equal(flat(d.seen).length, 50);
    assert.ok(d.seen.length > 3);
    for (const r of d.seen) assert.ok(r.plain.length < 1100 || r.series.length === 1, `${r.plain.length}`);
  }
});

test('client metadata goes out as headers, configured headers win', async () => {
  const d = await destination();
  await run({ ...DIRECT, endpoint: d.url, include_metadata_keys: ['X-Scope-OrgID'], headers: { a: 'b' } }, (e) =>
    e.consume(batchOf([resource({}, [gauge('g', point(1))])], undefined, new Map([['x-scope-orgid', ['t1']]]))),
  );
  const { headers } = d.seen[0]!;
  assert.equal(headers['x-scope-orgid'], 't1');
  assert.equal(headers['a'], 'b');
  assert.match(headers['user-agent']!, /^Sluice\/9\.9\.9/);
});

test('which resource attributes become labels', () => {
  const names = ['service.name', 'k8s.pod.name', 'k8s.pod.uid', 'host.name'];
  const chosen = (config: object) => names.filter(promotion(schema.parse({ endpoint: 'http://h', ...config })));
  assert.deepEqual(chosen({}), []);
  assert.deepEqual(chosen({ resource_to_telemetry_conversion: { enabled: true } }), names);
  assert.deepEqual(
    chosen({ resource_to_telemetry_conversion: { enabled: true, exclude_service_attributes: true } }),
    names.slice(1),
  );
  assert.deepEqual(chosen({ promote_resource_attributes: ['k8s.pod.name', 'nope'] }), ['k8s.pod.name']);
  assert.deepEqual(chosen({ resource_constant_labels: { included: ['k8s.*'], excluded: ['*.uid'] } }), [
    'k8s.pod.name',
  ]);
  assert.deepEqual(chosen({ resource_constant_labels: { excluded: ['k8s.pod.*'] } }), ['service.name', 'host.name']);
  assert.deepEqual(chosen({ resource_constant_labels: {} }), []);
});

test('promoted attributes are labels, target_info has all of them', async () => {
  const d = await destination();
  await run({ ...DIRECT, endpoint: d.url, promote_resource_attributes: ['k8s.pod.name'] }, (e) =>
    e.consume(
      batchOf([
        resource({ 'service.name': 's', 'k8s.pod.name': 'p', 'k8s.pod.uid': 'u' }, [
          gauge('g', point(1, { k8s_pod_name: 'own' })),
        ]),
      ]),
    ),
  );
  assert.deepEqual(flat(d.seen), [
    `g{job=s,k8s_pod_name=p;own} 1@${AT}`,
    `target_info{job=s,k8s_pod_name=p,k8s_pod_uid=u} 1@${AT}`,
  ]);
});

test('attributes that do not stand together, and points with start times in version 2', async () => {
  const d = await destination();
  await run(
    { ...DIRECT, endpoint: d.url, protobuf_message: 'io.prometheus.write.v2.Request' },
    (e) =>
      e.consume(
        batchOf([
          resource({}, [
            {
              name: 'c',
              unit: 'By',
              description: 'what',
              sum: {
                isMonotonic: true,
                aggregationTemporality: 2,
                dataPoints: [{ ...point(3, { a: 'b' }), startTimeUnixNano: nanos(AT - 5) }],
              },
            },
          ]),
        ]),
      ),
    ['enableSendingRW2'],
  );
  const [series] = d.seen[0]!.series;
  assert.deepEqual(series!.samples, [{ value: 3, timestamp: AT, start: AT - 5 }]);
  assert.deepEqual(series!.metadata, { type: 1, help: 'what', unit: 'bytes' });
});

test('version 2: the destination says what it has written, and what it left out counts as lost', async () => {
  const d = await destination((res, r) =>
    res
      .writeHead(r.series.length > 1 ? 400 : 204, {
        'x-prometheus-remote-write-samples-written': String(Math.max(1, r.series.length - 1)),
      })
      .end('out of order'),
  );
  await run(
    { ...DIRECT, endpoint: d.url, protobuf_message: 'io.prometheus.write.v2.Request' },
    async (e, { value }) => {
      const { ack, told } = teller();
      await e.consume(batchOf([resource({}, [gauge('a', point(1)), gauge('b', point(2)), gauge('c', point(3))])], ack));
      assert.deepEqual(told, ['2 delivered', '1 lost rejected: 400']);
      assert.equal(value('otelcol_exporter_prometheusremotewrite_written_samples'), 2);
    },
    ['enableSendingRW2'],
  );
  assert.equal(d.seen.length, 1);
});

test('histograms as native ones with custom buckets, alone or beside the classic series', async () => {
  const histogram = {
    name: 'h',
    histogram: {
      aggregationTemporality: 2,
      dataPoints: [
        {
          attributes: attributes({ a: 'b' }),
          timeUnixNano: nanos(AT),
          count: 15,
          sum: 88.5,
          bucketCounts: [1, 2, 0, 12],
          explicitBounds: [0.5, 10, 100],
        },
      ],
    },
  };
  for (const keep of [false, true]) {
    const d = await destination();
    await run(
      { ...DIRECT, endpoint: d.url, convert_explicit_histograms_to_nhcb: true, keep_classic_histograms: keep },
      (e) => e.consume(batchOf([resource({}, [histogram])])),
    );
    const native = d.seen[0]!.series.find((s) => s.labels['__name__'] === 'h')!;
    assert.deepEqual(native.labels, { __name__: 'h', a: 'b' });
    const [h] = native.histograms;
    assert.deepEqual(
      { ...h, negative_spans: undefined, negative_deltas: undefined, start_timestamp: undefined },
      {
        count_int: 15,
        sum: 88.5,
        schema: -53,
        zero_threshold: 0,
        zero_count_int: 0,
        positive_spans: [{ offset: 0, length: 4 }],
        positive_deltas: [1, 1, -2, 12],
        timestamp: AT,
        custom_values: [0.5, 10, 100],
        negative_spans: undefined,
        negative_deltas: undefined,
        start_timestamp: undefined,
      },
    );
    assert.equal(d.seen[0]!.series.length, keep ? 7 : 1);
  }
});

test('configurations that cannot work are refused with what is wrong', async () => {
  const ok = { endpoint: 'http://h/write' };
  for (const [config, message] of [
    [{}, /invalid endpoint/],
    [{ endpoint: 'localhost:9090' }, /invalid endpoint/],
    [{ ...ok, compression: 'gzip' }, /compression type must be snappy/],
    [{ ...ok, remote_write_queue: { queue_size: 0 } }, /a 0 size queue will drop all the data/],
    [{ ...ok, remote_write_queue: { queue_size: -1 } }, /too small|>=0/i],
    [{ ...ok, max_batch_request_parallelism: 0 }, /too small|>=1/i],
    [{ ...ok, max_batch_size_bytes: -1 }, /too small|>=0/i],
    [{ ...ok, external_labels: { a: '' } }, /empty key or value/],
    [{ ...ok, include_metadata_keys: ['User-Agent'] }, /"User-Agent" is set by the exporter/],
    [{ ...ok, translation_strategy: 'NoTranslation' }, /needs protobuf_message/],
    [{ ...ok, translation_strategy: 'x' }, /translation|option|expected/i],
    [{ ...ok, compression: 'zstd', protobuf_message: 'io.prometheus.write.v2.Request' }, /variant of version 1/],
    [{ ...ok, resource_constant_labels: {}, resource_to_telemetry_conversion: { enabled: true } }, /cannot use both/],
    [{ ...ok, wal: {} }, /directory/],
    [{ ...ok, wal: { directory: '/x' }, remote_write_queue: { storage: 'file_storage' } }, /cannot use both wal/],
    [{ ...ok, http: { endpoint: 'h' } }, /invalid endpoint/],
  ] as const)
    assert.match(
      JSON.stringify(schema.safeParse(config).error?.issues ?? 'accepted').replaceAll('\\"', '"'),
      message,
      JSON.stringify(config),
    );
  await assert.rejects(
    create(schema.parse({ ...ok, protobuf_message: 'io.prometheus.write.v2.Request' }), context().ctx),
    /needs the feature gate .*enableSendingRW2/,
  );
  await assert.rejects(
    create(schema.parse({ ...ok, external_labels: { '-': 'x' } }), context().ctx),
    /"-" cannot be a label name/,
  );
});

test('the http block replaces the settings beside it', async () => {
  const d = await destination();
  await run(
    { ...DIRECT, endpoint: 'http://127.0.0.1:1/', headers: { a: '1' }, http: { endpoint: d.url, headers: { b: '2' } } },
    (e) => e.consume(batchOf([resource({}, [gauge('g', point(1))])])),
  );
  assert.equal(d.seen[0]!.headers['a'], undefined);
  assert.equal(d.seen[0]!.headers['b'], '2');
});
