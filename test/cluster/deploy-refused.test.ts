/** What a user sees when a deployment does not work, and on clusters that let less in: Pod Security, taints, broken destinations. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Spec } from '../../src/deploy/index.ts';
import { defer, tempDir, until } from '../helpers/agent.ts';
import { buildImage, OWN_ARCHITECTURE } from '../helpers/image.ts';
import { SLUICE } from '../helpers/paths.ts';
import { registryPrograms, startRegistry } from '../helpers/registry.ts';
import { type Any, LIMIT_MS, openCluster } from './cluster.ts';
import { deploy, found, IMAGE, loadSluice, runProgram } from './deployment.ts';
import { startOtlpSink } from './otlp-sink.ts';
import { pod, ticker } from './workloads.ts';

const cluster = openCluster();
before(() => loadSluice(cluster));

const ENFORCE = 'pod-security.kubernetes.io/enforce';
const TAINT = 'node-role.kubernetes.io/control-plane';

test('on Talos: the agent runs on a tainted control plane, and a gateway by itself where restricted is enforced', async (t) => {
  const namespace = await cluster.namespace(t, 'talos');
  const sink = await startOtlpSink(t, cluster.nodeIp);
  const own = `${namespace}-otel`;
  // It mounts /var/log as a whole, where the pods' logs may be those of another cluster.
  const talos = cluster.podLogsDir === '/var/log/pods';
  const spec: Spec = {
    namespace: own,
    platform: 'talos',
    destinations: { logs: { url: `${sink.url}/insert/opentelemetry` }, metrics: { url: `${sink.url}/v1/nothing` } },
    agent: { batch: { timeout: '1s' }, presets: { kubeletMetrics: { tls: 'skip' }, talos } },
    gateway: { namespace: `${own}-gateway`, batch: { timeout: '1s' } },
  };
  const deployed = await deploy(t, cluster, spec);
  const labelOf = async (name: string) => (await cluster.get('namespace', name)).metadata.labels[ENFORCE];
  assert.deepEqual([await labelOf(own), await labelOf(`${own}-gateway`)], ['privileged', 'restricted']);
  const gateway = ['rollout', 'status', 'deployment/otel-gateway', `--timeout=${LIMIT_MS / 1000}s`];
  await cluster.kubectl(['-n', `${own}-gateway`, ...gateway]);

  const taintsLeft = async () => JSON.stringify((await cluster.get('node', cluster.nodeName)).spec.taints ?? []);
  const untaint = async () => {
    if ((await taintsLeft()).includes(TAINT)) await cluster.kubectl(['taint', 'node', cluster.nodeName, `${TAINT}-`]);
  };
  defer(t, untaint);
  await cluster.kubectl(['taint', 'node', cluster.nodeName, `${TAINT}=:NoSchedule`]);
  const before = await deployed.podOf('agent');
  await deployed.kubectl('delete', 'pod', before);
  await deployed.kubectl('rollout', 'status', 'daemonset/otel-agent', `--timeout=${LIMIT_MS / 1000}s`);
  assert.notEqual(await deployed.podOf('agent'), before);
  // Others stay out.
  await cluster.apply(pod(namespace, 'web', ticker()));
  const message = await found(async () => {
    const { status } = await cluster.get('-n', namespace, 'pod', 'web');
    return status.conditions?.find((c: Any) => c.reason === 'Unschedulable')?.message as string | undefined;
  }, 'the refusal of the scheduler');
  assert.match(message, /untolerated taint/);
  await untaint();
  const isOfPod = (r: { resource: Any }) => r.resource['k8s.pod.name'] === 'web' && r.resource['k8s.node.name'];
  await until(() => sink.records.some(isOfPod), 'lines of the pod', LIMIT_MS);
});

test('where baseline is enforced no agent comes to be, and doctor says why and what to do', async (t) => {
  const namespace = `baseline-${Math.random().toString(36).slice(2, 8)}`;
  const refusal = /violates PodSecurity "baseline:latest".*hostPath volumes/;
  const spec: Spec = { namespace, agent: { presets: { hostMetrics: false } }, gateway: false };
  const events = async () =>
    (await cluster.list('-n', namespace, 'events')).filter((e: Any) => e.reason === 'FailedCreate');
  await deploy(t, cluster, spec, {
    edit: (manifest) => manifest.replaceAll(/(pod-security\.kubernetes\.io\/enforce: )privileged/g, '$1baseline'),
    isReady: () => found(async () => (await events()).find((e) => refusal.test(e.message)), 'the refusal'),
  });
  assert.deepEqual(await cluster.list('-n', namespace, 'pods'), []);

  const doctor = () => runProgram(cluster, SLUICE, 'doctor', '-n', namespace);
  const { code, stdout } = await doctor();
  assert.equal(code, 1);
  const fix = `kubectl label namespace ${namespace} ${ENFORCE}=privileged --overwrite`;
  assert.match(
    stdout,
    new RegExp(`✗ Pod Security refuses the pods of otel-agent: the namespace ${namespace} enforces baseline`),
  );
  assert.match(stdout, new RegExp(`how: event FailedCreate of DaemonSet otel-agent: .*${refusal.source}`));
  assert.match(stdout, new RegExp(`fix: ${fix}$`, 'm'));
  assert.match(stdout, /✗ no running otel-agent on 1 node of 1 \(.*\): its pod is refused/);

  // The fix is one.
  const [program, ...args] = fix.split(' ');
  assert.equal(program, 'kubectl');
  await cluster.kubectl(args);
  await until(
    async () => (await cluster.list('-n', namespace, 'pods')).some((p: Any) => p.status.phase === 'Running'),
    'the agent',
    LIMIT_MS * 3,
  );
});

test('a destination that is away shows in the log as people look for it, and in doctor', async (t) => {
  const sink = await startOtlpSink(t, cluster.nodeIp);
  const url = `http://${cluster.nodeIp}:1/api/v1/write`;
  const deployed = await deploy(t, cluster, {
    destinations: { metrics: { url }, logs: { url: `${sink.url}/insert/opentelemetry` } },
    agent: { batch: { timeout: '1s' }, presets: { kubeletMetrics: false } },
    gateway: false,
  });
  const look = () =>
    deployed.kubectl('logs', '-l', 'app.kubernetes.io/name=otel-agent', '--tail=50').then((log) =>
      // | grep "remote_write\|error"
      log.split('\n').filter((line) => /remote_write|error/.test(line)),
    );
  const line = await found(async () => (await look()).find((l) => /refused/.test(l)), 'a line about the destination');
  assert.match(line, /\texporters\/prometheus_remote_write\t/);
  assert.match(
    line,
    new RegExp(`connect(ion refused|: connection refused|.*ECONNREFUSED).*|dial tcp ${cluster.nodeIp}:1`),
  );
  const { code, stdout } = await runProgram(cluster, SLUICE, 'doctor');
  assert.equal(code, 1);
  assert.match(stdout, new RegExp(`✗ prometheus_remote_write of otel-agent .*${url.replaceAll('.', '\\.')}`));
  assert.match(stdout, /✓ otlp_http\/logs of otel-agent reaches/);
});

test('an image that the node cannot fetch, and one that it cannot run, show in doctor', async (t) => {
  const programs = await registryPrograms();
  if (programs.missing !== undefined) assert.fail(programs.missing);
  const registry = await startRegistry(t, programs);
  const repository = `${registry.host}/sluice`;
  defer(t, () => cluster.forgetImages(repository));
  const doctor = () => runProgram(cluster, SLUICE, 'doctor');
  const says = (what: RegExp) =>
    found(async () => {
      const { code, stdout } = await doctor();
      return what.test(stdout) ? { code, stdout } : undefined;
    }, String(what));

  const spec: Spec = { agent: { presets: { hostMetrics: false } }, gateway: false };
  const deployed = await deploy(t, cluster, spec, {
    edit: (manifest) =>
      manifest.replaceAll(IMAGE, `${repository}:1`).replaceAll('imagePullPolicy: Never', 'imagePullPolicy: Always'),
    isReady: async () => {},
  });
  const nothing = await says(/✗ the image \S+ of otel-agent cannot be fetched/);
  assert.equal(nothing.code, 1);
  assert.match(nothing.stdout, new RegExp(`✗ the image ${repository}:1 of otel-agent cannot be fetched$`, 'm'));
  assert.match(nothing.stdout, /how: pod otel-agent-\w+: .*: not found$/m);
  assert.match(nothing.stdout, new RegExp(`fix: push it to ${registry.host}, or correct image\\.repository`));
  assert.match(nothing.stdout, /✗ no running otel-agent on 1 node of 1 /);

  const { tar } = await buildImage(tempDir(t), `${repository}:2`, OWN_ARCHITECTURE === 'amd64' ? 'arm64' : 'amd64');
  const push = ['copy', `oci-archive:${tar}`, `docker://${repository}:2`];
  const pushed = await runProgram(cluster, `${registry.bin}/skopeo`, ...push);
  assert.equal(pushed.code, 0, pushed.stderr);
  await deployed.kubectl('set', 'image', 'daemonset/otel-agent', `otel-agent=${repository}:2`);
  const foreign = await says(/not made for the architecture of/);
  assert.equal(foreign.code, 1);
  assert.match(foreign.stdout, /fix: .*npm run image without --arch.*skopeo copy --all$/m);
});
