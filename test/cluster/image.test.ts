/** The image as a kubelet runs it: without rights, without a writable root, with a limit of memory, until it is told to end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { before, test } from 'node:test';
import { writeLogRecord } from '../../src/wire/otlp-logs.ts';
import { ProtoWriter } from '../../src/wire/proto.ts';
import { defer, until } from '../helpers/agent.ts';
import { LIMIT_MS, openCluster } from './cluster.ts';
import { IMAGE, loadSluice } from './deployment.ts';

const cluster = openCluster();
const RESTRICTED = { 'pod-security.kubernetes.io/enforce': 'restricted' };

const CONFIG = `
receivers:
  otlp: {protocols: {http: {endpoint: '127.0.0.1:4318'}}}
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 80, spike_limit_percentage: 25}
  batch: {timeout: 1h}
exporters:
  debug: {}
extensions:
  health_check: {endpoint: '0.0.0.0:13133'}
  file_storage: {directory: /var/lib/otelcol}
service:
  extensions: [health_check, file_storage]
  pipelines:
    logs: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [debug]}
`;
const RECORD = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"the last one"}}]}]}]}';

function pod(namespace: string, name: string, security: object, container: object): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      restartPolicy: 'Never',
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' }, ...security },
      containers: [
        {
          name: 'sluice',
          image: IMAGE,
          imagePullPolicy: 'Never',
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          ...container,
        },
      ],
      volumes: [
        { name: 'conf', configMap: { name: 'conf', optional: true } },
        { name: 'state', emptyDir: {} },
      ],
    },
  };
}

before(() => loadSluice(cluster));

test('as its own user with a read-only root: it runs, is healthy, knows its limit, and drains on SIGTERM', async (t) => {
  const namespace = await cluster.namespace(t, 'image', RESTRICTED);
  const conf = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'conf', namespace },
    data: { 'relay.yaml': CONFIG },
  };
  const container = {
    resources: { limits: { memory: '256Mi' }, requests: { memory: '64Mi', cpu: '10m' } },
    readinessProbe: { httpGet: { port: 13133, path: '/' }, periodSeconds: 1 },
    volumeMounts: [
      { name: 'conf', mountPath: '/conf' },
      { name: 'state', mountPath: '/var/lib/otelcol' },
    ],
  };
  await cluster.apply(conf, pod(namespace, 'one', {}, container));
  const kubectl = (...args: string[]) => cluster.kubectl(['-n', namespace, ...args]);
  const exec = (...args: string[]) => kubectl('exec', 'one', '--', ...args);
  await kubectl('wait', 'pod/one', '--for=condition=Ready', `--timeout=${LIMIT_MS / 1000}s`);

  assert.match(await exec('sluice', '--version'), /^sluice version /);
  assert.match(await exec('curl', '--version'), /^curl .*OpenSSL/);
  assert.match(await exec('id'), /^uid=10001\(sluice\) gid=10001\(sluice\)/);
  const status = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}'];
  assert.equal(await exec(...status, 'http://127.0.0.1:8888/metrics'), '200');
  assert.match(await exec('sh', '-c', 'tr "\\0" " " < /proc/1/cmdline'), /^\S*node .*--config=\/conf\/relay.yaml $/);
  // 80 and 25 % of 256 MiB, not of the machine.
  assert.match(await kubectl('logs', 'one'), /Memory limiter configured.*"limit_mib": 204, "spike_limit_mib": 64/);

  const json = ['-H', 'content-type: application/json', '-d', RECORD];
  assert.equal(await exec(...status, ...json, 'http://127.0.0.1:4318/v1/logs'), '200');
  await exec('kill', '1');
  await kubectl('wait', 'pod/one', '--for=jsonpath={.status.phase}=Succeeded', `--timeout=${LIMIT_MS / 1000}s`);
  const log = await kubectl('logs', 'one');
  assert.match(log, /Received signal from OS.*terminated/);
  assert.match(log, /exporters\/debug\tLogs.*"log records": 1/);
  assert.match(log, /Shutdown complete/);
});

test('as any user, by the command of upstream’s image', async (t) => {
  const namespace = await cluster.namespace(t, 'image', RESTRICTED);
  const container = { command: ['/otelcol-contrib'], args: ['components'] };
  await cluster.apply(pod(namespace, 'any', { runAsUser: 1_000_650_000 }, container));
  const ended = async () => /^(Succeeded|Failed)$/.test((await cluster.get('-n', namespace, 'pod/any')).status.phase);
  await until(ended, 'the end of the command', LIMIT_MS);
  assert.match(await cluster.kubectl(['-n', namespace, 'logs', 'any']), /memory_limiter/);
});

/**
 * As fast as it is taken, from several connections, whatever the answers are, so long and until some are refused.
 * Resolves with how many there were by status.
 */
