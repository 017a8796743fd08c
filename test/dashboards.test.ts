/**
 * Every query of dashboards and alerts, answered by the real VictoriaMetrics from what agent and gateway wrote about a
 * cluster that is well first, and then is not.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ALERTS, dashboardFiles, dashboards, expressionOf } from '../src/deploy/dashboards/index.ts';
import { defer, tempDir, until } from './helpers/agent.ts';
import {
  type DashboardQuery,
  fieldsIn,
  filled,
  labelsIn,
  metricsIn,
  queriesOf,
  variablesOf,
} from './helpers/dashboard-queries.ts';
import { startFakeServer } from './helpers/kubelet.ts';
import { startObservedTiers } from './helpers/observed-tiers.ts';
import { startVictoriaLogs } from './helpers/victoria-logs.ts';
import { startVictoriaMetrics, victoriaMetricsProgram, vmalertProgram } from './helpers/victoria-metrics.ts';

const program = await victoriaMetricsProgram();
const needsAll =
  program.missing ?? (process.platform === 'linux' ? false : 'there is no /proc, so there are no host metrics');

const PROMQL = dashboards().flatMap((d) => queriesOf(d).filter((q) => q.language === 'promql'));
const LOGSQL = dashboards().flatMap((d) => queriesOf(d).filter((q) => q.language === 'logsql'));
const LOG_VARIABLES = dashboards().flatMap((d) => variablesOf(d).filter((v) => v.language === 'logsql'));
const VARIABLES = dashboards().flatMap((d) => variablesOf(d).filter((v) => v.language === 'promql'));

/** They measure the machine of the test, whose disks may be full. */
const OF_THIS_MACHINE = ['KubernetesFileSystemFilling', 'CollectorScrapesFail'];

test('every query of metrics has an answer, and every alert is silent until it has a reason', {
  skip: needsAll,
}, async (t) => {
  const vm = await startVictoriaMetrics(t, program);
  const logs = await startVictoriaLogs(t);
  const tiers = await startObservedTiers(t, {
    metricsUrl: vm.writeUrl,
    logs: { url: `${logs.url}/insert/opentelemetry` },
  });
  const isAnswered = async (expr: string): Promise<boolean> => (await vm.query(filled(expr))).length > 0;
  const waitFor = async (all: ReadonlyMap<string, string>, what: string): Promise<void> => {
    const open = new Map(all);
    await until(
      async () => {
        await tiers.goOn();
        for (const [name, expr] of open) if (await isAnswered(expr)) open.delete(name);
        return open.size === 0;
      },
      what,
      60_000,
    ).catch((e: Error) => {
      throw new Error(
        `${e.message}:\n${[...open].map(([name, expr]) => `${name.slice(0, 100)}: ${filled(expr).slice(0, 500)}`).join('\n')}`,
      );
    });
  };

  await t.test('a cluster that is well', async () => {
    await waitFor(new Map(ALERTS.filter((a) => !a.isRare).map((a) => [a.name, a.value])), 'values behind alerts');
    for (const a of ALERTS.filter(({ name }) => !OF_THIS_MACHINE.includes(name)))
      assert.deepEqual(await vm.query(expressionOf(a)), [], `${a.name} fires`);
  });

  await tiers.goWrong();
  await t.test('every panel has data', () =>
    waitFor(new Map(PROMQL.map((q) => [`${q.where}: ${q.expr}`, q.expr])), 'panels with data'),
  );
  await t.test('every alert fires', () =>
    waitFor(new Map(ALERTS.map((a) => [a.name, expressionOf(a)])), 'alerts that fire'),
  );

  await t.test('every metric and label that is asked for is written', async () => {
    const stored = new Map<string, Set<string>>();
    for (const { labels } of await vm.stored('{__name__=~".+"}')) {
      const known = stored.get(labels['__name__']!) ?? new Set();
      stored.set(labels['__name__']!, known);
      for (const label of Object.keys(labels)) known.add(label);
    }
    for (const { where, expr } of [...PROMQL, ...ALERTS.map((a) => ({ where: a.name, expr: expressionOf(a) }))]) {
      const asked = metricsIn(expr);
      assert.ok(asked.length > 0, where);
      for (const metric of asked) assert.ok(stored.has(metric), `${where}: there is no ${metric}`);
      for (const label of labelsIn(expr))
        assert.ok(
          asked.some((m) => stored.get(m)!.has(label)),
          `${where}: no metric of it has ${label}`,
        );
    }
  });

  await t.test('every variable has values', async () => {
    for (const { where, metric, label } of VARIABLES) {
      const r = await fetch(
        `${vm.url}/api/v1/label/${label}/values${metric ? `?match[]=${encodeURIComponent(filled(metric))}` : ''}`,
      );
      const { data } = (await r.json()) as { data: string[] };
      assert.ok(data.length > 0, where);
    }
  });

  await t.test('one thing that is chosen is all that is shown', async () => {
    const chosen = { namespace: 'ns-2', pod: '.*', cluster: 'test' };
    const found = new Set<string>();
    for (const q of PROMQL)
      for (const { labels } of await vm.query(filled(q.expr, chosen)))
        if (labels['k8s_namespace_name'] !== undefined) {
          assert.equal(labels['k8s_namespace_name'], 'ns-2', `${q.where}: ${q.expr}`);
          found.add(q.where);
        }
    assert.ok(found.size > 10);
  });
});

