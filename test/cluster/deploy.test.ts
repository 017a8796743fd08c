/** From a spec to data: what `sluice render` makes of it runs on a real cluster, and what it collects arrives. */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import type { Spec } from '../../src/deploy/index.ts';
import { tempDir, until } from '../helpers/agent.ts';
import { SLUICE } from '../helpers/paths.ts';
import { clientOf } from '../helpers/victoria-logs/client.ts';
import { victoriaLogsProgram } from '../helpers/victoria-logs/program.ts';
import { type RealServer, startRealVictoriaLogs } from '../helpers/victoria-logs/real.ts';
import { startVictoriaMetrics, type VictoriaMetrics, victoriaMetricsProgram } from '../helpers/victoria-metrics.ts';
import { type Any, LIMIT_MS, openCluster, stateDir } from './cluster.ts';
import { type Deployment, deploy, found, IMAGE, loadSluice, runProgram } from './deployment.ts';
import { type OtlpSink, type SinkRecord, startOtlpSink } from './otlp-sink.ts';
import { deployment, ticker } from './workloads.ts';

const cluster = openCluster();
before(() => loadSluice(cluster));

const FAST = { batch: { timeout: '1s' } };

/** Logs of the namespace only: other tests leave files of pods that are gone. */
const specFor = (namespace: string, vm: VictoriaMetrics, sink: OtlpSink): Spec => ({
  clusterName: 'home',
  destinations: { metrics: { url: vm.writeUrl }, logs: { url: `${sink.url}/insert/opentelemetry` } },
  agent: {
    ...FAST,
    presets: {
      logsCollection: { include: { namespaces: [namespace] } },
      falco: { namespaces: [namespace] },
      kubeletMetrics: { interval: '5s' },
      selfMonitoring: { interval: '5s' },
    },
  },
  gateway: FAST,
});

/** A pod that says what Falco says, of which one alert is about another pod. */
function falco(namespace: string, about: Any): object[] {
  const alert = (priority: string, fields: object): object => ({
    hostname: cluster.nodeName,
    output: `04:00:01.123456789: ${priority} A shell was spawned in a container (user=root shell=bash)`,
    output_fields: { 'proc.name': 'bash', 'user.name': 'root', ...fields },
    priority,
    rule: 'Terminal shell in container',
    source: 'syscall',
    tags: ['T1059', 'container', 'shell'],
    time: '2026-11-23T04:00:01.123456789Z',
  });
  const pod = { 'k8s.ns.name': namespace, 'k8s.pod.name': about.metadata.name, 'container.name': 'ticker' };
  const lines = [
    'Falco version: 0.41.0 (x86_64)',
    JSON.stringify(alert('Warning', pod)),
    JSON.stringify(alert('Critical', { 'container.id': 'host', 'k8s.ns.name': null, 'k8s.pod.name': null })),
    'Events detected: 2',
  ];
  const metadata = { name: 'falco-x1', namespace };
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { lines: `${lines.join('\n')}\n` } },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: 'falco',
            image: IMAGE,
            imagePullPolicy: 'Never',
            command: ['sh', '-c', 'cat /said/lines; exec sleep 100000'],
            volumeMounts: [{ name: 'said', mountPath: '/said' }],
          },
        ],
        volumes: [{ name: 'said', configMap: { name: metadata.name } }],
      },
    },
  ];
}

/** A program that is called as users call it: with `kubectl` on the path. */
function shell(t: TestContext) {
  const dir = tempDir(t);
  const kubectl = join(dir, 'kubectl');
  writeFileSync(kubectl, `#!/bin/sh\nexec ${join(stateDir(), 'bin', 'kube')} kubectl "$@"\n`);
  chmodSync(kubectl, 0o755);
  return (command: string) => runProgram(cluster, 'sh', '-c', `PATH=${dir}:$PATH\n${command}`);
}

/** Bytes that the node's interfaces have received. */
const receivedBytes = (): Map<string, number> =>
  new Map(
    readFileSync('/proc/1/net/dev', 'utf8')
      .split('\n')
      .slice(2)
      .filter((line) => line.includes(':'))
      .map((line) => [line.split(':')[0]!.trim(), Number(line.split(':')[1]!.trim().split(/\s+/)[0])]),
  );

