/**
 * Collection of logs by annotation, as the preset makes it, against a simulated API server: which annotation decides, and that a
 * change takes effect while the agent runs. With OTELCOL=path the same configuration also runs in that otelcol-contrib.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { collection, type LogsCollectionOptions, type Spec } from '../src/deploy/index.ts';
import { CLUSTER_RESOURCES, type Population } from '../src/kubernetes/simulated/population.ts';
import { startApiServer } from '../src/kubernetes/testing.ts';
import { defer, startAgent, tempDir, until } from './helpers/agent.ts';
import { SLUICE } from './helpers/paths.ts';

const otelcol = process.env['OTELCOL'];
const ENGINES: readonly (readonly [name: string, command: string, spec: Spec])[] = [
  ['sluice', SLUICE, {}],
  ['sluice, as for otelcol-contrib', SLUICE, { engine: 'otelcol-contrib', collectorVersion: '0.149.0' }],
  ...(otelcol
    ? ([['otelcol-contrib', otelcol, { engine: 'otelcol-contrib', collectorVersion: '0.149.0' }]] as const)
    : []),
];

type Annotations = Readonly<Record<string, string>>;
const enabled = (value: string, container = ''): Annotations => ({
  [`io.opentelemetry.discovery.logs${container && `.${container}`}/enabled`]: value,
});

/** Namespace, annotations of pod and container app, and whether the lines of app and of proxy are collected. */
const NAMESPACES: Readonly<Record<string, Annotations>> = {
  plain: {},
  out: enabled('false'),
  in: enabled('true'),
  mesh: { ...enabled('true'), ...enabled('false', 'proxy') },
};
interface Case {
  readonly namespace: string;
  readonly annotations: Annotations;
  /** Containers that are collected. */
  readonly optOut: string;
  readonly optIn: string;
}
const BOTH = 'app proxy';
const CASES: Readonly<Record<string, Case>> = {
  nobody: { namespace: 'plain', annotations: {}, optOut: BOTH, optIn: '' },
  'pod-out': { namespace: 'plain', annotations: enabled('false'), optOut: '', optIn: '' },
  'pod-in': { namespace: 'plain', annotations: enabled('true'), optOut: BOTH, optIn: BOTH },
  'pod-odd': { namespace: 'plain', annotations: enabled('yes'), optOut: '', optIn: '' },
  'pod-empty': { namespace: 'in', annotations: enabled(''), optOut: BOTH, optIn: BOTH },
  'app-out': { namespace: 'plain', annotations: enabled('false', 'app'), optOut: 'proxy', optIn: '' },
  'app-in': { namespace: 'plain', annotations: enabled('true', 'app'), optOut: BOTH, optIn: 'app' },
  'app-beats-pod': {
    namespace: 'plain',
    annotations: { ...enabled('false'), ...enabled('true', 'app') },
    optOut: 'app',
    optIn: 'app',
  },
  'namespace-out': { namespace: 'out', annotations: {}, optOut: '', optIn: '' },
  'namespace-in': { namespace: 'in', annotations: {}, optOut: BOTH, optIn: BOTH },
  'pod-beats-namespace': { namespace: 'out', annotations: enabled('true'), optOut: BOTH, optIn: BOTH },
  'app-beats-namespace': { namespace: 'in', annotations: enabled('false', 'app'), optOut: 'proxy', optIn: 'proxy' },
  'namespace-proxy': { namespace: 'mesh', annotations: {}, optOut: 'app', optIn: 'app' },
  'pod-beats-namespace-proxy': { namespace: 'mesh', annotations: enabled('true'), optOut: BOTH, optIn: BOTH },
};
const uidOf = (i: number): string => `00000000-0000-4000-8000-${String(i).padStart(12, '0')}`;
const POD_UIDS = new Map(Object.keys(CASES).map((name, i) => [name, uidOf(i)]));

function putNamespace(population: Population, name: string, annotations: Annotations): void {
  population.put('namespaces', { metadata: { name, annotations } });
}

function putPod(population: Population, name: string, annotations: Annotations): void {
  const { namespace } = CASES[name]!;
  const containers = ['app', 'proxy'];
  population.put('pods', {
    metadata: { name, namespace, uid: POD_UIDS.get(name)!, annotations },
    spec: { nodeName: 'node-1', containers: containers.map((c) => ({ name: c, image: 'web:1' })) },
    status: {
      phase: 'Running',
      podIP: '10.0.0.1',
      containerStatuses: containers.map((c) => ({ name: c, restartCount: 0, containerID: `containerd://${c}` })),
    },
  });
}

interface Logs {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly { readonly key: string }[] };
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: { readonly stringValue: string } }[];
    }[];
  }[];
}
interface Received {
  readonly body: string;
  readonly attributes: readonly string[];
}