for (const compression of ['zstd', 'gzip'] as const)
  test(`logs sent as ${compression}: every query of logs has an answer`, async (t) => {
    const logs = await startVictoriaLogs(t);
    const sink = await startFakeServer(() => ({ status: 204, text: '' }));
    defer(t, () => sink.close());
    await startObservedTiers(t, {
      metricsUrl: `${sink.url}/write`,
      logs: { url: `${logs.url}/insert/opentelemetry`, compression },
    });
    const rowsOf = async ({ expr, queryType }: DashboardQuery): Promise<number> => {
      const query = filled(expr);
      if (queryType === 'instant') return (await logs.query(query)).length;
      const found = queryType === 'stats' ? await logs.stats(query) : await logs.statsRange(query);
      return found.filter((s) => s.value > 0 && Object.values(s.labels).every((v) => v !== '')).length;
    };
    // VictoriaLogs remembers for some seconds that a filter of streams found none, so nobody asks before all are there.
    for (const [query, n] of [
      ['"hello from a container"', 1],
      ['"hello from the store"', 3],
      ['falco.rule:*', 1],
      ['k8s.resource.name:=events', 3],
    ] as const)
      await until(async () => (await logs.query(query)).length >= n, query, 60_000);
    for (const q of LOGSQL) await until(async () => (await rowsOf(q)) > 0, `${q.where}: ${filled(q.expr)}`, 60_000);
    for (const v of LOG_VARIABLES)
      assert.ok(
        (await logs.fieldValues(filled(v.metric), v.label)).some((value) => value !== ''),
        v.where,
      );

    const known = new Set((await logs.query('*')).flatMap((r) => Object.keys(r)));
    for (const q of LOGSQL)
      for (const field of fieldsIn(q.expr)) assert.ok(known.has(field), `${q.where}: no record has ${field}`);

    // Pods that are made again and containers that restart add to the streams that are there.
    const hello = () => logs.query('{"k8s.namespace.name"="ns-2"}');
    await until(async () => (await hello()).length === 3, 'lines of all pods of that name');
    assert.equal(new Set((await hello()).map((r) => r['k8s.pod.uid'])).size, 3);
    const names = (stream: string): string[] => [...stream.matchAll(/"?([\w.]+)"?="/g)].map((m) => m[1]!);
    const streams = await logs.streams();
    for (const stream of streams)
      for (const name of names(stream)) assert.match(name, /^k8s\.(cluster|namespace|pod|container)\.name$/, stream);
    // Two pods, Falco itself, the pod that its alerts are about, and the events of one namespace.
    assert.equal(streams.length, 5, streams.join('\n'));

    for (const event of await logs.query('k8s.resource.name:=events')) assert.ok(event['_msg'], JSON.stringify(event));
    const [alert] = await logs.query('falco.rule:*');
    assert.match(alert!['_msg']!, /A shell was spawned/);
    assert.equal(alert!['k8s.pod.name'], 'web-0000000000-00001');
    if (!logs.isReal) assert.deepEqual([...logs.encodings], [compression]);
  });

const vmalert = await vmalertProgram();

test('vmalert takes the rule file', { skip: vmalert.missing ?? false }, async (t) => {
  assert.ok(vmalert.missing === undefined);
  const { path } = vmalert;
  const file = join(tempDir(t), 'rules.yaml');
  const check = (text: string) => {
    writeFileSync(file, text);
    return promisify(execFile)(path, ['-dryRun', `-rule=${file}`, '-datasource.url=http://127.0.0.1:1']);
  };
  const rules = dashboardFiles('opentelemetry').get('alerts/rules.yaml')!;
  await check(rules);
  await assert.rejects(check(rules.replace('sum by (', 'sum by by (')));
});
