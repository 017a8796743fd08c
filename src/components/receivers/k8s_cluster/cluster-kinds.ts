/** Nodes, namespaces and quotas. */

import { parseMilliQuantity, parseQuantity, parseWholeQuantity } from '../../../core/quantity.ts';
import type { KubernetesObject } from '../../../kubernetes/object.ts';
import { allocatableMetric, conditionMetric, snakeCase } from './catalogue.ts';
import { list, part, text, texts } from './fields.ts';
import { CORE, flat, type ObjectKind } from './object-kind.ts';
import type { ObjectRecorder, ResourceValues } from './recorder.ts';

const CONDITIONS: Readonly<Record<string, number>> = { True: 1, False: 0, Unknown: -1 };
const conditionValue = (status: string): number => (Object.hasOwn(CONDITIONS, status) ? CONDITIONS[status]! : -1);

export interface NodeReports {
  readonly node_conditions_to_report: readonly string[];
  readonly allocatable_types_to_report: readonly string[];
}

export const nodes = (reports: NodeReports): ObjectKind => ({
  type: CORE('nodes'),
  isClusterWide: true,
  metrics: ['k8s.node.'],
  hasEntity: true,
  measure(o, r) {
    const status = part(o.status);
    const conditions = list(status, 'conditions');
    const info = part(status.nodeInfo);
    const [runtime, runtimeVersion] = text(info, 'containerRuntimeVersion').split('://');
    const identity: ResourceValues = [
      ['k8s.node.uid', o.metadata.uid],
      ['k8s.node.name', o.metadata.name],
      ['k8s.kubelet.version', text(info, 'kubeletVersion')],
    ];
    for (const c of conditions)
      r.point('k8s.node.condition', conditionValue(text(c, 'status')), { condition: text(c, 'type') });
    r.emit(identity);
    for (const type of reports.node_conditions_to_report)
      r.point(conditionMetric(type), conditionValue(text(conditions.find((c) => c.type === type) ?? {}, 'status')));
    const allocatable = part(status.allocatable);
    for (const resource of reports.allocatable_types_to_report)
      r.point(
        allocatableMetric(resource),
        (resource === 'cpu' ? parseQuantity : parseWholeQuantity)(allocatable[resource]),
      );
    // Upstream makes these two without its builder, so that they have no start time.
    r.emit(
      [
        ...identity,
        ['os.type', text(info, 'operatingSystem')],
        ['os.description', text(info, 'osImage')],
        ['container.runtime', runtimeVersion === undefined ? undefined : runtime],
        ['container.runtime.version', runtimeVersion],
      ],
      false,
    );
  },
  facts(o, _pools, wants) {
    if (!wants.entities) return undefined;
    const { metadata: m } = o;
    const conditions = list(part(o.status), 'conditions').map((c): [string, string] => [
      conditionMetric(text(c, 'type')),
      text(c, 'status').toLowerCase(),
    ]);
    const own = flat(
      texts(m.labels),
      [
        ['k8s.node.name', m.name],
        ['node.creation_timestamp', m.creationTimestamp ?? ''],
      ],
      conditions,
    );
    return { entities: [{ type: 'k8s.node', idKey: 'k8s.node.uid', id: m.uid, shared: [], own }] };
  },
});

const NAMESPACE_PHASES: Readonly<Record<string, number>> = { Active: 1, Terminating: 0 };

export const NAMESPACES: ObjectKind = {
  type: CORE('namespaces'),
  isClusterWide: true,
  metrics: ['k8s.namespace.'],
  hasEntity: true,
  measure(o, r) {
    r.point('k8s.namespace.phase', NAMESPACE_PHASES[text(part(o.status), 'phase')] ?? -1);
    r.emit([
      ['k8s.namespace.uid', o.metadata.uid],
      ['k8s.namespace.name', o.metadata.name],
    ]);
  },
  facts({ metadata: m, status }, _pools, wants) {
    if (!wants.entities) return undefined;
    const own = flat([
      ['k8s.namespace.name', m.name],
      ['k8s.namespace.phase', snakeCase(text(part(status), 'phase'))],
      ['k8s.namespace.creation_timestamp', m.creationTimestamp ?? ''],
    ]);
    return { entities: [{ type: 'k8s.namespace', idKey: 'k8s.namespace.uid', id: m.uid, shared: [], own }] };
  },
};

/** Whole units rounded up; what is requested or limited of CPUs (`requests.cpu`) in thousandths, as upstream. */
const quotaValue = (resource: string, quantity: unknown): number | undefined =>
  (resource.endsWith('.cpu') ? parseMilliQuantity : parseWholeQuantity)(quantity);

function quotaPoints(r: ObjectRecorder, metric: string, amounts: unknown, namespace?: string): void {
  for (const [resource, quantity] of Object.entries(part(amounts)))
    r.point(metric, quotaValue(resource, quantity), {
      ...(namespace === undefined ? {} : { 'k8s.namespace.name': namespace }),
      resource,
    });
}

export const RESOURCE_QUOTAS: ObjectKind = {
  type: CORE('resourcequotas'),
  metrics: ['k8s.resource_quota.'],
  measure(o, r) {
    quotaPoints(r, 'k8s.resource_quota.hard_limit', part(o.status).hard);
    quotaPoints(r, 'k8s.resource_quota.used', part(o.status).used);
    r.emit([
      ['k8s.resourcequota.uid', o.metadata.uid],
      ['k8s.resourcequota.name', o.metadata.name],
      ['k8s.namespace.name', o.metadata.namespace ?? ''],
    ]);
  },
};

/** Quotas of OpenShift that span namespaces. */
export const CLUSTER_QUOTAS: ObjectKind = {
  type: { group: 'quota.openshift.io', version: 'v1', resource: 'clusterresourcequotas' },
  isClusterWide: true,
  metrics: ['openshift.'],
  measure(o: KubernetesObject, r) {
    const status = part(o.status);
    quotaPoints(r, 'openshift.clusterquota.limit', part(status, 'total').hard);
    quotaPoints(r, 'openshift.clusterquota.used', part(status, 'total').used);
    for (const of of list(status, 'namespaces')) {
      quotaPoints(r, 'openshift.appliedclusterquota.limit', part(of.status).hard, text(of, 'namespace'));
      quotaPoints(r, 'openshift.appliedclusterquota.used', part(of.status).used, text(of, 'namespace'));
    }
    r.emit([
      ['openshift.clusterquota.name', o.metadata.name],
      ['openshift.clusterquota.uid', o.metadata.uid],
    ]);
  },
};
