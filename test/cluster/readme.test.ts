/** A newcomer's way: the commands of the README's deployment chapter, as they are typed there, from a fresh clone to data. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { defer, tempDir, until } from '../helpers/agent.ts';
import { ROOT } from '../helpers/paths.ts';
import { type Registry, registryPrograms, startRegistry } from '../helpers/registry.ts';
import { startVictoriaMetrics, type VictoriaMetrics, victoriaMetricsProgram } from '../helpers/victoria-metrics.ts';
import { type Any, LIMIT_MS, openCluster, stateDir } from './cluster.ts';
import { found, isRootShared } from './deployment.ts';
import { type OtlpSink, startOtlpSink } from './otlp-sink.ts';
import { deployment, ticker } from './workloads.ts';

const cluster = openCluster();
const NAMESPACE = 'opentelemetry';

/** The first block is the spec, the second one brings the data, the third one is for when none comes. */
function chapter(): { spec: string; commands: string[]; troubleshooting: string[] } {
  const [, text = ''] = /^## Deploy it\n(.*?)^## /ms.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? [];
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, code]) => ({
    language,
    code: code!,
  }));
  assert.deepEqual(
    blocks.map((b) => b.language),
    ['yaml', 'sh', 'sh'],
  );
  const lines = (code: string): string[] => code.trim().split('\n');
  return { spec: blocks[0]!.code, commands: lines(blocks[1]!.code), troubleshooting: lines(blocks[2]!.code) };
}

type Shell = (command: string) => Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;

const quoted = (command: string): string => `'${command.replaceAll("'", "'\\''")}'`;

/** The tree as it is now, as a clone has it: without anything that git does not know. */
async function freshClone(t: TestContext): Promise<string> {
  const dir = join(tempDir(t), 'sluice');
  const sh = (script: string) => promisify(execFile)('sh', ['-ec', script, 'sh', ROOT, dir]);
  // The image has the time of the last commit.
  await sh('git clone -q --shared --no-checkout "$1" "$2"');
  await sh(
    'cd "$1" && git ls-files -coz --exclude-standard --deduplicate | xargs -0 ls -d 2>/dev/null | tar -cf - -T - | tar -xf - -C "$2"',
  );
  // What earlier builds have downloaded and compressed; that makes no difference but the time.
  const cache = join(ROOT, '.cache', 'image');
  mkdirSync(join(dir, '.cache', 'image'), { recursive: true });
  for (const name of existsSync(cache) ? readdirSync(cache) : [])
    if (name !== 'dist') symlinkSync(join(cache, name), join(dir, '.cache', 'image', name));
  return dir;
}

/** A terminal in the clone of somebody who has kubectl and skopeo, a kubeconfig, and whatever Node there is. */
function terminal(t: TestContext, clone: string, registry: Registry): Shell {
  const bin = tempDir(t);
  const kube = join(stateDir(), 'bin', 'kube');
  // What an agent of earlier has stored is none of the test's, and pods' logs may be elsewhere.
  const moved = [
    `s|path: /var/lib/otelcol$|path: ${tempDir(t)}|`,
    `s|path: /var/log/pods$|path: ${cluster.podLogsDir}|`,
  ];
  // Mounts of the machine cannot be seen in containers in most sandboxes; kubelets want it before they mount so.
  const edits = [
    `/hostPath:/{n;${moved.join(';')}}`,
    ...(isRootShared() ? [] : ['/mountPropagation: HostToContainer/d']),
  ];
  writeFileSync(
    join(bin, 'kubectl'),
    `#!/bin/sh
if [ "$*" = 'apply -f -' ]; then
  sed ${quoted(edits.join('\n'))} | ${kube} kubectl "$@"
else
  exec ${kube} kubectl "$@"
fi
`,
  );
  chmodSync(join(bin, 'kubectl'), 0o755);
  // Those of this run are the project's, and what `npm run` tells its own scripts would be told to the clone's.
  const others = (process.env['PATH'] ?? '').split(delimiter).filter((f) => !f.includes('node_modules'));
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!config_)|npm_config_local_prefix$|INIT_CWD$|NODE)/.test(name),
  );
  const env = {
    ...Object.fromEntries(inherited),
    PATH: [bin, registry.bin, ...others].join(delimiter),
    KUBECONFIG: cluster.kubeconfig,
    // This checkout has brought the same packages.
    npm_config_prefer_offline: 'true',
  };
  return async (command) => {
    try {
      const options = { cwd: clone, env, maxBuffer: 2 ** 26 };
      return { code: 0, ...(await promisify(execFile)('bash', ['-o', 'pipefail', '-c', command], options)) };
    } catch (e) {
      const { code, stdout = '', stderr = '', message } = e as Any;
      if (typeof code !== 'number') throw new Error(`${command}: ${message}`);
      return { code, stdout, stderr };
    }
  };
}

