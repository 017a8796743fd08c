/** Detector k8s_api: the name of the node from the downward API, its uid and the cluster's from the API server. */
import type { Environment } from '../../../core/environment.ts';
import { pathOf } from '../../../kubernetes/object.ts';
import type { ValueMap } from '../../../wire/otlp.ts';
import type { ResourceDetectionConfig } from './index.ts';

const NODES = { group: '', version: 'v1', resource: 'nodes' };
const NAMESPACES = { group: '', version: 'v1', resource: 'namespaces' };

/** Gives the parsed answer to a GET of the API server. */
export type ApiGet = (path: string, signal: AbortSignal) => Promise<unknown>;

export function nodeName(config: ResourceDetectionConfig['k8s_api'], env: Environment): string {
  const name = env[config.node_from_env_var];
  if (!name)
    throw new Error(
      `node name can't be found since environment variable ${config.node_from_env_var} is not set or is empty; ` +
        'set it from fieldRef spec.nodeName in the pod',
    );
  return name;
}

export async function detectK8s(
  config: ResourceDetectionConfig['k8s_api'],
  env: Environment,
  signal: AbortSignal,
  get: ApiGet,
): Promise<ValueMap> {
  const found: ValueMap = new Map();
  const wanted = config.resource_attributes;
  const node = nodeName(config, env);
  if (wanted['k8s.node.name'].enabled) found.set('k8s.node.name', node);
  if (wanted['k8s.node.uid'].enabled) found.set('k8s.node.uid', uidOf(await get(pathOf(NODES, '', node), signal)));
  // The uid of this namespace is what is taken for the identity of a cluster.
  if (wanted['k8s.cluster.uid'].enabled)
    found.set('k8s.cluster.uid', uidOf(await get(pathOf(NAMESPACES, '', 'kube-system'), signal)));
  return found;
}

function uidOf(object: unknown): string {
  const uid = (object as { metadata?: { uid?: unknown } } | null)?.metadata?.uid;
  if (typeof uid !== 'string') throw new Error('the API server answered without metadata.uid');
  return uid;
}
