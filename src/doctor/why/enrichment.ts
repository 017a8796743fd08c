/** What k8s_attributes attaches to records of a pod, by its own code and the objects of the cluster, narrowed to that pod. */
import { Cluster } from '../../components/processors/k8s_attributes/cluster.ts';
import type { K8sAttributesConfig } from '../../components/processors/k8s_attributes/config.ts';
import { enrichedAttributes } from '../../components/processors/k8s_attributes/enrich.ts';
import { identify } from '../../components/processors/k8s_attributes/identify.ts';
import { conventionsOf } from '../../components/processors/k8s_attributes/processor.ts';
import { compileRules } from '../../components/processors/k8s_attributes/rules.ts';
import { messageOf } from '../../core/errors.ts';
import { type Resource, resourceOf } from '../../core/resource.ts';
import { TelemetryRegistry } from '../../core/telemetry.ts';
import { ApiServer } from '../../kubernetes/api-server.ts';
import type { ConfiguredComponent, DoctorContext } from '../context.ts';
import { type Finding, failure, ok, unknown, warning } from '../finding.ts';
import type { Subject } from './subject.ts';

const SYNC_MS = 8000;

export interface Enrichment {
  readonly findings: readonly Finding[];
  /** The resource as it goes on; the one that came where nothing could be found out. */
  readonly resource: Resource;
}

/** What the container operator takes from the path. */
export const resourceFromPath = (s: Subject, container: string): Resource =>
  resourceOf(
    new Map([
      ['k8s.namespace.name', s.namespace],
      ['k8s.pod.name', s.name],
      ['k8s.pod.uid', s.uid],
      ['k8s.container.name', container],
    ]),
  );

export async function enrichmentOf(
  ctx: DoctorContext,
  c: ConfiguredComponent,
  gates: ReadonlyMap<string, boolean>,
  s: Subject,
  resource: Resource,
): Promise<Enrichment> {
  const config = c.value as K8sAttributesConfig;
  if (config.passthrough)
    return { resource, findings: [ok(`${c.id} only passes the address on`, 'passthrough: true')] };
  const identity = identify(config.pod_association, resource.attributes, '');
  const associations = config.pod_association
    .map((a) => a.sources.map((x) => (x.from === 'connection' ? 'connection' : x.name)).join(' and '))
    .join('; ');
  if (!identity)
    return {
      resource,
      findings: [
        failure(
          `${c.id} finds no pod for these records: no association applies`,
          `it looks for ${associations || 'the address of the sender'}; the resource has ${[...resource.attributes.keys()].join(', ') || 'nothing'}`,
          'pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}], and the container operator in file_log',
        ),
      ],
    };
  const how = `associated by ${identity.label}`;
  const excluded = config.exclude.pods.find((p) => new RegExp(p.name).test(s.name));
  if (excluded)
    return {
      resource,
      findings: [
        warning(`${c.id} leaves this pod alone`, `exclude.pods has ${excluded.name}`, 'take it out of exclude.pods'),
      ],
    };
  if (!ctx.access || !ctx.cluster)
    return {
      resource,
      findings: [unknown(`what ${c.id} attaches cannot be looked up`, `${how}; ${ctx.clusterProblem}`)],
    };
  if (config.filter.namespace !== '' && config.filter.namespace !== s.namespace)
    return {
      resource,
      findings: [
        failure(
          `${c.id} does not know this pod: it looks at namespace ${config.filter.namespace} only`,
          how,
          'remove filter.namespace',
        ),
      ],
    };
  const node =
    config.filter.node ||
    (ctx.isInside && config.filter.node_from_env_var ? (ctx.env[config.filter.node_from_env_var] ?? '') : '');
  if (node !== '' && s.node !== '' && node !== s.node)
    return {
      resource,
      findings: [
        failure(
          `${c.id} does not know this pod: it looks at pods of node ${node} only, and the pod is on ${s.node}`,
          how,
          'ask the agent on that node',
        ),
      ],
    };
  // The same code on less of the cluster: this pod and what is around it.
  const narrow: K8sAttributesConfig = {
    ...config,
    kubelet: { ...config.kubelet, enabled: false },
    filter: {
      ...config.filter,
      node: '',
      node_from_env_var: '',
      namespace: s.namespace,
      fields: [{ key: 'metadata.name', op: 'equals', value: s.name }],
    },
  };
  const telemetry = new TelemetryRegistry();
  const api = new ApiServer(ctx.access, { clock: ctx.clock, log: ctx.log, telemetry });
  const rules = compileRules(config.extract, conventionsOf(gates));
  const cluster = new Cluster({
    id: 'why',
    config: narrow,
    rules,
    api: () => api,
    clock: ctx.clock,
    log: ctx.log,
    env: ctx.env,
    telemetry,
  });
  try {
    cluster.start();
    await cluster.synced(SYNC_MS);
    const pod = cluster.pods.get(identity.key);
    if (!pod)
      return {
        resource,
        findings: [
          failure(
            `${c.id} finds no pod for these records`,
            `${how}, and the API server has no pod ${s.namespace}/${s.name} of that identity${config.filter.labels.length > 0 ? ' that filter.labels selects' : ''}`,
            s.pod
              ? 'the files are of a former pod of that name, or filter leaves it out'
              : 'the pod is gone: deleted pods are known for pod_delete_grace_period',
          ),
        ],
      };
    const attributes = enrichedAttributes(resource.attributes, identity, pod, rules, cluster);
    const added = [...attributes].filter(([k]) => !resource.attributes.has(k)).map(([k, v]) => `${k}=${String(v)}`);
    return {
      resource: resourceOf(attributes, resource.schemaUrl),
      findings: [
        ok(`${c.id} attaches ${added.length === 0 ? 'nothing that is not there already' : added.join(', ')}`, how),
      ],
    };
  } catch (e) {
    return {
      resource,
      findings: [
        unknown(
          `what ${c.id} attaches cannot be looked up`,
          `${how}; ${messageOf(e)}`,
          'an account that may list pods and their owners sees more: --kubeconfig',
        ),
      ],
    };
  } finally {
    cluster.stop();
    api.client.close();
  }
}
