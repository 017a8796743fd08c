/** The pods of both tiers: container, environment, probes, volumes, and no more rights than the configuration needs. */
import { createHash } from 'node:crypto';
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import { parseQuantity } from '../core/quantity.ts';
import { suggest } from '../core/suggest.ts';
import type { CollectorConfig, TierName } from './config.ts';
import { lean, noted } from './kubernetes-object.ts';
import type { Needs } from './needs.ts';
import { profileOf } from './platforms.ts';
import type { EnvVar, NormalAgent, NormalGateway, NormalSpec } from './spec.ts';

export const CONFIG_KEY = 'relay';
const CONFIG_DIRECTORY = '/conf';
const CONFIG_FILE = 'relay.yaml';
const USER = 10001;
/** sluice gives its pipelines 30 s to drain; the rest is for the process around them. */
const GRACE_SECONDS = 45;

export interface Tier {
  readonly name: TierName;
  /** `otel-agent` */
  readonly objectName: string;
  /** Of what is not in the namespace of the collection; another collection in the cluster has other rights. */
  readonly wideName: string;
  readonly namespace: string;
  readonly config: CollectorConfig;
  /** The text that the collector reads. */
  readonly configText: string;
  readonly options: NormalAgent | NormalGateway;
  readonly needs: Needs;
  readonly labels: Readonly<Record<string, string>>;
  /** It asks Kubernetes for something as its service account. */
  readonly usesAccount: boolean;
}

const field = (name: string, fieldPath: string): [string, EnvVar] => [
  name,
  { name, valueFrom: { fieldRef: { fieldPath } } },
];

/** What Kubernetes tells a pod of itself, under the names in use. */
const DOWNWARD: ReadonlyMap<string, EnvVar> = new Map([
  field('K8S_NODE_NAME', 'spec.nodeName'),
  field('K8S_NODE_IP', 'status.hostIP'),
  field('K8S_NAMESPACE', 'metadata.namespace'),
  field('K8S_POD_NAME', 'metadata.name'),
  field('K8S_POD_UID', 'metadata.uid'),
  field('K8S_POD_IP', 'status.podIP'),
  field('MY_NODE_NAME', 'spec.nodeName'),
  field('MY_POD_IP', 'status.podIP'),
  field('MY_POD_NAME', 'metadata.name'),
  field('MY_POD_NAMESPACE', 'metadata.namespace'),
  field('NODE_NAME', 'spec.nodeName'),
  field('NODE_IP', 'status.hostIP'),
  field('POD_IP', 'status.podIP'),
  field('POD_NAME', 'metadata.name'),
  field('POD_NAMESPACE', 'metadata.namespace'),
  field('POD_UID', 'metadata.uid'),
  field('OTEL_K8S_NAMESPACE', 'metadata.namespace'),
  field('OTEL_K8S_NODE_IP', 'status.hostIP'),
  field('OTEL_K8S_NODE_NAME', 'spec.nodeName'),
  field('OTEL_K8S_POD_IP', 'status.podIP'),
  field('OTEL_K8S_POD_NAME', 'metadata.name'),
  field('OTEL_K8S_POD_UID', 'metadata.uid'),
]);

/** Variables of the pod whose value is known before it runs. */
export const knownVariables = (namespace: string): Record<string, string> =>
  Object.fromEntries(
    [...DOWNWARD].flatMap(([name, { valueFrom }]) =>
      (valueFrom as { fieldRef: { fieldPath: string } }).fieldRef.fieldPath === 'metadata.namespace'
        ? [[name, namespace]]
        : [],
    ),
  );

/** How much of the memory limit the heap may have: the rest is buffers, code and stacks. */
function memoryVariables(spec: NormalSpec, options: Tier['options']): EnvVar[] {
  const limit = parseQuantity(options.resources.limits?.['memory']);
  if (limit === undefined) return [];
  const share = (part: number): number => Math.floor((limit * part) / 2 ** 20);
  return spec.engine === 'sluice'
    ? [{ name: 'NODE_OPTIONS', value: `--max-old-space-size=${share(0.65)}` }]
    : [{ name: 'GOMEMLIMIT', value: `${share(0.8)}MiB` }];
}

function environmentOf(spec: NormalSpec, { name: tier, options, needs }: Tier): EnvVar[] {
  const own = new Map(options.env.map((e) => [e.name, e]));
  const problems: Diagnostic[] = [];
  const found: EnvVar[] = [];
  for (const { name, isOptional, why } of needs.env) {
    if (own.has(name)) continue;
    const given = DOWNWARD.get(name);
    if (given) found.push(given);
    else if (!isOptional) {
      const meant = suggest(name, [...DOWNWARD.keys(), ...own.keys()]);
      problems.push({
        path: [tier, 'env'],
        message: `${why} uses the environment variable ${name}, which the pod does not have`,
        hint: `add it to ${tier}.env, or write a default: \${env:${name}:-…}${meant ? `; or did you mean ${meant}?` : ''}`,
      });
    }
  }
  if (problems.length > 0) throw new ConfigError(problems, { headline: 'invalid spec' });
  const memory = memoryVariables(spec, options).filter((e) => !own.has(e.name));
  return [...found, ...memory, ...options.env].map((e) => lean({ ...e }));
}

