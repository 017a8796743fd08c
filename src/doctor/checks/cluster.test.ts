/** The cluster as a whole: away, refusing, another one than is meant, without collectors, with those of others, large. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { SimulatedApiServerOptions } from '../../kubernetes/simulated/api-server.ts';
import type { Draft } from '../../kubernetes/simulated/population.ts';
import { runChecks } from '../run.ts';
import {
  agentPod,
  type ContextOptions,
  contextFor,
  deploy,
  findings,
  namespaceDraft,
  nodeDraft,
  startCluster,
  type TestCluster,
  told,
} from '../testing.ts';
import { agents } from './agents.ts';
import { cluster as check } from './cluster.ts';
import { configuration } from './configuration.ts';
import { destinations } from './destinations.ts';

async function start(t: TestContext, options: SimulatedApiServerOptions = {}): Promise<TestCluster> {
  const cluster = await startCluster(options);
  t.after(() => cluster.stop());
  return cluster;
}

async function report(t: TestContext, url: string | undefined, options: ContextOptions = {}) {
  const ctx = await contextFor(url, options);
  t.after(() => ctx.close());
  return runChecks(ctx);
}

const CONFIG =
  'receivers: {otlp: {protocols: {http: {}}}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}';

test('an API server that is away, or refuses everything, is told once', async (t) => {
  const refusing = (status: number, message: string) => ({ fault: () => ({ status, message }) });
  const table: [string, string, RegExp][] = [
    [
      'http://127.0.0.1:1',
      'the API server cannot be reached',
      /`kubectl --context kind-dev version` must answer.*kubectl config get-contexts/,
    ],
    [
      (await start(t, refusing(401, 'Unauthorized'))).url,
      'the API server does not accept the credentials',
      /kubectl --context kind-dev auth whoami/,
    ],
    [
      (await start(t, refusing(503, 'etcd is away'))).url,
      'the API server answers with errors',
      /^kubectl --context kind-dev get --raw '\/readyz\?verbose'$/,
    ],
  ];
  for (const [url, what, fix] of table) {
    const results = await report(t, url, { contextName: 'kind-dev' });
    const [first, ...more] = results;
    assert.deepEqual(told(first!.findings), [`failure: ${what}`]);
    assert.match(
      first!.findings[0]!.how,
      /^context kind-dev, http:.*; not looked at: Configuration, Pod Security, .*Other collectors of the same pods$/,
    );
    assert.match(first!.findings[0]!.fix!, fix);
    assert.deepEqual(
      more.flatMap((r) => told(r.findings)).filter((f) => !f.startsWith('ok')),
      [],
      'nothing repeats it',
    );
    // Who looks at a file has perhaps no cluster in mind.
    const [own] = await report(t, url, { config: CONFIG });
    assert.equal(own!.findings[0]!.state, 'unknown');
  }
});

test('without any cluster, and with one that answers', async (t) => {
  const [none] = await report(t, undefined);
  assert.deepEqual(told(none!.findings), ['unknown: there is no cluster to look at']);
  const [broken] = await report(t, undefined, { problem: 'exec: aws ended with 255: the session has expired' });
  assert.deepEqual(told(broken!.findings), ['failure: the kubeconfig cannot be used']);
  const { url } = await start(t);
  const [found] = await findings(check, url, { contextName: 'prod' });
  assert.deepEqual([found!.state, found!.how], ['ok', `context prod, ${url}`]);
  assert.match(found!.what, /^the API server answers as v1\.\d+/);
});

test('who may see nothing is told which right to ask for', async (t) => {
  const { url } = await start(t, {
    fault: ({ path }) =>
      path === '/version' ? undefined : { status: 403, message: 'forbidden: User "jane" cannot list' },
  });
  const results = await report(t, url);
  assert.deepEqual(
    results.map((r) => [r.id, r.findings[0]!.state]),
    [
      ['cluster', 'ok'],
      ['agents', 'unknown'],
      ['clocks', 'unknown'],
    ],
  );
  assert.equal(
    results[1]!.findings[0]!.fix,
    '`kubectl auth can-i list daemonsets.apps -n opentelemetry` must say yes: ask for the right, or use another --context',
  );
});

/** As the OpenTelemetry chart installs release `my-otel`. */
function installHelm({ population: p, texts }: TestCluster, config: string): void {
  const name = 'my-otel-opentelemetry-collector-agent';
  const labels = { 'app.kubernetes.io/name': 'opentelemetry-collector', 'app.kubernetes.io/instance': 'my-otel' };
  const container = {
    name: 'opentelemetry-collector',
    image: 'otel/opentelemetry-collector-contrib:0.149.0',
    args: ['--config=/conf/relay.yaml'],
    volumeMounts: [
      { mountPath: '/conf', name: 'opentelemetry-collector-configmap' },
      { mountPath: '/var/log/pods', name: 'varlogpods' },
    ],
  };
  const volumes = [
    { name: 'opentelemetry-collector-configmap', configMap: { name, items: [{ key: 'relay', path: 'relay.yaml' }] } },
    { name: 'varlogpods', hostPath: { path: '/var/log/pods' } },
  ];
  p.put('namespaces', namespaceDraft('default'));
  p.put('nodes', nodeDraft('worker-1'));
  p.put('daemonsets.apps', {
    metadata: { name, namespace: 'default', labels, creationTimestamp: '2026-11-01T00:00:00Z' },
    spec: { selector: { matchLabels: labels }, template: { spec: { containers: [container], volumes } } },
  });
  p.put('configmaps', { metadata: { name, namespace: 'default' }, data: { relay: config } });
  const pod = agentPod('worker-1');
  p.put('pods', { ...pod, metadata: { ...pod.metadata, name: `${name}-x`, namespace: 'default', labels } });
  const sent = 'otelcol_exporter_send_failed_log_records__records__total{exporter="otlphttp"} 10\n';
  texts.set(`/api/v1/namespaces/default/pods/${name}-x:8888/proxy/metrics`, sent);
}

