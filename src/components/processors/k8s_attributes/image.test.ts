/** References of images. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalImage, parseImage, versionOfImage } from './image.ts';

const SHA = `sha256:${'0123456789abcdef'.repeat(4)}`;

test('references of images have a name, a tag and a digest', () => {
  const cases: [string, string | undefined, string?][] = [
    ['nginx', 'nginx', ''],
    ['nginx:1.27', 'nginx', '1.27'],
    ['registry.test:5000/team/app:v2', 'registry.test:5000/team/app', 'v2'],
    ['registry.test:5000/app', 'registry.test:5000/app', ''],
    [`app@${SHA}`, 'app', SHA],
    [`ghcr.io/a/b__c:1@${SHA}`, 'ghcr.io/a/b__c', `1@${SHA}`],
    ['[::1]:5000/a:1', '[::1]:5000/a', '1'],
    ['Upper/case', 'Upper/case', ''],
    ['UPPER', undefined],
    ['', undefined],
    ['a b', undefined],
    ['a@sha256:short', undefined],
    [`${'a'.repeat(2000)}`, undefined],
  ];
  for (const [text, name, version] of cases) {
    const image = parseImage(text);
    assert.equal(image?.name, name, text);
    if (image) assert.equal(versionOfImage(image), version, text);
  }
});

test('ids of images are canonical only with a name and a digest', () => {
  const cases: [string, string | undefined][] = [
    [`nginx@${SHA}`, `docker.io/library/nginx@${SHA}`],
    [`me/nginx@${SHA}`, `docker.io/me/nginx@${SHA}`],
    [`localhost/nginx@${SHA}`, `localhost/nginx@${SHA}`],
    [`ghcr.io/me/nginx:1@${SHA}`, `ghcr.io/me/nginx:1@${SHA}`],
    [SHA, undefined],
    [`docker-pullable://nginx@${SHA}`, undefined],
    ['', undefined],
  ];
  for (const [id, canonical] of cases) assert.equal(canonicalImage(id), canonical, id);
});
