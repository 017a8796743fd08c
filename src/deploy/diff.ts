/** What changes from one render, or from a cluster, to another, and which of it concerns security. */
import { parse } from 'yaml';
import { parseMilliQuantity } from '../core/quantity.ts';
import type { KubernetesObject } from './kubernetes-object.ts';
import { powersOf } from './powers.ts';
import { sectionOf } from './used-components.ts';

export interface Change {
  /** `spec.template.spec.containers[otel-agent].image`, or '' for a right. */
  readonly path: string;
  /** `"a" → "b"`, `+ {…}`, `- get pods` */
  readonly text: string;
  /** Why it concerns security; undefined: it does not. */
  readonly security: string | undefined;
}

export interface ObjectDiff {
  /** `DaemonSet opentelemetry/otel-agent` */
  readonly object: string;
  readonly is: 'new' | 'gone' | 'changed';
  readonly changes: readonly Change[];
}

export const nameOf = ({ kind, metadata: { name, namespace } }: KubernetesObject): string =>
  `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;

export interface DiffOptions {
  /** `before` is what a server made of objects: only what `after` says, and what concerns security, is compared. */
  readonly isLive?: boolean;
}

export function diffObjects(
  before: readonly KubernetesObject[],
  after: readonly KubernetesObject[],
  { isLive = false }: DiffOptions = {},
): ObjectDiff[] {
  const old = new Map(before.map((o) => [nameOf(o), o]));
  const diffs: ObjectDiff[] = [];
  for (const object of after) {
    const name = nameOf(object);
    const was = old.get(name);
    old.delete(name);
    if (!was) diffs.push({ object: name, is: 'new', changes: ofWhole(object, '+') });
    else {
      const changes = ofObject(was, object, isLive);
      if (changes.length > 0) diffs.push({ object: name, is: 'changed', changes });
    }
  }
  for (const [name, object] of old) diffs.push({ object: name, is: 'gone', changes: ofWhole(object, '-') });
  return diffs;
}

const ROLES = ['ClusterRole', 'Role'];
/** All of them says who may do what. */
const RIGHTS = [
  ...ROLES,
  'ClusterRoleBinding',
  'RoleBinding',
  'SecurityContextConstraints',
  'ServiceAccount',
  'Secret',
];
const WORKLOADS = ['DaemonSet', 'Deployment', 'StatefulSet', 'Pod', 'Job', 'CronJob'];

/** What of a new or deleted object concerns security. */
function ofWhole(object: KubernetesObject, sign: '+' | '-'): Change[] {
  if (ROLES.includes(object.kind))
    return rightsOf(object).map((r) => ({ path: '', text: `${sign} ${r}`, security: 'rights' }));
  if (RIGHTS.includes(object.kind)) return [{ path: '', text: sign, security: 'rights' }];
  if (sign === '-') return object.kind === 'NetworkPolicy' ? [{ path: '', text: sign, security: 'network' }] : [];
  if (WORKLOADS.includes(object.kind))
    return powersOf(object).map((power) => ({ path: '', text: `+ ${power}`, security: 'process' }));
  const changes: Change[] = [];
  compare(undefined, object, '', (path, _b, value) => {
    const security = concern(object.kind, path);
    if (security !== undefined && typeof value !== 'object' && value !== 'ClusterIP')
      changes.push({ path, text: `+ ${short(value)}`, security });
  });
  return changes;
}

function ofObject(before: KubernetesObject, after: KubernetesObject, isLive: boolean): Change[] {
  const { kind } = after;
  const changes: Change[] = [];
  let [b, a]: [unknown, unknown] = [plain(before), plain(after)];
  if (ROLES.includes(kind)) {
    const [old, now] = [rightsOf(before), rightsOf(after)];
    for (const r of now.filter((x) => !old.includes(x))) changes.push({ path: '', text: `+ ${r}`, security: 'rights' });
    for (const r of old.filter((x) => !now.includes(x))) changes.push({ path: '', text: `- ${r}`, security: 'rights' });
    [b, a] = [
      { ...sectionOf(b), rules: 0 },
      { ...sectionOf(a), rules: 0 },
    ];
  }
  if (kind === 'ConfigMap') [b, a] = [withConfig(b), withConfig(a)];
  if (isLive) b = asFarAsSaid(b, a, kind, '');
  compare(b, a, '', (path, was, is) =>
    changes.push({
      path,
      text:
        was === undefined ? `+ ${short(is)}` : is === undefined ? `- ${short(was)}` : `${short(was)} → ${short(is)}`,
      security: concern(kind, path),
    }),
  );
  // It changes with the ConfigMap, which is told there.
  return changes.filter((c) => !c.path.endsWith('annotations["checksum/config"]'));
}

/** Without what only the server writes. */
function plain(object: KubernetesObject): unknown {
  const { status: _, metadata, ...rest } = object;
  const { labels = {}, annotations = {}, name, namespace } = metadata;
  return { ...rest, metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels, annotations } };
}

/** The configuration as data, so that its changes are those of keys and not of a text. */
function withConfig(object: unknown): unknown {
  const data = sectionOf(sectionOf(object)['data']);
  const parsed = Object.entries(data).map(([key, text]) => {
    try {
      return [key, parse(String(text), { version: '1.1' })];
    } catch {
      return [key, text];
    }
  });
  return { ...sectionOf(object), data: Object.fromEntries(parsed) };
}

/** `get pods`, `update leases.coordination.k8s.io [gateway]` */
export function rightsOf(role: KubernetesObject): string[] {
  const rights = new Set<string>();
  for (const rule of (role['rules'] as Readonly<Record<string, readonly string[]>>[] | null | undefined) ?? [])
    for (const verb of rule['verbs'] ?? []) {
      for (const url of rule['nonResourceURLs'] ?? []) rights.add(`${verb} ${url}`);
      for (const group of rule['apiGroups'] ?? [])
        for (const resource of rule['resources'] ?? [])
          for (const name of rule['resourceNames']?.length ? rule['resourceNames'] : [''])
            rights.add(`${verb} ${resource}${group === '' ? '' : `.${group}`}${name === '' ? '' : ` [${name}]`}`);
    }
  return [...rights].sort();
}

const CONCERNS: readonly (readonly [kinds: readonly string[], path: RegExp, what: string])[] = [
  [
    ['Namespace'],
    /^metadata\.(labels|annotations)\["?(pod-security\.kubernetes\.io|security\.openshift\.io)/,
    'Pod Security',
  ],
  [WORKLOADS, /\.hostPath(\.|$)|\.volumeMounts\[/, 'directories'],
  [WORKLOADS, /securityContext(\.|$)/, 'process'],
  [WORKLOADS, /\.host(Network|PID|IPC|Users)$|\.hostPort$/, 'process'],
  [WORKLOADS, /\.image$|\.command(\[|$)|\.args(\[|$)/, 'image'],
  [WORKLOADS, /secretKeyRef|secretRef|\.secret(\.|$)|imagePullSecrets/, 'Secrets'],
  [WORKLOADS, /serviceAccountName$|automountServiceAccountToken$/, 'rights'],
  [WORKLOADS, /\.volumes\[[^\]]*\]$|\.(init|ephemeral)?[cC]ontainers\[[^\]]*\]$/, 'process'],
  [['NetworkPolicy'], /^spec/, 'network'],
  [['Service'], /^spec\.(type|externalIPs|loadBalancer)/, 'network'],
  [
    ['ConfigMap'],
    /\.exporters\.[^.]*\.(endpoint|headers|auth)|\.exporters\["[^"]*"\]\.(endpoint|headers|auth)/,
    'destination',
  ],
  [['ConfigMap'], /insecure|\.tls(\.|$)|\.auth(\.|$)/, 'TLS'],
];

function concern(kind: string, path: string): string | undefined {
  if (RIGHTS.includes(kind)) return path.startsWith('metadata') ? undefined : 'rights';
  return CONCERNS.find(([kinds, of]) => kinds.includes(kind) && of.test(path))?.[2];
}

type Found = (path: string, before: unknown, after: unknown) => void;

const isMapping = (v: unknown): v is Record<string, unknown> =>
  typeof v === 'object' && v !== null && !Array.isArray(v);

/** Items with a name are the same when they have the same name. */
const keysOf = (list: readonly unknown[]): string[] | undefined => {
  const keys = list.map((item) => {
    const { name, mountPath } = sectionOf(item);
    return String(mountPath ?? name ?? '');
  });
  return list.length > 0 && keys.every((k) => k !== '') && new Set(keys).size === keys.length ? keys : undefined;
};
const byKey = (list: readonly unknown[], keys: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(list.map((item, i) => [keys[i]!, item]));

const below = (path: string, key: string): string =>
  /^[\w$-]+$/.test(key) ? (path === '' ? key : `${path}.${key}`) : `${path}[${JSON.stringify(key)}]`;

function compare(before: unknown, after: unknown, path: string, found: Found): void {
  if (isMapping(after) && (isMapping(before) || before === undefined)) {
    for (const key of new Set([...Object.keys(before ?? {}), ...Object.keys(after)]))
      compare(before?.[key], after[key], below(path, key), found);
    if (before === undefined && path !== '') found(path, before, after);
    return;
  }
  if (Array.isArray(after) && (Array.isArray(before) || before === undefined)) {
    const [old, now] = [keysOf(before ?? []), keysOf(after)];
    if (now && (old || (before ?? []).length === 0)) {
      const [b, a] = [byKey(before ?? [], old ?? []), byKey(after, now)];
      for (const key of new Set([...Object.keys(b), ...Object.keys(a)])) {
        const inside = `${path}[${key}]`;
        if (b[key] === undefined || a[key] === undefined) found(inside, b[key], a[key]);
        else compare(b[key], a[key], inside, found);
      }
      return;
    }
  }
  if (before === undefined && after === undefined) return;
  if (!isSame(before, after, path)) found(path, before, after);
}

function isSame(a: unknown, b: unknown, path: string): boolean {
  if (JSON.stringify(a) === JSON.stringify(b)) return true;
  const amount = /\.(requests|limits)\./.test(path) ? parseMilliQuantity(a) : undefined;
  return amount !== undefined && amount === parseMilliQuantity(b);
}

/** Of what a server has, the part that the render speaks of: the rest are its defaults, unless it concerns security. */
function asFarAsSaid(live: unknown, said: unknown, kind: string, path: string): unknown {
  if (isMapping(live) && isMapping(said))
    return Object.fromEntries(
      Object.entries(live)
        .filter(([key]) => Object.hasOwn(said, key) || isExtra(kind, below(path, key)))
        .map(([key, value]) => [key, asFarAsSaid(value, said[key], kind, below(path, key))]),
    );
  if (Array.isArray(live) && Array.isArray(said)) {
    const keys = keysOf(said);
    const of = keys && byKey(said, keys);
    const own = keysOf(live);
    // The token of the service account is put in by the server.
    const isOwn = (item: unknown): boolean => !/^kube-api-access-/.test(String(sectionOf(item)['name'] ?? ''));
    return live
      .filter(isOwn)
      .map((item, i) => asFarAsSaid(item, of && own ? of[own[i]!] : said[i], kind, `${path}[${own?.[i] ?? i}]`));
  }
  return live;
}

/** Somebody has set by hand what the render leaves out, and it gives rights. */
const isExtra = (kind: string, path: string): boolean =>
  WORKLOADS.includes(kind)
    ? /securityContext\.|\.host(Network|PID|IPC)$|\.(init|ephemeral)Containers$/.test(path)
    : /^metadata\.labels\["pod-security/.test(path);

const MAX_TEXT = 200;

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

/** For people: what concerns security first. */
export function describeDiff(diffs: readonly ObjectDiff[]): string {
  const lines: string[] = [];
  const told = new Set<string>();
  const part = (title: string, isMeant: (c: Change) => boolean, withWhole: boolean): void => {
    const own = diffs
      .map((d) => ({ ...d, changes: d.changes.filter(isMeant) }))
      .filter((d) => d.changes.length > 0 || (withWhole && d.is !== 'changed' && !told.has(d.object)));
    if (own.length === 0) return;
    lines.push(...(lines.length > 0 ? [''] : []), title);
    for (const { object, is, changes } of own) {
      told.add(object);
      lines.push(
        `  ${is === 'new' ? '+ ' : is === 'gone' ? '- ' : '~ '}${object}${is === 'changed' ? '' : ` (${is})`}`,
      );
      for (const { path, text } of changes.filter((c) => c.path !== '' || c.text.length > 1))
        lines.push(`      ${path === '' ? text : `${path}: ${text}`}`);
    }
  };
  part('Concerns security:', (c) => c.security !== undefined, false);
  part(lines.length > 0 ? 'Besides:' : 'Changes:', (c) => c.security === undefined, true);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
