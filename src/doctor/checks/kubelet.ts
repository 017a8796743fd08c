/** Does the certificate of the kubelets verify, and which setting would make it work? */
import { messageOf } from '../../core/errors.ts';
import { makeAccess } from '../../kubernetes/access.ts';
import { KubernetesClient, StatusError } from '../../kubernetes/client.ts';
import {
  AUTH_TYPES,
  type AuthType,
  explainRefusal,
  type KubeletContext,
  type KubeletSettings,
  kubeletClient,
} from '../../kubernetes/kubelet.ts';
import { isProblem, RESOURCES } from '../cluster.ts';
import type { Check, DoctorContext } from '../context.ts';
import { type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { type Fields, fieldsOf, listOf, textOf, type Workload } from '../objects.ts';
import { inPod, otherAccount } from './workload-reads.ts';

const TIMEOUT_MS = 6000;
/** Outside, so many nodes are tried. */
const MAX_NODES = 3;
const KEYS = { ca: 'ca_file', serverName: 'server_name_override', skip: 'insecure_skip_verify' };

interface Use {
  /** `kubelet_stats of otel-agent` */
  readonly what: string;
  readonly workload: Workload | undefined;
  readonly settings: Fields;
  readonly path: string;
}

export const kubelet: Check = {
  id: 'kubelet',
  title: 'Kubelets',
  async run(ctx) {
    const uses = usesOf(ctx);
    if (uses.length === 0) return [];
    const out: Finding[] = [];
    if (ctx.isInside) for (const use of uses) out.push(...(await fromPod(ctx, use)));
    else out.push(...(await fromOutside(ctx, uses)));
    return out;
  },
};

function usesOf(ctx: DoctorContext): Use[] {
  return ctx.tiers.flatMap(({ name, config, workload }) => [
    ...[...(config?.receivers.values() ?? [])]
      .filter((c) => c.entry.id === 'kubelet_stats')
      .map((c) => ({ what: `${c.id} of ${name}`, workload, settings: fieldsOf(c.value), path: '/stats/summary' })),
    ...[...(config?.processors.values() ?? [])]
      .filter((c) => c.entry.id === 'k8s_attributes' && fieldsOf(fieldsOf(c.value)['kubelet'])['enabled'] === true)
      .map((c) => ({
        what: `${c.id} of ${name}`,
        workload,
        settings: { auth_type: 'serviceAccount', ...fieldsOf(fieldsOf(c.value)['kubelet']) },
        path: '/pods',
      })),
  ]);
}

function settingsOf(s: Fields): KubeletSettings {
  const source = (key: string) =>
    textOf(s[`${key}_pem`]) !== ''
      ? { text: textOf(s[`${key}_pem`]) }
      : textOf(s[`${key}_file`]) !== ''
        ? { file: textOf(s[`${key}_file`]) }
        : undefined;
  const authType = AUTH_TYPES.find((t): t is AuthType => t === s['auth_type']) ?? 'tls';
  return {
    endpoint: textOf(s['endpoint']),
    authType,
    context: textOf(s['context']),
    ca: source('ca'),
    cert: source('cert'),
    key: source('key'),
    serverName: textOf(s['server_name_override']),
    isVerified: s['insecure_skip_verify'] !== true,
    parameters: {},
  };
}

const kubeletContext = ({ clock, log, env, serviceAccountDir }: DoctorContext): KubeletContext => ({
  clock,
  log,
  env,
  ...(serviceAccountDir === undefined ? {} : { serviceAccountDir }),
});

/** As the collector asks: certificate, credentials and rights in one. */
async function fromPod(ctx: DoctorContext, { what, settings, path }: Use): Promise<Finding[]> {
  const asked = settingsOf(settings);
  const ask = async (s: KubeletSettings): Promise<unknown> => {
    try {
      const client = kubeletClient(s, kubeletContext(ctx));
      await client.get(path, { timeoutMs: TIMEOUT_MS, signal: ctx.signal });
      client.close();
      return undefined;
    } catch (e) {
      return e;
    }
  };
  const error = await ask(asked);
  const where = `GET ${asked.endpoint}${path}`;
  if (error === undefined && asked.isVerified)
    return [ok(`the kubelet answers ${what}, and its certificate verifies`, where)];
  if (error === undefined) {
    const strict = await ask({ ...asked, isVerified: true });
    if (strict === undefined || strict instanceof StatusError)
      return [
        warning(
          `${what} does not check the kubelet's certificate, although it would verify`,
          `${where} with insecure_skip_verify: false works too`,
          'remove insecure_skip_verify: true (in a spec: tls: skip of kubeletMetrics)',
        ),
      ];
    return [
      ok(`the kubelet answers ${what}; its certificate is not checked`, `it would not verify: ${messageOf(strict)}`),
    ];
  }
  const message = messageOf(error);
  return [failure(`the kubelet does not answer ${what}`, message, adviceIn(message))];
}

/** What tls-advice.ts found out stands at the end of the client's message. */
const TLS_ADVICE: readonly RegExp[] = [
  /It was tried: (.+)$/,
  /so that only (.+) works/,
  /(Use one of these as endpoint, or .+)$/,
  /(Let the cluster sign it .+)$/,
  /(Point ca_file to .+)$/,
  /(renew it, .+)$/,
];

export function adviceIn(message: string): string {
  if (/x509|certificate/.test(message)) {
    const tried = TLS_ADVICE.map((r) => r.exec(message)?.[1]).find((text) => text !== undefined);
    return tried ?? 'insecure_skip_verify: true, or let the cluster sign the certificate of the kubelet';
  }
  const needs = /needs the verb get on ([\w/]+)/.exec(message);
  if (needs) return `add {apiGroups: [""], resources: ["${needs[1]}"], verbs: ["get"]} to its ClusterRole`;
  if (/40[13]/.test(message)) return 'auth_type: serviceAccount';
  return 'endpoint: ${env:K8S_NODE_IP}:10250, with K8S_NODE_IP from fieldRef status.hostIP; is a NetworkPolicy in the way?';
}

/** Only the certificate: whether it verifies with the CA of the cluster, by the address and by the name of the node. */
async function fromOutside(ctx: DoctorContext, uses: readonly Use[]): Promise<Finding[]> {
  const names = uses.map((u) => u.what).join(', ');
  if (!ctx.cluster || !ctx.access)
    return [unknown(`the kubelets that ${names} asks cannot be found`, ctx.clusterProblem)];
  const nodes = await ctx.cluster.list(RESOURCES.nodes);
  if (isProblem(nodes))
    return [unknown('the nodes cannot be listed', nodes.problem, otherAccount(ctx, 'list nodes', ''))];
  const { ca } = await ctx.access.tls();
  const isSkipped = uses.every((u) => u.settings['insecure_skip_verify'] === true);
  const out: Finding[] = [];
  const unreached: { readonly name: string; readonly error: string }[] = [];
  for (const node of nodes.value.slice(0, MAX_NODES)) {
    const { name } = node.metadata;
    const status = fieldsOf(node['status']);
    const ip = textOf(listOf(status['addresses']).find((a) => a['type'] === 'InternalIP')?.['address']);
    const port = Number(fieldsOf(fieldsOf(status['daemonEndpoints'])['kubeletEndpoint'])['Port'] ?? 10250);
    const url = `https://${ip.includes(':') ? `[${ip}]` : ip}:${port}`;
    const error = await handshake(ctx, url, ca);
    if (error === undefined) {
      out.push(
        isSkipped
          ? warning(
              `the certificate of the kubelet of ${name} verifies, and is not checked`,
              `${url} verifies with the CA of the cluster`,
              'remove insecure_skip_verify: true (in a spec: tls: skip of kubeletMetrics)',
            )
          : ok(`the certificate of the kubelet of ${name} verifies`, `${url} with the CA of the cluster`),
      );
      continue;
    }
    if (!/x509|certificate/.test(error)) {
      unreached.push({ name, error });
      continue;
    }
    out.push(
      isSkipped
        ? ok(`the certificate of the kubelet of ${name} does not verify, and is not checked`, error)
        : failure(
            `the certificate of the kubelet of ${name} does not verify, and ${names} checks it`,
            error,
            adviceIn(error),
          ),
    );
  }
  if (unreached.length > 0)
    out.push(
      unknown(
        `the kubelet${unreached.length === 1 ? '' : 's'} of ${some(unreached.map((u) => u.name))} cannot be reached from here`,
        unreached[0]!.error,
        inPod(ctx, uses[0]!.workload),
      ),
    );
  return out;
}

/** Undefined: the certificate verifies. What the kubelet answers to strangers does not count. */
async function handshake(ctx: DoctorContext, url: string, ca: string | undefined): Promise<string | undefined> {
  const access = makeAccess(
    { url, ...(ca === undefined ? {} : { ca: { text: ca } }), keys: KEYS, trustsSystem: true },
    ctx,
  );
  const client = new KubernetesClient(access, { name: 'kubelet', explain: explainRefusal(false) });
  try {
    await client.get('/healthz', { timeoutMs: TIMEOUT_MS, signal: ctx.signal });
    return undefined;
  } catch (e) {
    return e instanceof StatusError ? undefined : messageOf(e);
  } finally {
    client.close();
  }
}
