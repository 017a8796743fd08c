import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { collector, componentContext, TestSource, until } from '../../../../test/helpers/component.ts';
import type { ProcessorContext } from '../../../core/component.ts';
import { SILENT } from '../../../core/log.ts';
import { resourceOf } from '../../../core/resource.ts';
import type { Account } from '../../../kubernetes/simulated/accounts.ts';
import { startApiServer } from '../../../kubernetes/testing.ts';
import { Detection, type DetectionOptions } from './detection.ts';
import { detectEnv } from './env.ts';
import definition, { type ResourceDetectionConfig } from './index.ts';
import { enrich, makeResourceDetection } from './processor.ts';
import { detectSystem, type Machine } from './system.ts';

const parse = (raw: unknown) => definition.schema.parse(raw) as ResourceDetectionConfig;

const machine = (over: Partial<Machine> = {}): Machine => ({
  hostname: () => 'node-1',
  platform: 'linux',
  arch: 'x64',
  release: () => '6.1.0',
  version: () => '#1 SMP',
  machine: () => 'x86_64',
  interfaces: () => ({
    lo: [{ address: '127.0.0.1', mac: '00:00:00:00:00:00', internal: true, family: 'IPv4', netmask: '', cidr: null }],
    eth0: [{ address: '10.0.0.5', mac: '0a:1b:2c:3d:4e:5f', internal: false, family: 'IPv4', netmask: '', cidr: null }],
  }),
  file: async (path) =>
    ({
      '/etc/machine-id': 'abc123\n',
      '/etc/os-release': 'NAME="Debian GNU/Linux"\nVERSION="12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
      '/proc/cpuinfo':
        'processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Xeon\nstepping\t: 7\ncache size\t: 1024 KB\n\nprocessor\t: 1\nvendor_id\t: Other\n',
    })[path],
  addresses: async () => ['10.0.0.5'],
  reverse: async () => ['node-1.example.com.'],
  canonical: async () => 'canonical.example.com.',
  ...over,
});

const envCases: readonly [name: string, env: Record<string, string>, config: object, expected: object | RegExp][] = [
  ['nothing', {}, {}, {}],
  [
    'pairs with blanks and escapes',
    { OTEL_RESOURCE_ATTRIBUTES: ' a=1, b = x%20y+z ,c=' },
    {},
    { a: '1', b: 'x y z', c: '' },
  ],
  ['a value with an equals sign', { OTEL_RESOURCE_ATTRIBUTES: 'a=b=c' }, {}, { a: 'b=c' }],
  ['a comma at the end', { OTEL_RESOURCE_ATTRIBUTES: 'a=1,' }, {}, { a: '1' }],
  ['the former variable', { OTEL_RESOURCE: 'a=1', OTEL_RESOURCE_ATTRIBUTES: ' ' }, {}, { a: '1' }],
  ['UTF-8 in escapes', { OTEL_RESOURCE_ATTRIBUTES: 'a=%C3%A9' }, {}, { a: 'é' }],
  ['no pair', { OTEL_RESOURCE_ATTRIBUTES: 'a=1,b' }, {}, /invalid resource format/],
  ['not ASCII', { OTEL_RESOURCE_ATTRIBUTES: 'a=é' }, {}, /invalid resource format/],
  ['a bad escape', { OTEL_RESOURCE_ATTRIBUTES: 'a=%zz' }, {}, /bad % escape/],
  [
    'included and excluded',
    { OTEL_RESOURCE_ATTRIBUTES: 'k8s.a=1,k8s.b=2,other=3' },
    { attributes: { included: ['k8s.*'], excluded: ['k8s.?'.replace('?', 'b')] } },
    { 'k8s.a': '1' },
  ],
];
for (const [name, env, config, expected] of envCases)
  test(`env: ${name}`, () => {
    const run = () => Object.fromEntries(detectEnv(parse({ env: config }).env, env));
    if (expected instanceof RegExp) assert.throws(run, expected);
    else assert.deepEqual(run(), expected);
  });

