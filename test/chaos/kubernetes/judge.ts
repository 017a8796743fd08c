/** What is right at the end of a round: compared are the server's record and what the destination has. */
import type { KubernetesObject } from '../../../src/kubernetes/object.ts';
import type { Change, Population } from '../../../src/kubernetes/simulated/population.ts';
import type { Gap } from './requests.ts';
import type { SentEvent, SentLine, SentPoint } from './sink.ts';

/**
 * What was delivered so shortly before a kill may come again: the collector had not read the answer yet, or not stored the
 * position, which it does at once, but not more often than every 50 ms. Generous, for machines that are busy.
 */
export const REPEATED_MS = 1000;

const idOf = (uid: string, version: number): string => `${uid} ${version}`;
const of = (o: KubernetesObject): string => `${o.metadata.name} (version ${o.metadata.resourceVersion})`;

export interface EventRecord {
  readonly changes: readonly Change[];
  /** Where the stream began. */
  readonly from: number;
  readonly gaps: readonly Gap[];
  /** When each life of the gateway was killed. */
  readonly kills: readonly { readonly life: number; readonly atMs: number }[];
}

/** Versions of events that should have arrived and did not. */
export function missingEvents({ changes, from, gaps }: EventRecord, sent: readonly SentEvent[]): Change[] {
  const arrived = new Set(sent.map((e) => idOf(e.uid, e.version)));
  const next = new Map<string, number>();
  const missing: Change[] = [];
  for (const change of changes.toReversed()) {
    const { uid } = change.object.metadata;
    const goneAt = next.get(uid);
    next.set(uid, change.revision);
    if (change.type === 'DELETED' || change.revision <= from || arrived.has(idOf(uid, change.revision))) continue;
    // A list after a version that was gone has what the server still had, in its newest version.
    const isSuperseded = gaps.some((g) => g.after < change.revision && goneAt !== undefined && goneAt <= g.upTo);
    if (!isSuperseded) missing.push(change);
  }
  return missing.reverse();
}

export function eventProblems(record: EventRecord, sent: readonly SentEvent[]): string[] {
  const problems = missingEvents(record, sent).map((c) => `event ${of(c.object)} never arrived`);
  const first = new Map<string, SentEvent>();
  const known = new Set(record.changes.map((c) => idOf(c.object.metadata.uid, c.revision)));
  for (const e of sent) {
    const id = idOf(e.uid, e.version);
    const before = first.get(id);
    if (!known.has(id)) problems.push(`event ${id} arrived, which the server never had`);
    if (!before) {
      first.set(id, e);
      continue;
    }
    const kill = record.kills.find((k) => k.life === before.life);
    if (before.life === e.life) problems.push(`event ${id} came twice without a kill in between`);
    else if (!kill) problems.push(`event ${id} came again after a clean stop`);
    else if (kill.atMs - before.atMs > REPEATED_MS)
      problems.push(
        `event ${id} came again, ${Math.round(kill.atMs - before.atMs)} ms after it was delivered and before the kill`,
      );
  }
  return problems;
}

/** `metric of uid or name` → value */
export function expectedPoints(population: Population): Map<string, number> {
  const expected = new Map<string, number>();
  const PHASES = ['Pending', 'Running', 'Succeeded', 'Failed'];
  for (const pod of population.list('pods')) {
    const { phase, containerStatuses = [] } = (pod['status'] ?? {}) as {
      phase?: string;
      containerStatuses?: readonly { name: string; restartCount: number; ready: boolean }[];
    };
    const at = PHASES.indexOf(phase ?? '');
    expected.set(`k8s.pod.phase ${pod.metadata.uid}`, at < 0 ? 5 : at + 1);
    for (const c of containerStatuses) expected.set(`k8s.container.ready ${pod.metadata.uid}`, c.ready ? 1 : 0);
  }
  for (const d of population.list('deployments.apps')) {
    const spec = d['spec'] as { replicas: number };
    const status = d['status'] as { availableReplicas?: number };
    expected.set(`k8s.deployment.desired ${d.metadata.uid}`, spec.replicas);
    expected.set(`k8s.deployment.available ${d.metadata.uid}`, status.availableReplicas ?? 0);
  }
  for (const n of population.list('nodes')) expected.set(`k8s.node.condition_ready ${n.metadata.uid}`, 1);
  for (const n of population.list('namespaces')) expected.set(`k8s.namespace.phase ${n.metadata.uid}`, 1);
  return expected;
}

