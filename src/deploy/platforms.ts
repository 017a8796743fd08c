/** What differs between kinds of clusters: what they refuse, and what they want besides. */
import type { Diagnostic } from '../core/errors.ts';
import type { TierName } from './config.ts';
import { type KubernetesObject, lean } from './kubernetes-object.ts';
import type { HostPath, Needs } from './needs.ts';
import type { Tier } from './pods.ts';
import type { Rbac } from './rbac.ts';
import type { NormalSpec, Platform, Volume } from './spec.ts';

export interface PlatformProfile {
  /** Of namespaces. */
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  readonly namespaceAnnotations?: Readonly<Record<string, string>>;
  /** Type of SELinux that may read what other pods wrote. */
  readonly seLinuxType?: string;
  /** Numbers of users are given by the cluster. */
  readonly assignsUsers?: boolean;
  /** Of the node, these directories may be read. Absent: all. */
  readonly readable?: readonly string[];
  /** No directory of the node may be written. */
  readonly isReadOnly?: boolean;
  /** Capabilities beyond this are refused. Absent: none is. */
  readonly refusesCapabilities?: readonly string[];
  /** Nobody is granted these, whatever a ClusterRole says. */
  readonly refusesResources?: readonly string[];
}

const PROFILES: Readonly<Record<Platform, PlatformProfile>> = {
  generic: {},
  // Pod Security is enforced there by default, and only /var can be written: both hold for all that is made here.
  talos: {},
  k3s: {},
  openshift: {
    // Otherwise the cluster sets the Pod Security labels by what it thinks of the service accounts.
    namespaceLabels: { 'security.openshift.io/scc.podSecurityLabelSync': 'false' },
    // Otherwise a default node selector of the cluster keeps agents off some nodes.
    namespaceAnnotations: { 'openshift.io/node-selector': '' },
    seLinuxType: 'spc_t',
    assignsUsers: true,
  },
  'gke-autopilot': {
    readable: ['/var/log'],
    isReadOnly: true,
    refusesCapabilities: ['DAC_READ_SEARCH', 'SYS_PTRACE'],
    refusesResources: ['nodes/proxy'],
  },
};

export const profileOf = (spec: Pick<NormalSpec, 'platform'>): PlatformProfile => PROFILES[spec.platform];

const HINTS: readonly (readonly [component: RegExp, hint: string, preset?: string])[] = [
  [/host_?metrics/, 'set agent.presets.hostMetrics: false; kubeletMetrics measures the nodes as well', 'hostMetrics'],
  [
    /file_storage/,
    'set agent.presets.logsCollection.checkpoints: false and persistentQueue: false of the destinations',
  ],
  [/kubelet_?stats/, 'set agent.presets.kubeletMetrics.tls to verify or skip', 'kubeletMetrics'],
];

/** What a platform does not let a tier do. */
export function refusals(spec: NormalSpec, tier: TierName, needs: Needs, rbac: Rbac): Diagnostic[] {
  const { readable, isReadOnly, refusesResources = [] } = profileOf(spec);
  const problems: Diagnostic[] = [];
  const refuse = (what: string, why: string): void => {
    const [, hint = 'take it out with agent.config', preset] = HINTS.find(([c]) => c.test(why)) ?? [];
    const path = preset === undefined ? ['platform'] : [tier, 'presets', preset];
    problems.push({ path, message: `${spec.platform} ${what} (${why})`, hint });
  };
  const mayRead = (p: Pick<HostPath, 'path'>): boolean =>
    readable === undefined || readable.some((r) => p.path === r || p.path.startsWith(`${r}/`));
  for (const { resources, why } of rbac.cluster)
    for (const resource of resources.filter((r) => refusesResources.includes(r)))
      problems.push({
        path: ['platform'],
        message: `${spec.platform} grants nobody ${resource} (${why.join('; ')})`,
        hint: 'leave out extraMetadata, metrics of utilization and podSource: kubelet; from Kubernetes 1.33 on, nodes/pods is enough for them',
      });
  const own = (spec[tier]?.volumes ?? []).entries();
  for (const [i, { name, hostPath }] of own) {
    const path = hostPath === undefined ? undefined : String(hostPath['path']);
    if (path === undefined) continue;
    const hint = 'use another source';
    if (tier === 'gateway')
      problems.push({
        path: [tier, 'volumes', i],
        message: `the gateway mounts nothing of a node, but ${name} is ${path}`,
        hint,
      });
    else if (!mayRead({ path }))
      problems.push({
        path: [tier, 'volumes', i],
        message: `${spec.platform} mounts no ${path} of the node (${name})`,
        hint,
      });
  }
  if (tier === 'agent') {
    for (const p of needs.hostPaths.filter((h) => !mayRead(h)))
      refuse(`mounts no ${p.path} of the node, only ${readable!.join(', ')}`, p.why.join('; '));
    if (isReadOnly)
      for (const { path: directory, why } of needs.storage)
        refuse(`lets nobody write on the node, so nothing can be kept in ${directory}`, why);
  } else
    for (const p of needs.hostPaths)
      problems.push({
        path: [tier],
        message: `the gateway mounts nothing of a node, but ${p.why.join('; ')} needs ${p.path}`,
        hint: 'it belongs to the agent, which runs on every node',
      });
  return problems;
}

const sourcesOf = (volumes: readonly Volume[]): string[] =>
  volumes.flatMap(({ name: _, mountPath: __, readOnly: ___, ...source }) => Object.keys(source));

/** OpenShift's leave for the agent to be what it is; nothing beyond. */
export function securityContextConstraints(
  spec: NormalSpec,
  { objectName, wideName, needs, labels }: Pick<Tier, 'objectName' | 'wideName' | 'needs' | 'labels'>,
): KubernetesObject {
  return {
    apiVersion: 'security.openshift.io/v1',
    kind: 'SecurityContextConstraints',
    metadata: { name: wideName, labels },
    allowHostDirVolumePlugin: true,
    allowHostIPC: false,
    allowHostNetwork: false,
    allowHostPID: false,
    allowHostPorts: false,
    allowPrivilegeEscalation: false,
    allowPrivilegedContainer: false,
    allowedCapabilities: [...needs.capabilities],
    defaultAddCapabilities: null,
    requiredDropCapabilities: ['ALL'],
    readOnlyRootFilesystem: true,
    runAsUser: { type: 'RunAsAny' },
    seLinuxContext: { type: 'RunAsAny' },
    fsGroup: { type: 'RunAsAny' },
    supplementalGroups: { type: 'RunAsAny' },
    seccompProfiles: ['runtime/default'],
    volumes: [
      ...new Set(['configMap', 'emptyDir', 'hostPath', 'projected', 'secret', ...sourcesOf(spec.agent?.volumes ?? [])]),
    ],
    users: [`system:serviceaccount:${spec.namespace}:${objectName}`],
    groups: [],
    priority: null,
  };
}

export type PodSecurity = 'privileged' | 'restricted';

export function namespaceObject(
  spec: NormalSpec,
  name: string,
  level: PodSecurity,
  labels: Readonly<Record<string, string>>,
): KubernetesObject {
  const profile = profileOf(spec);
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: lean({
      name,
      labels: {
        ...labels,
        'pod-security.kubernetes.io/enforce': level,
        'pod-security.kubernetes.io/audit': level,
        'pod-security.kubernetes.io/warn': level,
        ...profile.namespaceLabels,
      },
      annotations: profile.namespaceAnnotations ?? {},
    }),
  };
}