/** What the first pod of a DaemonSet or Deployment says of its image, and events of how it came. */
async function imageOf(name: string): Promise<{ image: string; id: string; pulled: string[] }> {
  const [pod] = await cluster.list('-n', NAMESPACE, 'pods', '-l', `app.kubernetes.io/name=${name}`);
  const [status] = pod.status.containerStatuses;
  const events = await cluster.list(
    '-n',
    NAMESPACE,
    'events',
    '--field-selector',
    `involvedObject.uid=${pod.metadata.uid}`,
  );
  return {
    // Not of the status: there it is any name of the same image, which other tests have brought under theirs.
    image: pod.spec.containers[0].image,
    id: status.imageID,
    pulled: events.filter((e) => e.reason === 'Pulled').map((e) => e.message),
  };
}

async function dataArrives(vm: VictoriaMetrics, sink: OtlpSink, namespace: string, pod: Any): Promise<void> {
  const own = `k8s_namespace_name="${namespace}",k8s_pod_name="${pod.metadata.name}"`;
  const queries: readonly string[] = [
    // Of the kubelet, of the host, of the cluster.
    `container_memory_working_set_bytes{${own},k8s_container_name="ticker",k8s_deployment_name="web"} > 0`,
    `sum(system_cpu_time_seconds_total{k8s_node_name="${cluster.nodeName}"}) > 0`,
    `k8s_pod_phase{${own}} == 2`,
  ];
  for (const query of queries) await until(async () => (await vm.query(query)).length === 1, query, LIMIT_MS);
  const isOfPod = (r: OtlpSink['records'][number]) => r.resource['k8s.pod.uid'] === pod.metadata.uid;
  await until(() => sink.records.some((r) => isOfPod(r) && /"n":7,/.test(r.body)), 'lines of the pod', LIMIT_MS);
  const isEvent = (r: OtlpSink['records'][number]) =>
    r.attributes['k8s.event.reason'] === 'Started' && r.attributes['k8s.pod.uid'] === pod.metadata.uid;
  await until(() => sink.records.some(isEvent), 'the event of its start', LIMIT_MS);
}