async function metricsArrive(vm: VictoriaMetrics, namespace: string, pod: Any): Promise<void> {
  const node = `k8s_node_name="${cluster.nodeName}",k8s_cluster_name="home"`;
  const own = `k8s_namespace_name="${namespace}",k8s_pod_name="${pod.metadata.name}",k8s_container_name="ticker"`;
  const queries: [string, (value: number) => boolean][] = [
    // Of the kubelet, with what k8s_attributes adds.
    [`container_memory_working_set_bytes{${own},k8s_deployment_name="web",${node}}`, (v) => v > 0],
    [`k8s_pod_cpu_time_seconds_total{${own},${node}}`, (v) => v > 0],
    [`k8s_node_memory_available_bytes{${node}}`, (v) => v > 0],
    // Of the host.
    [`sum(system_cpu_time_seconds_total{${node},state="idle"})`, (v) => v > 0],
    [`system_filesystem_usage_bytes{${node},mountpoint="/",state="used"}`, (v) => v > 0],
    // Of the cluster.
    [`k8s_deployment_available{k8s_namespace_name="${namespace}",k8s_deployment_name="web"}`, (v) => v === 2],
    [`k8s_pod_phase{${own}}`, (v) => v === 2],
    [`k8s_node_condition_ready{${node}}`, (v) => v === 1],
    ['k8s_daemonset_ready_nodes{k8s_daemonset_name="otel-agent"}', (v) => v === 1],
    // Of the agent itself.
    ['otelcol_process_memory_rss_bytes{k8s_namespace_name="opentelemetry"}', (v) => v > 20e6 && v < 512e6],
  ];
  for (const [query, isRight] of queries) {
    let got: unknown;
    const isThere = async () => {
      got = await vm.query(query);
      return (got as { value: number }[]).some((r) => isRight(r.value));
    };
    await until(isThere, query, 60_000).catch(() => assert.fail(`${query}: ${JSON.stringify(got)}`));
  }
}

const isOf = (r: SinkRecord, pod: Any): boolean => r.resource['k8s.pod.uid'] === pod.metadata.uid;

async function logsArrive(sink: OtlpSink, namespace: string, pod: Any): Promise<void> {
  const line = await found(() => sink.records.find((r) => isOf(r, pod) && /"n":7,/.test(r.body)), 'a line of the pod');
  const { 'k8s.cluster.uid': uid, ...resource } = line.resource;
  assert.equal(uid, (await cluster.get('namespace', 'kube-system')).metadata.uid);
  const owner = pod.metadata.ownerReferences[0];
  assert.deepEqual(resource, {
    'container.image.name': 'localhost/ticker',
    'container.image.tag': '1',
    'k8s.cluster.name': 'home',
    'k8s.container.name': 'ticker',
    'k8s.container.restart_count': '0',
    'k8s.deployment.name': 'web',
    'k8s.namespace.name': namespace,
    'k8s.node.name': cluster.nodeName,
    'k8s.pod.name': pod.metadata.name,
    'k8s.pod.start_time': pod.metadata.creationTimestamp,
    'k8s.pod.uid': pod.metadata.uid,
    'k8s.replicaset.name': owner.name,
    'k8s.replicaset.uid': owner.uid,
    'service.instance.id': `${namespace}.${pod.metadata.name}.ticker`,
    'service.name': 'web',
    'service.namespace': namespace,
    'service.version': '1',
  });
  assert.equal(line.attributes['log.iostream'], 'stdout');
  assert.ok(Math.abs(line.timeMs - Date.parse(pod.metadata.creationTimestamp)) < LIMIT_MS, String(line.timeMs));
}

/** All since the pod was made; with the gateway events begin, so those before it are not asked for. */
async function eventsArrive(sink: OtlpSink, namespace: string, pod: Any): Promise<void> {
  const events = () => sink.records.filter((r) => r.attributes['k8s.resource.name'] === 'events');
  const own = () => events().filter((r) => r.resource['k8s.namespace.name'] === namespace);
  const started = await found(
    () => own().find((r) => r.attributes['k8s.pod.uid'] === pod.metadata.uid && r.body.object.reason === 'Started'),
    'the event of the start of a container',
  );
  assert.match(started.body.object.note, /^Started container ticker|^Container started/);
  assert.deepEqual(
    [started.attributes['k8s.event.reason'], started.attributes['k8s.object.kind'], started.severityNumber],
    ['Started', 'Pod', 9],
  );
  const missing = async () => {
    const got = new Set(own().map((r) => r.attributes['k8s.event.uid']));
    const there = await cluster.list('events.events.k8s.io', '-n', namespace);
    const since = Date.parse(pod.metadata.creationTimestamp);
    const wanted = there.filter((e) => Date.parse(e.metadata.creationTimestamp) >= since);
    return wanted.filter((e) => !got.has(e.metadata.uid)).map((e) => e.note);
  };
  await until(async () => (await missing()).length === 0, 'all events', LIMIT_MS);
  const versions = events().map((r) => `${r.attributes['k8s.event.uid']} ${r.body.object.metadata.resourceVersion}`);
  assert.deepEqual(
    versions.filter((v, i) => versions.indexOf(v) !== i),
    [],
  );
}

