/** Runs in a copy of this folder that has the packages; see tools/examples.ts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import * as pulumi from '@pulumi/pulumi';
import { objects, parseObjects, toJson } from 'sluice/deploy';
import collection from './collection.ts';

const HERE = import.meta.dirname;
const wanted: readonly object[] = JSON.parse(toJson(objects(collection))).items;

test('kubectl gets all objects, from the spec in YAML', () => {
  const dir = mkdtempSync(join(tmpdir(), 'examples-'));
  const kubectl = join(dir, 'kubectl');
  writeFileSync(kubectl, `#!/bin/sh\necho "$@" >> ${dir}/calls\n[ "$1" != apply ] || cat > ${dir}/applied.yaml\n`);
  chmodSync(kubectl, 0o755);
  const bin = join(HERE, 'node_modules', 'sluice', 'bin');
  const env = { ...process.env, PATH: [dir, bin, process.env['PATH']].join(delimiter), SLUICE_NODE: process.execPath };
  execFileSync(join(HERE, 'kubectl', 'apply.sh'), { env, cwd: tmpdir() });
  assert.deepEqual(parseObjects(readFileSync(join(dir, 'applied.yaml'), 'utf8'), 'applied.yaml'), wanted);
  assert.deepEqual(readFileSync(join(dir, 'calls'), 'utf8').trim().split('\n'), [
    'apply -f -',
    '--namespace opentelemetry rollout status daemonset/otel-agent',
    '--namespace opentelemetry rollout status deployment/otel-gateway',
  ]);
});

test('the Pulumi program makes one ConfigGroup of all objects', async () => {
  const made: { readonly type: string; readonly inputs: { readonly objs?: unknown } }[] = [];
  await pulumi.runtime.setMocks({
    newResource(args) {
      made.push(args);
      return { id: `${args.name}-id`, state: args.inputs };
    },
    call: (args) => args.inputs,
  });
  const { collectors } = await import('./pulumi/index.ts');
  await new Promise((resolve) => pulumi.output(collectors.urn).apply(resolve));
  const groups = made.filter((m) => m.type === 'kubernetes:yaml/v2:ConfigGroup');
  assert.equal(groups.length, 1);
  assert.deepEqual(groups[0]!.inputs.objs, wanted);
});

test('the cdk8s app writes all objects', () => {
  const dir = mkdtempSync(join(tmpdir(), 'examples-'));
  mkdirSync(join(dir, 'out'));
  execFileSync(process.execPath, [join(HERE, 'cdk8s', 'main.ts'), join(dir, 'out')], { cwd: HERE });
  const written = parseObjects(readFileSync(join(dir, 'out', 'collectors.k8s.yaml'), 'utf8'), 'collectors.k8s.yaml');
  const byName = (all: readonly object[]) => all.map((o) => JSON.stringify(sorted(o))).sort();
  assert.deepEqual(byName(written), byName(wanted));
});

/** cdk8s orders keys its own way. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}
