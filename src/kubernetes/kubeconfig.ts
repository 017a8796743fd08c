/** Reads kubeconfig files as kubectl does: KUBECONFIG or ~/.kube/config, of several the first that names a thing. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { Environment } from '../core/environment.ts';
import { messageOf } from '../core/errors.ts';
import { type Access, type AccessContext, type AccessSources, makeAccess, type Source } from './access.ts';
import type { CommandCredentials, RunCredentialCommand } from './credential-command.ts';

type Section = Readonly<Record<string, unknown>>;

interface Named {
  readonly value: Section;
  /** What relative paths in it start from. */
  readonly dir: string;
}

interface Kubeconfig {
  readonly files: readonly string[];
  readonly currentContext: string;
  readonly clusters: ReadonlyMap<string, Named>;
  readonly users: ReadonlyMap<string, Named>;
  readonly contexts: ReadonlyMap<string, Named>;
}

const sectionOf = (value: unknown): Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Section) : {};
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The context that is meant by '': the current one; '' when there is none. */
export function currentContext(env: Environment): string {
  try {
    return readKubeconfig(env).currentContext;
  } catch {
    return '';
  }
}

/**
 * What `context` (empty: the current one) says about the API server and us. `run` is for commands of people: without it,
 * credentials that a program gives are refused.
 */
export function kubeconfigAccess(
  env: Environment,
  context: string,
  ctx: AccessContext,
  run?: RunCredentialCommand,
): Access {
  try {
    return makeAccess(sourcesOf(readKubeconfig(env), context, run && ((exec, dir) => run(exec, dir, env))), ctx);
  } catch (e) {
    throw new Error(`error connecting to k8s with auth_type=kubeConfig: ${messageOf(e)}`, { cause: e });
  }
}

function readKubeconfig(env: Environment): Kubeconfig {
  const listed = (env['KUBECONFIG'] ?? '').split(':').filter((f) => f !== '');
  const files = listed.length > 0 ? listed : [join(env['HOME'] || homedir(), '.kube', 'config')];
  const clusters = new Map<string, Named>();
  const users = new Map<string, Named>();
  const contexts = new Map<string, Named>();
  let currentContext = '';
  const found: string[] = [];
  for (const file of files) {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new Error(`cannot read ${file}: ${messageOf(e)}`, { cause: e });
    }
    found.push(file);
    let root: Section;
    try {
      root = sectionOf(parse(text));
    } catch (e) {
      throw new Error(`${file} is not YAML: ${messageOf(e).split('\n')[0]}`, { cause: e });
    }
    const dir = dirname(resolve(file));
    const take = (into: Map<string, Named>, key: string, inner: string) => {
      const list = root[key];
      for (const item of Array.isArray(list) ? list : []) {
        const name = textOf(sectionOf(item)['name']);
        if (!into.has(name)) into.set(name, { value: sectionOf(sectionOf(item)[inner]), dir });
      }
    };
    take(clusters, 'clusters', 'cluster');
    take(users, 'users', 'user');
    take(contexts, 'contexts', 'context');
    currentContext ||= textOf(root['current-context']);
  }
  if (found.length === 0)
    throw new Error(
      listed.length > 0
        ? `KUBECONFIG names ${listed.join(', ')}, which is not there`
        : `KUBECONFIG is not set and ${files[0]} is not there; in a pod, use auth_type: serviceAccount`,
    );
  return { files: found, currentContext, clusters, users, contexts };
}

function sourcesOf(
  config: Kubeconfig,
  asked: string,
  run: ((exec: Section, dir: string) => CommandCredentials) | undefined,
): AccessSources {
  const where = config.files.join(', ');
  const find = (kind: string, map: ReadonlyMap<string, Named>, name: string): Named => {
    const entry = map.get(name);
    if (entry) return entry;
    const known = [...map.keys()].map((n) => JSON.stringify(n)).join(', ') || 'none';
    throw new Error(`${kind} ${JSON.stringify(name)} is not in ${where}; it has: ${known}`);
  };
  const name = asked || config.currentContext;
  if (name === '') throw new Error(`${where} has no current-context; name one with context:`);
  const context = find('context', config.contexts, name).value;
  const cluster = find('cluster', config.clusters, textOf(context['cluster']));
  const userName = textOf(context['user']);
  const user: Named = userName === '' ? { value: {}, dir: '' } : find('user', config.users, userName);
  const url = textOf(cluster.value['server']);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new Error(
      `the cluster of context ${JSON.stringify(name)} has no server with http:// or https:// in ${where}`,
    );
  refuse(cluster.value, 'proxy-url', 'a proxy is not supported');
  const exec = sectionOf(user.value['exec']);
  const given = run && Object.keys(exec).length > 0 ? run(exec, user.dir) : undefined;
  refuse(
    given ? {} : user.value,
    'exec',
    'credentials from a program are not supported; write a token with `kubectl create token`, or use auth_type: serviceAccount',
  );
  refuse(user.value, 'auth-provider', 'it is not supported any more, by Kubernetes neither; use a token');
  const password = textOf(user.value['password']);
  return {
    url,
    ca: sourceOf(cluster, 'certificate-authority'),
    cert: given?.cert ?? sourceOf(user, 'client-certificate'),
    key: given?.key ?? sourceOf(user, 'client-key'),
    token: given?.token ?? tokenOf(user),
    basic: password === '' ? undefined : { username: textOf(user.value['username']), password },
    serverName: textOf(cluster.value['tls-server-name']) || undefined,
    isVerified: cluster.value['insecure-skip-tls-verify'] !== true,
  };
}

function refuse(section: Section, key: string, why: string): void {
  if (section[key] !== undefined && section[key] !== null && section[key] !== '') throw new Error(`${key}: ${why}`);
}

/** `<key>-data` is the content in base64, `<key>` a path; the content wins, as in client-go. */
function sourceOf({ value, dir }: Named, key: string): Source | undefined {
  const data = textOf(value[`${key}-data`]);
  if (data !== '') return { text: Buffer.from(data, 'base64').toString('utf8') };
  const path = textOf(value[key]);
  return path === '' ? undefined : { file: resolve(dir, path) };
}

function tokenOf({ value, dir }: Named): Source | undefined {
  const file = textOf(value['tokenFile']);
  if (file !== '') return { file: resolve(dir, file) };
  const token = textOf(value['token']);
  return token === '' ? undefined : { text: token };
}
