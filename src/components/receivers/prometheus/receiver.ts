/** Builds the receiver: a loop for each target, so that one that hangs does not hold up the others. */
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { bracketed } from '../../../core/host-port.ts';
import { userAgent } from '../../../core/http-client.ts';
import { scopeOf } from '../../../core/resource.ts';
import { scrapeLoop } from '../../../core/scrape.ts';
import type { PrometheusConfig } from './index.ts';
import { Target } from './target.ts';

const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver';
/** So that what starts with us can be there. */
const INITIAL_DELAY_MS = 1000;

export function createPrometheus({ config, trim_metric_suffixes }: PrometheusConfig, ctx: ReceiverContext): Receiver {
  const scope = scopeOf(SCOPE, ctx.build.version);
  const loops = config.scrape_configs.flatMap((job) => {
    const intervalMs = job.scrape_interval ?? config.global.scrape_interval;
    const timeoutMs = job.scrape_timeout ?? Math.min(config.global.scrape_timeout, intervalMs);
    const query = new URLSearchParams(Object.entries(job.params).flatMap(([k, list]) => list.map((v) => [k, v])));
    const defaultPort = job.scheme === 'https' ? 443 : 80;
    return job.static_configs.flatMap(({ targets, labels }) =>
      targets.map((target) => {
        const address = /:\d+$/.test(target) ? target : `${target}:${defaultPort}`;
        const url = new URL(`${job.scheme}://${bracketed(address)}${job.metrics_path}`);
        url.search = query.toString();
        const scraper = new Target({
          job: job.job_name,
          address,
          url: url.href,
          labels,
          timeoutMs: Math.max(1, timeoutMs),
          honorLabels: job.honor_labels,
          honorTimestamps: job.honor_timestamps,
          trimsSuffixes: trim_metric_suffixes,
          userAgent: userAgent(ctx.build),
          scope,
          clock: ctx.clock,
        });
        const times = {
          collection_interval: intervalMs,
          initial_delay: Math.min(INITIAL_DELAY_MS, intervalMs),
          timeout: 0,
        };
        return scrapeLoop(ctx, times, [scraper]);
      }),
    );
  });
  return {
    async start() {
      for (const loop of loops) await loop.start?.();
    },
    async stop(deadline) {
      await Promise.all(loops.map((loop) => loop.stop?.(deadline)));
    },
  };
}
