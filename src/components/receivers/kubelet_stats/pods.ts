/** What is taken from the kubelet's /pods: ids of containers, kinds of volumes, requests and limits. */

import { parseQuantity, parseWholeQuantity } from '../../../core/quantity.ts';
import { readList } from '../../../kubernetes/json-list.ts';
import { list } from './summary.ts';

/** 0: not defined. */
export interface Resources {
  cpuRequest: number;
  cpuLimit: number;
  memoryRequest: number;
  memoryLimit: number;
}

/** A volume of a pod's spec: the member that says what it is, besides its name. */
export type VolumeSpec = Readonly<Record<string, unknown>> & { readonly name?: string };

export interface PodDetails {
  readonly namespace: string;
  readonly containerIds: ReadonlyMap<string, string>;
  readonly volumes: ReadonlyMap<string, VolumeSpec>;
  readonly resources: Resources;
  readonly containerResources: ReadonlyMap<string, Resources>;
}

interface ContainerStatus {
  readonly name?: string;
  readonly containerID?: string;
}
interface Container {
  readonly name?: string;
  readonly resources?: {
    readonly requests?: Readonly<Record<string, unknown>> | null;
    readonly limits?: Readonly<Record<string, unknown>> | null;
  } | null;
}
interface Pod {
  readonly metadata?: { readonly uid?: string; readonly namespace?: string } | null;
  readonly spec?: { readonly containers?: readonly Container[]; readonly volumes?: readonly VolumeSpec[] } | null;
  readonly status?: {
    readonly containerStatuses?: readonly ContainerStatus[] | null;
    readonly initContainerStatuses?: readonly ContainerStatus[] | null;
  } | null;
}

/** Of a PodList as JSON, by the pod's uid. */
export function podDetails(podList: Buffer): ReadonlyMap<string, PodDetails> {
  const details = new Map<string, PodDetails>();
  readList(podList, 'items', '{"metadata":', (item) => {
    const pod = item as Pod | null;
    const uid = pod?.metadata?.uid;
    if (pod && typeof uid === 'string') details.set(uid, detailsOf(pod));
  });
  return details;
}

function detailsOf({ metadata, spec, status }: Pod): PodDetails {
  const containerIds = new Map<string, string>();
  for (const s of [...list(status?.containerStatuses), ...list(status?.initContainerStatuses)])
    if (typeof s?.name === 'string' && !containerIds.has(s.name))
      containerIds.set(
        s.name,
        (typeof s.containerID === 'string' ? s.containerID : '').trim().replace(/^[\w-]+:\/\//, ''),
      );
  const volumes = new Map<string, VolumeSpec>();
  for (const v of list(spec?.volumes)) if (typeof v?.name === 'string' && !volumes.has(v.name)) volumes.set(v.name, v);
  const containerResources = new Map<string, Resources>();
  for (const c of list(spec?.containers))
    if (typeof c?.name === 'string') containerResources.set(c.name, resourcesOf(c));
  return {
    namespace: metadata?.namespace ?? '',
    containerIds,
    volumes,
    containerResources,
    resources: total([...containerResources.values()]),
  };
}

const resourcesOf = ({ resources }: Container): Resources => ({
  cpuRequest: parseQuantity(resources?.requests?.['cpu']) ?? 0,
  cpuLimit: parseQuantity(resources?.limits?.['cpu']) ?? 0,
  memoryRequest: parseWholeQuantity(resources?.requests?.['memory']) ?? 0,
  memoryLimit: parseWholeQuantity(resources?.limits?.['memory']) ?? 0,
});

/** A sum only where every container defines the value: a share of half a limit would mislead. */
function total(containers: readonly Resources[]): Resources {
  const sum = (of: (r: Resources) => number): number =>
    containers.every((r) => of(r) > 0) ? containers.reduce((n, r) => n + of(r), 0) : 0;
  return {
    cpuRequest: sum((r) => r.cpuRequest),
    cpuLimit: sum((r) => r.cpuLimit),
    memoryRequest: sum((r) => r.memoryRequest),
    memoryLimit: sum((r) => r.memoryLimit),
  };
}
