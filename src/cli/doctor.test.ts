import assert from 'node:assert/strict';
import { type SpawnOptionsWithoutStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { agentPod, deploy, namespaceDraft, startCluster } from '../doctor/testing.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const folder = mkdtempSync(join(tmpdir(), 'sluice-cli-doctor-'));
after(() => rmSync(folder, { recursive: true }));

/** Not spawnSync: the simulated cluster answers from this process. */
function sluice(
  args: readonly string[],
  stdin = '',
): Promise<{ status: number | null; stdout: string; stderr: string }> {
  const options: SpawnOptionsWithoutStdio = { cwd: folder, env: { PATH: process.env['PATH'] ?? '', HOME: folder } };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], options);
  const out = { stdout: '', stderr: '' };
  child.stdout.on('data', (c: Buffer) => (out.stdout += c.toString()));
  child.stderr.on('data', (c: Buffer) => (out.stderr += c.toString()));
  child.stdin.end(stdin);
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, ...out })));
}

const FULL =
  '2026-11-23T10:00:00.000Z\terror\tx.go:1\tExporting failed. Rejecting data.\t{"otelcol.component.id": "otlphttp", "error": "sending queue is full"}\n';

test('doctor --from-logs reads a file or standard input, and its exit code tells of failures', async () => {
  writeFileSync(join(folder, 'agent.log'), FULL);
  const file = await sluice(['doctor', '--from-logs', 'agent.log']);
  assert.deepEqual([file.status, file.stderr], [1, '']);
  assert.equal(
    file.stdout,
    `sluice doctor: agent.log

✗ Log
  ✗ otlphttp: its queue is full, the destination is slower than the sources
      how: agent.log: 1 ×, 2026-11-23T10:00:00Z; ${FULL.trim()}
      fix: sending_queue: {num_consumers: 20, queue_size: 5000, storage: file_storage}, and find out why the destination is slow

1 failure
`,
  );
  const piped = await sluice(
    ['doctor', '--from-logs', '-', '--format', 'json'],
    FULL.replace('sending queue is full', 'x')
      .replace('error', 'info')
      .replace('Exporting failed. Rejecting data.', 'Started'),
  );
  assert.deepEqual([piped.status, piped.stderr], [0, '']);
  const report = JSON.parse(piped.stdout);
  assert.deepEqual(
    [report.state, report.totals, report.checks[0].id],
    ['ok', { failure: 0, warning: 0, unknown: 0, ok: 1 }, 'from-logs'],
  );
});

test('what is asked for wrongly is said in one text', async () => {
  const table: [string[], RegExp][] = [
    [['doctor', '--from-logs', 'missing.log'], /^Error: open missing\.log: no such file or directory\n$/],
    [['doctor', '--format', 'xml'], /use one of text, json/],
    [['doctor', '--kubeconfig', 'missing'], /^Error: --kubeconfig: KUBECONFIG names missing, which is not there\n$/],
    [['why'], /^Error: why takes the name of one pod/],
  ];
  for (const [args, message] of table) {
    const { status, stdout, stderr } = await sluice(args);
    assert.deepEqual([status, stdout], [1, ''], args.join(' '));
    assert.match(stderr, message);
  }
});

test('doctor and why with a kubeconfig', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  const kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: cluster.url } }],
      users: [{ name: 'u', user: { token: 'opensesame' } }],
    }),
  );
  cluster.population.put('namespaces', namespaceDraft('opentelemetry', 'baseline'));
  const bad = await sluice(['doctor', '--kubeconfig', kubeconfig]);
  assert.deepEqual([bad.status, bad.stderr], [1, '']);
  assert.match(
    bad.stdout,
    new RegExp(
      `^sluice doctor: outside of the cluster ${cluster.url}, Kubernetes v1\\.\\d+\\.\\d+, namespace opentelemetry\n`,
    ),
  );
  assert.match(
    bad.stdout,
    /\n✗ Pod Security\n {2}✗ the namespace opentelemetry enforces baseline, and otel-agent needs privileged\n/,
  );
  assert.match(bad.stdout, /\n✓ An agent on every node, a gateway that runs\n/);
  assert.doesNotMatch(bad.stdout, /opensesame/);
  const json = JSON.parse((await sluice(['doctor', '--kubeconfig', kubeconfig, '--format', 'json'])).stdout) as {
    checks: { id: string }[];
  };
  assert.deepEqual(
    json.checks.map((c) => c.id),
    [
      'cluster',
      'configuration',
      'pod-security',
      'agents',
      'pods',
      'pod-logs',
      'rights',
      'kubelet',
      'destinations',
      'clocks',
      'victoria-logs',
      'delivery',
      'logs',
      'duplicates',
    ],
  );
  const pod = agentPod('worker-1') as { metadata: object };
  cluster.population.put('pods', {
    ...agentPod('worker-1'),
    metadata: { ...pod.metadata, name: 'web', namespace: 'shop' },
  });
  const why = await sluice(['why', 'web', '-n', 'shop', '--kubeconfig', kubeconfig]);
  assert.deepEqual([why.status, why.stderr], [0, '']);
  assert.match(why.stdout, /^sluice why shop\/web: from outside\n/);
  assert.match(why.stdout, /kubectl exec -n opentelemetry otel-agent-worker-1 -- sluice why web -n shop\n/);
});

test('a cluster that is away is a failure, and a context that is not there an error', async () => {
  const kubeconfig = join(folder, 'away');
  const contexts = [{ name: 'dev', context: { cluster: 'c' } }];
  const clusters = [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }];
  writeFileSync(kubeconfig, JSON.stringify({ 'current-context': 'dev', contexts, clusters }));
  const away = await sluice(['doctor', '--kubeconfig', kubeconfig]);
  assert.deepEqual([away.status, away.stderr], [1, '']);
  assert.match(
    away.stdout,
    /^sluice doctor: outside of the cluster https:\/\/127\.0\.0\.1:1, namespace opentelemetry\n\n✗ Cluster\n {2}✗ the API server cannot be reached\n {6}how: context dev, [^\n]*\n {6}fix: [^\n]*\n\n1 failure\n$/,
  );
  const none = await sluice(['doctor', '--kubeconfig', kubeconfig, '--context', 'prod']);
  assert.deepEqual([none.status, none.stdout], [1, '']);
  assert.match(none.stderr, /^Error: --kubeconfig: context "prod" is not in .*; it has: "dev"\n$/);
});

test('without any cluster doctor still looks at what a configuration needs', async () => {
  writeFileSync(
    join(folder, 'c.yaml'),
    'receivers: {otlp: {protocols: {http: {}}}}\nexporters: {otlp_http: {endpoint: "http://127.0.0.1:1"}}\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [otlp], exporters: [otlp_http]}}}',
  );
  const { status, stdout, stderr } = await sluice(['doctor', '--config', 'c.yaml']);
  assert.deepEqual([status, stderr], [1, '']);
  assert.match(stdout, /^sluice doctor: without a cluster, namespace opentelemetry\n/);
  assert.match(stdout, /✗ otlp_http of the collector cannot reach http:\/\/127\.0\.0\.1:1\/v1\/logs\n/);
  assert.match(stdout, /name one with --kubeconfig/);
});
