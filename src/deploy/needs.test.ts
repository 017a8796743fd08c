import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CollectorConfig, Json } from './config.ts';
import { needsOf } from './needs.ts';

type Parts = Partial<Record<'receivers' | 'processors' | 'exporters' | 'extensions', { [id: string]: Json }>>;

/** All that is given is used. */
function needs({ receivers = {}, processors = {}, exporters = {}, extensions = {} }: Parts, telemetry?: Json) {
  const ids = Object.keys;
  const config: CollectorConfig = {
    receivers,
    processors,
    exporters,
    extensions,
    service: {
      extensions: ids(extensions),
      ...(telemetry === undefined ? {} : { telemetry }),
      pipelines: { logs: { receivers: ids(receivers), processors: ids(processors), exporters: ids(exporters) } },
    },
  };
  return needsOf(config);
}
const mounts = (parts: Parts): string[] =>
  needs(parts).hostPaths.map(
    (p) =>
      `${p.path} ${p.mountPath} ${p.isReadOnly ? 'ro' : 'rw'}${p.followsMounts ? ' follows' : ''}${p.type ? ` ${p.type}` : ''}`,
  );
const files = (...include: string[]): Parts => ({ receivers: { filelog: { include } } });
const host = (settings: { [key: string]: Json }): Parts => ({
  receivers: { hostmetrics: { root_path: '/hostfs', ...settings } },
});

