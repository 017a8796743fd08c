/** The configurations that specs become: readable files in testdata, and each one is taken by the collector. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { stringify } from 'yaml';
import { ConfigError } from '../core/errors.ts';
import { type CollectorConfig, collection, type Json, needsOf, type Spec, tierConfig } from './index.ts';
import { SPECS } from './testdata/specs.ts';

const HERE = import.meta.dirname;
const SLUICE = join(HERE, '../../bin/sluice');
const scratch = mkdtempSync(join(tmpdir(), 'sluice-deploy-'));
after(() => rmSync(scratch, { recursive: true }));

const CA_FILE = join(scratch, 'ca.crt');
writeFileSync(CA_FILE, rootCertificates[0]!);

const ENVIRONMENT = {
  K8S_NODE_IP: '10.0.0.1',
  K8S_NODE_NAME: 'node-1',
  MY_POD_IP: '127.0.0.1',
  KUBERNETES_SERVICE_HOST: '127.0.0.1',
  KUBERNETES_SERVICE_PORT: '1',
  LOGS_DESTINATION_TOKEN: 'token',
  METRICS_DESTINATION_USERNAME: 'user',
  METRICS_DESTINATION_PASSWORD: 'password',
  OTEL_K8S_NAMESPACE: 'opentelemetry',
  OTEL_K8S_NODE_NAME: 'node-1',
  OTEL_K8S_NODE_IP: '10.0.0.1',
  OTEL_K8S_POD_NAME: 'otel-agent-x',
  OTEL_K8S_POD_IP: '127.0.0.1',
  TEAM: 'platform',
};

/** What only a pod has is put elsewhere; everything else is as it would run. */
function validate(name: string, config: CollectorConfig): { status: number | null; stderr: string } {
  const file = join(scratch, `${name}.yaml`);
  const text = stringify(config, { aliasDuplicateObjects: false, lineWidth: 0 })
    .replaceAll('auth_type: serviceAccount', 'auth_type: none')
    .replaceAll(/^( +)(k8s_attributes|k8s_cluster|k8sobjects):\n(?! +auth_type)/gm, '$1$2:\n$1  auth_type: none\n')
    .replaceAll('root_path: /hostfs', 'root_path: /')
    .replaceAll('/etc/kubelet-ca/ca.crt', CA_FILE)
    .replaceAll('/var/lib/otelcol', scratch);
  writeFileSync(file, text);
  const { status, stderr } = spawnSync(SLUICE, ['validate', '--config', file], {
    env: { ...process.env, ...ENVIRONMENT },
    encoding: 'utf8',
  });
  return { status, stderr };
}

/** Written again with UPDATE_GOLDEN=1. */
function golden(file: string, config: CollectorConfig): void {
  const path = join(HERE, 'testdata/configs', file);
  const text = stringify(config, { aliasDuplicateObjects: false, lineWidth: 120 });
  if (process.env['UPDATE_GOLDEN']) writeFileSync(path, text);
  assert.equal(text, readFileSync(path, 'utf8'), `${file} (UPDATE_GOLDEN=1 writes it again)`);
}

for (const [name, spec] of Object.entries(SPECS))
  for (const { name: tier, config } of collection(spec).tiers)
    test(`the ${tier} of the spec ${name} is as in testdata, and sluice takes it`, () => {
      golden(`${name}-${tier}.yaml`, config);
      assert.deepEqual(validate(`${name}-${tier}`, config), { status: 0, stderr: '' });
    });

const pipelines = (spec: Spec): Record<string, string> =>
  Object.fromEntries(
    collection(spec).tiers.flatMap(({ name, config }) =>
      Object.entries(config.service.pipelines).map(([signal, p]) => [
        `${name} ${signal}`,
        `${p.receivers.join(', ')} → ${(p.processors ?? []).join(', ')} → ${p.exporters.join(', ')}`,
      ]),
    ),
  );

