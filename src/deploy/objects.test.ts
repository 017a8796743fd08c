import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { ConfigError } from '../core/errors.ts';
import { collection } from './collection.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { objectsOf } from './objects.ts';
import { parseObjects, toFiles, toJson, toYaml } from './render.ts';
import type { Spec } from './spec.ts';
import { objectsOfVariant, RENDERED, renderVariant, VARIANTS } from './testing.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects of many kinds; each test reads other parts of them.
type Any = any;

const find = (objects: readonly KubernetesObject[], kind: string, name?: string): Any => {
  const found = objects.find((o) => o.kind === kind && (name === undefined || o.metadata.name === name));
  assert.ok(found, `${kind} ${name ?? ''}`);
  return found;
};
const render = (spec: Spec): KubernetesObject[] => objectsOf(collection(spec));
const podOf = (workload: Any): Any => workload.spec.template.spec;
const workloads = (objects: readonly KubernetesObject[]): Any[] =>
  objects.filter((o) => o.kind === 'DaemonSet' || o.kind === 'Deployment');

/** What Pod Security `restricted` asks for, by the words of its documentation; empty when all is well. */
function violations(pod: Any): string[] {
  const wrong: string[] = [];
  const check = (holds: boolean, what: string): void => void (holds || wrong.push(what));
  check(!pod.hostNetwork && !pod.hostPID && !pod.hostIPC, 'host namespaces');
  const kinds = [
    'configMap',
    'csi',
    'downwardAPI',
    'emptyDir',
    'ephemeral',
    'persistentVolumeClaim',
    'projected',
    'secret',
  ];
  for (const v of pod.volumes)
    check(
      kinds.some((k) => v[k] !== undefined),
      `volume ${v.name}`,
    );
  for (const c of pod.containers) {
    const of = (key: string): unknown => c.securityContext[key] ?? pod.securityContext[key];
    check(c.securityContext.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation');
    check(c.securityContext.privileged !== true, 'privileged');
    check(of('runAsNonRoot') === true, 'runAsNonRoot');
    check(of('runAsUser') !== 0, 'runAsUser');
    check((of('seccompProfile') as Any)?.type === 'RuntimeDefault', 'seccompProfile');
    check(c.securityContext.capabilities.drop.includes('ALL'), 'drop');
    check((c.securityContext.capabilities.add ?? []).length === 0, 'add');
    check(
      (c.ports ?? []).every((p: Any) => p.hostPort === undefined),
      'hostPort',
    );
  }
  return wrong;
}

describe('rendered variants', () => {
  it('there is a file for each, and no other', () => {
    assert.deepEqual(readdirSync(RENDERED).sort(), VARIANTS.map((v) => `${v.name}.yaml`).sort());
  });

  for (const variant of VARIANTS)
    describe(variant.name, () => {
      const objects = objectsOfVariant(variant);

      it('is as in testdata/rendered (npm run rendered writes it anew)', () => {
        const file = join(RENDERED, `${variant.name}.yaml`);
        assert.ok(existsSync(file), file);
        assert.equal(renderVariant(variant), readFileSync(file, 'utf8'));
      });

      it('YAML 1.1 and 1.2, JSON and single files say the same', () => {
        const plain = JSON.parse(JSON.stringify(objects));
        const yaml = toYaml(objects);
        assert.deepEqual(
          parseAllDocuments(yaml, { version: '1.1' })
            .map((d) => d.toJS())
            .filter(Boolean),
          plain,
        );
        assert.deepEqual(parseObjects(yaml, 'x'), plain);
        assert.deepEqual(
          parseAllDocuments(yaml)
            .map((d) => d.toJS())
            .filter(Boolean),
          plain,
        );
        assert.deepEqual(parseObjects(toJson(objects), 'x'), plain);
        const files = toFiles(objects, 'yaml');
        assert.equal(files.size, objects.length, 'every object has a name of its own');
        assert.deepEqual(
          [...files.values()].flatMap((text) => parseObjects(text, 'x')),
          plain,
        );
        const places = [...files.keys()].map((name) => name.slice(0, 2));
        assert.deepEqual([...places].sort(), places, 'kubectl takes them in this order');
      });

      it('no account may see secrets, use a wildcard or reach through nodes/proxy where nodes/pods will do', () => {
        for (const role of objects.filter((o) => o.kind === 'ClusterRole' || o.kind === 'Role'))
          for (const rule of (role as Any).rules) {
            const words = [...rule.apiGroups, ...rule.resources, ...rule.verbs];
            assert.ok(!words.includes('*') && !words.includes('secrets'), JSON.stringify(rule));
            const isOld = variant.name.startsWith('k3s') && variant.name.endsWith('all');
            assert.ok(!words.includes('nodes/proxy') || isOld, JSON.stringify(rule));
            for (const verb of rule.verbs)
              assert.ok(
                ['get', 'list', 'watch'].includes(verb) || rule.resources.join() === 'leases',
                JSON.stringify(rule),
              );
          }
      });

      it('pods fit their namespace, and the gateway satisfies restricted', () => {
        for (const w of workloads(objects)) {
          const wrong = violations(podOf(w));
          const level = find(objects, 'Namespace', w.metadata.namespace).metadata.labels[
            'pod-security.kubernetes.io/enforce'
          ];
          if (level === 'restricted' || w.kind === 'Deployment') assert.deepEqual(wrong, []);
          else assert.notDeepEqual(wrong, [], 'privileged only where it has to be');
          const [container] = podOf(w).containers;
          assert.equal(container.securityContext.readOnlyRootFilesystem, true);
          assert.equal(container.securityContext.privileged, false);
          const writable = container.volumeMounts.filter((m: Any) => !m.readOnly).map((m: Any) => m.mountPath);
          for (const path of writable) assert.match(path, /^(\/var\/lib\/otelcol|\/tmp)$/);
        }
      });

      it('names fit: selectors, accounts, ConfigMaps, volumes, probes, services', () => {
        for (const w of workloads(objects)) {
          const pod = podOf(w);
          const labels = w.spec.template.metadata.labels;
          for (const [k, v] of Object.entries(w.spec.selector.matchLabels)) assert.equal(labels[k], v);
          assert.equal(
            find(objects, 'ServiceAccount', pod.serviceAccountName).metadata.namespace,
            w.metadata.namespace,
          );
          const [container] = pod.containers;
          const volumes = pod.volumes.map((v: Any) => v.name);
          assert.deepEqual([...new Set(volumes)], volumes);
          assert.deepEqual(
            container.volumeMounts.map((m: Any) => m.name),
            volumes,
          );
          assert.ok(find(objects, 'ConfigMap', pod.volumes[0].configMap.name).data.relay);
          const ports = container.ports.map((p: Any) => p.name);
          for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
            assert.ok(ports.includes(container[probe].httpGet.port), probe);
          const service = find(objects, 'Service', w.metadata.name);
          for (const p of service.spec.ports) assert.ok(ports.includes(p.targetPort), p.targetPort);
          const env = container.env.map((e: Any) => e.name);
          assert.deepEqual([...new Set(env)], env);
        }
      });
    });
});

describe('objects', () => {
  it('another configuration rolls the pods, and nothing else does', () => {
    const checksum = (spec: Spec): string =>
      find(render(spec), 'DaemonSet').spec.template.metadata.annotations['checksum/config'];
    const before = checksum({});
    assert.equal(checksum({}), before);
    assert.equal(checksum({ gateway: false }), before);
    assert.notEqual(checksum({ agent: { batch: { timeout: '3s' } } }), before);
  });

  it('what a user adds by hand is mounted, published and allowed as well', () => {
    const objects = render({
      agent: {
        config: {
          receivers: {
            'file_log/kernel': { include: ['/var/log/kern.log'] },
            otlp: { protocols: { http: { endpoint: '0.0.0.0:4318' } } },
            k8s_events: { namespaces: ['shop'] },
          },
          service: { pipelines: { logs: { receivers: { $append: ['file_log/kernel', 'otlp', 'k8s_events'] } } } },
        },
      },
    });
    const pod = podOf(find(objects, 'DaemonSet'));
    const paths = pod.volumes.filter((v: Any) => v.hostPath).map((v: Any) => v.hostPath.path);
    assert.deepEqual(paths, ['/', '/var/log', '/var/lib/otelcol'], '/var/log/pods lies in /var/log');
    const { spec } = find(objects, 'Service', 'otel-agent');
    assert.deepEqual(
      spec.ports.map((p: Any) => p.port),
      [4318, 8888],
    );
    assert.equal(spec.internalTrafficPolicy, 'Local');
    assert.equal(find(objects, 'Role', 'otel-agent').metadata.namespace, 'shop');
  });

  it('a variable that no one sets is a mistake, unless it has a default', () => {
    const headers = (text: string): Spec => ({ destinations: { logs: { headers: { 'x-team': text } } } });
    assert.throws(
      () => render(headers('${env:TEAM}')),
      ({ diagnostics }: ConfigError) =>
        diagnostics[0]!.path.join('.') === 'agent.env' &&
        /uses the environment variable TEAM/.test(diagnostics[0]!.message),
    );
    const env = [{ name: 'TEAM', value: 'a' }];
    render({ ...headers('${env:TEAM}'), agent: { env }, gateway: { env } });
  });

  it('two collections in a cluster share no object', () => {
    const names = (namespace: string): string[] =>
      render({
        namespace,
        platform: 'openshift',
        gateway: {
          replicas: 2,
          presets: { clusterMetrics: false, kubernetesAttributes: false, kubernetesEvents: { namespaces: ['shop'] } },
        },
      }).map((o) => `${o.kind} ${o.metadata.namespace ?? ''}/${o.metadata.name}`);
    const own = names('opentelemetry');
    assert.deepEqual(
      names('canary').filter((n) => own.includes(n)),
      [],
    );
    assert.ok(own.includes('ClusterRole /otel-agent') && own.includes('Role shop/otel-gateway'));
    const objects = render({ namespace: 'canary' });
    const role = find(objects, 'ClusterRole', 'otel-agent-canary').metadata.name;
    const binding = find(objects, 'ClusterRoleBinding', 'otel-agent-canary');
    assert.deepEqual([binding.roleRef.name, binding.subjects[0].name], [role, 'otel-agent']);
  });

  it('own metrics are scraped by the operator that is there', () => {
    const objects = render({ agent: { podMonitor: 'VMPodScrape' }, gateway: { podMonitor: true } });
    const scrape = find(objects, 'VMPodScrape', 'otel-agent');
    const monitor = find(objects, 'PodMonitor', 'otel-gateway');
    assert.equal(scrape.apiVersion, 'operator.victoriametrics.com/v1beta1');
    assert.deepEqual(Object.keys(scrape.spec), Object.keys(monitor.spec));
    assert.deepEqual(scrape.spec.selector.matchLabels, { 'app.kubernetes.io/name': 'otel-agent' });
  });

  it('several gateways are spread over nodes, unless the spec says otherwise', () => {
    const spread = (spec: Spec['gateway'] & object) =>
      podOf(find(render({ gateway: spec }), 'Deployment')).topologySpreadConstraints;
    assert.equal(spread({}), undefined);
    assert.equal(spread({ replicas: 2, affinity: { podAntiAffinity: {} } }), undefined);
    assert.deepEqual(spread({ replicas: 2 }), [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'otel-gateway' } },
      },
    ]);
  });

  it('dashboards and the rules of the operators that are there come with the rest, where Grafana looks', () => {
    assert.ok(!render({}).some((o) => o.metadata.name.startsWith('sluice-')));
    const of = (dashboards: Spec['dashboards'] & object) =>
      render({ dashboards }).filter((o) => o.metadata.labels?.['app.kubernetes.io/name'] === 'sluice-dashboards');
    const plain = render({ dashboards: true });
    const maps = plain.filter((o) => o.kind === 'ConfigMap' && o.metadata.namespace === 'opentelemetry');
    assert.deepEqual(
      maps.filter((o) => o.metadata.labels?.['grafana_dashboard'] === '1').map((o) => o.metadata.name),
      ['nodes', 'pods', 'workloads', 'volumes', 'events'].map((name) => `sluice-dashboard-${name}`),
    );
    assert.ok(!plain.some((o) => o.kind.endsWith('Rule')));
    const objects = of({ namespace: 'grafana', sidecarLabel: { dash: 'yes' }, folder: 'K', rules: ['VMRule'] });
    assert.deepEqual(
      objects.map((o) => o.kind),
      [...Array(5).fill('ConfigMap'), 'VMRule'],
    );
    for (const { metadata } of objects) {
      assert.equal(metadata.namespace, 'grafana');
      // What an earlier render left is found by it.
      assert.equal(metadata.labels?.['app.kubernetes.io/managed-by'], 'sluice');
    }
    assert.deepEqual(
      [objects[0]!.metadata.labels?.['dash'], objects[0]!.metadata.annotations?.['grafana_folder']],
      ['yes', 'K'],
    );
    assert.deepEqual(parseObjects(toYaml(objects), 'x'), JSON.parse(JSON.stringify(objects)));
  });

  it('a volume of the spec is mounted, where nothing else is', () => {
    const ca = { name: 'ca', mountPath: '/etc/ca', secret: { secretName: 'ca' } };
    const pod = podOf(find(render({ gateway: { volumes: [ca] } }), 'Deployment'));
    assert.deepEqual(pod.volumes.at(-1), { name: 'ca', secret: { secretName: 'ca' } });
    assert.deepEqual(pod.containers[0].volumeMounts.at(-1), { name: 'ca', mountPath: '/etc/ca', readOnly: true });
    const refused = (spec: Spec, expected: RegExp) =>
      assert.throws(
        () => render(spec),
        ({ diagnostics: [d] }: ConfigError) => expected.test(`${d!.path.join('.')}: ${d!.message}`),
      );
    refused(
      { agent: { volumes: [{ ...ca, mountPath: '/conf' }] } },
      /agent\.volumes\.0: there is a volume config at \/conf/,
    );
    const node = { name: 'node', mountPath: '/node', hostPath: { path: '/etc' } };
    refused({ gateway: { volumes: [node] } }, /gateway\.volumes\.0: the gateway mounts nothing of a node/);
    refused({ agent: { volumes: [{ name: 'x', mountPath: '/x' }] } }, /agent\.volumes\.0: a volume has one of/);
    const agent: Spec['agent'] = {
      presets: { logsCollection: { checkpoints: false }, hostMetrics: false },
      volumes: [node],
    };
    refused({ platform: 'gke-autopilot', agent }, /agent\.volumes\.0: gke-autopilot mounts no \/etc/);
  });

  it('probes ask the port that can be reached, and pods keep the name that they are found by', () => {
    const objects = render({
      agent: {
        labels: { 'app.kubernetes.io/name': 'mine', team: 'a' },
        config: {
          extensions: {
            health_check: { endpoint: 'localhost:13133' },
            'health_check/open': { endpoint: '0.0.0.0:13134', path: '/ready' },
          },
          service: { extensions: { $append: ['health_check/open'] } },
        },
      },
    });
    const workload = find(objects, 'DaemonSet');
    const [container] = podOf(workload).containers;
    const { port, path } = container.livenessProbe.httpGet;
    assert.deepEqual([container.ports.find((p: Any) => p.name === port).containerPort, path], [13134, '/ready']);
    assert.deepEqual(workload.spec.selector.matchLabels, { 'app.kubernetes.io/name': 'otel-agent' });
    assert.equal(workload.spec.template.metadata.labels['app.kubernetes.io/name'], 'otel-agent');
    assert.equal(workload.spec.template.metadata.labels.team, 'a');
  });

  it('the heap has a share of the memory limit, and there is none without a limit', () => {
    const variables = (spec: Spec): string[] =>
      podOf(find(render(spec), 'DaemonSet'))
        .containers[0].env.filter((e: Any) => e.value !== undefined)
        .map((e: Any) => `${e.name}=${e.value}`);
    const limits = (memory: string): Spec => ({ agent: { resources: { limits: { memory } } } });
    assert.deepEqual(variables(limits('1Gi')), ['NODE_OPTIONS=--max-old-space-size=665']);
    assert.deepEqual(variables({ ...limits('200M'), engine: 'otelcol-contrib' }), ['GOMEMLIMIT=152MiB']);
    assert.deepEqual(variables({ agent: { resources: { requests: { cpu: 0.5 }, limits: { memory: 2 ** 30 } } } }), [
      'NODE_OPTIONS=--max-old-space-size=665',
    ]);
    assert.deepEqual(variables({ agent: { resources: { requests: { cpu: '1' }, limits: {} } } }), []);
  });

  it('an agent that needs nothing of the node runs restricted, without a token when it asks for nothing', () => {
    const objects = render({
      gateway: false,
      destinations: { logs: { persistentQueue: false } },
      agent: {
        presets: { logsCollection: false, hostMetrics: false, kubeletMetrics: false, kubernetesAttributes: false },
        config: {
          receivers: { otlp: { protocols: { http: { endpoint: '0.0.0.0:4318' } } } },
          exporters: { debug: {} },
          service: { pipelines: { logs: { receivers: ['otlp'], exporters: ['debug'] } } },
        },
      },
    });
    assert.equal(find(objects, 'Namespace').metadata.labels['pod-security.kubernetes.io/enforce'], 'restricted');
    const pod = podOf(find(objects, 'DaemonSet'));
    assert.deepEqual(violations(pod), []);
    assert.equal(pod.automountServiceAccountToken, false);
    assert.ok(!objects.some((o) => o.kind === 'ClusterRole'));
  });
});

