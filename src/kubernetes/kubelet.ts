/** The kubelet of a node: its address, the ways to prove who we are to it, and what its refusals mean. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { Environment } from '../core/environment.ts';
import { bracketed } from '../core/host-port.ts';
import {
  type Access,
  type AccessContext,
  makeAccess,
  SERVICE_ACCOUNT_DIR,
  type Source,
  type TlsKeys,
} from './access.ts';
import { KubernetesClient } from './client.ts';
import { kubeconfigAccess } from './kubeconfig.ts';

const SECURE_PORT = 10250;
const READ_ONLY_PORT = 10255;

export const AUTH_TYPES = ['none', 'tls', 'serviceAccount', 'kubeConfig'] as const;
export type AuthType = (typeof AUTH_TYPES)[number];

/** Upstream's keys of every component that talks with a kubelet. */
export interface KubeletSettings {
  readonly endpoint: string;
  readonly authType: AuthType;
  /** Of the kubeconfig. */
  readonly context: string;
  readonly ca: Source | undefined;
  readonly cert: Source | undefined;
  readonly key: Source | undefined;
  readonly serverName: string;
  readonly isVerified: boolean;
  readonly parameters: SecureContextOptions;
}

export interface KubeletContext extends AccessContext {
  readonly env: Environment;
  /** Where the credentials of the pod are; for tests. */
  readonly serviceAccountDir?: string;
}

const KEYS: TlsKeys = { ca: 'ca_file', serverName: 'server_name_override', skip: 'insecure_skip_verify' };

/** The endpoint with its scheme; an empty one is the kubelet of the host that this runs on. */
export function kubeletUrl(endpoint: string, isSecure: boolean, ctx: AccessContext): string {
  let url = endpoint;
  if (url === '') {
    url = isSecure ? `https://${hostname()}:${SECURE_PORT}` : `http://${hostname()}:${READ_ONLY_PORT}`;
    ctx.log.warn(`Kubelet endpoint not defined, using default endpoint ${url}`);
  } else if (!/^https?:\/\//.test(url)) url = `${isSecure ? 'https' : 'http'}://${bracketed(url)}`;
  if (!URL.canParse(url))
    throw new Error(`endpoint ${JSON.stringify(endpoint)} is not an address such as 10.0.0.1:10250`);
  return url;
}

export function kubeletAccess(settings: KubeletSettings, ctx: KubeletContext): Access {
  const dir = ctx.serviceAccountDir ?? SERVICE_ACCOUNT_DIR;
  const clusterCa = join(dir, 'ca.crt');
  const common = {
    serverName: settings.serverName,
    isVerified: settings.isVerified,
    parameters: settings.parameters,
    keys: KEYS,
    otherCaFiles: [clusterCa],
    trustsSystem: true,
  };
  switch (settings.authType) {
    case 'none':
      return makeAccess({ ...common, url: kubeletUrl(settings.endpoint, false, ctx), ca: settings.ca }, ctx);
    case 'tls': {
      if (!settings.cert || !settings.key)
        throw new Error(
          'auth_type tls needs cert_file and key_file; in a pod, auth_type serviceAccount is what you want',
        );
      const { ca, cert, key } = settings;
      return makeAccess({ ...common, url: kubeletUrl(settings.endpoint, true, ctx), ca, cert, key }, ctx);
    }
    case 'serviceAccount': {
      const ca = settings.ca ?? { file: clusterCa };
      const token = { file: join(dir, 'token') };
      return makeAccess({ ...common, url: kubeletUrl(settings.endpoint, true, ctx), ca, token }, ctx);
    }
    case 'kubeConfig': {
      if (!/^[\w.-]+$/.test(settings.endpoint))
        throw new Error('auth_type kubeConfig needs the name of the node as endpoint, without scheme and port');
      const api = kubeconfigAccess(ctx.env, settings.context, ctx);
      return {
        ...api,
        url: `${api.url}/api/v1/nodes/${settings.endpoint}/proxy`,
        isVerified: api.isVerified && settings.isVerified,
      };
    }
  }
}

/** What a refusal asks for, in the terms of Kubernetes' RBAC. */
export function explainRefusal(isThroughApiServer: boolean) {
  return (status: number, body: string, path: string): string | undefined => {
    if (status === 401)
      return isThroughApiServer
        ? 'The API server does not accept the credentials of the kubeconfig'
        : 'The kubelet does not accept the credentials: with serviceAccount it needs --authentication-token-webhook, ' +
            'with tls a certificate of its client CA';
    if (status === 403)
      return `${subjectOf(body)} needs the verb get on ${neededFor(isThroughApiServer, body, path)} in a ClusterRole`;
    return undefined;
  };
}

const subjectOf = (body: string): string => {
  const user = /user=([^,)]+)/.exec(body)?.[1] ?? /User "([^"]+)"/.exec(body)?.[1];
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user ?? '');
  if (account) return `Service account ${account[1]}/${account[2]}`;
  return user === undefined ? 'The account' : `User ${user}`;
};

function neededFor(isThroughApiServer: boolean, body: string, path: string): string {
  if (isThroughApiServer) return 'nodes/proxy';
  if (path === '/stats/summary') return 'nodes/stats';
  // Kubelets that check pods apart say so: `subresource(s)=[pods proxy]`, older ones `subresource=proxy`.
  if (/subresource\S*\[[^\]]*\bpods\b/.test(body)) return 'nodes/pods';
  if (/subresource\S*\bproxy\b/.test(body))
    return 'nodes/proxy (this kubelet does not know nodes/pods; Kubernetes 1.33 and later do)';
  return 'nodes/pods (Kubernetes 1.33 and later) or nodes/proxy (before)';
}

export const kubeletClient = (settings: KubeletSettings, ctx: KubeletContext): KubernetesClient =>
  new KubernetesClient(kubeletAccess(settings, ctx), {
    name: 'kubelet',
    explain: explainRefusal(settings.authType === 'kubeConfig'),
  });