test('without a word, the pipelines are those of a cluster: two tiers, two signals each', () => {
  assert.deepEqual(pipelines({}), {
    'agent logs': 'file_log → memory_limiter, k8s_attributes, batch → otlp_http/logs',
    'agent metrics': 'kubelet_stats, host_metrics → memory_limiter, k8s_attributes, batch → prometheus_remote_write',
    'gateway logs': 'k8s_objects → memory_limiter, batch → otlp_http/logs',
    'gateway metrics': 'k8s_cluster → memory_limiter, k8s_attributes, batch → prometheus_remote_write',
  });
});

test('the Lease hands on how far events were read, unless a volume does; metrics wait for it with several gateways only', () => {
  const electors = (gateway: Spec['gateway'], engine: Spec['engine'] = 'sluice') => {
    const { config } = collection({ agent: false, gateway: gateway!, engine: engine! }).tiers[0]!;
    const electorOf = (id: string) => (config.receivers?.[id] as { k8s_leader_elector?: string })?.k8s_leader_elector;
    const extension = config.extensions?.['k8s_leader_elector'] as { lease_namespace: string } | undefined;
    return [electorOf('k8s_objects') !== undefined, electorOf('k8s_cluster') !== undefined, extension?.lease_namespace];
  };
  const storage = { presets: { kubernetesEvents: { storage: true } } };
  assert.deepEqual(electors({}), [true, false, 'opentelemetry']);
  assert.deepEqual(electors({ namespace: 'gw' }), [true, false, 'gw']);
  assert.deepEqual(electors({ presets: { kubernetesEvents: false } }), [false, false, undefined]);
  assert.deepEqual(electors(storage), [false, false, undefined]);
  assert.deepEqual(electors({ replicas: 2 }), [true, true, 'opentelemetry']);
  assert.deepEqual(electors({}, 'otelcol-contrib'), [false, false, undefined]);
  assert.deepEqual(electors({ replicas: 2 }, 'otelcol-contrib'), [true, true, 'opentelemetry']);
});

test('older collectors get the names that they know', () => {
  assert.deepEqual(pipelines({ collectorVersion: '0.153.0', gateway: false }), {
    'agent logs': 'file_log → memory_limiter, k8s_attributes, batch → otlp_http/logs',
    'agent metrics': 'kubeletstats, hostmetrics → memory_limiter, k8s_attributes, batch → prometheusremotewrite',
  });
  assert.deepEqual(pipelines({ collectorVersion: '0.140.0', agent: false }), {
    'gateway logs': 'k8sobjects → memory_limiter, batch → otlphttp/logs',
    'gateway metrics': 'k8s_cluster → memory_limiter, k8sattributes, batch → prometheusremotewrite',
  });
});

const OWN_KEYS = [
  'promote_resource_attributes',
  'event_details',
  'auto_parser',
  'wait_for_pod',
  'kubelet',
  'detectors',
];

test('what only sluice knows is not in a configuration for otelcol-contrib', () => {
  for (const { config } of collection({ ...SPECS['talos'], engine: 'otelcol-contrib' }).tiers) {
    const text = JSON.stringify(config);
    assert.deepEqual(
      OWN_KEYS.filter((key) => text.includes(`"${key}"`)),
      [],
    );
  }
});

test('both engines take the same pipelines', () => {
  const { engine: _, ...spec } = SPECS['contrib']!;
  assert.deepEqual(pipelines(SPECS['contrib']!), pipelines(spec));
});

test('a collector that the chart would make is made again, and sluice takes what it has of it', () => {
  for (const { name, config } of collection({ compat: 'helm' }).tiers)
    assert.deepEqual(validate(`helm-${name}`, config), { status: 0, stderr: '' });
});

const diagnosticsOf = (make: () => unknown) => {
  try {
    make();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.diagnostics.map((d) => [d.path.join('.'), d.message, d.hint]);
  }
  return assert.fail('no error');
};