const imageOf = ({ repository, tag, digest }: NormalSpec['image']): string =>
  digest === undefined ? `${repository}:${tag ?? 'latest'}` : `${repository}@${digest}`;

interface Volume {
  readonly name: string;
  readonly source: object;
  readonly mounts: readonly { readonly mountPath: string; readonly [field: string]: unknown }[];
  readonly note: string;
}

const DOCKER = '/var/lib/docker/containers';

function volumesOf(spec: NormalSpec, tier: Tier): Volume[] {
  const { needs, objectName } = tier;
  const taken = new Set<string>();
  const nameOf = (path: string): string => {
    const words =
      path === '/'
        ? 'root'
        : path
            .toLowerCase()
            .replaceAll(/[^a-z0-9]+/g, '-')
            .replaceAll(/^-|-$/g, '');
    let name = words.slice(0, 50);
    for (let n = 2; taken.has(name); n++) name = `${words.slice(0, 50)}-${n}`;
    taken.add(name);
    return name;
  };
  const volumes: Volume[] = [
    {
      name: 'config',
      source: { configMap: { name: objectName, items: [{ key: CONFIG_KEY, path: CONFIG_FILE }] } },
      mounts: [{ name: 'config', mountPath: CONFIG_DIRECTORY, readOnly: true }],
      note: '',
    },
  ];
  const docker = tier.name === 'agent' && (tier.options as NormalAgent).presets.logsCollection?.dockerRuntime;
  const hostPaths = [
    ...needs.hostPaths,
    ...(docker ? [{ path: DOCKER, mountPath: DOCKER, isReadOnly: true, why: ['logsCollection.dockerRuntime'] }] : []),
  ];
  for (const h of hostPaths) {
    const name = nameOf(h.path);
    const type = 'type' in h ? h.type : undefined;
    const follows = 'followsMounts' in h && h.followsMounts;
    volumes.push({
      name,
      source: { hostPath: lean({ path: h.path, type }) },
      mounts: [
        lean({
          name,
          mountPath: h.mountPath,
          readOnly: h.isReadOnly,
          mountPropagation: follows ? 'HostToContainer' : undefined,
        }),
      ],
      note: [...h.why].sort().join('\n'),
    });
  }
  const hasClaim = claims(tier);
  for (const { path, why } of needs.storage) {
    const name = nameOf(path);
    const source =
      tier.name === 'agent'
        ? { hostPath: { path, type: 'DirectoryOrCreate' } }
        : hasClaim
          ? { persistentVolumeClaim: { claimName: objectName } }
          : { emptyDir: {} };
    volumes.push({ name, source, mounts: [{ name, mountPath: path }], note: why });
  }
  for (const { path, why } of needs.scratch) {
    const name = nameOf(path);
    volumes.push({ name, source: { emptyDir: {} }, mounts: [{ name, mountPath: path }], note: why });
  }
  if (spec.engine === 'sluice' && needs.storage.length > 0) {
    const name = nameOf('/tmp');
    volumes.push({
      name,
      source: { emptyDir: {} },
      mounts: [{ name, mountPath: '/tmp' }],
      note: 'temporary files of the storage',
    });
  }
  for (const [i, { name, mountPath, readOnly = true, ...source }] of tier.options.volumes.entries()) {
    const clash = volumes.find((v) => v.name === name || v.mounts.some((m) => m.mountPath === mountPath));
    if (clash)
      throw new ConfigError(
        [
          {
            path: [tier.name, 'volumes', i],
            message: `there is a volume ${clash.name} at ${clash.mounts[0]!.mountPath} already`,
            hint: clash.note || 'choose another name and mountPath',
          },
        ],
        { headline: 'invalid spec' },
      );
    volumes.push({ name, source, mounts: [{ name, mountPath, readOnly }], note: '' });
  }
  return volumes;
}

/** What the gateway keeps has to move with it. */
export const claims = ({ name, options, needs }: Tier): boolean =>
  name === 'gateway' &&
  needs.storage.length > 0 &&
  (options as NormalGateway).presets.kubernetesEvents?.storage === true;

