import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../core/errors.ts';
import { collection } from './collection.ts';
import { collectionFromYaml } from './read.ts';

test('a spec in YAML is the same as in TypeScript', () => {
  const text = `
clusterName: home
agent:
  presets:
    hostMetrics: false
    logsCollection:
      exclude: {namespaces: [kube-system]}
  config:
    processors:
      batch: {timeout: 5s}
`;
  assert.deepEqual(
    collectionFromYaml(text, 'spec.yaml'),
    collection({
      clusterName: 'home',
      agent: {
        presets: { hostMetrics: false, logsCollection: { exclude: { namespaces: ['kube-system'] } } },
        config: { processors: { batch: { timeout: '5s' } } },
      },
    }),
  );
  assert.deepEqual(collectionFromYaml('', 'empty.yaml'), collection());
});

const wrong: readonly [string, string, readonly (readonly [number, number, string])[]][] = [
  ['an unknown key', 'agent:\n  preset: {}\n', [[2, 3, 'unknown key preset']]],
  [
    'a preset on the wrong tier',
    'agent:\n  presets:\n    hostMetrics: true\n    kubernetesEvents: true\n',
    [[4, 5, 'the agent has no preset kubernetesEvents']],
  ],
  [
    'several at once',
    'namespace: Big\nplatform: windows\n',
    [
      [1, 1, '"Big" is no name of a namespace'],
      [2, 1, 'unsupported value "windows" (valid values: [generic talos k3s openshift gke-autopilot])'],
    ],
  ],
  [
    'a contradiction',
    'engine: otelcol-contrib\nagent:\n  presets:\n    logsCollection:\n      autoParse: true\n',
    [[5, 7, 'autoParse needs engine: sluice']],
  ],
  [
    'an edit of what is not there',
    'agent:\n  config:\n    processors:\n      bach: {$remove: true}\n',
    [[4, 7, 'there is nothing to remove']],
  ],
  [
    'the item of a list',
    'agent:\n  tolerations:\n    - operator: Exists\n    - operator: Is\n',
    [[4, 7, 'unsupported value "Is" (valid values: [Exists Equal])']],
  ],
  ['no map', '[1]\n', [[1, 1, 'a spec is a map']]],
];
for (const [name, text, expected] of wrong)
  test(`problems of YAML have a place: ${name}`, () => {
    assert.throws(
      () => collectionFromYaml(text, 'spec.yaml'),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError);
        assert.deepEqual(
          error.diagnostics.map((d) => [d.line, d.column, d.message]),
          expected,
        );
        assert.ok(error.diagnostics.every((d) => d.file === 'spec.yaml'));
        return true;
      },
    );
  });

test('what is no YAML is told with its place', () => {
  assert.throws(
    () => collectionFromYaml('agent:\n  a: 1\n  a: 2\n', 'spec.yaml'),
    (error: unknown) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual([error.diagnostics[0]!.line, error.diagnostics[0]!.column], [3, 3]);
      return true;
    },
  );
});
