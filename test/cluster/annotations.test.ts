/** Logs by annotation: people annotate namespaces and pods with kubectl, and an agent that runs does as they say. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { collection } from '../../src/deploy/index.ts';
import { rbacOf } from '../../src/deploy/rbac.ts';
import { tempDir, until } from '../helpers/agent.ts';
import { SLUICE } from '../helpers/paths.ts';
import { type Any, LIMIT_MS, openCluster } from './cluster.ts';
import { makeAccount, runCollector } from './collector.ts';
import { runProgram } from './deployment.ts';
import { startOtlpSink } from './otlp-sink.ts';
import { pod, ticker } from './workloads.ts';

const cluster = openCluster();
const KEY = 'io.opentelemetry.discovery.logs';

test('namespaces, pods and containers opt in and out while the agent runs', async (t) => {
  const namespace = await cluster.namespace(t, 'annotations');
  const sink = await startOtlpSink(t);
  const dir = tempDir(t);
  const { tiers } = collection({
    gateway: false,
    destinations: { logs: { url: sink.url } },
    agent: {
      batch: { timeout: '200ms' },
      presets: {
        logsCollection: { byAnnotation: 'opt-in', include: { namespaces: [namespace] } },
        kubeletMetrics: false,
        hostMetrics: false,
      },
      config: {
        extensions: { file_storage: { directory: dir } },
        // Ports are for one collector at a time.
        service: { extensions: ['file_storage'], telemetry: { metrics: { $replace: { level: 'none' } } } },
      },
    },
  });
  const { config } = tiers[0]!;
  const account = await makeAccount(t, cluster, namespace, 'agent', rbacOf(config));
  await runCollector(t, cluster, account, config);

  const tick = (container: string): object => ticker({ container, everyMs: 50 });
  await cluster.apply(pod(namespace, 'web', tick('app'), tick('proxy')), {
    ...pod(namespace, 'always', tick('app')),
    metadata: { name: 'always', namespace, annotations: { [`${KEY}/enabled`]: 'true' } },
  });
  const of = (name: string, container: string): number =>
    sink.records.filter((r) => r.resource['k8s.pod.name'] === name && r.resource['k8s.container.name'] === container)
      .length;
  const more = async (name: string, container: string, records = 20): Promise<void> => {
    const wanted = of(name, container) + records;
    await until(() => of(name, container) >= wanted, `${records} records of ${name}/${container}`, LIMIT_MS);
  };
  const annotate = (...args: string[]): Promise<string> =>
    cluster.kubectl(['-n', namespace, 'annotate', '--overwrite', ...args]);
  /** Nothing comes of it any more, while others go on. */
  const isQuiet = async (name: string, container: string): Promise<boolean> => {
    const before = of(name, container);
    await more('always', 'app');
    return of(name, container) === before;
  };

  await more('always', 'app');
  await cluster.kubectl(['-n', namespace, 'wait', 'pod/web', '--for=condition=Ready', '--timeout=60s']);
  await more('always', 'app');
  assert.deepEqual([of('web', 'app'), of('web', 'proxy')], [0, 0]);

  await annotate(`namespace/${namespace}`, `${KEY}/enabled=true`);
  await more('web', 'app');
  await more('web', 'proxy');

  await annotate('pod/web', `${KEY}.proxy/enabled=false`);
  await until(() => isQuiet('web', 'proxy'), 'the proxy is left out', LIMIT_MS);
  await more('web', 'app');

  const file = join(dir, 'config.yaml');
  writeFileSync(file, JSON.stringify(config));
  const { stdout } = await runProgram(
    cluster,
    SLUICE,
    'why',
    'web',
    '-n',
    namespace,
    '--config',
    file,
    '--format',
    'json',
  );
  const { checks } = JSON.parse(stdout) as Any;
  const told = (id: string): string[] => checks.find((r: Any) => r.id === id)?.findings.map((f: Any) => f.what);
  assert.deepEqual(told('annotations'), [
    `app is collected: namespace ${namespace} has ${KEY}/enabled: "true"`,
    `proxy is not collected: pod ${namespace}/web has ${KEY}.proxy/enabled: "false"`,
  ]);

  await annotate('pod/web', `${KEY}.proxy/enabled-`);
  await more('web', 'proxy');
  assert.deepEqual(
    sink.records.flatMap((r) => Object.keys(r.resource).filter((k) => k.startsWith('discovery'))),
    [],
  );
});
