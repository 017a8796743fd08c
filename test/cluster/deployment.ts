/** A deployment as users make it: a spec, `sluice render`, `kubectl apply -f`; what runs is the image of this checkout. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import type { Spec } from '../../src/deploy/index.ts';
import { defer, tempDir, until } from '../helpers/agent.ts';
import { buildImage } from '../helpers/image.ts';
import { SLUICE } from '../helpers/paths.ts';
import { type Any, type Cluster, LIMIT_MS } from './cluster.ts';

const REPOSITORY = 'localhost/sluice';
const TAG = 'deploy-test';
export const IMAGE = `${REPOSITORY}:${TAG}`;

/** Once for all files of a run. */
export async function loadSluice(cluster: Cluster): Promise<void> {
  const run = process.env['SLUICE_CLUSTER_RUN'];
  const loaded = run && join(run, 'sluice-is-loaded');
  if (loaded && existsSync(loaded)) return;
  const folder = mkdtempSync(join(tmpdir(), 'sluice-image-'));
  try {
    await cluster.loadImage((await buildImage(folder, IMAGE)).tar);
    if (loaded) writeFileSync(loaded, '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Any program to its end, outside of the cluster, with its kubeconfig. */
export async function runProgram(cluster: Cluster, command: string, ...args: string[]): Promise<Ran> {
  const env = { ...process.env, KUBECONFIG: cluster.kubeconfig };
  try {
    return { code: 0, ...(await promisify(execFile)(command, args, { env, maxBuffer: 2 ** 26 })) };
  } catch (e) {
    const { code, stdout = '', stderr = '', message } = e as Any;
    if (typeof code !== 'number') throw new Error(`${command} ${args.join(' ')}: ${message}`);
    return { code, stdout, stderr };
  }
}

export interface Deployment {
  readonly namespace: string;
  /** `kubectl -n NAMESPACE …` */
  kubectl(...args: string[]): Promise<string>;
  /** Renders and applies another spec over it, and waits until all pods are of it. */
  update(spec: Spec): Promise<void>;
  /** Name of the running pod of a tier. */
  podOf(tier: 'agent' | 'gateway'): Promise<string>;
  /** In the container of the running pod of a tier. */
  exec(tier: 'agent' | 'gateway', ...command: string[]): Promise<string>;
}

export interface DeployOptions {
  /** What has to be changed by hand before it is applied. */
  readonly edit?: (manifest: string) => string;
  /** What to wait for; default: all pods are there and ready. */
  readonly isReady?: (deployment: Deployment) => Promise<unknown>;
}

/** Mounts of the machine can be seen in containers; in most sandboxes, and in Docker's containers, they cannot. */
export function isRootShared(): boolean {
  const root = readFileSync('/proc/1/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[4] === '/');
  return /^[^-]* (shared|master):/.test(root ?? '');
}

/** The spec with the image of this checkout, and the kubelet where it is on this machine. */
function specHere(cluster: Cluster, spec: Spec): Spec {
  const { agent } = spec;
  const kubelet = agent === false ? false : (agent?.presets?.kubeletMetrics ?? true);
  const isElsewhere = cluster.kubeletPort !== 10_250 && kubelet !== false;
  const endpoint = `\${env:K8S_NODE_IP}:${cluster.kubeletPort}`;
  const kubeletMetrics = isElsewhere ? { endpoint, ...(kubelet === true ? {} : kubelet) } : kubelet;
  return {
    ...spec,
    image: { repository: REPOSITORY, tag: TAG, pullPolicy: 'Never' },
    ...(agent === false ? {} : { agent: { ...agent, presets: { ...agent?.presets, kubeletMetrics } } }),
  };
}

/** Gone when the test ends, with all that it left on the machine. */
export async function deploy(
  t: TestContext,
  cluster: Cluster,
  spec: Spec,
  { edit = (m) => m, isReady = rolledOut }: DeployOptions = {},
): Promise<Deployment> {
  const namespace = spec.namespace ?? 'opentelemetry';
  const dir = tempDir(t);
  const state = tempDir(t);
  const hostPath = (from: string, to: string) => (manifest: string) =>
    manifest.replaceAll(new RegExp(`(hostPath:\\n +path: )${from}$`, 'gm'), (_, before) => before + to);
  // What an agent of earlier has stored is none of the test's, and pods' logs may be elsewhere.
  const here = (manifest: string): string => {
    const moved = hostPath('/var/lib/otelcol', state)(hostPath('/var/log/pods', cluster.podLogsDir)(manifest));
    return isRootShared() ? moved : moved.replaceAll(/^ +mountPropagation: HostToContainer\n/gm, '');
  };
  const file = join(dir, 'manifests.yaml');
  const apply = async (one: Spec): Promise<void> => {
    const input = join(dir, 'spec.yaml');
    writeFileSync(input, JSON.stringify(specHere(cluster, one), undefined, 2));
    const { code, stderr } = await runProgram(cluster, SLUICE, 'render', input, '--out', file);
    if (code !== 0) throw new Error(stderr);
    writeFileSync(file, edit(here(readFileSync(file, 'utf8'))));
    await cluster.kubectl(['apply', '-f', file]);
  };
  const kubectl = (...args: string[]) => cluster.kubectl(['-n', namespace, ...args]);
  const deployment: Deployment = {
    namespace,
    kubectl,
    async update(next) {
      await apply(next);
      await isReady(deployment);
    },
    async podOf(tier) {
      const pods = await cluster.list('-n', namespace, 'pods', '-l', `app.kubernetes.io/name=otel-${tier}`);
      const running = pods.filter((p) => p.status.phase === 'Running' && !p.metadata.deletionTimestamp);
      if (running.length !== 1) throw new Error(`${running.length} running pods of the ${tier}`);
      return running[0].metadata.name;
    },
    exec: async (tier, ...command) => kubectl('exec', await deployment.podOf(tier), '--', ...command),
  };
  await cluster.kubectl(['delete', 'namespace', namespace, '--ignore-not-found']);
  defer(t, () => cluster.kubectl(['delete', '-f', file, '--ignore-not-found']));
  await apply(spec);
  try {
    await isReady(deployment);
  } catch (e) {
    const state = await kubectl('describe', 'pods').catch(() => '');
    throw new Error(`${(e as Error).message}\n${state}`);
  }
  return deployment;
}

/** All pods are those of the last template, and ready. */
async function rolledOut({ kubectl, namespace }: Deployment): Promise<void> {
  const objects = (await kubectl('get', 'daemonsets,deployments', '-o', 'name')).split('\n').filter((n) => n !== '');
  if (objects.length === 0) throw new Error(`nothing to run in ${namespace}`);
  for (const name of objects) await kubectl('rollout', 'status', name, `--timeout=${LIMIT_MS / 1000}s`);
}

/** Waits for a value that is there; fails with what it is for. */
export async function found<T>(find: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  let value: T | undefined;
  await until(async () => (value = await find()) !== undefined, what, LIMIT_MS);
  return value!;
}