describe('what a platform refuses', () => {
  const told = (spec: Spec): string[] => {
    try {
      render(spec);
    } catch (e) {
      return (e as ConfigError).diagnostics.map((d) => `${d.path.join('.')}: ${d.message} | ${d.hint}`);
    }
    return [];
  };

  it('GKE Autopilot says what it does not give, and what to leave out', () => {
    const problems = told({ platform: 'gke-autopilot' });
    assert.match(problems.join('\n'), /mounts no \/ of the node, only \/var\/log.*hostMetrics: false/);
    assert.match(problems.join('\n'), /lets nobody write on the node.*file_storage.*checkpoints: false/);
    assert.equal(problems.length, 2);
    const presets = {
      hostMetrics: false,
      logsCollection: { checkpoints: false },
      kubernetesAttributes: { podSource: 'kubelet' },
    } as const;
    const spec: Spec = {
      platform: 'gke-autopilot',
      destinations: { logs: { persistentQueue: false } },
      agent: { presets },
    };
    assert.match(
      told({ ...spec, kubernetesVersion: '1.32' }).join(),
      /^platform: gke-autopilot grants nobody nodes\/proxy \(processors\.k8s_attributes: .*\) \| .*from Kubernetes 1\.33 on/,
    );
    assert.deepEqual(told({ ...spec, kubernetesVersion: '1.33' }), []);
  });

  it('the gateway mounts nothing of a node', () => {
    const config = {
      receivers: { file_log: { include: ['/var/log/x.log'] } },
      service: { pipelines: { logs: { receivers: { $append: ['file_log'] } } } },
    };
    assert.match(told({ gateway: { config } })[0]!, /the gateway mounts nothing of a node.*belongs to the agent/);
  });

  it('several gateways share no volume, and a monitor needs a port', () => {
    const storage = { replicas: 2, presets: { kubernetesEvents: { storage: true } } };
    assert.match(told({ gateway: storage }).join(), /cannot share the volume/);
    const config = { service: { telemetry: { metrics: { level: 'none' } } } };
    assert.match(told({ agent: { podMonitor: true, config } }).join(), /agent\.podMonitor: .*cannot be reached/);
  });

  it('OpenShift grants the agent what it is, and numbers the user of the gateway itself', () => {
    const objects = render({ platform: 'openshift' });
    const agent = podOf(find(objects, 'DaemonSet'));
    const scc = find(objects, 'SecurityContextConstraints');
    assert.deepEqual(scc.allowedCapabilities, agent.containers[0].securityContext.capabilities.add);
    assert.deepEqual(scc.users, ['system:serviceaccount:opentelemetry:otel-agent']);
    for (const volume of agent.volumes)
      assert.ok(
        scc.volumes.some((kind: string) => volume[kind] !== undefined),
        volume.name,
      );
    assert.deepEqual(agent.securityContext.seLinuxOptions, { type: 'spc_t' });
    assert.equal(podOf(find(objects, 'Deployment')).securityContext.runAsUser, undefined);
  });

  it('OpenShift is asked for no leave by an agent that is like any other pod', () => {
    const objects = render({
      platform: 'openshift',
      destinations: { logs: { persistentQueue: false } },
      agent: { presets: { logsCollection: false, hostMetrics: false } },
    });
    assert.ok(!objects.some((o) => o.kind === 'SecurityContextConstraints'));
    const pod = podOf(find(objects, 'DaemonSet'));
    assert.ok(pod.volumes.every((v: Any) => v.hostPath === undefined));
    // The restricted constraints of every account give the number themselves.
    assert.deepEqual(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    const own = { name: 'ca', mountPath: '/ca', hostPath: { path: '/etc/ca' } };
    const mounting = render({
      platform: 'openshift',
      agent: { presets: { logsCollection: false, hostMetrics: false }, volumes: [own] },
    });
    assert.equal(podOf(find(mounting, 'DaemonSet')).securityContext.runAsUser, 10001);
    assert.ok(find(mounting, 'SecurityContextConstraints').volumes.includes('hostPath'));
  });
});
