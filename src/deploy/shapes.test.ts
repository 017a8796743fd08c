/** Whatever shape a configuration has, it is computed or refused, and what is rendered can be read back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import fc from '../../test/helpers/property.ts';
import { ConfigError } from '../core/errors.ts';
import type { CollectorConfig, Json } from './config.ts';
import { needsOf } from './needs.ts';
import { rbacOf, rightsOf } from './rbac.ts';
import { toYaml } from './render.ts';

const TYPES = [
  ...['k8s_cluster', 'k8s_objects', 'k8s_events', 'kubelet_stats', 'file_log', 'host_metrics', 'otlp', 'prometheus'],
  ...['k8s_attributes', 'resource_detection', 'file_storage', 'health_check', 'k8s_leader_elector', 'k8s_observer'],
];
const KEYS = [
  ...[
    'auth_type',
    'namespaces',
    'namespace',
    'objects',
    'name',
    'group',
    'mode',
    'metrics',
    'enabled',
    'extract',
    'from',
  ],
  ...[
    'labels',
    'metadata',
    'filter',
    'include',
    'scrapers',
    'filesystem',
    'root_path',
    'protocols',
    'grpc',
    'endpoint',
  ],
  ...[
    'detectors',
    'k8s_api_config',
    'extra_metadata_labels',
    'metric_groups',
    'directory',
    'lease_name',
    'lease_namespace',
  ],
];
const WORDS = [
  'serviceAccount',
  'pods',
  'watch',
  'k8s_api',
  '/var/log/*.log',
  '${env:A}',
  'node',
  'k8s.cluster.uid',
  ':1',
  '',
];

const key = fc.oneof(fc.constantFrom(...KEYS), fc.string({ maxLength: 5 }));
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'medium' },
    fc.constantFrom<Json>(...WORDS, null, true, false, 0, 7),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(key, tie('json'), { maxKeys: 4 }),
  ),
}));
const config = fc
  .record({ types: fc.subarray(TYPES, { minLength: 1 }), settings: fc.array(json, { minLength: 14, maxLength: 14 }) })
  .map(({ types, settings }): CollectorConfig => {
    const components = Object.fromEntries(types.map((type, i) => [type, settings[i]!]));
    const pipeline = { receivers: types, processors: types, exporters: types };
    return {
      receivers: components,
      processors: components,
      exporters: components,
      extensions: components,
      service: { extensions: types, pipelines: { logs: pipeline, metrics: pipeline } },
    };
  });

const refusedOr = <T>(make: () => T): T | undefined => {
  try {
    return make();
  } catch (e) {
    if (e instanceof ConfigError) return undefined;
    throw e;
  }
};

test('rights and needs of any shape are computed or refused', () => {
  fc.assert(
    fc.property(config, (c) => {
      needsOf(c);
      const rights = refusedOr(() => rightsOf(c));
      const rbac = refusedOr(() => rbacOf(c));
      if (!rights || !rbac) return;
      // The rules grant exactly the rights, each once.
      const of = (namespace: string, rules: (typeof rbac)['cluster']): string[] =>
        rules.flatMap((r) =>
          r.resources.flatMap((resource) =>
            r.verbs.map((verb) =>
              JSON.stringify([namespace, r.apiGroups[0], resource, verb, r.resourceNames?.[0] ?? '']),
            ),
          ),
        );
      const granted = [...of('', rbac.cluster), ...rbac.namespaced.flatMap((n) => of(n.namespace, n.rules))];
      assert.deepEqual(
        granted.sort(),
        rights.map((r) => JSON.stringify([r.namespace, r.group, r.resource, r.verb, r.name])).sort(),
      );
    }),
    { numRuns: 500 },
  );
});

test('any text is the same after it was rendered, in both versions of YAML', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(
      'yes',
      'on',
      'null',
      '~',
      '0x1f',
      '1e3',
      '012',
      '1:30',
      '2026-11-23',
      '=',
      '<<',
      '- a',
      'a: b',
      '# c',
      ' a',
      'a\n',
      '\n',
    ),
    fc
      .array(fc.constantFrom('a: b', '  - c', '', '# d', '---', '"', '\t', "'x", '%'), { maxLength: 6 })
      .map((l) => l.join('\n')),
  );
  fc.assert(
    // No key of Kubernetes is the merge key of YAML 1.1.
    fc.property(
      text.filter((t) => t !== '<<' && t !== '__proto__'),
      text,
      (name, value) => {
        const object = {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'a' },
          data: { relay: value, [name]: name },
        };
        const yaml = toYaml([object]);
        for (const version of ['1.1', '1.2'] as const)
          assert.deepEqual(
            parseAllDocuments(yaml, { version }).map((d) => d.toJS()),
            [object],
          );
      },
    ),
    { numRuns: 500 },
  );
});
