/** Is there a running agent on every node, and if not, what keeps it away? */
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { spanText } from '../clocks.ts';
import { isProblem, RESOURCES } from '../cluster.ts';
import type { Check, DoctorContext } from '../context.ts';
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { isCollector } from '../gather.ts';
import { fieldsOf, isRunning, listOf, nodeOf, numberOf, textOf, type Workload, workloadOf } from '../objects.ts';
import { obstaclesOf } from '../scheduling.ts';
import { ageMs, isLeaving, isNew, isStarting } from '../starting.ts';
import { failedCreates, otherAccount, podsOf } from './workload-reads.ts';

/** Before a pod that is missing for no reason is looked for again. */
const AGAIN_MS = 5000;

export const agents: Check = {
  id: 'agents',
  title: 'An agent on every node, a gateway that runs',
  async run(ctx) {
    if (!ctx.cluster) return [unknown('the nodes cannot be looked at', ctx.clusterProblem)];
    if (ctx.workloadsProblem !== '')
      return [
        unknown(
          'DaemonSets and Deployments cannot be looked at',
          ctx.workloadsProblem,
          otherAccount(ctx, 'list daemonsets.apps', ctx.namespace),
        ),
      ];
    if (ctx.workloads.length === 0) return [await nothingHere(ctx)];
    const out: Finding[] = [];
    for (const w of ctx.workloads)
      out.push(...(w.kind === 'DaemonSet' ? await daemonSet(ctx, w) : await replicas(ctx, w)));
    return out;
  },
};

/** The namespace may be another one, or not be there at all. */
async function nothingHere({ cluster, namespace }: DoctorContext): Promise<Finding> {
  const kinds = [
    ['DaemonSet', RESOURCES.daemonsets],
    ['Deployment', RESOURCES.deployments],
    ['StatefulSet', RESOURCES.statefulsets],
  ] as const;
  const found: Workload[] = [];
  for (const [kind, type] of kinds) {
    const all = await cluster!.list(type);
    if (!isProblem(all)) found.push(...all.value.map((o) => workloadOf(kind, o)).filter(isCollector));
  }
  const others = [...new Set(found.map((w) => w.namespace))].sort();
  const own = await cluster!.get(RESOURCES.namespaces, '', namespace);
  const isMissing = isProblem(own) && own.status === 404;
  const what = isMissing ? `there is no namespace ${namespace}` : `no collector runs in namespace ${namespace}`;
  const shown = `kubectl get daemonsets,deployments -n ${namespace} shows none with the label app.kubernetes.io/name=otel-agent or otel-gateway, nor with an image of a collector`;
  if (others.length > 0)
    return failure(
      `${what}; collectors run in ${some(others)}`,
      `by labels and images: ${some(found.map((w) => `${w.kind.toLowerCase()}/${w.name} in ${w.namespace}`))}`,
      `sluice doctor -n ${others[0]}`,
    );
  return failure(
    what,
    isMissing ? `kubectl get namespace ${namespace} finds none` : shown,
    '`sluice render SPEC | kubectl apply -f -`, or say where they are with --namespace',
  );
}

async function replicas(ctx: DoctorContext, w: Workload): Promise<Finding[]> {
  const wanted = w.spec['replicas'] === undefined ? 1 : numberOf(w.spec['replicas']);
  const status = fieldsOf(w.object['status']);
  const ready = numberOf(status['readyReplicas']);
  const how = `${w.kind} ${w.namespace}/${w.name}: ${ready} of ${wanted} replicas ready`;
  if (wanted === 0)
    return [
      warning(
        `${w.name} is scaled to nothing`,
        how,
        `kubectl scale -n ${w.namespace} ${w.kind.toLowerCase()}/${w.name} --replicas=1`,
      ),
    ];
  if (ready >= wanted) return [ok(`${w.name} runs`, how)];
  const refused = (await failedCreates(ctx, w)).at(0);
  const pods = await podsOf(ctx, w);
  const list = isProblem(pods) ? [] : pods.value;
  const isChanging =
    list.length === 0
      ? isNew(ctx, w.object)
      : list.every((p) => isRunning(p) || isLeaving(ctx, p) || isStarting(ctx, p));
  if (refused === undefined && isChanging && !isProblem(pods)) {
    const made = list.length === 0 ? [w.object] : list;
    return [notYet(`${w.name} is starting`, `${how}; ${youngest(ctx, made)}`, ready > 0)];
  }
  return [
    failure(
      `${w.name} does not run as it should`,
      refused === undefined ? how : `${how}; event FailedCreate: ${refused}`,
      `kubectl describe pods -n ${w.namespace} -l ${w.selector}`,
    ),
  ];
}