const helmConfig = (more = ''): string => `
receivers:
  filelog: {include: [/var/log/pods/*/*/*.log], operators: [{type: container}]}
  ${more}
exporters: {otlphttp: {endpoint: "http://vl.logs.svc.cluster.local:9428/insert/opentelemetry"}}
service:
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}}
  pipelines: {logs: {receivers: [filelog], exporters: [otlphttp]}}
`;

test('a release of the OpenTelemetry chart is found where it is, with what sluice knows of its configuration', async (t) => {
  const cluster = await start(t);
  installHelm(cluster, helmConfig('jaeger: {protocols: {grpc: {endpoint: "0.0.0.0:14250"}}}'));
  const [elsewhere] = await findings(agents, cluster.url);
  assert.equal(told([elsewhere!])[0], 'failure: there is no namespace opentelemetry; collectors run in default');
  assert.equal(elsewhere!.fix, 'sluice doctor -n default');
  cluster.allowed = new Set(['list secrets']);
  const results = await report(t, cluster.url, { namespace: 'default' });
  const section = (id: string) => results.find((r) => r.id === id)?.findings ?? [];
  const name = 'my-otel-opentelemetry-collector-agent';
  assert.deepEqual(told(section('configuration')), [`ok: the configuration of ${name} is understood`]);
  assert.match(section('configuration')[0]!.how, /not known here, and not looked at: receivers::jaeger;/);
  assert.deepEqual(told(section('agents')), [`ok: ${name} runs on the node`]);
  assert.deepEqual(told(section('pod-security')), [`ok: the namespace default lets the pods of ${name} in`]);
  assert.deepEqual(told(section('pod-logs')), ['ok: the files of filelog are mounted']);
  // Whether jaeger needs the secrets, nobody can say.
  assert.deepEqual(told(section('rights')), [`ok: ${name} needs no right`]);
  assert.match(section('rights')[0]!.how, /without receivers::jaeger$/);
  assert.deepEqual(told(section('delivery')), ['failure: otlphttp has delivered nothing']);
  assert.equal(section('delivery')[0]!.fix, `kubectl logs -n default ${name}-x | sluice doctor --from-logs -`);
  // A section that does not fit is left out as well; what is no YAML is not understood at all.
  for (const [config, what] of [
    [helmConfig('otlp: {protocols: {quic: {}}}'), `ok: the configuration of ${name} is understood`],
    ['receivers: [', `unknown: the configuration of ${name} cannot be read`],
  ] as const) {
    installHelm(cluster, config);
    assert.deepEqual(told(await findings(configuration, cluster.url, { namespace: 'default' })), [what]);
  }
});