async function start(
  t: TestContext,
  [, command, spec]: (typeof ENGINES)[number],
  logsCollection: LogsCollectionOptions,
  prepare: (node: { write: (pod: string, text: string) => void }) => void,
) {
  const dir = tempDir(t);
  const running = await startApiServer({}, CLUSTER_RESOURCES);
  defer(t, () => running.stop());
  const { population } = running;
  for (const name of ['kube-system', ...Object.keys(NAMESPACES)])
    putNamespace(population, name, NAMESPACES[name] ?? {});
  for (const [name, { annotations }] of Object.entries(CASES)) putPod(population, name, annotations);
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'a', cluster: { server: running.url } }],
      users: [{ name: 'a', user: { token: 'secret' } }],
      contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
      'current-context': 'a',
    }),
  );
  const write = (pod: string, text: string): void => {
    for (const container of ['app', 'proxy']) {
      const { namespace } = CASES[pod]!;
      const file = join(dir, `pods/${namespace}_${pod}_${POD_UIDS.get(pod)!}/${container}/0.log`);
      mkdirSync(dirname(file), { recursive: true });
      appendFileSync(file, `2026-11-23T04:00:00.000000000Z stdout F ${text} ${pod} ${container}\n`);
    }
  };
  prepare({ write });
  const requests: string[] = [];
  const destination = createServer(async (req, res) => {
    let text = '';
    for await (const chunk of req) text += String(chunk);
    requests.push(text);
    res.setHeader('content-type', 'application/json').end('{}');
  });
  destination.listen(0, '127.0.0.1');
  await once(destination, 'listening');
  defer(t, () => {
    destination.closeAllConnections();
    destination.close();
  });
  const { tiers } = collection({
    ...spec,
    gateway: false,
    destinations: {
      logs: { url: `http://127.0.0.1:${(destination.address() as AddressInfo).port}`, compression: 'none' },
    },
    agent: {
      presets: { logsCollection, kubeletMetrics: false, hostMetrics: false },
      batch: { timeout: '50ms' },
      config: {
        exporters: { 'otlp_http/logs': { encoding: 'json' } },
        service: {
          telemetry: { metrics: { $replace: { level: 'none' } } },
          // Ports are for one collector at a time.
          extensions: ['file_storage'],
        },
      },
    },
  });
  const config = join(dir, 'config.yaml');
  writeFileSync(
    config,
    stringify(tiers[0]!.config, { aliasDuplicateObjects: false, lineWidth: 0 })
      .replaceAll('/var/lib/otelcol', join(dir, 'storage'))
      .replaceAll('/var/log/pods', join(dir, 'pods'))
      .replaceAll('auth_type: serviceAccount', 'auth_type: kubeConfig'),
  );
  const agent = startAgent(t, ['--config', config], {
    command,
    env: { KUBECONFIG: kubeconfig, K8S_NODE_NAME: 'node-1' },
  });
  const records = (): Received[] =>
    requests.flatMap((text) =>
      (JSON.parse(text) as Logs).resourceLogs.flatMap((r) =>
        r.scopeLogs.flatMap((s) =>
          s.logRecords.map((l) => ({
            body: l.body.stringValue,
            attributes: r.resource.attributes.map((a) => a.key),
          })),
        ),
      ),
    );
  const bodies = (start: string): string[] =>
    records()
      .map((r) => r.body)
      .filter((b) => b.startsWith(`${start} `))
      .map((b) => b.slice(start.length + 1))
      .sort();
  return { population, agent, write, records, bodies };
}

const expected = (mode: 'optIn' | 'optOut'): string[] =>
  Object.entries(CASES)
    .flatMap(([name, c]) => (c[mode] === '' ? [] : c[mode].split(' ').map((container) => `${name} ${container}`)))
    .sort();

for (const engine of ENGINES)
  for (const [mode, option] of [
    ['optOut', 'opt-out'],
    ['optIn', 'opt-in'],
  ] as const)
    test(`${engine[0]}, ${option}: the nearest annotation decides, a change while it runs too, and none is stored`, async (t) => {
      const { population, agent, write, records, bodies } = await start(
        t,
        engine,
        { byAnnotation: option, exclude: { pods: ['pod-in'] } },
        (node) => {
          for (const name of Object.keys(CASES)) node.write(name, 'before');
        },
      );
      // What a rule of the spec excludes, no annotation brings back.
      const wanted = expected(mode).filter((b) => !b.startsWith('pod-in '));
      await until(() => bodies('before').length >= wanted.length, `${wanted.length} records`);
      assert.deepEqual(bodies('before'), wanted);

      putPod(population, 'nobody', enabled(mode === 'optOut' ? 'false' : 'true'));
      putPod(population, 'app-beats-pod', enabled('true', 'proxy'));
      putNamespace(population, 'out', enabled('true', 'app'));
      const changed = ['nobody', 'app-beats-pod', 'namespace-out', 'namespace-in'];
      const after =
        mode === 'optOut'
          ? [
              'app-beats-pod app',
              'app-beats-pod proxy',
              'namespace-in app',
              'namespace-in proxy',
              'namespace-out app',
              'namespace-out proxy',
            ]
          : [
              'app-beats-pod proxy',
              'namespace-in app',
              'namespace-in proxy',
              'namespace-out app',
              'nobody app',
              'nobody proxy',
            ];
      let round = 0;
      await until(async () => {
        round++;
        for (const name of changed) write(name, `round-${round}`);
        await until(() => bodies(`round-${round}`).includes('namespace-in proxy'), `round ${round}`);
        return round > 1 && JSON.stringify(bodies(`round-${round - 1}`)) === JSON.stringify(after);
      }, 'the change');
      for (const name of changed) write(name, 'end');
      await until(() => bodies('end').length >= after.length, 'the last records');
      await agent.stop();
      assert.deepEqual(bodies('end'), after);
      assert.deepEqual(bodies('before'), wanted);
      assert.deepEqual(
        records().flatMap((r) => r.attributes.filter((a) => a.startsWith('discovery'))),
        [],
      );
      assert.ok(records().every((r) => r.attributes.includes('k8s.pod.start_time')));
    });
