/** k8s_attributes processor (formerly k8sattributes): adds what Kubernetes knows about the pod behind a resource. */
import { defineProcessor } from '../../../core/component.ts';
import { CACHE_INSTRUMENTS } from '../../../kubernetes/cache-telemetry.ts';
import { schema } from './config.ts';
import { INSTRUMENTS } from './instruments.ts';
import { WATCHER_INSTRUMENTS } from './watcher.ts';

export default defineProcessor({
  id: 'k8s_attributes',
  aliases: ['k8sattributes'],
  summary: 'Adds metadata of the Kubernetes pod, its owners, namespace and node to resources.',
  stability: 'beta',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: [...Object.values(INSTRUMENTS), ...WATCHER_INSTRUMENTS, ...CACHE_INSTRUMENTS],
  create: async (config, ctx) => {
    const { makeK8sAttributes } = await import('./processor.ts');
    return makeK8sAttributes(config, ctx);
  },
});
