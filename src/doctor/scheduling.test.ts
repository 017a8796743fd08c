import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { baselineViolations } from './pod-security.ts';
import { obstaclesOf, tolerates } from './scheduling.ts';

const node = (taints: object[], labels: Record<string, string> = {}): KubernetesObject => ({
  metadata: { name: 'n', uid: 'u', resourceVersion: '1', labels },
  spec: { taints },
});
const TAINT = { key: 'dedicated', value: 'gpu', effect: 'NoSchedule' };

test('tolerations count as the scheduler counts them', () => {
  const table: [object, boolean][] = [
    [{ operator: 'Exists' }, true],
    [{ key: 'dedicated', operator: 'Exists' }, true],
    [{ key: 'dedicated', operator: 'Exists', effect: 'NoExecute' }, false],
    [{ key: 'dedicated', value: 'gpu', effect: 'NoSchedule' }, true],
    [{ key: 'dedicated', operator: 'Equal', value: 'gpu' }, true],
    [{ key: 'dedicated', value: 'cpu' }, false],
    [{ key: 'other', operator: 'Exists' }, false],
    [{ value: 'gpu' }, false],
  ];
  for (const [toleration, is] of table)
    assert.equal(tolerates([toleration as Record<string, unknown>], TAINT), is, JSON.stringify(toleration));
  assert.equal(tolerates([], TAINT), false);
});

test('obstacles: taints that DaemonSets do not tolerate anyway, selectors and affinity', () => {
  const affinity = (expression: object) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [expression] }] },
      },
    },
  });
  const table: [Record<string, unknown>, KubernetesObject, number][] = [
    [{}, node([]), 0],
    [{}, node([TAINT]), 1],
    [{}, node([{ ...TAINT, effect: 'PreferNoSchedule' }]), 0],
    [{}, node([{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }]), 0],
    [{}, node([{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }]), 1],
    [{ hostNetwork: true }, node([{ key: 'node.kubernetes.io/network-unavailable', effect: 'NoSchedule' }]), 0],
    [{ nodeSelector: { a: 'b' } }, node([], { a: 'b' }), 0],
    [{ nodeSelector: { a: 'b' } }, node([], { a: 'c' }), 1],
    [affinity({ key: 'a', operator: 'In', values: ['x', 'y'] }), node([], { a: 'y' }), 0],
    [affinity({ key: 'a', operator: 'In', values: ['x', 'y'] }), node([]), 1],
    [affinity({ key: 'a', operator: 'NotIn', values: ['x'] }), node([]), 0],
    [affinity({ key: 'a', operator: 'Exists' }), node([], { a: '' }), 0],
    [affinity({ key: 'a', operator: 'DoesNotExist' }), node([], { a: '' }), 1],
    [affinity({ key: 'cores', operator: 'Gt', values: ['4'] }), node([], { cores: '8' }), 0],
    [affinity({ key: 'cores', operator: 'Lt', values: ['4'] }), node([], { cores: '8' }), 1],
  ];
  for (const [pod, on, n] of table) assert.equal(obstaclesOf(pod, on).length, n, JSON.stringify([pod, on.spec]));
});

test('what baseline refuses', () => {
  const c = (extra: object) => ({ containers: [{ name: 'a', ...extra }] });
  const table: [Record<string, unknown>, string[]][] = [
    [c({}), []],
    [
      {
        ...c({}),
        volumes: [
          { name: 'v', hostPath: { path: '/x' } },
          { name: 'e', emptyDir: {} },
        ],
      },
      ['hostPath volumes ("v")'],
    ],
    [{ ...c({}), hostNetwork: true, hostPID: true }, ['host namespaces (hostNetwork, hostPID)']],
    [c({ ports: [{ hostPort: 4317 }, { hostPort: 0 }] }), ['hostPort (4317)']],
    [c({ securityContext: { privileged: true } }), ['privileged (container "a")']],
    [
      c({ securityContext: { capabilities: { add: ['DAC_READ_SEARCH', 'CHOWN'] } } }),
      ['capabilities (DAC_READ_SEARCH)'],
    ],
    [{ initContainers: [{ name: 'i', securityContext: { privileged: true } }] }, ['privileged (container "i")']],
  ];
  for (const [pod, violations] of table) assert.deepEqual(baselineViolations(pod), violations);
});