test('what only the pod can see is asked for without sluice where its image has none', async (t) => {
  const cluster = await start(t);
  installHelm(cluster, helmConfig());
  cluster.population.put('services', {
    metadata: { name: 'vl', namespace: 'logs' },
    spec: { ports: [{ port: 9428 }] },
  });
  cluster.population.put('endpointslices.discovery.k8s.io', {
    metadata: { name: 'vl-1', namespace: 'logs', labels: { 'kubernetes.io/service-name': 'vl' } },
    endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true } }],
  });
  const [found] = await findings(destinations, cluster.url, { namespace: 'default' });
  assert.match(
    found!.fix!,
    /^kubectl run -n default sluice-try --rm -i --restart=Never --image=\S+ -- -sS .* http:\/\/vl\.logs\.svc\.cluster\.local:9428\/insert\/opentelemetry\/v1\/logs$/,
  );
});

test('the Service that may be meant is named', async (t) => {
  const cluster = await start(t);
  deploy(cluster);
  const put = (name: string, namespace: string, port: number) =>
    cluster.population.put('services', { metadata: { name, namespace }, spec: { ports: [{ port }] } });
  const fix = async () => (await findings(destinations, cluster.url))[0]!.fix;
  put('web', 'shop', 80);
  assert.equal(await fix(), 'correct the endpoint, or install the destination');
  put('victoria-logs', 'monitoring', 9428);
  put('vl', 'observability', 9428);
  assert.equal(
    await fix(),
    'is it http://vl.observability.svc.cluster.local:9428, http://victoria-logs.monitoring.svc.cluster.local:9428? Correct the endpoint, or install the destination',
  );
});

test('hundreds of nodes with several troubles are few lines', async (t) => {
  const cluster = await start(t);
  deploy(cluster);
  const crashing = {
    containerStatuses: [
      {
        name: 'otel-agent',
        ready: false,
        restartCount: 9,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { reason: 'Error', exitCode: 1 } },
      },
    ],
  };
  for (let i = 0; i < 400; i++) {
    const name = `n-${i}`;
    const isTainted = i % 4 === 0;
    cluster.population.put(
      'nodes',
      nodeDraft(name, isTainted ? { taints: [{ key: 'gpu', effect: 'NoSchedule' }] } : {}),
    );
    if (!isTainted) cluster.population.put('pods', agentPod(name, i % 4 === 1 ? crashing : {}) as Draft);
    const counted =
      'otelcol_exporter_send_failed_log_records{exporter="a"} 5\nsluice_ledger_records{outcome="read"} 5\n';
    cluster.texts.set(`/api/v1/namespaces/opentelemetry/pods/otel-agent-${name}:8888/proxy/metrics`, counted);
  }
  const results = await report(t, cluster.url);
  const section = (id: string) => results.find((r) => r.id === id)!.findings;
  assert.deepEqual(told(section('agents')), [
    'failure: no running otel-agent on 100 nodes of 401 (n-0, n-100, n-104, n-108, n-112 and 95 more): its taint gpu:NoSchedule is not tolerated',
    'failure: no running otel-agent on 100 nodes of 401 (n-1, n-101, n-105, n-109, n-113 and 95 more): its pod does not become ready',
  ]);
  assert.deepEqual(told(section('pods')), ['failure: otel-agent crashes again and again']);
  assert.deepEqual(told(section('delivery')), ['failure: a has delivered nothing']);
  assert.match(section('delivery')[0]!.how, /^otel-agent-n-10: .*; and 9 more of the kind$/);
  assert.deepEqual(told(section('rotation')), ['ok: nothing was lost']);
  assert.equal(section('kubelet').length, 1);
  for (const { findings: list } of results) assert.ok(list.length <= 3, JSON.stringify(list));
});