const UID_OF: Readonly<Record<string, string>> = {
  'k8s.pod.phase': 'k8s.pod.uid',
  'k8s.container.ready': 'k8s.pod.uid',
  'k8s.deployment.desired': 'k8s.deployment.uid',
  'k8s.deployment.available': 'k8s.deployment.uid',
  'k8s.node.condition_ready': 'k8s.node.uid',
  'k8s.namespace.phase': 'k8s.namespace.uid',
};

/** Of the newest collection: values that are missing, wrong, or of what is gone; and pods without their labels. */
export function pointProblems(population: Population, points: readonly SentPoint[]): string[] {
  const problems: string[] = [];
  const expected = expectedPoints(population);
  const revisions = new Map(population.list('pods').map((p) => [p.metadata.uid, p.metadata.labels?.['rev'] ?? '']));
  const found = new Map<string, number>();
  for (const { metric, value, resource } of points) {
    const uid = UID_OF[metric];
    if (uid === undefined) continue;
    const id = `${metric} ${resource[uid]}`;
    if (found.has(id)) problems.push(`${id} is there twice`);
    found.set(id, value);
    if (!expected.has(id)) problems.push(`${id} is told of what is gone`);
    else if (expected.get(id) !== value) problems.push(`${id} is ${value}, and ${expected.get(id)} at the server`);
    const rev = resource['rev'] ?? '';
    if (metric === 'k8s.pod.phase' && rev !== revisions.get(resource[uid]!))
      problems.push(`${id} has the label ${rev}, and ${revisions.get(resource[uid]!)} at the server`);
  }
  for (const id of expected.keys()) if (!found.has(id)) problems.push(`${id} is missing`);
  return problems;
}

export interface WrittenLine {
  readonly pod: KubernetesObject;
  readonly body: string;
}

/** Lines that are lost, doubled, or carry what their pod never had. */
export function lineProblems(
  written: readonly WrittenLine[],
  sent: readonly SentLine[],
  revisions: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  const problems: string[] = [];
  const podOf = new Map(written.map((w) => [w.body, w.pod]));
  const seen = new Set<string>();
  for (const { body, resource } of sent) {
    const pod = podOf.get(body);
    if (!pod) {
      problems.push(`line ${body} was never written`);
      continue;
    }
    if (seen.has(body)) problems.push(`line ${body} came twice`);
    seen.add(body);
    const { uid, name } = pod.metadata;
    if (resource['k8s.pod.uid'] !== uid || resource['k8s.pod.name'] !== name)
      problems.push(`line ${body} of ${name} came as of ${resource['k8s.pod.name']}`);
    if (!revisions.get(uid)!.has(resource['rev'] ?? ''))
      problems.push(`line ${body} of ${name} has the label ${resource['rev']}, which the pod never had`);
  }
  for (const { body } of written) if (!seen.has(body)) problems.push(`line ${body} never arrived`);
  return problems;
}

/** Of the newest line of a pod: whether its metadata are those that the server has. */
export function isCurrent(
  pod: KubernetesObject,
  namespaceTeam: string | undefined,
  line: SentLine | undefined,
): boolean {
  if (!line) return false;
  const { resource } = line;
  const owner = pod.metadata.ownerReferences?.[0];
  return (
    (resource['rev'] ?? '') === (pod.metadata.labels?.['rev'] ?? '') &&
    resource['k8s.node.name'] === (pod['spec'] as { nodeName: string }).nodeName &&
    (owner?.kind !== 'ReplicaSet' || resource['k8s.deployment.name'] === owner.name.replace(/-[^-]+$/, '')) &&
    (owner?.kind !== 'ReplicaSet' || resource['k8s.deployment.uid'] !== undefined) &&
    resource['team'] === namespaceTeam
  );
}
