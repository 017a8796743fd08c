/** Can the cluster be asked at all, and is it the one that is meant? */
import type { Check, DoctorContext } from '../context.ts';
import { type Finding, failure, ok, unknown } from '../finding.ts';

export const cluster: Check = {
  id: 'cluster',
  title: 'Cluster',
  async run(ctx) {
    const url = ctx.access?.url;
    // A configuration of its own is looked at without any cluster, too.
    if (url === undefined) {
      const isNone = /^KUBECONFIG is not set and/.test(ctx.clusterProblem);
      if (isNone || !ctx.isClusterMeant) return [unknown('there is no cluster to look at', ctx.clusterProblem, NAMED)];
      return [failure('the kubeconfig cannot be used', ctx.clusterProblem, '`kubectl version` must answer')];
    }
    const where = `${ctx.contextName === '' ? '' : `context ${ctx.contextName}, `}${url}`;
    if (!ctx.cluster) return [refused(ctx, where)];
    return [ok(`the API server answers${ctx.version === '' ? '' : ` as ${ctx.version}`}`, where)];
  },
};

const NAMED = 'name one with --kubeconfig FILE, --context NAME';

function refused(ctx: DoctorContext, where: string): Finding {
  const { clusterProblem: problem, clusterStatus: status } = ctx;
  // Who looks at a file has perhaps no cluster in mind.
  const make = ctx.isClusterMeant ? failure : unknown;
  const kubectl = ctx.contextName === '' ? 'kubectl' : `kubectl --context ${ctx.contextName}`;
  if (status === 401)
    return make(
      'the API server does not accept the credentials',
      `${where}: ${problem}`,
      ctx.isInside
        ? 'automountServiceAccountToken: true; is the token of this cluster?'
        : `log in anew: \`${kubectl} auth whoami\` must answer; or is another --context meant?`,
    );
  if (status > 0)
    return make('the API server answers with errors', `${where}: ${problem}`, `${kubectl} get --raw '/readyz?verbose'`);
  return make(
    'the API server cannot be reached',
    `${where}: ${problem}`,
    ctx.isInside
      ? 'is a NetworkPolicy in the way of the pod: `kubectl get networkpolicy -A`'
      : `\`${kubectl} version\` must answer: is the VPN up, is the cluster there? \`kubectl config get-contexts\` shows others, for --context`,
  );
}