/** Root on the node where the configuration needs it, and then without its powers; else a plain user. */
function securityOf(spec: NormalSpec, tier: Tier): { pod: object; container: object } {
  const { needs, name } = tier;
  const profile = profileOf(spec);
  const isRoot = name === 'agent' && (needs.root.length > 0 || needs.storage.length > 0);
  const add = name === 'agent' ? needs.capabilities.filter((c) => !profile.refusesCapabilities?.includes(c)) : [];
  const user = isRoot
    ? { runAsUser: 0, runAsGroup: 0, runAsNonRoot: false }
    : profile.assignsUsers && !isOfTheNode(tier)
      ? { runAsNonRoot: true }
      : { runAsUser: USER, runAsGroup: USER, runAsNonRoot: true };
  const needsGroup = !isRoot && needs.storage.length + needs.scratch.length > 0 && !profile.assignsUsers;
  const isSpecial = profile.seLinuxType !== undefined && name === 'agent' && needs.hostPaths.length > 0;
  const why = isRoot
    ? [...needs.root, ...needs.storage.map((s) => `${s.why}: a directory of the node`)].join('\n')
    : '';
  return {
    pod: lean({
      ...user,
      ...(needsGroup ? { fsGroup: USER } : {}),
      seLinuxOptions: isSpecial ? { type: profile.seLinuxType } : undefined,
      seccompProfile: { type: 'RuntimeDefault' },
    }),
    container: noted(
      {
        allowPrivilegeEscalation: false,
        privileged: false,
        readOnlyRootFilesystem: true,
        capabilities: lean({ drop: ['ALL'], add: [...add] }),
      },
      why,
    ),
  };
}

function probesOf({ needs }: Tier): object {
  const { health } = needs;
  if (!health) return {};
  const port = needs.ports.find((p) => p.purpose === 'health' && !p.isLocal)!.name;
  const httpGet = { path: health.path, port };
  return {
    // A minute to begin; afterwards a slow answer under load is no reason to start anew.
    startupProbe: { httpGet, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 30 },
    readinessProbe: { httpGet, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    livenessProbe: { httpGet, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6 },
  };
}

/** Port on the node for Talos' machine.logging.destinations. */
const hostPortOf = ({ name, options }: Tier, port: number): number | undefined => {
  if (name !== 'agent') return undefined;
  const talos = (options as NormalAgent).presets.talos;
  return talos?.from === 'tcp' && (talos.port ?? 5140) === port ? port : undefined;
};

/** It needs more of its node than any pod may have. */
export const isOfTheNode = (tier: Tier): boolean => {
  const { name, needs, options } = tier;
  return (
    name === 'agent' &&
    (needs.hostPaths.length > 0 ||
      needs.storage.length > 0 ||
      needs.root.length > 0 ||
      needs.capabilities.length > 0 ||
      options.volumes.some((v) => v.hostPath) ||
      needs.ports.some((p) => hostPortOf(tier, p.port) !== undefined))
  );
};

export const configChecksum = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What pods of a tier are found by; it can never change. */
export const selectorOf = ({ objectName }: Tier): Record<string, string> => ({ 'app.kubernetes.io/name': objectName });

/** A second gateway waits for the first to fail, so it had better not fail with it; where there is one node only, it may. */
function spreadOf(tier: Tier): object[] {
  if (tier.name !== 'gateway' || tier.options.affinity !== undefined) return [];
  if ((tier.options as NormalGateway).replicas < 2) return [];
  return [
    {
      maxSkew: 1,
      topologyKey: 'kubernetes.io/hostname',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: selectorOf(tier) },
    },
  ];
}

/** The template of a DaemonSet or Deployment. */
export function podTemplate(spec: NormalSpec, tier: Tier): object {
  const { options, needs, objectName, labels } = tier;
  const volumes = volumesOf(spec, tier);
  const security = securityOf(spec, tier);
  const ports = needs.ports
    .filter((p) => !p.isLocal)
    .map(({ name, port, protocol }) => lean({ name, containerPort: port, hostPort: hostPortOf(tier, port), protocol }));
  const { pullSecrets, pullPolicy } = spec.image;
  return {
    metadata: {
      // Pods are found by their name, whatever labels a user gives them.
      labels: { ...labels, ...options.labels, ...selectorOf(tier) },
      annotations: { 'checksum/config': configChecksum(tier.configText), ...options.annotations },
    },
    spec: lean({
      serviceAccountName: objectName,
      automountServiceAccountToken: tier.usesAccount,
      enableServiceLinks: false,
      priorityClassName: options.priorityClassName,
      terminationGracePeriodSeconds: GRACE_SECONDS,
      nodeSelector: { 'kubernetes.io/os': 'linux', ...options.nodeSelector },
      affinity: options.affinity,
      topologySpreadConstraints: spreadOf(tier),
      tolerations: options.tolerations,
      imagePullSecrets: pullSecrets.map((name) => ({ name })),
      securityContext: security.pod,
      containers: [
        lean({
          name: objectName,
          image: imageOf(spec.image),
          imagePullPolicy: pullPolicy,
          args: [`--config=${CONFIG_DIRECTORY}/${CONFIG_FILE}`],
          env: environmentOf(spec, tier),
          ports,
          ...probesOf(tier),
          resources: lean({ ...options.resources }),
          securityContext: security.container,
          volumeMounts: volumes.flatMap((v) => v.mounts),
        }),
      ],
      volumes: volumes.map((v) => noted({ name: v.name, ...v.source }, v.note)),
    }),
  };
}