async function alertsArrive(sink: OtlpSink, namespace: string, web: Any): Promise<void> {
  const alerts = () => sink.records.filter((r) => r.attributes['falco.rule'] !== undefined);
  const text = (start: string) => sink.records.filter((r) => typeof r.body === 'string' && r.body.startsWith(start));
  await until(() => alerts().length >= 2 && text('Events detected').length > 0, 'alerts of Falco', LIMIT_MS);
  assert.deepEqual([alerts().length, text('Falco version').length], [2, 1]);
  const [warning, critical] = ['Warning', 'Critical'].map((p) => alerts().find((a) => a.severityText === p));
  assert.match(warning?.body, /^04:00:01\.123456789: Warning A shell was spawned/);
  assert.equal(warning!.severityNumber, 13);
  assert.equal(warning!.timeMs, Date.parse('2026-11-23T04:00:01.123Z'));
  assert.equal(warning!.attributes['falco.rule'], 'Terminal shell in container');
  assert.deepEqual(warning!.attributes['falco.tags'], ['T1059', 'container', 'shell']);
  assert.equal((warning!.attributes['falco.output_fields'] as Any)['proc.name'], 'bash');
  // The pod that it is about, with what Kubernetes knows of that.
  assert.deepEqual(
    ['k8s.pod.name', 'k8s.pod.uid', 'k8s.container.name', 'k8s.deployment.name', 'k8s.namespace.name'].map(
      (key) => warning!.resource[key],
    ),
    [web.metadata.name, web.metadata.uid, 'ticker', 'web', namespace],
  );
  assert.deepEqual([critical!.severityNumber, critical!.resource['k8s.pod.name']], [18, 'falco-x1']);
}

async function commandsWork(t: TestContext, { podOf }: Deployment, vm: VictoriaMetrics): Promise<void> {
  const sh = shell(t);
  const agent = await podOf('agent');
  const pods = await sh('kubectl get pods -n opentelemetry -o wide');
  assert.match(pods.stdout, new RegExp(`^${agent} +1/1 +Running .* ${cluster.nodeName} `, 'm'));
  assert.match(pods.stdout, /^otel-gateway-\w+-\w+ +1\/1 +Running /m);
  const log = await sh('kubectl logs -n opentelemetry -l app.kubernetes.io/name=otel-agent --tail=50');
  assert.match(log.stdout, /Everything is ready. Begin running and processing data\./);
  const troubles = await sh(
    'kubectl logs -n opentelemetry -l app.kubernetes.io/name=otel-agent --tail=50 | grep "remote_write\\|error"',
  );
  assert.equal(troubles.stdout, '');
  const ask = (url: string) =>
    sh(`kubectl exec -n opentelemetry ${agent} -- curl -s -o /dev/null -w "%{http_code}" ${url}`);
  // It takes POST only, and says so.
  assert.match((await ask(vm.writeUrl)).stdout, /^(204|400)$/);
  assert.equal((await ask(`${vm.url}/health`)).stdout, '200');
  assert.equal((await ask(`http://${cluster.nodeIp}:1/`)).stdout, '000');
}

