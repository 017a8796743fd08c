import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { conditionMetric, snakeCase } from './catalogue.ts';
import { containerId, imageOf } from './fields.ts';

describe('names of images', () => {
  for (const [image, wanted] of [
    ['nginx', { name: 'nginx', tag: 'latest' }],
    ['docker.io/library/nginx:1.29', { name: 'docker.io/library/nginx', tag: '1.29' }],
    ['registry.example:5000/team/app', { name: 'registry.example:5000/team/app', tag: 'latest' }],
    ['registry.example:5000/team/app:2@sha256:0ab1', { name: 'registry.example:5000/team/app', tag: '2' }],
    ['app@sha256:0ab1', { name: 'app', tag: 'latest' }],
    ['', undefined],
    ['no image', undefined],
  ] as const)
    it(image || 'empty', () => assert.deepEqual(imageOf(image), wanted));
});

describe('other names', () => {
  it('the id of a container is without its runtime', () => {
    assert.equal(containerId('containerd://0ab1'), '0ab1');
    assert.equal(containerId('0ab1'), '0ab1');
    assert.equal(containerId(''), '');
  });

  for (const [type, wanted] of [
    ['Ready', 'ready'],
    ['MemoryPressure', 'memory_pressure'],
    ['PIDPressure', 'pid_pressure'],
    ['NetworkUnavailable', 'network_unavailable'],
    ['ephemeral-storage', 'ephemeral_storage'],
  ] as const)
    it(`${type} becomes ${wanted}`, () => assert.equal(snakeCase(type), wanted));

  it('a condition becomes a metric', () => assert.equal(conditionMetric('Ready'), 'k8s.node.condition_ready'));
});