/** Nothing is wrong with a part that starts while others run; where nothing runs yet, nobody can say. */
const notYet = (what: string, how: string, isServed: boolean): Finding =>
  isServed ? ok(what, how) : unknown(what, how, 'ask again in a minute');

function youngest(ctx: DoctorContext, objects: readonly KubernetesObject[]): string {
  const [first] = [...objects].sort((a, b) =>
    (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1,
  );
  return first ? `${first.metadata.name} was made ${spanText(ageMs(ctx, first.metadata.creationTimestamp))} ago` : '';
}

async function daemonSet(ctx: DoctorContext, w: Workload): Promise<Finding[]> {
  const nodes = await ctx.cluster!.list(RESOURCES.nodes);
  if (isProblem(nodes))
    return [unknown('the nodes cannot be listed', nodes.problem, otherAccount(ctx, 'list nodes', ''))];
  let pods = await podsOf(ctx, w);
  if (isProblem(pods))
    return [
      unknown(`the pods of ${w.name} cannot be listed`, pods.problem, otherAccount(ctx, 'list pods', w.namespace)),
    ];
  const refused = await failedCreates(ctx, w);
  let state = coverage(ctx, w, nodes.value, pods.value, refused);
  if (state.isUnexplained) {
    // Between the end of a pod and its successor there is none for a moment.
    await ctx.pause(AGAIN_MS);
    pods = await ctx.cluster!.again(RESOURCES.pods, { namespace: w.namespace, labelSelector: w.selector });
    if (!isProblem(pods)) state = coverage(ctx, w, nodes.value, pods.value, refused);
  }
  const { running, starting, reasons } = state;
  const total = nodes.value.length;
  const out = [...reasons].map(([what, r]) =>
    failure(
      `no running ${w.name} on ${count(r.nodes.length, 'node')} of ${total} (${some(r.nodes)}): ${what}`,
      `${running} of ${total} nodes have one; ${r.how}`,
      r.fix,
    ),
  );
  if (starting.length > 0)
    out.push(
      notYet(
        `${w.name} is starting on ${count(starting.length, 'node')} of ${total} (${some(starting.map((s) => s.node))})`,
        `${running} of ${total} nodes have one that runs; ${youngest(
          ctx,
          starting.map((s) => s.since),
        )}`,
        running > 0,
      ),
    );
  if (out.length > 0) return out;
  return [
    ok(
      `${w.name} runs on ${total === 1 ? 'the node' : `all ${total} nodes`}`,
      `nodes and pods with ${w.selector} in ${w.namespace}`,
    ),
  ];
}

interface Coverage {
  readonly running: number;
  /** Nodes on which it has just begun, and the pod or node that has. */
  readonly starting: readonly { readonly node: string; readonly since: KubernetesObject }[];
  /** Nodes by what keeps the agent from them. */
  readonly reasons: ReadonlyMap<string, { readonly how: string; readonly fix: string; readonly nodes: string[] }>;
  readonly isUnexplained: boolean;
}

function coverage(
  ctx: DoctorContext,
  w: Workload,
  nodes: readonly KubernetesObject[],
  pods: readonly KubernetesObject[],
  refused: readonly string[],
): Coverage {
  const on = new Map<string, KubernetesObject[]>();
  for (const p of pods) {
    const node = nodeOf(p) || affineNode(p);
    on.set(node, [...(on.get(node) ?? []), p]);
  }
  const reasons = new Map<string, { readonly how: string; readonly fix: string; readonly nodes: string[] }>();
  const note = (node: string, what: string, how: string, fix: string): void => {
    const known = reasons.get(what) ?? { how, fix, nodes: [] };
    known.nodes.push(node);
    reasons.set(what, known);
  };
  const starting: { node: string; since: KubernetesObject }[] = [];
  let running = 0;
  let isUnexplained = false;
  for (const node of nodes) {
    const { name } = node.metadata;
    const own = on.get(name) ?? [];
    if (own.some(isRunning)) {
      running++;
      continue;
    }
    const [first] = obstaclesOf(w.pod, node);
    const command = `kubectl describe node ${name}`;
    // The one that comes tells more than the one that goes.
    const pod = own.find((p) => !isLeaving(ctx, p)) ?? own[0];
    if (pod && (isStarting(ctx, pod) || isLeaving(ctx, pod))) starting.push({ node: name, since: pod });
    else if (!pod && first)
      note(name, first.what, `${command}, beside the DaemonSet ${w.namespace}/${w.name}`, first.fix);
    else if (!pod && refused.length > 0)
      note(
        name,
        'its pod is refused',
        `event FailedCreate of ${w.name}: ${refused[0]}`,
        /violates PodSecurity/.test(refused[0]!)
          ? 'see the check "Pod Security"'
          : `kubectl describe daemonset -n ${w.namespace} ${w.name}`,
      );
    else if (isNew(ctx, node) && (!pod || !isReady(node))) starting.push({ node: name, since: node });
    else if (!isReady(node))
      note(
        name,
        'the node is not ready',
        `${command}: condition Ready is not True`,
        `\`${command}\` says why; on the node \`systemctl status kubelet\`, Talos: \`talosctl -n ${name} service kubelet\``,
      );
    else if (pod) {
      const { what, how, fix } = stuck(pod, w);
      note(name, what, how, fix);
    } else if (isNew(ctx, w.object)) starting.push({ node: name, since: w.object });
    else {
      isUnexplained = true;
      note(
        name,
        'nothing that can be seen keeps it away',
        `DaemonSet ${w.namespace}/${w.name} tolerates its taints and selects it`,
        `\`kubectl describe daemonset -n ${w.namespace} ${w.name}\`; is kube-controller-manager well?`,
      );
    }
  }
  return { running, starting, reasons, isUnexplained };
}

/** The node that a waiting pod of a DaemonSet is for. */
function affineNode(pod: KubernetesObject): string {
  const affinity = fieldsOf(fieldsOf(fieldsOf(pod['spec'])['affinity'])['nodeAffinity']);
  const terms = fieldsOf(affinity['requiredDuringSchedulingIgnoredDuringExecution'])['nodeSelectorTerms'];
  const fields = listOf(terms).flatMap((t) => listOf(t['matchFields']));
  const values = fields.find((f) => f['key'] === 'metadata.name')?.['values'];
  return Array.isArray(values) ? textOf(values[0]) : '';
}

function stuck(pod: KubernetesObject, w: Workload): { what: string; how: string; fix: string } {
  const status = fieldsOf(pod['status']);
  const where = `pod ${w.namespace}/${pod.metadata.name}`;
  const scheduled = listOf(status['conditions']).find((c) => c['type'] === 'PodScheduled' && c['status'] === 'False');
  if (scheduled) {
    const message = textOf(scheduled['message']);
    const fix = /Insufficient (\w+)/.exec(message);
    return {
      what: 'its pod cannot be scheduled',
      how: `${where}: ${message}`,
      fix: fix
        ? `lower resources.requests.${fix[1]}, or set priorityClassName: system-node-critical`
        : `kubectl describe pod -n ${w.namespace} ${pod.metadata.name}`,
    };
  }
  const reasons = listOf(status['containerStatuses'])
    .map((c) => textOf(fieldsOf(fieldsOf(c['state'])['waiting'])['reason']))
    .filter((reason) => reason !== '');
  const describe = `kubectl describe pod -n ${w.namespace} ${pod.metadata.name}`;
  // A slow registry is no trouble that the check of pods would see.
  const isFetching = reasons.length > 0 && reasons.every((r) => r === 'ContainerCreating' || r === 'PodInitializing');
  return {
    what: isFetching ? 'its containers are not made yet' : 'its pod does not become ready',
    how: `${where}: phase ${textOf(status['phase']) || 'unknown'}${reasons.length > 0 ? `, waits: ${some(reasons)}` : ''}`,
    fix: isFetching ? describe : `the check "Pods of the collectors" says why, or \`${describe}\``,
  };
}

const isReady = (node: KubernetesObject): boolean =>
  listOf(fieldsOf(node['status'])['conditions']).some((c) => c['type'] === 'Ready' && c['status'] === 'True');
