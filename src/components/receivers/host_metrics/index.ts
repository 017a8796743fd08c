/** host_metrics: measures this machine, or the host that the container runs on, at intervals. */
import { defineReceiver } from '../../../core/component.ts';
import { RECEIVER_INSTRUMENTS } from '../../../core/receiver-telemetry.ts';
import { SCRAPER_INSTRUMENTS } from '../../../core/scrape.ts';
import { type HostMetricsConfig, hostMetricsSchema } from './config.ts';

export default defineReceiver({
  id: 'host_metrics',
  aliases: ['hostmetrics'],
  summary: 'Measures CPU, memory, disks, file systems, network and processes of a Linux host.',
  stability: 'beta',
  signals: ['metrics'],
  schema: hostMetricsSchema,
  telemetry: [...RECEIVER_INSTRUMENTS, ...SCRAPER_INSTRUMENTS],
  create: async (config, ctx) =>
    (await import('./receiver.ts')).createHostMetricsReceiver(config as HostMetricsConfig, ctx),
});
