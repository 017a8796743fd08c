/** Gives resources the detected attributes; each resource is changed once and remembered. */
import { type Batch, makeBatch } from '../../../core/batch.ts';
import type { Processor, ProcessorContext } from '../../../core/component.ts';
import { type Environment, environment } from '../../../core/environment.ts';
import { type Resource, resourceOf } from '../../../core/resource.ts';
import type { ApiServer } from '../../../kubernetes/api-server.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import { Detection } from './detection.ts';
import type { ResourceDetectionConfig } from './index.ts';
import type { ApiGet } from './k8s-api.ts';

/** Through the client that all components share; a configuration that cannot be used is a detector that fails. */
function apiOf(config: ResourceDetectionConfig, ctx: ProcessorContext, env: Environment) {
  let api: ApiServer | undefined;
  const get: ApiGet = async (path, signal) => {
    const { openApiServer } = await import('../../../kubernetes/api-server.ts');
    api = openApiServer(config.k8s_api, { ...ctx, env });
    return api.client.getJson(path, { signal });
  };
  return { get, closeIdle: () => api?.closeIdle() };
}

export function makeResourceDetection(
  config: ResourceDetectionConfig,
  ctx: ProcessorContext,
  env: Environment = environment(),
): Processor {
  const { clock, log, next } = ctx;
  const api = apiOf(config, ctx, env);
  const detection = ctx.host.shared(
    `resource_detection/${ctx.id}`,
    () => new Detection({ config, env, clock, log, apiGet: api.get }),
  );
  let attributes: ReadonlyValueMap | undefined;
  let known = new WeakMap<Resource, Resource>();
  let isRunning = false;

  const enriched = (resource: Resource): Resource => {
    let to = known.get(resource);
    if (!to) known.set(resource, (to = enrich(resource, detection.attributes, config.override)));
    return to;
  };

  return {
    async start() {
      isRunning = true;
      await detection.start();
    },
    async stop() {
      if (isRunning) await detection.stop();
      isRunning = false;
      api.closeIdle();
    },
    async consume(batch: Batch) {
      if (attributes !== detection.attributes) {
        attributes = detection.attributes;
        known = new WeakMap();
      }
      if (attributes.size === 0) return next.consume(batch);
      const groups = batch.groups.map((g) => ({ ...g, resource: enriched(g.resource) }));
      return next.consume(makeBatch(batch.signal, groups, batch.metadata, batch.peer));
    },
  };
}

export function enrich(resource: Resource, detected: ReadonlyValueMap, override: boolean): Resource {
  const all = new Map(resource.attributes);
  for (const [k, v] of detected) if (override || !all.has(k)) all.set(k, v);
  return resourceOf(all, resource.schemaUrl);
}