describe('directories of the node', () => {
  for (const [what, parts, expected] of [
    ['the fixed part of a pattern', files('/var/log/pods/*/*/*.log'), ['/var/log/pods /var/log/pods ro']],
    ['the directory of a file', files('/var/log/audit/kube/audit.log'), ['/var/log/audit/kube /var/log/audit/kube ro']],
    [
      'one inside of another is part of it',
      files('/var/log/*.log', '/var/log/pods/*/*/*.log'),
      ['/var/log /var/log ro'],
    ],
    [
      'a neighbour with the same beginning is not',
      files('/var/log/a/*.log', '/var/log/ab/*.log'),
      ['/var/log/a /var/log/a ro', '/var/log/ab /var/log/ab ro'],
    ],
    [
      'where links lead',
      files('/var/log/containers/*.log'),
      ['/var/log/containers /var/log/containers ro', '/var/log/pods /var/log/pods ro'],
    ],
    ['no file', files('relative/*.log'), []],
    [
      'only /proc and /sys without file systems',
      host({ scrapers: { cpu: null, load: {} } }),
      ['/proc /hostfs/proc ro', '/sys /hostfs/sys ro'],
    ],
    ['the root with file systems', host({ scrapers: { filesystem: null } }), ['/ /hostfs ro follows']],
    [
      'only the file systems that are named',
      host({ scrapers: { filesystem: { include_mount_points: { match_type: 'strict', mount_points: ['/var'] } } } }),
      ['/proc /hostfs/proc ro', '/sys /hostfs/sys ro', '/var /hostfs/var ro follows'],
    ],
    [
      'the CA of a kubelet that pods are learned from, once',
      {
        receivers: { kubelet_stats: { ca_file: '/pki/ca.crt' } },
        processors: { k8s_attributes: { kubelet: { enabled: true, ca_file: '/pki/ca.crt' } } },
      },
      ['/pki/ca.crt /pki/ca.crt ro File'],
    ],
    ['nothing when the host is where we are', { receivers: { host_metrics: { scrapers: { cpu: {} } } } }, []],
    [
      'a CA of the node, and none that is in every pod',
      {
        receivers: {
          kubeletstats: { ca_file: '/var/lib/kubelet/pki/kubelet.crt' },
          'kubelet_stats/2': { ca_file: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt' },
        },
      },
      ['/var/lib/kubelet/pki/kubelet.crt /var/lib/kubelet/pki/kubelet.crt ro File'],
    ],
  ] as const)
    it(what, () => assert.deepEqual(mounts(parts as Parts), expected));

  it('those that are written', () => {
    const { storage } = needs({
      extensions: {
        file_storage: null,
        'file_storage/queue': {
          directory: '/var/lib/otelcol/',
          compaction: { on_start: true, directory: '/var/lib/otelcol/tmp' },
        },
        'file_storage/apart': { directory: '/data', compaction: { on_rebound: true, directory: '/compaction' } },
      },
    });
    assert.deepEqual(
      storage.map((s) => s.path),
      ['/var/lib/otelcol/file_storage', '/var/lib/otelcol', '/data', '/compaction'],
    );
    assert.deepEqual(
      needs({ exporters: { file: { path: '/out/data.json' } } }).scratch.map((s) => s.path),
      ['/out'],
    );
  });
});

describe('rights of the process', () => {
  it('root for logs and file systems, the search of directories of others where there are some, tracing for processes', () => {
    const of = (parts: Parts) => [needs(parts).root.length > 0, needs(parts).capabilities];
    assert.deepEqual(of(files('/var/log/pods/*/*/*.log', '/var/log/containers/*.log')), [true, []]);
    assert.deepEqual(of(files('/var/log/*.log')), [true, ['DAC_READ_SEARCH']]);
    assert.deepEqual(of(files('/var/log/pods-of-others/*.log')), [true, ['DAC_READ_SEARCH']]);
    assert.deepEqual(of(host({ scrapers: { filesystem: {} } })), [true, ['DAC_READ_SEARCH']]);
    const named = { include_mount_points: { match_type: 'strict', mount_points: ['/var'] } };
    assert.deepEqual(of(host({ scrapers: { filesystem: named } })), [true, []]);
    assert.deepEqual(of(host({ scrapers: { process: {} } })), [true, ['DAC_READ_SEARCH', 'SYS_PTRACE']]);
    assert.deepEqual(of(host({ scrapers: { cpu: {} } })), [false, []]);
    assert.deepEqual(of({ receivers: { otlp: {} } }), [false, []]);
  });
});

describe('environment variables', () => {
  it('all that are named, once, and whether they may be absent', () => {
    const { env } = needs(
      {
        receivers: { kubeletstats: { endpoint: '${env:K8S_NODE_IP}:10250', note: 'costs $${env:NOT} and $5' } },
        processors: {
          k8sattributes: { filter: { node_from_env_var: 'NODE' } },
          resourcedetection: { detectors: ['k8s_api'] },
        },
        exporters: {
          otlphttp: { headers: { a: '${env:TOKEN:-none}', b: '${PLAIN}' }, also: '${env:BOTH:-x}' },
          debug: { x: ['${env:BOTH}'] },
        },
      },
      { resource: { 'host.name': '${env:K8S_NODE_NAME}' } },
    );
    assert.deepEqual(
      env.map((e) => `${e.name}${e.isOptional ? '?' : ''}`),
      ['BOTH', 'K8S_NODE_IP', 'K8S_NODE_NAME', 'NODE', 'PLAIN', 'TOKEN?'],
    );
    assert.equal(env.find((e) => e.name === 'NODE')?.why, 'processors.k8sattributes: filter.node_from_env_var');
  });
});

describe('ports', () => {
  const ports = (parts: Parts, telemetry?: Json): string[] =>
    needs(parts, telemetry).ports.map(
      (p) => `${p.name} ${p.port}/${p.protocol} ${p.purpose}${p.isLocal ? ' local' : ''}`,
    );

  it('what receivers listen on, with what is open only inside of the pod', () => {
    assert.deepEqual(
      ports({
        receivers: {
          otlp: { protocols: { grpc: { endpoint: '${env:MY_POD_IP}:4317' }, http: null } },
          'otlp/2': { protocols: { grpc: { endpoint: '0.0.0.0:5317' } } },
          tcplog: { listen_address: '0.0.0.0:5140' },
          syslog: { udp: { listen_address: '[::]:5514' } },
        },
      }),
      [
        'otlp 4317/TCP data',
        'otlp-http 4318/TCP data local',
        'otlp-5317 5317/TCP data',
        'tcp-log 5140/TCP data',
        'syslog-udp 5514/UDP data',
        'metrics 8888/TCP metrics local',
      ],
    );
  });

  it('health and the own metrics', () => {
    const health = { extensions: { health_check: { endpoint: '${env:MY_POD_IP}:13133', path: '/ready' } } };
    const reader = (prometheus: Json): Json => ({ metrics: { readers: [{ pull: { exporter: { prometheus } } }] } });
    assert.deepEqual(ports(health, reader({ host: '0.0.0.0', port: 9999 })), [
      'health 13133/TCP health',
      'metrics 9999/TCP metrics',
    ]);
    assert.deepEqual(needs(health).health, { port: 13133, path: '/ready' });
    assert.equal(needs({ extensions: { health_check: null } }).health, undefined);
    assert.deepEqual(ports({}, { metrics: { level: 'none' } }), []);
    assert.deepEqual(ports({}, { metrics: { address: ':8888' } }), ['metrics 8888/TCP metrics']);
  });
});