const system = async (config: object, over: Partial<Machine> = {}) =>
  Object.fromEntries(await detectSystem(parse({ system: config }).system, SILENT, machine(over)));

test('system: the name by DNS and the type of the operating system, unless more is asked for', async () => {
  assert.deepEqual(await system({}), { 'host.name': 'node-1.example.com', 'os.type': 'linux' });
});

test('system: all attributes', async () => {
  const all = Object.fromEntries(Object.keys(parse({}).system.resource_attributes).map((k) => [k, { enabled: true }]));
  assert.deepEqual(await system({ resource_attributes: all }), {
    'host.name': 'node-1.example.com',
    'os.type': 'linux',
    'host.arch': 'amd64',
    'host.id': 'abc123',
    'host.ip': ['10.0.0.5'],
    'host.mac': ['0A-1B-2C-3D-4E-5F'],
    'host.interface': ['eth0'],
    'os.description': 'Debian GNU/Linux 12 (bookworm) (Linux node-1 6.1.0 #1 SMP x86_64)',
    'os.name': 'debian',
    'os.version': '12',
    'os.build.id': '6.1.0',
    'host.cpu.vendor.id': 'GenuineIntel',
    'host.cpu.family': '6',
    'host.cpu.model.id': '85',
    'host.cpu.model.name': 'Xeon',
    'host.cpu.stepping': '7',
    'host.cpu.cache.l2.size': 1024n,
  });
});

const fails = async () => {
  throw new Error('ENOTFOUND');
};
const names: readonly [name: string, sources: string[], over: Partial<Machine>, expected: string | RegExp][] = [
  ['os', ['os'], {}, 'node-1'],
  ['cname', ['cname'], {}, 'canonical.example.com'],
  ['lookup', ['lookup'], {}, 'node-1.example.com'],
  ['the hosts file', ['dns'], { file: async () => '# x\n10.0.0.5 node-1.local node-1\n' }, 'node-1.local'],
  ['the next source when one fails', ['dns', 'os'], { addresses: fails }, 'node-1'],
  ['an error when all fail', ['lookup', 'cname'], { addresses: fails }, /failed to get hostname.*ENOTFOUND/],
];
for (const [name, sources, over, expected] of names)
  test(`system: host name from ${name}`, async () => {
    const run = system({ hostname_sources: sources }, over);
    if (expected instanceof RegExp) await assert.rejects(run, expected);
    else assert.equal((await run)['host.name'], expected);
  });

function detection(raw: object, over: Partial<DetectionOptions> = {}) {
  const { context, lines, clock } = componentContext('resource_detection', 'processor');
  const config = parse(raw);
  const d = new Detection({ config, env: {}, clock, log: context.log, machine: machine(), apiGet: fails, ...over });
  return { d, lines };
}

test('k8s_api: node and cluster, asked by path', async () => {
  const asked: string[] = [];
  const { d } = detection(
    { detectors: ['k8snode'] },
    {
      env: { K8S_NODE_NAME: 'node/1' },
      apiGet: async (path) => {
        asked.push(path);
        return { metadata: { uid: path.includes('nodes') ? 'n-uid' : 'c-uid' } };
      },
    },
  );
  await d.start();
  assert.deepEqual(Object.fromEntries(d.attributes), {
    'k8s.node.name': 'node/1',
    'k8s.node.uid': 'n-uid',
    'k8s.cluster.uid': 'c-uid',
  });
  assert.deepEqual(asked, ['/api/v1/nodes/node%2F1', '/api/v1/namespaces/kube-system']);
  await d.stop();
});

