/** Troubles between a collector and Kubernetes: rights, kubelets, metadata. */
import { type LogRule, who } from './rule.ts';

const account = (user: string): string => user.replace(/^system:serviceaccount:([^:]+):/, 'service account $1/');
const rule = (group: string, resource: string, verb: string): string =>
  `{apiGroups: ["${group}"], resources: ["${resource}"], verbs: [${verb}]}`;
/** Who reads, lists and watches needs all three to keep what it knows. */
const verbs = (verb: string): string => (/^(?:list|watch)$/.test(verb) ? '"get", "list", "watch"' : `"${verb}"`);

export const KUBERNETES_RULES: readonly LogRule[] = [
  {
    id: 'forbidden',
    isRepeated: true,
    state: 'failure',
    pattern:
      /User \\*"([^"\\]+)\\*" cannot (\w+) resource \\*"([^"\\]+)\\*" in API group \\*"([^"\\]*)\\*"(?: in the namespace \\*"([^"\\]+)\\*")?/,
    what: ([, user = '', verb, resource, group, namespace]) =>
      `${account(user)} may not ${verb} ${resource}${group ? `.${group}` : ''}${namespace ? ` in namespace ${namespace}` : ''}`,
    fix: ([, , verb = '', resource = '', group = '', namespace]) =>
      `add ${rule(group, resource, verbs(verb))} to its ${namespace ? `Role in ${namespace}, or ` : ''}ClusterRole; \`sluice render\` computes the rules of a config`,
  },
  {
    id: 'kubelet-forbidden',
    isRepeated: true,
    state: 'failure',
    pattern:
      /Forbidden \(user=([^,)]+), verb=(\w+), resource=nodes, subresource(?:\(s\))?=\[?([\w ,]+)\]?\)|forbidden: User \\*"([^"\\]+)\\*" cannot get path \\*"(\/\w+)/,
    what: (m) =>
      `${account(m[1] ?? m[4] ?? '')} may not read ${m[3] ? `nodes/${m[3].split(/[ ,]+/)[0]}` : m[5]} of the kubelet`,
    fix: (m) => {
      const asked = m[3]?.split(/[ ,]+/)[0] ?? (m[5] === '/stats' ? 'stats' : 'pods');
      const needed =
        asked === 'proxy' && !/\/(?:exec|run|attach|portForward)/.test(m.input) && /\/pods\b/.test(m.input)
          ? 'pods'
          : asked;
      const old = needed === 'pods' ? ' (before Kubernetes 1.33: nodes/proxy)' : '';
      return `add ${rule('', `nodes/${needed}`, '"get"')} to its ClusterRole${old}`;
    },
  },
  {
    id: 'kubelet-unauthorised',
    isRepeated: true,
    state: 'failure',
    pattern: /kubelet request GET \S+ failed - \\*"401 Unauthorized|:10250\S* .{0,80}401 Unauthorized/,
    what: (_, e) => `the kubelet does not accept the credentials of ${who(e, 'the collector')}`,
    fix: () =>
      'auth_type: serviceAccount, and the kubelet needs --authentication-token-webhook (the default of kubeadm and Talos)',
  },
  {
    id: 'api-unauthorised',
    isRepeated: true,
    state: 'failure',
    pattern:
      /the server has asked for the client to provide credentials|API server request \S{1,10} \S{1,500} failed - "401/,
    what: () => 'the API server does not accept the token',
    fix: () =>
      'automountServiceAccountToken: true; is the token of this cluster, and is the pod newer than its service account?',
  },
  {
    id: 'sync',
    isRepeated: true,
    state: 'failure',
    pattern: /failed to wait for caches to sync|Timed out waiting for initial cache sync/,
    what: (_, e) => `${who(e, 'k8s_attributes')}: the objects of Kubernetes did not arrive in time`,
    fix: () =>
      'a right is missing (look for "forbidden" in the log) or the cluster is large: wait_for_metadata_timeout: 60s',
  },
  {
    id: 'not-in-cluster',
    isPrinted: true,
    state: 'failure',
    pattern: /KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined|try setting KUBERNETES_MASTER/,
    what: (_, e) => `${who(e, 'a component')} looks for the cluster it runs in, and there is none`,
    fix: () => 'outside of a cluster use auth_type: kubeConfig',
  },
  {
    id: 'target-down',
    isRepeated: true,
    state: 'warning',
    pattern:
      /Failed to scrape (?:Prometheus endpoint\n(?:(?:.*\n){0,20}?.{0,400}\binstance="([^"]+)")?|https?:\/\/([\w.:[\]-]+))/,
    what: (m, e) => {
      const target = m[1] ?? m[2];
      return `${who(e, 'prometheus')}: ${target === undefined ? 'a target' : `the target ${target}`} cannot be scraped`;
    },
    fix: () =>
      'does it listen there, is the path right, does it want TLS? Is a NetworkPolicy in the way: `kubectl get networkpolicy -A`',
  },
  {
    id: 'scrape',
    isRepeated: true,
    state: 'warning',
    pattern: /Error scraping metrics\n/,
    what: (_, e) => `${who(e, 'a receiver')} could not read some of its metrics`,
    fix: () => 'the error in the line says what; host metrics need root_path and the mount of / as /hostfs',
  },
];