const wrong: readonly [string, unknown, readonly (readonly [string, string, string | undefined])[]][] = [
  [
    'a preset of the gateway on the agent',
    { agent: { presets: { clusterMetrics: true } } },
    [
      [
        'agent.presets.clusterMetrics',
        'the agent has no preset clusterMetrics',
        'clusterMetrics looks at the whole cluster, so it runs once: put it under gateway.presets',
      ],
    ],
  ],
  [
    'a preset of the agent on the gateway',
    { gateway: { presets: { hostMetrics: {} } } },
    [
      [
        'gateway.presets.hostMetrics',
        'the gateway has no preset hostMetrics',
        'hostMetrics looks at one node, so it runs on every node: put it under agent.presets',
      ],
    ],
  ],
  [
    'a preset that is misspelled',
    { agent: { presets: { logCollection: true } } },
    [['agent.presets.logCollection', 'the agent has no preset logCollection', 'did you mean "logsCollection"?']],
  ],
  [
    'an option that is misspelled, inside of what may also be a boolean',
    { agent: { presets: { kubeletMetrics: { intervall: '10s' } } } },
    [['agent.presets.kubeletMetrics.intervall', 'unknown key intervall', 'did you mean "interval"?']],
  ],
  [
    'a duration without a unit',
    { agent: { presets: { hostMetrics: { interval: '10' } } } },
    [['agent.presets.hostMetrics.interval', 'time: missing unit in duration "10"', undefined]],
  ],
  [
    'a destination that is no URL',
    { destinations: { logs: { url: 'victoria:9428' } } },
    [['destinations.logs.url', 'must be an http:// or https:// URL', undefined]],
  ],
  [
    'nothing to run',
    { agent: false, gateway: false },
    [['agent', 'neither agent nor gateway: there is nothing to run', 'leave out agent: false or gateway: false']],
  ],
  [
    'Falco without logs',
    { agent: { presets: { falco: true, logsCollection: false } } },
    [['agent.presets.falco', 'falco reads the logs that logsCollection collects', 'leave out logsCollection: false']],
  ],
  [
    'two rules of one name',
    {
      agent: {
        presets: {
          logsCollection: {
            rules: [
              { name: 'a', match: { pod: 'x' } },
              { name: 'a', match: { pod: 'y' } },
            ],
          },
        },
      },
    },
    [['agent.presets.logsCollection.rules.1.name', 'there is a receiver file_log/a already', 'choose another name']],
  ],
  [
    'a rule for what is not included',
    {
      agent: {
        presets: {
          logsCollection: { include: { namespaces: ['shop'] }, rules: [{ name: 'a', match: { namespace: 'web' } }] },
        },
      },
    },
    [['agent.presets.logsCollection.rules.0.match', 'no container of include fits the rule a', undefined]],
  ],
  [
    'file systems without the root of the node',
    { agent: { presets: { hostMetrics: { mount: 'proc', scrapers: { filesystem: true } } } } },
    [
      [
        'agent.presets.hostMetrics.scrapers.filesystem',
        'mount: proc does not mount file systems',
        "name them, mount: ['/var'], or leave the scraper out",
      ],
    ],
  ],
  [
    'mount points that nothing measures',
    { agent: { presets: { hostMetrics: { mount: ['/var'], scrapers: { filesystem: false } } } } },
    [
      [
        'agent.presets.hostMetrics.mount',
        'mount points are named, but the filesystem scraper, which measures them, is off',
        'mount: proc mounts none',
      ],
    ],
  ],
  [
    'a pattern where a mount point is meant',
    { agent: { presets: { hostMetrics: { mount: ['/data/*'] } } } },
    [['agent.presets.hostMetrics.mount.0', 'a mount point begins with / and is no pattern', undefined]],
  ],
  [
    'services of Talos elsewhere',
    { platform: 'k3s', agent: { presets: { talos: true } } },
    [
      [
        'agent.presets.talos',
        "talos reads the logs of Talos' services, but the platform is k3s",
        'set platform: talos, or leave the preset out',
      ],
    ],
  ],
  [
    'pods from kubelets for otelcol-contrib, on either tier',
    {
      engine: 'otelcol-contrib',
      agent: { presets: { kubernetesAttributes: { podSource: 'kubelet' } } },
      gateway: { presets: { kubernetesAttributes: { podSource: 'kubelet' } } },
    },
    (['agent', 'gateway'] as const).map((tier) => [
      `${tier}.presets.kubernetesAttributes.podSource`,
      'podSource: kubelet needs engine: sluice',
      'otelcol-contrib has nothing like it',
    ]),
  ],
  [
    'logs over TCP, which the engine does not take',
    { agent: { presets: { talos: { from: 'tcp' } } } },
    [
      [
        'agent.presets.talos.from',
        'from: tcp needs engine: otelcol-contrib: sluice has no receiver for logs over TCP (tcplog)',
        'from: files, the default, reads the same logs from /var/log of the node',
      ],
    ],
  ],
  [
    'what otelcol-contrib has nothing like',
    {
      engine: 'otelcol-contrib',
      agent: { presets: { logsCollection: { autoParse: true } } },
      destinations: { metrics: { compression: 'zstd' } },
    },
    [
      [
        'agent.presets.logsCollection.autoParse',
        'autoParse needs engine: sluice',
        'otelcol-contrib has nothing like it',
      ],
      [
        'destinations.metrics.compression',
        'zstd of remote write needs engine: sluice',
        'otelcol-contrib has nothing like it',
      ],
    ],
  ],
  [
    'limits of memory the wrong way round',
    { agent: { memoryLimiter: { limitPercentage: 20 } } },
    [
      [
        'agent.memoryLimiter.spikeLimitPercentage',
        'spikeLimitPercentage 25 is not below limitPercentage 20',
        'the soft limit is their difference',
      ],
    ],
  ],
  [
    'options that the chart does not have',
    { compat: 'helm', agent: { presets: { falco: true, hostMetrics: { interval: '5s' } } } },
    [
      [
        'agent.presets.hostMetrics.interval',
        'the chart has no option interval for this preset',
        'leave compat: helm out, or make the change under agent.config',
      ],
      ['agent.presets.falco', 'the chart has no preset falco', 'leave compat: helm out'],
    ],
  ],
];
// What YAML invites: a colon with nothing behind it, numbers and words of other types, units of another place.
const invited: typeof wrong = [
  [
    'nothing behind the colon',
    { agent: { presets: { falco: null } }, gateway: { presets: null } },
    [
      [
        'agent.presets.falco',
        "expected type 'bool', got unconvertible type 'nil'",
        'there is nothing behind the colon: write true for all defaults, or false',
      ],
      [
        'gateway.presets',
        'expected a map or struct, got "nil"',
        'there is nothing behind the colon: leave the key out, or give it a value',
      ],
    ],
  ],
  [
    'a tier that is neither map nor false',
    { agent: true },
    [['agent', 'must be a map of options, or false', undefined]],
  ],
  [
    'a mistake directly below a tier',
    { gateway: { replicas: '2' }, agent: { tolerations: {}, replica: 1 } },
    [
      [
        'agent.tolerations',
        'source data must be an array or slice, got map',
        'write a list: [a, b], or a line with - for each',
      ],
      ['agent.replica', 'unknown key replica', undefined],
      ['gateway.replicas', "expected type 'int', got unconvertible type 'string'", 'write it without quotes: 2'],
    ],
  ],
  [
    'words of other types',
    { agent: { presets: { falco: 'ture', talos: 'yes' }, nodeSelector: { a: true } } },
    [
      ['agent.presets.falco', "expected type 'bool', got unconvertible type 'string'", 'did you mean "true"?'],
      ['agent.presets.talos', "expected type 'bool', got unconvertible type 'string'", 'write true'],
      ['agent.nodeSelector.a', "expected type 'string', got unconvertible type 'bool'", 'write it in quotes: "true"'],
    ],
  ],
  [
    'a duration without a unit',
    { agent: { presets: { hostMetrics: { interval: 10 } } } },
    [['agent.presets.hostMetrics.interval', 'a duration has a unit', 'write 10s']],
  ],
  [
    'amounts that are none of Kubernetes',
    {
      agent: {
        resources: {
          requests: { cpu: 'much' },
          limits: { memory: '512MB', 'ephemeral-storage': '2 GiB', 'example.com/x': -1 },
        },
      },
    },
    [
      [
        'agent.resources.requests.cpu',
        '"much" is no quantity',
        'write it as Kubernetes does: 512Mi of memory, 100m or 0.5 of CPU',
      ],
      ['agent.resources.limits.memory', '"512MB" is no quantity', 'write 512M'],
      ['agent.resources.limits.ephemeral-storage', '"2 GiB" is no quantity', 'write 2Gi'],
      [
        'agent.resources.limits.example.com/x',
        '-1 is no quantity',
        'write it as Kubernetes does: 512Mi of memory, 100m or 0.5 of CPU',
      ],
    ],
  ],
];
for (const [name, spec, expected] of [...wrong, ...invited])
  test(`an error says where and what helps: ${name}`, () => {
    assert.deepEqual(
      diagnosticsOf(() => collection(spec as Spec)),
      expected,
    );
  });

