/**
 * Has the service account exactly the rights that the configuration needs? Asked of the API server: for ourselves inside,
 * for the account of the pods outside.
 */
import { messageOf } from '../../core/errors.ts';
import { type Right, rightsOf } from '../../deploy/rbac.ts';
import { isProblem } from '../cluster.ts';
import type { Check, DoctorContext, Tier } from '../context.ts';
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { engineOf, fieldsOf, textOf } from '../objects.ts';

const REVIEWS = '/apis/authorization.k8s.io/v1';

/** Rights that attackers look for; a collector that has them without need is a risk. */
const DANGEROUS: readonly Right[] = [
  { namespace: '', group: '', resource: 'secrets', verb: 'list', name: '', why: 'passwords of the whole cluster' },
  {
    namespace: '',
    group: '',
    resource: 'nodes/proxy',
    verb: 'get',
    name: '',
    why: 'commands in every pod, through the kubelet',
  },
];

export const rights: Check = {
  id: 'rights',
  title: 'Rights of the service accounts (RBAC)',
  async run(ctx) {
    const out: Finding[] = [];
    for (const tier of ctx.tiers) if (tier.config) out.push(...(await ofTier(ctx, tier)));
    return out;
  },
};

const resourceText = (r: Right): string =>
  `${r.verb} ${r.resource}${r.group === '' ? '' : `.${r.group}`}${r.name === '' ? '' : ` "${r.name}"`}${r.namespace === '' ? '' : ` in namespace ${r.namespace}`}`;

async function ofTier(ctx: DoctorContext, tier: Tier): Promise<Finding[]> {
  let needed: readonly Right[];
  try {
    const env = Object.fromEntries(Object.entries(ctx.env).filter((e): e is [string, string] => e[1] !== undefined));
    needed = rightsOf(tier.config!.data, {
      engine: engineOf(tier.workload),
      kubernetesVersion: ctx.version || undefined,
      env,
    });
  } catch (e) {
    return [
      unknown(
        `the rights that ${tier.name} needs cannot be computed`,
        messageOf(e),
        'correct the configuration, or write names of namespaces and groups out',
      ),
    ];
  }
  const account = textOf(tier.workload?.pod['serviceAccountName']) || (tier.workload ? 'default' : '');
  if (needed.length === 0 && (!ctx.cluster || tier.workload === undefined))
    return [ok(`${tier.name} needs no right`, `computed from ${tier.origin}`)];
  if (!ctx.cluster) return [unknown(`the rights of ${tier.name} cannot be asked for`, ctx.clusterProblem)];
  if (!ctx.isInside && account === '')
    return [
      unknown(
        `which service account ${tier.name} runs as is not known`,
        'no workload was found for this configuration',
        'say where it runs with --namespace, or run `sluice doctor` in its pod',
      ),
    ];
  const who = ctx.isInside
    ? 'the service account of this pod'
    : `service account ${tier.workload!.namespace}/${account}`;
  const ask = (r: Right) => review(ctx, r, ctx.isInside ? undefined : { namespace: tier.workload!.namespace, account });
  const missing: Right[] = [];
  for (const r of needed) {
    const answer = await ask(r);
    if ('problem' in answer)
      return [unknown(`the rights of ${who} cannot be asked for`, answer.problem, handFix(tier, account, r))];
    if (!answer.isAllowed) missing.push(r);
  }
  const kind = ctx.isInside ? 'SelfSubjectAccessReview' : 'SubjectAccessReview';
  const out: Finding[] = [];
  for (const group of grouped(missing)) {
    const [r] = group as [Right];
    const verbs = group.map((g) => g.verb);
    const place = r.namespace === '' ? 'ClusterRole' : `Role in namespace ${r.namespace}`;
    const names = r.name === '' ? '' : `, resourceNames: ["${r.name}"]`;
    out.push(
      failure(
        `${who} may not ${resourceText({ ...r, verb: verbs.join(', ') })}`,
        `${kind} says no; ${tier.name} needs it for ${r.why}`,
        `add to its ${place}: {apiGroups: ["${r.group}"], resources: ["${r.resource}"]${names}, verbs: [${verbs.map((v) => `"${v}"`).join(', ')}]}`,
      ),
    );
  }
  if (out.length === 0 && needed.length === 0)
    out.push(
      ok(
        `${tier.name} needs no right`,
        `computed from ${tier.origin}${tier.leftOut?.length ? `, without ${tier.leftOut.join(', ')}` : ''}`,
      ),
    );
  else if (out.length === 0)
    out.push(
      ok(
        `${who} has the ${count(needed.length, 'right')} that ${tier.name} needs`,
        `${kind} of each: ${some(needed.map(resourceText), 4)}`,
      ),
    );
  // What a component that is not known here needs, nobody can say.
  for (const r of tier.leftOut?.length ? [] : DANGEROUS) {
    if (needed.some((n) => n.resource === r.resource)) continue;
    const answer = await ask(r);
    if (!('problem' in answer) && answer.isAllowed)
      out.push(
        warning(
          `${who} may ${resourceText(r)}, which ${tier.name} does not need`,
          `${kind} says yes: ${r.why}`,
          `take ${r.resource} out of its ClusterRole; \`sluice render\` grants only what the configuration needs`,
        ),
      );
  }
  return out;
}

const handFix = (tier: Tier, account: string, r: Right): string =>
  account === ''
    ? 'automountServiceAccountToken: true'
    : `kubectl auth can-i ${r.verb} ${r.resource.split('/')[0]} --as=system:serviceaccount:${tier.workload!.namespace}:${account}`;

/** Verbs of one resource are told together. */
function grouped(all: readonly Right[]): Right[][] {
  const groups = new Map<string, Right[]>();
  for (const r of all) {
    const key = JSON.stringify([r.namespace, r.group, r.resource, r.name]);
    groups.set(key, [...(groups.get(key) ?? []), r]);
  }
  return [...groups.values()];
}

async function review(
  ctx: DoctorContext,
  r: Right,
  as: { readonly namespace: string; readonly account: string } | undefined,
): Promise<{ isAllowed: boolean } | { problem: string }> {
  const [resource, subresource = ''] = r.resource.split('/');
  const resourceAttributes = {
    group: r.group,
    resource,
    verb: r.verb,
    ...(subresource === '' ? {} : { subresource }),
    ...(r.name === '' ? {} : { name: r.name }),
    ...(r.namespace === '' ? {} : { namespace: r.namespace }),
  };
  const kind = as ? 'SubjectAccessReview' : 'SelfSubjectAccessReview';
  const subject = as && {
    user: `system:serviceaccount:${as.namespace}:${as.account}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${as.namespace}`, 'system:authenticated'],
  };
  const body = { apiVersion: 'authorization.k8s.io/v1', kind, spec: { ...subject, resourceAttributes } };
  const answer = await ctx.cluster!.post(`${REVIEWS}/${kind.toLowerCase()}s`, body);
  if (isProblem(answer)) return { problem: answer.problem };
  return { isAllowed: fieldsOf(fieldsOf(answer.value)['status'])['allowed'] === true };
}