test('the README’s three commands bring data from a cluster', async (t) => {
  const [programs, metrics] = [await registryPrograms(), await victoriaMetricsProgram()];
  if (programs.missing !== undefined) assert.fail(programs.missing);
  const { spec, commands, troubleshooting } = chapter();
  assert.equal(commands.length, 3);
  const registry = await startRegistry(t, programs);
  const vm = await startVictoriaMetrics(t, metrics, cluster.nodeIp, '/insert/0/prometheus');
  const sink = await startOtlpSink(t, cluster.nodeIp);
  const clone = await freshClone(t);
  const type = terminal(t, clone, registry);

  const hosts: Readonly<Record<string, string>> = {
    'registry.example.com': registry.host,
    'vminsert.example.com:8480': new URL(vm.url).host,
    'victoria-logs.example.com:9428': new URL(sink.url).host,
  };
  const own = (text: string): string =>
    Object.entries(hosts).reduce((all, [host, here]) => all.replaceAll(host, here), text);
  for (const text of [spec, ...commands].map(own)) assert.doesNotMatch(text, /example\.com/);
  // A kubelet beside another one on this machine has another port.
  const kubelet = /kubeletMetrics: \{/;
  assert.match(spec, kubelet);
  const port = `kubeletMetrics: {endpoint: '\${env:K8S_NODE_IP}:${cluster.kubeletPort}', `;
  const here = cluster.kubeletPort === 10_250 ? own(spec) : own(spec).replace(kubelet, port);
  writeFileSync(join(clone, 'collection.yaml'), here);

  const [make, push, apply] = commands.map(own) as [string, string, string];
  let made = await type(make);
  if (made.code !== 0 && made.stderr.includes('npm run image -- --update')) {
    // Mirrors keep only the newest versions of Debian's packages; it says what to do then.
    t.diagnostic('the lock of Debian’s packages is out of date');
    made = await type(make.replace('npm run image --', 'npm run image -- --update'));
  }
  assert.equal(made.code, 0, made.stderr);
  const [, digest] = /^\S+\.tar: .*, image (sha256:[0-9a-f]{64})$/m.exec(made.stdout) ?? [];
  assert.ok(digest, made.stdout);
  const pushed = await type(push);
  assert.equal(pushed.code, 0, pushed.stderr);

  const namespace = await cluster.namespace(t, 'readme');
  await cluster.kubectl(['delete', 'namespace', NAMESPACE, '--ignore-not-found']);
  defer(t, async () => {
    await type('bin/sluice render collection.yaml | kubectl delete --ignore-not-found -f -');
    await cluster.forgetImages(`${registry.host}/`);
  });
  const applied = await type(apply);
  assert.equal(applied.code, 0, applied.stderr);
  for (const name of ['daemonset/otel-agent', 'deployment/otel-gateway'])
    await cluster.kubectl(['-n', NAMESPACE, 'rollout', 'status', name, `--timeout=${LIMIT_MS / 1000}s`]);
  for (const name of ['otel-agent', 'otel-gateway']) {
    const { image, id, pulled } = await imageOf(name);
    assert.equal(image, `${registry.host}/sluice:0.1.0`);
    assert.match(id, new RegExp(`/sluice@${digest}$`));
    assert.match(pulled.join(), /^(Successfully pulled image|Container image .* already present)/);
  }
  assert.match(registry.log, new RegExp(`GET /v2/sluice/manifests/${digest} .*containerd`, 'i'));

  await cluster.apply(deployment(namespace, 'web', 1, ticker()));
  const pod = await found(async () => (await cluster.list('-n', namespace, 'pods'))[0], 'a pod');
  await dataArrives(vm, sink, namespace, pod);

  const doctor = await type('bin/sluice doctor');
  // Unlike Talos, this cluster has signed the certificate of its kubelet: that line of the spec can go.
  // And the tests before this one leave files of pods that were gone before this agent began.
  const told = (doctor.stdout.match(/^ +[✗?!] .*$/gmu) ?? []).filter((line) => !line.endsWith(' (unknown pod)'));
  assert.deepEqual(told, [`  ! the certificate of the kubelet of ${cluster.nodeName} verifies, and is not checked`]);
  assert.equal(doctor.code, 0, doctor.stdout);
  const [agent] = await cluster.list('-n', NAMESPACE, 'pods', '-l', 'app.kubernetes.io/name=otel-agent');
  const answers: readonly RegExp[] = [
    /^otel-agent-\w+ +1\/1 +Running /m,
    /^\d{4}-\d\d-\d\dT\S+\tinfo\t/m,
    // A file that is read may be called so; nothing is wrong.
    /^(?!.*(\terror\t|remote_write))/s,
    // It takes POST only, and says so.
    /^(204|400)$/,
    /✓ ticker is delivered/,
  ];
  assert.equal(troubleshooting.length, answers.length);
  for (const [i, command] of troubleshooting.entries()) {
    const filled = command
      .replace('<agent-pod>', agent.metadata.name)
      .replace('<vminsert URL>', vm.writeUrl)
      .replace('<pod>', pod.metadata.name)
      .replace('<namespace>', namespace);
    const { stdout, stderr } = await type(filled);
    assert.match(stdout, answers[i]!, `${filled}: ${stderr}`);
  }
});
