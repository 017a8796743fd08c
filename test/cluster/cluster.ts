/** The one-node Kubernetes of `npm run test:cluster`, as tests see it: where it is, kubectl, images, its processes. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { defer, until } from '../helpers/agent.ts';

/** The scripts that bring it up and take it down. */
export const SCRIPTS = join(import.meta.dirname, 'kubernetes');

/** Longest wait for anything in the cluster; generous, because it only ends a test that fails. */
export const LIMIT_MS = 120_000;
const MAX_OUTPUT = 256 * 1024 * 1024;

export const stateDir = (): string =>
  process.env['STATE'] || join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sluice-one-node-kube');

export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly creationTimestamp: string;
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string }[];
}

/** An object as the API server gives it; tests know what they have asked for. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is Kubernetes' own, and each test reads other parts of it.
export type Any = any;

export interface Cluster {
  readonly nodeName: string;
  readonly nodeIp: string;
  readonly apiPort: number;
  readonly kubeletPort: number;
  readonly kubeconfig: string;
  /** Of the API server and the kubelet. */
  readonly caFile: string;
  /** Where the kubelet keeps the logs of pods; the node's /var/log/pods for those that run as pods. */
  readonly podLogsDir: string;
  /** Pods can use services by name. */
  readonly hasDns: boolean;
  /** stdout; fails with stderr. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** `kubectl get … -o json` */
  get(...args: string[]): Promise<Any>;
  /** The items of `kubectl get … -o json` */
  list(...args: string[]): Promise<Any[]>;
  apply(...objects: object[]): Promise<void>;
  /** A fresh namespace, deleted when the test ends. */
  namespace(t: TestContext, prefix: string, labels?: Readonly<Record<string, string>>): Promise<string>;
  /** Makes the images of an archive known to the node. */
  loadImage(tar: string): Promise<void>;
  /** Makes the node forget the images whose names begin so, as if they had never been pulled. */
  forgetImages(prefix: string): Promise<void>;
  /** Sends SIGKILL to the process of a container, as the kernel does when memory runs out. */
  killContainer(containerId: string): Promise<void>;
  /** The process id of `kube-apiserver`, `kubelet`, … */
  pidOf(process: string): number;
  /** kill -9 of one of its processes. */
  kill(process: string): Promise<void>;
  /** Starts what is not running, and waits until the node is ready. */
  start(): Promise<void>;
}

const isAlive = (pid: number): boolean => {
  try {
    // A zombie answers signals too.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

export function openCluster(): Cluster {
  const state = stateDir();
  const file = join(state, 'settings');
  const kubeconfig = join(state, 'kubeconfig');
  if (!existsSync(file) || !existsSync(kubeconfig))
    throw new Error('the cluster is not up: run these tests with `npm run test:cluster`');
  const settings = Object.fromEntries(
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  const setting = (name: string): string => settings[name] ?? '';
  const offset = Number(setting('PORT_OFFSET'));
  const env = { ...process.env, STATE: state, KUBECONFIG: kubeconfig };
  const socket = join(state, 'run', 'containerd.sock');

  const run = async (command: string, args: readonly string[], input?: string): Promise<string> => {
    const running = promisify(execFile)(command, args, { env, maxBuffer: MAX_OUTPUT });
    if (input !== undefined) running.child.stdin!.on('error', () => {}).end(input);
    try {
      return (await running).stdout;
    } catch (e) {
      const { stderr, message } = e as { stderr?: string; message: string };
      throw new Error(`${args.join(' ').slice(0, 300)}: ${stderr?.trim() || message}`);
    }
  };
  const kubectl = (args: readonly string[], input?: string) =>
    run(join(state, 'bin', 'kube'), ['kubectl', ...args], input);
  const ctr = (...args: string[]) => run('ctr', ['--address', socket, '--namespace', 'k8s.io', ...args]);
  const get = async (...args: string[]): Promise<Any> => JSON.parse(await kubectl(['get', ...args, '-o', 'json']));

  const cluster: Cluster = {
    nodeName: setting('NODE_NAME'),
    nodeIp: setting('NODE_IP'),
    apiPort: 6443 + offset,
    kubeletPort: 10250 + offset,
    kubeconfig,
    caFile: join(state, 'pki', 'ca.crt'),
    podLogsDir: setting('POD_LOGS_DIR'),
    hasDns: setting('DNS') === '1',
    kubectl,
    get,
    list: async (...args) => (await get(...args)).items,
    async apply(...objects) {
      const list = { apiVersion: 'v1', kind: 'List', items: objects };
      await kubectl(['apply', '-f', '-'], JSON.stringify(list));
    },
    async namespace(t, prefix, labels = {}) {
      const name = `${prefix}-${Math.random().toString(36).slice(2, 8)}`;
      await cluster.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
      defer(t, () => kubectl(['delete', 'namespace', name, '--wait=false']));
      // Pods are refused until it is there.
      const hasAccount = () => kubectl(['-n', name, 'get', 'serviceaccount', 'default']).catch(() => '');
      await until(hasAccount, `the service account of namespace ${name}`, LIMIT_MS);
      return name;
    },
    loadImage: async (tar) => void (await ctr('images', 'import', tar)),
    async forgetImages(prefix) {
      const images = (await ctr('images', 'ls'))
        .split('\n')
        .map((line) => line.split(/\s+/) as [name: string, type?: string, digest?: string]);
      const digests = new Set(images.filter(([name]) => name.startsWith(prefix)).map(([, , digest]) => digest));
      // The kubelet's runtime has a name for the configuration, too.
      const own = images.filter(
        ([name, , d]) => name.startsWith(prefix) || (name.startsWith('sha256:') && digests.has(d)),
      );
      if (own.length > 0) await ctr('images', 'rm', ...own.map(([name]) => name));
    },
    killContainer: async (id) => void (await ctr('task', 'kill', '--signal', 'SIGKILL', id)),
    pidOf: (name) => Number(readFileSync(join(state, 'pids', name), 'utf8').split(' ')[0]),
    async kill(name) {
      const pid = cluster.pidOf(name);
      process.kill(pid, 'SIGKILL');
      await until(() => !isAlive(pid), `the end of ${name}`);
    },
    start: () => script('up'),
  };
  return cluster;
}

/** Runs one of the scripts; what it says is shown, or is in the error when it fails. */
export async function script(name: 'up' | 'down', show = false): Promise<void> {
  const child = spawn(join(SCRIPTS, name), [], { stdio: ['ignore', 'pipe', show ? 'inherit' : 'pipe'] });
  let said = '';
  child.stderr?.on('data', (d) => (said = (said + d).slice(-10_000)));
  child.stdout!.resume();
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`test/cluster/kubernetes/${name} ended with ${code}${said ? `: ${said}` : ''}`);
}
