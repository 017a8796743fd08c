/** Collection by annotation: what is rendered, where it cannot be had, and which annotation is said to decide. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../core/errors.ts';
import { type CollectorConfig, collection, objectsOf, type Spec } from '../index.ts';
import { type ByAnnotation, decidingAnnotation } from './by-annotation.ts';

// biome-ignore lint/suspicious/noExplicitAny: each test reads other parts of configurations and objects.
type Any = Record<string, any>;

const agentOf = (spec: Spec, byAnnotation?: ByAnnotation, presets: object = {}): CollectorConfig => {
  const logsCollection = byAnnotation === undefined ? {} : { byAnnotation };
  return collection({ ...spec, gateway: false, agent: { presets: { logsCollection, ...presets } } }).tiers[0]!.config;
};
const conditionsOf = (config: CollectorConfig): string[] =>
  (config.processors as Any)['filter/annotations'].logs.log_record;
const namespaceRules = (spec: Spec, byAnnotation?: ByAnnotation): Any[] => {
  const logsCollection = byAnnotation === undefined ? {} : { byAnnotation };
  const made = collection({ ...spec, gateway: false, agent: { presets: { logsCollection } } });
  const roles = objectsOf(made).filter((o) => o.kind === 'ClusterRole') as Any[];
  return roles.flatMap((r) => r['rules']).filter((r: Any) => r['resources'].includes('namespaces'));
};

for (const engine of ['sluice', 'otelcol-contrib'] as const) {
  test(`${engine}: annotations are read behind k8s_attributes and forgotten before anything else happens`, () => {
    const { service, processors } = agentOf({ engine, clusterName: 'home' }, 'opt-out');
    assert.deepEqual(
      Object.entries(service.pipelines).map(([signal, p]) => [signal, p.processors]),
      [
        [
          'logs',
          [
            'memory_limiter',
            'k8s_attributes',
            'filter/annotations',
            'resource/annotations',
            'resource/cluster',
            'batch',
          ],
        ],
        // The same k8s_attributes puts them there too.
        ['metrics', ['memory_limiter', 'k8s_attributes', 'resource/annotations', 'resource/cluster', 'batch']],
      ],
    );
    const { extract, wait_for_metadata } = (processors as Any)['k8s_attributes'];
    assert.deepEqual(
      extract.annotations.map((a: Any) => [a['from'], a['tag_name']]),
      [
        ['pod', 'discovery.logs.pod$$1'],
        ['namespace', 'discovery.logs.namespace$$1'],
      ],
    );
    assert.equal(wait_for_metadata, true);
  });

  test(`${engine}: the right to read all namespaces comes with the option, and without it nothing changes`, () => {
    const [bare] = namespaceRules({ engine });
    assert.deepEqual(bare!['resourceNames'], ['kube-system']);
    const [all] = namespaceRules({ engine }, 'opt-in');
    assert.deepEqual([all!['verbs'], all!['resourceNames']], [['list', 'watch'], undefined]);
    assert.doesNotMatch(JSON.stringify(agentOf({ engine })), /discovery/);
  });
}

test('both engines get the same conditions; opt-in and opt-out differ in what nobody has annotated', () => {
  const out = conditionsOf(agentOf({}, 'opt-out'));
  assert.deepEqual(out, conditionsOf(agentOf({ engine: 'otelcol-contrib' }, 'opt-out')));
  const into = conditionsOf(agentOf({}, 'opt-in'));
  assert.deepEqual(into.slice(0, 3), out.slice(0, 3));
  assert.equal(into[3], out[3]!.replace(' and resource.attributes["discovery.logs.namespace"] != nil', ''));
  assert.notEqual(into[3], out[3]);
});

test('alerts of Falco stay, whatever is annotated, and so does the wish to start without waiting', () => {
  const config = agentOf({}, 'opt-in', { falco: true, kubernetesAttributes: { waitForMetadata: false } });
  for (const condition of conditionsOf(config)) assert.match(condition, / and attributes\["falco\.rule"\] == nil$/);
  assert.equal((config.processors as Any)['k8s_attributes'].wait_for_metadata, undefined);
});

test('labels and annotations go together: each drops what it says', () => {
  const { service } = agentOf({}, undefined, {
    logsCollection: { byAnnotation: 'opt-in', include: { labels: { a: 'b' } } },
  });
  assert.deepEqual(service.pipelines['logs']!.processors!.slice(2, 5), [
    'filter/labels',
    'filter/annotations',
    'resource/annotations',
  ]);
});

const wrong: readonly [Spec, string, RegExp][] = [
  [
    { agent: { presets: { logsCollection: { byAnnotation: 'opt-in' }, kubernetesAttributes: false } } },
    'agent.presets.logsCollection.byAnnotation',
    /known by the preset kubernetesAttributes only/,
  ],
  [
    { compat: 'helm', agent: { presets: { logsCollection: { byAnnotation: 'opt-in' } } } },
    'agent.presets.logsCollection.byAnnotation',
    /the chart has no option byAnnotation/,
  ],
  [
    { agent: { presets: { logsCollection: { byAnnotation: 'optin' as never } } } },
    'agent.presets.logsCollection.byAnnotation',
    /./,
  ],
];
for (const [spec, path, message] of wrong)
  test(`${JSON.stringify(spec)} is an error`, () => {
    assert.throws(
      () => collection(spec),
      (e) => {
        assert.ok(e instanceof ConfigError);
        assert.deepEqual(
          e.diagnostics.map((d) => d.path.join('.')),
          [path],
        );
        assert.match(e.diagnostics[0]!.message, message);
        return true;
      },
    );
  });

test('the annotation that decides is the nearest one, as its owner wrote it', () => {
  const key = 'io.opentelemetry.discovery.logs';
  const attributes = new Map<string, unknown>([['k8s.pod.name', 'web-1']]);
  const deciding = (container = 'app'): unknown => decidingAnnotation(attributes, container);
  assert.equal(deciding(), undefined);
  attributes.set('discovery.logs.namespace', 'true');
  assert.deepEqual(deciding(), { origin: 'namespace', annotation: `${key}/enabled`, value: 'true' });
  attributes.set('discovery.logs.namespace.app', 'false');
  assert.deepEqual(deciding(), { origin: 'namespace', annotation: `${key}.app/enabled`, value: 'false' });
  attributes.set('discovery.logs.pod', 'true');
  assert.deepEqual(deciding(), { origin: 'pod', annotation: `${key}/enabled`, value: 'true' });
  attributes.set('discovery.logs.pod.proxy', 'false');
  assert.deepEqual(deciding(), { origin: 'pod', annotation: `${key}/enabled`, value: 'true' });
  assert.deepEqual(deciding('proxy'), { origin: 'pod', annotation: `${key}.proxy/enabled`, value: 'false' });
});
