/** Attributes of volumes: what they are by the pod's spec, and what is behind their claims by the API server. */
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import type { KubernetesClient } from '../../../kubernetes/client.ts';
import type { VolumeSpec } from './pods.ts';

export type Attributes = readonly (readonly [name: string, value: string])[];

type Source = Readonly<Record<string, unknown>>;
const sourceOf = (value: unknown): Source | undefined =>
  typeof value === 'object' && value !== null ? (value as Source) : undefined;
const text = (value: unknown): string => (value === undefined || value === null ? '' : String(value));

/** Kinds of a pod's volumes that are told; the first that is there counts. */
const PLAIN = ['configMap', 'downwardAPI', 'emptyDir', 'secret', 'persistentVolumeClaim', 'hostPath'];

/** Undefined: the kind is none of those that are told. */
export function volumeAttributes(spec: VolumeSpec): Attributes {
  const kind = PLAIN.find((k) => sourceOf(spec[k]));
  if (kind === undefined) return diskAttributes(spec) ?? [];
  const type: Attributes = [['k8s.volume.type', kind]];
  if (kind !== 'persistentVolumeClaim') return type;
  return [...type, ['k8s.persistentvolumeclaim.name', claimOf(spec) ?? '']];
}

export function claimOf(spec: VolumeSpec): string | undefined {
  const claim = sourceOf(spec['persistentVolumeClaim']);
  return claim && text(claim['claimName']);
}

/** Of a pod's volume or a persistent volume. */
function diskAttributes(spec: Source): Attributes | undefined {
  const aws = sourceOf(spec['awsElasticBlockStore']);
  if (aws) return disk('awsElasticBlockStore', 'aws.volume.id', aws['volumeID'], aws);
  const gce = sourceOf(spec['gcePersistentDisk']);
  if (gce) return disk('gcePersistentDisk', 'gce.pd.name', gce['pdName'], gce);
  const gluster = sourceOf(spec['glusterfs']);
  if (!gluster) return undefined;
  return [
    ['k8s.volume.type', 'glusterfs'],
    ['glusterfs.endpoints.name', text(gluster['endpoints'])],
    ['glusterfs.path', text(gluster['path'])],
  ];
}

const disk = (type: string, idAttribute: string, id: unknown, source: Source): Attributes => [
  ['k8s.volume.type', type],
  [idAttribute, text(id)],
  ['fs.type', text(source['fsType'])],
  ['partition', text(source['partition'] ?? 0)],
];

/** What a persistent volume says in place of its claim; empty for kinds that are not told. */
export const persistentVolumeAttributes = (spec: unknown): Attributes => {
  const source = sourceOf(spec) ?? {};
  return sourceOf(source['local']) ? [['k8s.volume.type', 'local']] : (diskAttributes(source) ?? []);
};

interface Known {
  readonly outcome: ClaimOutcome;
  readonly askedAtMs: number;
}

const RETRY_MS = 30_000;
const AT_A_TIME = 4;
const TIMEOUT_MS = 5000;

export interface Claim {
  /** Of the pod: a claim of the same name may be another one for another pod. */
  readonly podUid: string;
  readonly namespace: string;
  readonly name: string;
}

/** The outcome of looking up a claim: attributes, or why there are none. */
export type ClaimOutcome = { readonly attributes: Attributes } | { readonly error: string };

/** Looks claims up once, those that fail again after a while, and forgets those that nobody asks for any more. */
export class Claims {
  readonly #api: KubernetesClient;
  readonly #clock: Clock;
  #known = new Map<string, Known>();

  constructor(api: KubernetesClient, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /** Outcomes by `claimKey`; all of `claims` have one. */
  async resolve(claims: readonly Claim[], signal: AbortSignal): Promise<ReadonlyMap<string, ClaimOutcome>> {
    const now = this.#clock.monotonicMs();
    const kept = new Map<string, Known>();
    const missing: Claim[] = [];
    for (const claim of claims) {
      const known = this.#known.get(keyOf(claim));
      if (known && ('attributes' in known.outcome || now - known.askedAtMs < RETRY_MS)) kept.set(keyOf(claim), known);
      else missing.push(claim);
    }
    this.#known = kept;
    const work = missing.values();
    const lookUp = async (): Promise<void> => {
      for (const claim of work) kept.set(keyOf(claim), { outcome: await this.#ask(claim, signal), askedAtMs: now });
    };
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, missing.length) }, lookUp));
    return new Map([...kept].map(([key, { outcome }]) => [key, outcome]));
  }

  async #ask(claim: Claim, signal: AbortSignal): Promise<ClaimOutcome> {
    const get = async (path: string): Promise<Source | undefined> => {
      const object = await this.#api.getJson(path, { signal, timeoutMs: TIMEOUT_MS });
      return sourceOf(sourceOf(object)?.['spec']);
    };
    try {
      const namespace = encodeURIComponent(claim.namespace);
      const name = encodeURIComponent(claim.name);
      const spec = await get(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${name}`);
      const volume = text(spec?.['volumeName']);
      if (volume === '') return { error: `PersistentVolumeClaim ${claim.name} does not have a volume name` };
      const found = await get(`/api/v1/persistentvolumes/${encodeURIComponent(volume)}`);
      return { attributes: persistentVolumeAttributes(found) };
    } catch (e) {
      return { error: `failed to set labels from volume claim: ${messageOf(e)}` };
    }
  }
}

export const claimKey = (podUid: string, name: string): string => `${podUid}/${name}`;
const keyOf = (claim: Claim): string => claimKey(claim.podUid, claim.name);
