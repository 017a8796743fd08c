/** The pod that `sluice why` is about, its containers, and the files its lines are in: as the node shows them, or as the kubelet names them. */
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { isProblem, RESOURCES } from '../cluster.ts';
import type { DoctorContext } from '../context.ts';
import { engineOf, fieldsOf, listOf, numberOf, textOf } from '../objects.ts';
import { ageMs } from '../starting.ts';

export const POD_LOGS = '/var/log/pods';
/** A kubelet's name of the uid of a pod that it reads from a file. */
const STATIC_UID = 'kubernetes.io/config.hash';

export interface LogFile {
  readonly path: string;
  readonly container: string;
  /** Undefined when it cannot be looked at from here. */
  readonly sizeBytes: number | undefined;
  readonly modifiedMs: number | undefined;
  readonly inode: number | undefined;
  /** Of the pod whose directory it is in. */
  readonly uid: string;
  /** When it was made; undefined where nobody tells. */
  readonly bornMs: number | undefined;
}

export interface Subject {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly node: string;
  /** '' : not known. */
  readonly container: string;
  /** Undefined: the API server does not show it. */
  readonly pod: KubernetesObject | undefined;
  readonly podProblem: string;
  /** The API server says that there is none. */
  readonly isKnownMissing: boolean;
  /** Then: pods that may be meant, as `namespace/name`. */
  readonly alike: readonly string[];
  readonly files: readonly LogFile[];
  /** Files of pods that had this name before. */
  readonly former: readonly LogFile[];
  /** Why containers have no file: `app waits (ContainerCreating)`. */
  readonly notStarted: readonly string[];
  /** Since the pod was made; Infinity when it is not known. */
  readonly ageMs: number;
  /** The files were found on this machine. */
  readonly isHere: boolean;
}

export interface SubjectOptions {
  readonly pod: string;
  readonly namespace: string;
  readonly container: string;
  /** For tests. */
  readonly root?: string;
}

export async function subjectOf(ctx: DoctorContext, o: SubjectOptions): Promise<Subject> {
  const slash = o.pod.indexOf('/');
  const namespace = slash < 0 ? o.namespace : o.pod.slice(0, slash);
  const name = o.pod.slice(slash + 1);
  // By a list: an agent may list pods, and has no need to get one.
  const read = await ctx.cluster?.list(RESOURCES.pods, { namespace, fieldSelector: `metadata.name=${name}` });
  const pod = read && !isProblem(read) ? read.value[0] : undefined;
  const podProblem = !read
    ? ctx.clusterProblem
    : isProblem(read)
      ? read.problem
      : `the API server has no pod ${name} in namespace ${namespace}`;
  const isKnownMissing = read !== undefined && !isProblem(read) && pod === undefined;
  const root = o.root ?? POD_LOGS;
  const found = filesHere(root, namespace, name, o.container);
  const uid = textOf(pod?.metadata.annotations?.[STATIC_UID]) || pod?.metadata.uid || found.uid;
  const here = found.files.filter((f) => f.uid === uid);
  // With none of its own, those of a former pod are what there is to look at.
  const own = here.length > 0 ? here : found.files;
  const files = own.length > 0 ? own : pod ? filesOf(pod, uid, o.container) : [];
  return {
    name,
    namespace,
    uid,
    node: textOf(fieldsOf(pod?.['spec'])['nodeName']),
    container: o.container,
    pod,
    podProblem,
    isKnownMissing,
    alike: isKnownMissing && found.files.length === 0 ? await alike(ctx, namespace, name) : [],
    files,
    former: found.files.filter((f) => !own.includes(f)),
    notStarted: pod ? waitingIn(pod, o.container).map((c) => `${c.name} waits (${c.reason})`) : [],
    ageMs: ageMs(ctx, pod?.metadata.creationTimestamp),
    isHere: found.files.length > 0,
  };
}

/** Of that name in another namespace, or of the workload of that name. */
async function alike(ctx: DoctorContext, namespace: string, name: string): Promise<string[]> {
  const all = await ctx.cluster!.list(RESOURCES.pods);
  if (isProblem(all)) return [];
  const rank = (p: KubernetesObject): number =>
    Number(p.metadata.namespace !== namespace) + Number(p.metadata.name !== name);
  return all.value
    .filter((p) => p.metadata.name === name || p.metadata.name.startsWith(`${name}-`))
    .sort((a, b) => rank(a) - rank(b))
    .map((p) => `${p.metadata.namespace}/${p.metadata.name}`);
}