async function explanationsFit(deployed: Deployment, namespace: string, pod: Any): Promise<void> {
  const outside = await runProgram(cluster, SLUICE, 'doctor');
  assert.doesNotMatch(outside.stdout, /[✗?!] /u);
  assert.match(outside.stdout, /^\d+ ok$/m);
  assert.equal(outside.code, 0);
  const inside = await deployed.exec('agent', 'sluice', 'doctor');
  assert.doesNotMatch(inside, /[✗!] /u);
  const why = await deployed.exec('agent', 'sluice', 'why', pod.metadata.name, '-n', namespace);
  for (const part of [
    /✓ \S+\/ticker\/0\.log is read/,
    /✓ \d+ lines of ticker become \d+ records/,
    /✓ k8s_attributes attaches .*k8s\.deployment\.name=web/,
    /✓ logs → otlp_http\/logs \(.*: all \d+ records go there/,
    /✓ ticker is delivered/,
  ])
    assert.match(why, part);
  assert.doesNotMatch(why, /[✗?!] /u);
}

/** Of containers: the two pods and Falco. Events are in streams of what they are about, which has no container. */
async function storedAsWanted(vl: RealServer, namespace: string, pods: readonly string[]): Promise<void> {
  const logs = clientOf(() => vl.url);
  await vl.flush();
  const streams = await logs.streams('{"k8s.container.name"!=""}');
  const expected = [...pods.map((pod) => ['ticker', pod] as const), ['falco', 'falco-x1'] as const].map(
    ([container, pod]) =>
      `{k8s.cluster.name="home",k8s.container.name="${container}",k8s.namespace.name="${namespace}",k8s.pod.name="${pod}"}`,
  );
  assert.deepEqual(streams.sort(), expected.sort());
  const all = await logs.query('*');
  assert.ok(all.length > 10);
  for (const record of all) assert.doesNotMatch(record['_msg']!, /^missing _msg/, JSON.stringify(record));
  assert.ok((await logs.query(`k8s.resource.name:=events k8s.namespace.name:="${namespace}"`)).length > 0);
}

test('what is rendered runs and delivers', async (t) => {
  const namespace = await cluster.namespace(t, 'deploy');
  const vm = await startVictoriaMetrics(t, await victoriaMetricsProgram(), cluster.nodeIp);
  const program = await victoriaLogsProgram();
  assert.ok(program.missing === undefined);
  const vl = await startRealVictoriaLogs(t, program.path);
  const sink = await startOtlpSink(t, cluster.nodeIp, vl.url);
  await cluster.apply(deployment(namespace, 'web', 1, ticker()));
  const web = await found(async () => (await cluster.list('-n', namespace, 'pods'))[0], 'a pod');
  await cluster.apply(...falco(namespace, web));
  // A receiver that finds no file at its start says so.
  const wait = ['wait', 'pods', '--all', '--for=condition=Ready', `--timeout=${LIMIT_MS / 1000}s`];
  await cluster.kubectl(['-n', namespace, ...wait]);
  const bytesBefore = receivedBytes();
  const deployed = await deploy(t, cluster, specFor(namespace, vm, sink));
  await cluster.kubectl(['-n', namespace, 'scale', 'deployment/web', '--replicas=2']);
  const isNew = (p: Any) => p.metadata.uid !== web.metadata.uid && p.metadata.labels.app === 'web' && p.status.podIP;
  const pod = await found(
    async () => (await cluster.list('-n', namespace, 'pods', '-l', 'app=web')).find(isNew),
    'a new pod',
  );

  await t.test('metrics of kubelet, host, cluster and itself', () => metricsArrive(vm, namespace, pod));
  await t.test('interfaces are those of the node', async () => {
    const [device, bytes] = [...bytesBefore].find(([name]) => name !== 'lo')!;
    const query = `system_network_io_bytes_total{device="${device}",direction="receive"}`;
    const { value } = await found(async () => (await vm.query(query))[0], query);
    assert.ok(value >= bytes && value <= receivedBytes().get(device)!, `${value} of ${bytes}`);
  });
  await t.test('lines of a pod, with whose they are', () => logsArrive(sink, namespace, pod));
  await t.test('events, once', () => eventsArrive(sink, namespace, pod));
  await t.test('alerts of Falco', () => alertsArrive(sink, namespace, web));
  await t.test('VictoriaLogs is told what makes a stream', () => {
    assert.ok(sink.logRequests.length > 0);
    for (const headers of sink.logRequests) {
      assert.equal(headers['content-encoding'], 'zstd');
      assert.match(String(headers['vl-stream-fields']), /^k8s\.cluster\.name,k8s\.namespace\.name,k8s\.pod\.name,/);
      assert.match(String(headers['vl-msg-field']), /^_msg,object\.note,/);
    }
  });
  await t.test('VictoriaLogs has a stream for every container and a message for every record', () =>
    storedAsWanted(
      vl,
      namespace,
      [web, pod].map((p) => p.metadata.name as string),
    ),
  );
  await t.test('the commands of the README', (own) => commandsWork(own, deployed, vm));
  await t.test('doctor finds nothing, why tells the way of a line', () => explanationsFit(deployed, namespace, pod));
});