test('named mount points are what is measured, and all that is mounted beside /proc and /sys', () => {
  const { tiers } = collection({
    agent: { presets: { logsCollection: false, hostMetrics: { mount: ['/var/', '/data'] } } },
    gateway: false,
  });
  const { config } = tiers[0]!;
  const { filesystem } = (config.receivers!['host_metrics'] as { scrapers: { filesystem: { [key: string]: Json } } })
    .scrapers;
  assert.deepEqual(filesystem['include_mount_points'], { match_type: 'strict', mount_points: ['/var', '/data'] });
  assert.ok(filesystem['exclude_fs_types'], 'the default exclusions stay');
  const { hostPaths, capabilities } = needsOf(config);
  assert.deepEqual(
    hostPaths.map((h) => h.path),
    ['/data', '/proc', '/sys', '/var'],
  );
  assert.deepEqual(capabilities, []);
});

test('a tier that the spec leaves out has no configuration', () => {
  const { spec, tiers } = collection({ gateway: false });
  assert.deepEqual(
    tiers.map((t) => t.name),
    ['agent'],
  );
  assert.throws(() => tierConfig(spec, 'gateway'), /the spec has no gateway/);
});

test('credentials are references to variables from a Secret, never text', () => {
  const { spec, tiers } = collection({ ...SPECS['metrics'] });
  assert.deepEqual(
    spec.agent!.env.map((e) => [e.name, e.valueFrom?.['secretKeyRef']]),
    [
      ['METRICS_DESTINATION_USERNAME', { name: 'metrics-credentials', key: 'username' }],
      ['METRICS_DESTINATION_PASSWORD', { name: 'metrics-credentials', key: 'password' }],
      ['LOGS_DESTINATION_TOKEN', { name: 'logs-credentials', key: 'token' }],
    ],
  );
  assert.deepEqual(tiers[0]!.config.extensions!['basicauth/metrics'], {
    client_auth: {
      username: '${env:METRICS_DESTINATION_USERNAME}',
      password: '${env:METRICS_DESTINATION_PASSWORD}',
    },
  });
});

test('pods come from the kubelet of the node when asked for, with its certificate checked as for its metrics', () => {
  const kubelet = (tls: 'verify' | 'skip' | { caFile: string }) => {
    const { tiers } = collection({
      agent: { presets: { kubernetesAttributes: { podSource: 'kubelet' }, kubeletMetrics: { tls } } },
      gateway: false,
    });
    return (tiers[0]!.config.processors!['k8s_attributes'] as { kubelet: unknown }).kubelet;
  };
  const endpoint = '${env:K8S_NODE_IP}:10250';
  assert.deepEqual(kubelet('verify'), { enabled: true, endpoint });
  assert.deepEqual(kubelet('skip'), { enabled: true, endpoint, insecure_skip_verify: true });
  assert.deepEqual(kubelet({ caFile: '/pki/ca.crt' }), { enabled: true, endpoint, ca_file: '/pki/ca.crt' });
});
