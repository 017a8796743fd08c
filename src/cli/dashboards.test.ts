import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';

const folder = mkdtempSync(join(tmpdir(), 'sluice-dashboards-'));
after(() => rmSync(folder, { recursive: true }));

const sluice = (...args: string[]) =>
  spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts'), ...args],
    {
      encoding: 'utf8',
      cwd: folder,
    },
  );

test('dashboards, rules and objects are written', () => {
  const { status, stderr } = sluice('dashboards', '--out', 'out', '--namespace', 'monitoring');
  assert.equal(status, 0, stderr);
  const text = (path: string): string => readFileSync(join(folder, 'out', path), 'utf8');
  assert.deepEqual(
    readdirSync(join(folder, 'out/grafana')).sort(),
    ['collectors', 'events', 'falco', 'nodes', 'pods', 'volumes', 'workloads'].map((d) => `sluice-${d}.json`),
  );
  assert.equal(JSON.parse(text('grafana/sluice-nodes.json')).title, 'Kubernetes / Nodes');
  assert.deepEqual(
    parse(text('alerts/rules.yaml')).groups.map((g: { name: string }) => g.name),
    ['sluice.kubernetes', 'sluice.collectors'],
  );
  assert.deepEqual(parse(text('alerts/vmrule.yaml')).spec, parse(text('alerts/rules.yaml')));
  assert.deepEqual(parse(text('alerts/prometheusrule.yaml')).spec, parse(text('alerts/rules.yaml')));
  const maps = parseAllDocuments(text('kubernetes/configmaps.yaml')).map((d) => d.toJS());
  assert.equal(maps.length, 7);
  for (const map of maps) {
    assert.equal(map.metadata.namespace, 'monitoring');
    assert.equal(map.metadata.labels.grafana_dashboard, '1');
    const [[name, json]] = Object.entries(map.data) as [[string, string]];
    assert.equal(json, text(`grafana/${name}`));
  }
});

test('without a directory it says what to write', () => {
  const { status, stderr } = sluice('dashboards');
  assert.equal(status, 1);
  assert.match(stderr, /dashboards needs a directory/);
  assert.match(stderr, /sluice dashboards --out/);
});