async function flood(url: string, body: Uint8Array<ArrayBuffer>, ms: number): Promise<Map<number, number>> {
  const answers = new Map<number, number>();
  const begin = performance.now();
  const goesOn = (): boolean => {
    const passedMs = performance.now() - begin;
    return passedMs < ms || (!answers.has(503) && passedMs < LIMIT_MS);
  };
  const headers = { 'content-type': 'application/x-protobuf' };
  const sender = async (): Promise<void> => {
    while (goesOn()) {
      const { status } = await fetch(url, { method: 'POST', headers, body });
      answers.set(status, (answers.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 8 }, sender));
  return answers;
}

test('128 MiB outlive senders that know no limit and a destination that never answers', async (t) => {
  const destination = createServer((req) => void req.resume()).listen(0, cluster.nodeIp);
  defer(t, () => {
    destination.closeAllConnections();
    destination.close();
  });
  await once(destination, 'listening');
  const { port } = destination.address() as { port: number };
  const config = CONFIG.replace('127.0.0.1:4318', '0.0.0.0:4318')
    .replace('check_interval: 1s', 'check_interval: 5s')
    .replace('timeout: 1h', 'timeout: 1s')
    .replaceAll('debug', 'otlphttp')
    .replace('otlphttp: {}', `otlphttp: {endpoint: 'http://${cluster.nodeIp}:${port}'}`);
  const namespace = await cluster.namespace(t, 'image', RESTRICTED);
  const conf = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'conf', namespace },
    data: { 'relay.yaml': config },
  };
  const container = {
    resources: { limits: { memory: '128Mi' }, requests: { memory: '64Mi', cpu: '10m' } },
    readinessProbe: { httpGet: { port: 13133, path: '/' }, periodSeconds: 1 },
    volumeMounts: [
      { name: 'conf', mountPath: '/conf' },
      { name: 'state', mountPath: '/var/lib/otelcol' },
    ],
  };
  await cluster.apply(conf, pod(namespace, 'small', {}, container));
  await cluster.kubectl([
    '-n',
    namespace,
    'wait',
    'pod/small',
    '--for=condition=Ready',
    `--timeout=${LIMIT_MS / 1000}s`,
  ]);
  const { podIP } = (await cluster.get('-n', namespace, 'pod/small')).status;

  const w = new ProtoWriter();
  const resource = w.open(1);
  const scope = w.open(2);
  for (let i = 0; i < 4000; i++) {
    const body = `line ${i} ${'x'.repeat(120)}`;
    const [severityNumber, severityText] = [9, 'INFO'];
    writeLogRecord(w, { time: BigInt(i), observedTime: 0n, severityNumber, severityText, body, attributes: new Map() });
  }
  w.close(scope);
  w.close(resource);
  const answers = await flood(`http://${podIP}:4318/v1/logs`, new Uint8Array(w.finish()), 8000);
  assert.deepEqual([...answers.keys()].sort(), [200, 503]);
  const [status] = (await cluster.get('-n', namespace, 'pod/small')).status.containerStatuses;
  assert.ok(status.state.running, JSON.stringify(status));
});
