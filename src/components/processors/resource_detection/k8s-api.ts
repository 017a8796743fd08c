/** Detector k8s_api: the name of the node from the downward API, its uid and the cluster's from the API server. */
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { Environment } from '../../../core/environment.ts';
import type { ValueMap } from '../../../wire/otlp.ts';
import type { ResourceDetectionConfig } from './index.ts';

/** Of an object's answer; a node with many images is some hundred KiB. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

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
  get: ApiGet = serviceAccountGet(env),
): Promise<ValueMap> {
  const found: ValueMap = new Map();
  const wanted = config.resource_attributes;
  const node = nodeName(config, env);
  if (wanted['k8s.node.name'].enabled) found.set('k8s.node.name', node);
  if (wanted['k8s.node.uid'].enabled)
    found.set('k8s.node.uid', uidOf(await get(`/api/v1/nodes/${encodeURIComponent(node)}`, signal)));
  // The uid of this namespace is what is taken for the identity of a cluster.
  if (wanted['k8s.cluster.uid'].enabled)
    found.set('k8s.cluster.uid', uidOf(await get('/api/v1/namespaces/kube-system', signal)));
  return found;
}

function uidOf(object: unknown): string {
  const uid = (object as { metadata?: { uid?: unknown } } | null)?.metadata?.uid;
  if (typeof uid !== 'string') throw new Error('the API server answered without metadata.uid');
  return uid;
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

function serviceAccountGet(env: Environment): ApiGet {
  return async (path, signal) => {
    const host = env['KUBERNETES_SERVICE_HOST'];
    const port = env['KUBERNETES_SERVICE_PORT'];
    if (!host || !port)
      throw new Error('not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined');
    const [ca, token] = await Promise.all([readFile(`${ACCOUNT}/ca.crt`), readFile(`${ACCOUNT}/token`, 'utf8')]);
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${token.trim()}`, accept: 'application/json' };
      const req = request({ host, port: Number(port), path, ca, headers, signal, agent: false }, (res) => {
        const chunks: Buffer[] = [];
        let size = 0;
        res.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER_BYTES) req.destroy(new Error('the answer of the API server is too long'));
          else chunks.push(chunk);
        });
        res.on('error', reject);
        res.on('end', () => {
          if (res.statusCode !== 200) {
            reject(new Error(`GET ${path}: status ${res.statusCode}`));
            return;
          }
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
          } catch {
            reject(new Error(`GET ${path}: the answer is not JSON`));
          }
        });
      });
      req.on('error', reject);
      req.end();
    });
  };
}
