/** What the API server would refuse is an error of the spec, with its place. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../core/errors.ts';
import { collection, type Spec } from './index.ts';
import { collectionFromYaml } from './read.ts';

const LONG = 'a'.repeat(64);

function problemsOf(spec: Spec): string[] {
  try {
    collection(spec);
    return [];
  } catch (e) {
    assert.ok(e instanceof ConfigError);
    return e.diagnostics.map((d) => `${d.path.join('.')}: ${d.message}${d.hint === undefined ? '' : `; ${d.hint}`}`);
  }
}

const ENDS = 'letters, digits, -, _ and ., with a letter or digit at both ends';
const refused: readonly (readonly [Spec, string])[] = [
  [
    { agent: { labels: { 'a b': 'c' } } },
    `agent.labels.a b: "a b" is no key of Kubernetes; ${ENDS}; before a / may stand a domain`,
  ],
  [{ agent: { labels: { 'a/b/c': 'c' } } }, 'agent.labels.a/b/c: "a/b/c" has more than one /; write prefix/name'],
  [
    { agent: { labels: { 'Example.com/team': 'c' } } },
    'agent.labels.Example.com/team: "Example.com" before the / of a key is no domain; write example.com/team',
  ],
  [
    { agent: { labels: { [LONG]: 'c' } } },
    `agent.labels.${LONG}: "${'a'.repeat(40)}…" has 64 characters, and Kubernetes takes 63 in the name of a key`,
  ],
  [
    { agent: { labels: { team: LONG } } },
    `agent.labels.team: "${'a'.repeat(40)}…" has 64 characters, and Kubernetes takes 63 in the value of a label; an annotation may be longer`,
  ],
  [{ gateway: { labels: { team: 'a/b' } } }, `gateway.labels.team: "a/b" is no value of a label; ${ENDS}`],
  [
    { agent: { nodeSelector: { 'role?': 'x' } } },
    `agent.nodeSelector.role?: "role?" is no key of Kubernetes; ${ENDS}; before a / may stand a domain`,
  ],
  [{ agent: { nodeSelector: { role: '-x' } } }, `agent.nodeSelector.role: "-x" is no value of a label; ${ENDS}`],
  [
    { agent: { annotations: { 'a b': '' } } },
    `agent.annotations.a b: "a b" is no key of Kubernetes; ${ENDS}; before a / may stand a domain`,
  ],
  [
    { agent: { annotations: { 'checksum/config': 'x' } } },
    'agent.annotations.checksum/config: checksum/config is what rolls the pods when their configuration changes; use another key',
  ],
  [
    { agent: { annotations: { a: 'x'.repeat(256 * 1024) } } },
    'agent.annotations: annotations of 262145 bytes, and Kubernetes takes 262144',
  ],
  [
    { namespace: 'My' },
    'namespace: "My" is no name of a namespace; lower-case letters, digits and -, with a letter or digit at both ends',
  ],
  [
    { gateway: { namespace: LONG } },
    `gateway.namespace: "${'a'.repeat(40)}…" has 64 characters, and Kubernetes takes 63 in the name of a namespace`,
  ],
  [
    { gateway: { presets: { clusterMetrics: { namespaces: ['a.b'] } } } },
    'gateway.presets.clusterMetrics.namespaces.0: "a.b" is no name of a namespace; lower-case letters, digits and -, with a letter or digit at both ends',
  ],
  [
    { gateway: { presets: { kubernetesEvents: { namespaces: ['x_y'] } } } },
    'gateway.presets.kubernetesEvents.namespaces.0: "x_y" is no name of a namespace; lower-case letters, digits and -, with a letter or digit at both ends',
  ],
  [
    { agent: { priorityClassName: 'Very High' } },
    'agent.priorityClassName: "Very High" is no name of a priority class; lower-case letters, digits, - and ., with a letter or digit at both ends',
  ],
  [
    { image: { pullSecrets: ['My Secret'] } },
    'image.pullSecrets.0: "My Secret" is no name of a Secret; lower-case letters, digits, - and ., with a letter or digit at both ends',
  ],
  [
    { destinations: { logs: { authentication: { bearer: { secret: 'a_b' } } } } },
    'destinations.logs.authentication.bearer.secret: "a_b" is no name of a Secret; lower-case letters, digits, - and ., with a letter or digit at both ends',
  ],
  [
    { destinations: { logs: { authentication: { bearer: { secret: 'a', key: 'x/y' } } } } },
    'destinations.logs.authentication.bearer.key: "x/y" is no name of a key of a Secret; letters, digits, -, _ and .',
  ],
  [
    { agent: { env: [{ name: '1 A' }] } },
    'agent.env.0.name: "1 A" is no name of an environment variable; letters, digits and _, no digit in front',
  ],
  [
    { agent: { env: [{ name: 'A', value: 'x', valueFrom: {} }] } },
    'agent.env.0: a variable has either value or valueFrom',
  ],
  [
    { agent: { volumes: [{ name: 'My', mountPath: '/x', emptyDir: {} }] } },
    'agent.volumes.0.name: "My" is no name of a volume; lower-case letters, digits and -, with a letter or digit at both ends',
  ],
  [
    { agent: { volumes: [{ name: 'my', mountPath: '/x:y', emptyDir: {} }] } },
    'agent.volumes.0.mountPath: mountPath must begin with / and have no :',
  ],
  [
    { agent: { tolerations: [{ key: 'a b', operator: 'Exists' }] } },
    `agent.tolerations.0.key: "a b" is no key of Kubernetes; ${ENDS}; before a / may stand a domain`,
  ],
  [
    { agent: { tolerations: [{ effect: 'NoSchedule' }] } },
    'agent.tolerations.0.operator: a toleration without a key tolerates everything; write operator: Exists',
  ],
  [
    { agent: { tolerations: [{ key: 'a', operator: 'Exists', value: 'b' }] } },
    'agent.tolerations.0.value: operator: Exists looks at no value; leave value out, or write operator: Equal',
  ],
  [
    { agent: { tolerations: [{ key: 'a', value: 'b', tolerationSeconds: 5 }] } },
    'agent.tolerations.0.tolerationSeconds: only what NoExecute would end can stay for a while; write effect: NoExecute',
  ],
  [
    { agent: { resources: { requests: { memroy: 1 } } } },
    'agent.resources.requests.memroy: "memroy" is no resource of a container; cpu, memory, ephemeral-storage',
  ],
  [
    { agent: { resources: { requests: { memory: '1Gi' }, limits: { memory: '512Mi' } } } },
    'agent.resources.requests.memory: the request 1Gi of memory is above its limit 512Mi',
  ],
  [
    { agent: { maxUnavailable: '0%' } },
    'agent.maxUnavailable: must be a share such as 10%, not 0; or a number of agents',
  ],
  [
    { image: { repository: 'ghcr.io/team/sluice:1.0' } },
    'image.repository: "ghcr.io/team/sluice:1.0" is no repository of an image; write what stands behind the last colon as tag',
  ],
  [
    { image: { repository: 'https://ghcr.io/team/sluice' } },
    'image.repository: "https://ghcr.io/team/sluice" is no repository of an image; leave https:// out',
  ],
  [{ image: { tag: 'a b' } }, 'image.tag: "a b" is no tag of an image; letters, digits, _, . and -'],
  [
    { dashboards: { sidecarLabel: { grafana: 'yes please' } } },
    `dashboards.sidecarLabel.grafana: "yes please" is no value of a label; ${ENDS}`,
  ],
];

const taken: readonly Spec[] = [
  { agent: { labels: { 'example.com/team_A.1': 'x_Y.1', empty: '', 'app.kubernetes.io/instance': 'a' } } },
  { agent: { labels: { [`${'a'.repeat(60)}.${'b'.repeat(60)}/${'c'.repeat(63)}`]: 'd'.repeat(63) } } },
  { agent: { annotations: { 'Example.com/Note': 'any text, "quoted" & long: '.repeat(100) } } },
  { agent: { nodeSelector: { 'node-role.kubernetes.io/worker': '' }, priorityClassName: 'system-node-critical' } },
  {
    agent: {
      tolerations: [{ operator: 'Exists' }, { key: 'a', value: 'b', effect: 'NoExecute', tolerationSeconds: 5 }],
    },
  },
  {
    agent: {
      resources: { requests: { cpu: 1, 'nvidia.com/gpu': 1 }, limits: { cpu: '1000m', 'hugepages-2Mi': '4Mi' } },
    },
  },
  {
    agent: { maxUnavailable: '100%' },
    image: { repository: 'registry.test:5000/a/b-c_d', tag: 'v1.0_x', pullSecrets: ['a.b'] },
  },
  { image: { repository: 'sluice' } },
];

describe('names of Kubernetes', () => {
  for (const [spec, expected] of refused)
    it(`are checked: ${expected}`.slice(0, 160), () => assert.deepEqual(problemsOf(spec), [expected]));

  it('that it takes are taken', () => {
    for (const spec of taken) assert.deepEqual(problemsOf(spec), []);
  });

  it('have a place in the file', () => {
    const text = `agent:\n  labels:\n    ok: fine\n    'a b': x\n`;
    assert.throws(
      () => collectionFromYaml(text, 'spec.yaml'),
      (e) => e instanceof ConfigError && e.diagnostics[0]!.line === 4 && e.diagnostics[0]!.column === 5,
    );
  });
});