test('k8s_api: asks with the client that all components share, and says which rule is missing', async (t) => {
  const accounts = new Map<string, Account>([['token', { user: 'system:serviceaccount:obs:agent', rules: [] }]]);
  const running = await startApiServer({ accounts });
  const { population } = running;
  population.put('nodes', { metadata: { name: 'n-1' } });
  population.put('namespaces', { metadata: { name: 'kube-system' } });
  const dir = mkdtempSync(join(tmpdir(), 'sluice-detection-'));
  t.after(async () => {
    rmSync(dir, { recursive: true });
    await running.stop();
  });
  writeFileSync(
    join(dir, 'config'),
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      clusters: [{ name: 'c', cluster: { server: running.url } }],
      users: [{ name: 'u', user: { token: 'token' } }],
    }),
  );
  const { context, lines } = componentContext('resource_detection', 'processor');
  const ctx: ProcessorContext = { ...context, signal: 'logs', pipelineId: 'logs', next: collector().consumer };
  const env = { K8S_NODE_NAME: 'n-1', KUBECONFIG: join(dir, 'config') };
  const config = parse({ detectors: ['k8s_api'], k8s_api: { auth_type: 'kubeConfig' } });
  const refused = makeResourceDetection(config, ctx, env);
  await refused.start?.();
  assert.match(
    String(lines.find((l) => l.level === 'warn')?.fields['error']),
    /obs\/agent needs this rule in a ClusterRole: \{apiGroups: \[""\], resources: \[nodes\], verbs: \[get\]\}/,
  );
  await refused.stop?.(AbortSignal.timeout(100));
  accounts.set('token', { user: 'system:serviceaccount:obs:agent' });
  const next = collector();
  const fresh = componentContext('resource_detection', 'processor');
  const allowed = makeResourceDetection(config, { ...ctx, ...fresh.context, next: next.consumer }, env);
  await allowed.start?.();
  await allowed.consume(new TestSource(true).logs(['x']));
  assert.deepEqual(Object.fromEntries(next.batches[0]!.groups[0]!.resource.attributes), {
    'service.name': 'a',
    'k8s.node.name': 'n-1',
    'k8s.node.uid': population.get('nodes', '', 'n-1')!.metadata.uid,
    'k8s.cluster.uid': population.get('namespaces', '', 'kube-system')!.metadata.uid,
  });
  await allowed.stop?.(AbortSignal.timeout(100));
});

test('k8s_api: without the variable the start fails and says what to set', async () => {
  const { d } = detection({ detectors: ['k8s_api'] });
  await assert.rejects(d.start(), /K8S_NODE_NAME is not set or is empty; set it from fieldRef/);
});

test('k8s_api: only the name needs no API server', async () => {
  const { d } = detection(
    {
      detectors: ['k8s_api'],
      k8s_api: { resource_attributes: { 'k8s.node.uid': { enabled: false }, 'k8s.cluster.uid': { enabled: false } } },
    },
    { env: { K8S_NODE_NAME: 'n' }, apiGet: fails },
  );
  await d.start();
  assert.deepEqual([...d.attributes], [['k8s.node.name', 'n']]);
});

test('the first detector in the list decides on an attribute', async () => {
  const env = { OTEL_RESOURCE_ATTRIBUTES: 'host.name=from-env' };
  for (const [detectors, expected] of [
    [['env', 'system'], 'from-env'],
    [['system', 'env'], 'node-1.example.com'],
  ] as const) {
    const { d } = detection({ detectors }, { env });
    await d.start();
    assert.equal(d.attributes.get('host.name'), expected);
  }
});

test('a detector that fails is logged and the others count, unless configured otherwise', async () => {
  const env = { OTEL_RESOURCE_ATTRIBUTES: 'broken' };
  const { d, lines } = detection({ detectors: ['env', 'system'] }, { env });
  await d.start();
  assert.equal(d.attributes.get('os.type'), 'linux');
  assert.equal(lines.find((l) => l.level === 'warn')?.message, 'failed to detect resource');
  const strict = detection({ detectors: ['env', 'system'], fail_on_missing_metadata: true }, { env });
  await assert.rejects(strict.d.start(), /failed to detect resource: env: invalid resource format/);
});

