/** For tests of `sluice why`: a pod, its files as a node has them, and a configuration that reads them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext } from 'node:test';
import type { CheckResult } from '../context.ts';
import { type ContextOptions, contextFor, startCluster } from '../testing.ts';
import { why } from './why.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-why-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
export const UID = 'b1ffc2a1-0000-4000-8000-000000000001';
export const root = join(folder, 'pods');
export const file = (container: string, name = '0.log'): string => join(root, `shop_web-1_${UID}`, container, name);
export const line = (text: string): string => `2026-11-22T10:00:00.000000000Z stdout F ${text}\n`;
export const storage = join(folder, 'storage');

export function write(container: string, lines: readonly string[], name = '0.log'): void {
  mkdirSync(join(file(container), '..'), { recursive: true });
  writeFileSync(file(container, name), lines.map(line).join(''));
}

interface Parts {
  readonly exclude?: string;
  readonly operators?: string;
  readonly processors?: string;
  readonly pipeline?: string;
  readonly storage?: boolean;
}
/** The container operator reads the place of a pod's logs out of the path, wherever it begins. */
export const config = (p: Parts = {}): string => `
extensions: {file_storage: {directory: "${storage}", create_directory: true}}
receivers:
  file_log:
    include: ["${root}/*/*/*.log"]
    exclude: [${p.exclude ?? ''}]
    include_file_path: true
    operators: [${p.operators ?? '{type: container}'}]
    ${p.storage ? 'storage: file_storage' : ''}
processors:
  k8s_attributes: {pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}], extract: {metadata: [k8s.node.name, k8s.deployment.name], labels: [{tag_name: team, key: team}]}}
  ${p.processors ?? ''}
exporters: {otlp_http/logs: {endpoint: "http://user:opensesame@vl:9428/insert/opentelemetry"}}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [file_log], processors: [${p.pipeline ?? 'k8s_attributes'}], exporters: [otlp_http/logs]}}
`;

export const pod = (uid = UID) => ({
  metadata: {
    name: 'web-1',
    namespace: 'shop',
    uid,
    labels: { team: 'red', 'pod-template-hash': 'abc' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-abc', uid: 'r', controller: true }],
  },
  spec: { nodeName: 'worker-1', containers: [{ name: 'app', image: 'web:1' }] },
  status: { phase: 'Running', containerStatuses: [{ name: 'app', restartCount: 2, ready: true }] },
});

export async function ask(
  t: TestContext,
  options: ContextOptions & { url?: string; container?: string; pod?: string } = {},
) {
  const ctx = await contextFor(options.url, options);
  t.after(() => ctx.close());
  return why(ctx, { pod: options.pod ?? 'web-1', namespace: 'shop', container: options.container ?? '', root });
}
export const section = (results: readonly CheckResult[], id: string) =>
  results.find((r) => r.id === id)?.findings ?? [];

export async function withPod(t: TestContext): Promise<string> {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  cluster.population.put('pods', pod());
  return cluster.url;
}
