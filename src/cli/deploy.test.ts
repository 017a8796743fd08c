import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parseObjects } from '../deploy/index.ts';
import type { SimulatedResource } from '../kubernetes/simulated/population.ts';
import { startApiServer } from '../kubernetes/testing.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const folder = mkdtempSync(join(tmpdir(), 'sluice-deploy-'));
after(() => rmSync(folder, { recursive: true }));

async function sluice(args: readonly string[], { input = '', env = {} }: { input?: string; env?: object } = {}) {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  const out = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) child[name].setEncoding('utf8').on('data', (d) => (out[name] += d));
  child.stdin.end(input);
  const [status] = await once(child, 'close');
  return { status: status as number, ...out };
}
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return name;
};
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

const YAML = file('home.yaml', 'clusterName: home\nagent:\n  presets:\n    hostMetrics: false\n');
const TYPED = file(
  'home.ts',
  `import { collection, type Spec } from 'sluice/deploy';
const spec: Spec = { clusterName: 'home', agent: { presets: { hostMetrics: false } } };
export default collection(spec);
`,
);

test('a spec is rendered from YAML, TypeScript or stdin, and means the same', async () => {
  const yaml = await sluice(['render', YAML]);
  assert.deepEqual([yaml.status, yaml.stderr], [0, '']);
  assert.equal((await sluice(['render', TYPED])).stdout, yaml.stdout);
  assert.equal((await sluice(['render', '-'], { input: read(YAML) })).stdout, yaml.stdout);
  const bare = file('bare.ts', "export default { clusterName: 'home', agent: { presets: { hostMetrics: false } } };\n");
  assert.equal((await sluice(['render', bare])).stdout, yaml.stdout);
  const json = await sluice(['render', YAML, '--format=json']);
  assert.deepEqual(JSON.parse(json.stdout).items, parseObjects(yaml.stdout, 'x'));
  assert.equal((await sluice(['render', YAML, '-o', 'all.yaml'])).status, 0);
  assert.equal(read('all.yaml'), yaml.stdout);
  assert.equal((await sluice(['render', YAML, '--out=all.json'])).status, 0);
  assert.equal(read('all.json'), json.stdout);
});

test('a directory holds one file per object, and loses only what an earlier render left', async () => {
  await sluice(['render', YAML, '--out', 'dir']);
  const before = readdirSync(join(folder, 'dir')).sort();
  assert.ok(before.includes('00-namespace-opentelemetry.yaml'));
  file('dir/notes.md', 'mine');
  file('dir/90-secret-mine.yaml', 'apiVersion: v1\nkind: Secret\nmetadata: {name: mine}\n');
  const agentOnly = file('agent.yaml', 'gateway: false\n');
  const { status, stderr } = await sluice(['render', agentOnly, '--out', 'dir']);
  assert.equal(status, 0);
  assert.match(stderr, /removed .*otel-gateway\.yaml/);
  const left = readdirSync(join(folder, 'dir'));
  assert.ok(left.includes('notes.md') && left.includes('90-secret-mine.yaml'));
  assert.ok(!left.some((f) => f.includes('otel-gateway')));
});

test('what the engine does not know is told as it would tell it; what only the pod knows is not', async () => {
  const spec = `agent:
  env:
    - {name: SIZE, value: many}
    - {name: COUNT, valueFrom: {secretKeyRef: {name: a, key: b}}}
  config:
    receivers:
      kubelet_stats: {colection_interval: 1s}
      filelog: {exlude: [/x], operators: {$append: [{type: jsn_parser}]}}
    extensions: {file_storage: {directory: /nowhere, create_directory: false}}
    processors:
      batch: {send_batch_size: '\${env:COUNT}', send_batch_max_size: '\${env:SIZE}'}
`;
  const { status, stderr } = await sluice(['render', file('unknown.yaml', spec)]);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /unknown\.yaml:7:23: agent::config::receivers::kubelet_stats::colection_interval: .*\n {4}did you mean "collection_interval"/,
  );
  // By its former name the component is found, its place only roughly.
  assert.match(stderr, /agent::config::receivers::file_log::exlude: .*\n {4}did you mean "exclude"\?/);
  assert.match(stderr, /unknown\.yaml:11:\d+: agent::config::processors::batch::send_batch_max_size: /);
  assert.match(stderr, /unsupported type 'jsn_parser'/);
  assert.doesNotMatch(stderr, /send_batch_size:|nowhere/);
  const typed = file(
    'unknown.ts',
    "export default { agent: { config: { processors: { batch: { timeot: '1s' } } } } };\n",
  );
  assert.match((await sluice(['render', typed])).stderr, /unknown\.ts\S* agent::config::processors::batch::timeot: /);
  const contrib = file('other.yaml', `engine: otelcol-contrib\n${spec.replace('filelog', 'file_log')}`);
  assert.equal((await sluice(['render', contrib])).status, 0, 'otelcol-contrib may know more');
});