test('a detector that does not answer is left alone after the timeout', async () => {
  const { d, lines } = detection(
    { detectors: ['system'], timeout: '20ms', system: { hostname_sources: ['lookup'] } },
    { machine: machine({ addresses: () => new Promise(() => {}) }) },
  );
  await d.start();
  assert.equal(d.attributes.size, 0);
  assert.equal(lines.find((l) => l.level === 'warn')?.fields['error'], 'timed out');
});

test('retries end when a detector succeeds', async () => {
  let calls = 0;
  const { d } = detection(
    { detectors: ['k8s_api'], retry: { enabled: true, initial_interval: '1ms' } },
    {
      env: { K8S_NODE_NAME: 'n' },
      apiGet: async () => {
        if (++calls < 3) throw new Error('status 503');
        return { metadata: { uid: 'u' } };
      },
    },
  );
  await d.start();
  assert.equal(d.attributes.get('k8s.cluster.uid'), 'u');
});

test('a refresh sees changes, and keeps the last good result of what fails', async () => {
  let name = 'a';
  let failures = 0;
  const { d } = detection(
    { detectors: ['system'], refresh_interval: '5ms', system: { hostname_sources: ['os'] } },
    {
      machine: machine({
        hostname: () => {
          if (name === '') {
            failures++;
            throw new Error('no name');
          }
          return name;
        },
      }),
    },
  );
  await d.start();
  name = 'b';
  await until(() => d.attributes.get('host.name') === 'b');
  name = '';
  const before = d.attributes;
  await until(() => failures >= 2);
  assert.equal(d.attributes, before);
  await d.stop();
});

test('attributes are replaced or kept as override says', () => {
  const resource = resourceOf(new Map([['a', 'old']]), 'https://schema');
  const detected = new Map([
    ['a', 'new'],
    ['b', 'new'],
  ]);
  assert.deepEqual([...enrich(resource, detected, true).attributes], [...detected]);
  const kept = enrich(resource, detected, false);
  assert.equal(kept.attributes.get('a'), 'old');
  assert.equal(kept.attributes.get('b'), 'new');
  assert.equal(kept.schemaUrl, 'https://schema');
});

test('a batch keeps its records, parts and metadata', async () => {
  const { context } = componentContext('resource_detection', 'processor');
  const out = collector();
  const ctx = { ...context, signal: 'logs', pipelineId: 'logs', next: out.consumer } as ProcessorContext;
  const processor = makeResourceDetection(parse({}), ctx, { OTEL_RESOURCE_ATTRIBUTES: 'zone=z' });
  await processor.start?.();
  const batch = new TestSource(true).logs(['x', 'y'], new Map([['tenant', ['t']]]));
  await processor.consume(batch);
  await processor.consume(batch);
  const [first, second] = out.batches;
  assert.equal(first?.groups[0]?.resource.attributes.get('zone'), 'z');
  assert.equal(first?.groups[0]?.resource, second?.groups[0]?.resource);
  assert.deepEqual(first?.groups[0]?.parts, batch.groups[0]?.parts);
  assert.equal(first?.metadata, batch.metadata);
  assert.equal(first?.patient, true);
  await processor.stop?.(AbortSignal.timeout(100));
});

const refused: readonly [raw: unknown, message: RegExp][] = [
  [{ detectors: ['ec2'] }, /detector "ec2" is not supported; supported: env, system, k8s_api/],
  [{ detectors: ['foo'] }, /invalid detector key: foo/],
  [{ system: { hostname_sources: ['foo'] } }, /invalid hostname source/],
  [{ system: { resource_attributes: { 'host.nam': {} } } }, /nam/],
  [{ k8s_api: { auth_type: 'tls' } }, /invalid authType for kubernetes: tls; use none, serviceAccount or kubeConfig/],
];
for (const [raw, message] of refused)
  test(`refused: ${JSON.stringify(raw)}`, () => {
    const result = definition.schema.safeParse(raw);
    assert.equal(result.success, false);
    assert.match(result.error?.issues.map((i) => i.message).join() ?? '', message);
  });