/** The newest directory of that name is the pod that runs. */
function filesHere(
  root: string,
  namespace: string,
  name: string,
  container: string,
): { uid: string; files: LogFile[] } {
  const prefix = `${namespace}_${name}_`;
  const directories = list(root).filter((d) => d.startsWith(prefix) && !d.slice(prefix.length).includes('_'));
  const files: LogFile[] = [];
  let newest = { uid: '', at: -1 };
  for (const directory of directories) {
    const made = statSync(join(root, directory), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (made > newest.at) newest = { uid: directory.slice(prefix.length), at: made };
    for (const c of list(join(root, directory))) {
      if (container !== '' && c !== container) continue;
      for (const file of list(join(root, directory, c))) {
        const path = join(root, directory, c, file);
        const s = statSync(path, { throwIfNoEntry: false });
        if (s && !s.isFile()) continue;
        const uid = directory.slice(prefix.length);
        const bornMs = s && s.birthtimeMs > 0 ? s.birthtimeMs : undefined;
        files.push({ path, container: c, sizeBytes: s?.size, modifiedMs: s?.mtimeMs, inode: s?.ino, uid, bornMs });
      }
    }
  }
  return { uid: newest.uid, files };
}

const list = (directory: string): string[] => {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
};

/** As the kubelet names them: one file per container, by how often it was restarted. */
function filesOf(pod: KubernetesObject, uid: string, container: string): LogFile[] {
  const status = fieldsOf(pod['status']);
  const all = [...listOf(status['initContainerStatuses']), ...listOf(status['containerStatuses'])];
  const waiting = waitingIn(pod, container).map((c) => c.name);
  return all
    .filter((c) => (container === '' || c['name'] === container) && !waiting.includes(textOf(c['name'])))
    .map((c) => ({
      path: `${POD_LOGS}/${pod.metadata.namespace}_${pod.metadata.name}_${uid}/${textOf(c['name'])}/${numberOf(c['restartCount'])}.log`,
      container: textOf(c['name']),
      sizeBytes: undefined,
      modifiedMs: undefined,
      inode: undefined,
      uid,
      bornMs: undefined,
    }));
}

/** Containers that never ran, and so have no file. */
function waitingIn(pod: KubernetesObject, container: string): { name: string; reason: string }[] {
  const status = fieldsOf(pod['status']);
  const all = [...listOf(status['initContainerStatuses']), ...listOf(status['containerStatuses'])];
  return all
    .filter((c) => (container === '' || c['name'] === container) && numberOf(c['restartCount']) === 0)
    .filter(
      (c) => fieldsOf(c['state'])['waiting'] !== undefined && fieldsOf(c['lastState'])['terminated'] === undefined,
    )
    .map((c) => ({
      name: textOf(c['name']),
      reason: textOf(fieldsOf(fieldsOf(c['state'])['waiting'])['reason']) || 'unknown',
    }));
}

/** `0.log`: the file that is written to; others were rotated. */
export const isActive = (file: LogFile): boolean => /^\d+\.log$/.test(basename(file.path));

/** The line to type for what only the pod on that node can see. */
export function execLine(ctx: DoctorContext, s: Subject, agent: string | undefined): string {
  const w = ctx.workloads.find((x) => x.kind === 'DaemonSet');
  if (engineOf(w) !== 'sluice')
    return `on node ${s.node || '<node>'} itself, with its configuration: \`sluice why ${s.namespace}/${s.name} --config FILE\` (the image of ${w!.name} has no sluice)`;
  const pod =
    agent ??
    `$(kubectl get pods -n ${ctx.namespace} -l ${w?.selector || 'app.kubernetes.io/name=otel-agent'} --field-selector spec.nodeName=${s.node || '<node>'} -o name)`;
  return `kubectl exec -n ${ctx.namespace} ${pod} -- sluice why ${s.name} -n ${s.namespace}${s.container === '' ? '' : ` --container ${s.container}`}`;
}