test('mistakes have their place and a hint', async () => {
  const bad = file('bad.yaml', 'agent:\n  presets:\n    clusterMetrics: true\n');
  const { status, stderr } = await sluice(['render', bad]);
  assert.equal(status, 1);
  assert.match(stderr, /bad\.yaml:3:5: agent::presets::clusterMetrics: .*\n {4}.*gateway\.presets/);
  const autopilot = file('gke.yaml', 'platform: gke-autopilot\n');
  const refused = (await sluice(['render', autopilot])).stderr;
  assert.match(refused, /gke\.yaml:1:1: agent::presets::hostMetrics: gke-autopilot mounts no \/ of the node/);
  assert.match(refused, /gke\.yaml:1:1: platform: gke-autopilot lets nobody write on the node/);
  for (const [name, text, expected] of [
    ['throws.ts', "throw new Error('no such thing');\n", /throws\.ts.*no such thing/],
    ['empty.ts', 'export const x = 1;\n', /export the spec: export default collection/],
    ['wrong.ts', 'export default { agent: { preset: {} } };\n', /wrong\.ts.*agent.*preset/],
  ] as const)
    assert.match((await sluice(['render', file(name, text)])).stderr, expected);
  for (const [args, expected] of [
    [['render'], /render needs one spec/],
    [['render', 'nope.yaml'], /cannot read the spec: .*no such file/],
    [['render', 'nope.ts'], /nope\.ts is not there/],
    [['render', YAML, '--format=xml'], /use one of yaml, json/],
    [['render', YAML, '--out', 'home.ts'], /is a file, and neither \.yaml nor \.json/],
  ] as const) {
    const answer = await sluice(args);
    assert.equal(answer.status, 1);
    assert.match(answer.stderr, expected);
  }
});

test('diff tells what changes against a former render, as kubectl diff does by its exit code', async () => {
  await sluice(['render', YAML, '--out', 'former']);
  assert.deepEqual(await sluice(['diff', TYPED, 'former']), { status: 0, stdout: '', stderr: '' });
  const next = file('next.yaml', 'clusterName: home\nagent:\n  presets:\n    hostMetrics: {mount: proc}\n');
  const { status, stdout } = await sluice(['diff', next, 'former']);
  assert.equal(status, 1);
  assert.match(stdout, /^Concerns security:\n {2}~ DaemonSet opentelemetry\/otel-agent\n/);
  assert.match(stdout, /volumes\[proc\]/);
  const json = await sluice(['diff', next, 'former', '--json']);
  assert.deepEqual(
    JSON.parse(json.stdout).map((d: { object: string }) => d.object),
    ['ConfigMap opentelemetry/otel-agent', 'DaemonSet opentelemetry/otel-agent'],
  );
  assert.equal((await sluice(['diff', next, 'nowhere'])).status, 2);
  assert.equal((await sluice(['diff'])).status, 2);
});

test('diff tells what changes in the cluster of the kubeconfig', async (t) => {
  const of = (
    group: string,
    version: string,
    resource: string,
    kind: string,
    isNamespaced = true,
  ): SimulatedResource => ({
    group,
    version,
    resource,
    kind,
    isNamespaced,
  });
  const RBAC = 'rbac.authorization.k8s.io';
  const resources = [
    of('', 'v1', 'namespaces', 'Namespace', false),
    of('', 'v1', 'serviceaccounts', 'ServiceAccount'),
    of('', 'v1', 'configmaps', 'ConfigMap'),
    of('', 'v1', 'services', 'Service'),
    of('apps', 'v1', 'daemonsets', 'DaemonSet'),
    of('apps', 'v1', 'deployments', 'Deployment'),
    of(RBAC, 'v1', 'clusterroles', 'ClusterRole', false),
    of(RBAC, 'v1', 'clusterrolebindings', 'ClusterRoleBinding', false),
    of(RBAC, 'v1', 'roles', 'Role'),
    of(RBAC, 'v1', 'rolebindings', 'RoleBinding'),
  ];
  const running = await startApiServer({}, resources);
  t.after(() => running.stop());
  const kubeconfig = {
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: running.url } }],
    users: [{ name: 'u', user: { token: 't' } }],
  };
  const env = { KUBECONFIG: join(folder, file('kubeconfig', JSON.stringify(kubeconfig))) };
  const { stdout } = await sluice(['render', YAML, '--format', 'json']);
  for (const object of JSON.parse(stdout).items) {
    const type = resources.find((r) => r.kind === object.kind)!;
    running.population.put(type.group === '' ? type.resource : `${type.resource}.${type.group}`, object);
  }
  assert.deepEqual(await sluice(['diff', YAML], { env }), { status: 0, stdout: '', stderr: '' });
  running.population.remove('configmaps', 'opentelemetry', 'otel-gateway');
  const role = running.population.get('clusterroles.rbac.authorization.k8s.io', '', 'otel-agent')!;
  const rules = [...(role['rules'] as object[]), { apiGroups: [''], resources: ['secrets'], verbs: ['get'] }];
  running.population.put('clusterroles.rbac.authorization.k8s.io', { ...role, metadata: { ...role.metadata }, rules });
  const changed = await sluice(['diff', YAML], { env });
  assert.equal(changed.status, 1);
  assert.match(changed.stdout, /^Concerns security:\n {2}~ ClusterRole otel-agent\n {6}- get secrets\n/);
  assert.match(changed.stdout, /\+ ConfigMap opentelemetry\/otel-gateway \(new\)/);
  assert.ok(running.server.requests.every((r) => r.method === 'GET' && !r.path.includes('secret')));
  const agentOnly = await sluice(
    ['diff', file('only.yaml', 'clusterName: home\nagent: {presets: {hostMetrics: false}}\ngateway: false\n')],
    { env },
  );
  assert.match(agentOnly.stdout, /- ClusterRoleBinding otel-gateway \(gone\)/);
  assert.match(agentOnly.stdout, /- Deployment opentelemetry\/otel-gateway \(gone\)/);
  assert.match(agentOnly.stderr, /stays in the cluster until it is deleted/);
  const nobody = await sluice(['diff', YAML, '--context', 'b'], { env });
  assert.deepEqual([nobody.status, /context "b" is not in/.test(nobody.stderr)], [2, true]);
});
