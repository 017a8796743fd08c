/** Do records leave the collectors? By their own counters: what failed, what was refused, how full queues are. */
import type { Check } from '../context.ts';
import { type Finding, failure, ok, warning } from '../finding.ts';
import { type SelfMetrics, selfMetrics, sums, withoutMetrics } from './self-metrics.ts';

const FULL = 0.8;
/** Of what was tried: more is a failure, less may have been a restart of the destination. */
const BAD_SHARE = 0.05;

export const delivery: Check = {
  id: 'delivery',
  title: 'Delivery: remote write, OTLP, queues',
  async run(ctx) {
    const all = await selfMetrics(ctx);
    const missing = withoutMetrics(all, 'what was delivered');
    if (missing) return [missing];
    return all.read.flatMap(ofCollector);
  },
};

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;

export function ofCollector({ source, samples }: SelfMetrics): Finding[] {
  const out: Finding[] = [];
  const sent = sums(samples, /^otelcol_exporter_sent_/, 'exporter');
  const failed = sums(samples, /^otelcol_exporter_send_failed_/, 'exporter');
  for (const [exporter, n] of failed) {
    if (n === 0) continue;
    const done = sent.get(exporter) ?? 0;
    const share = n / (n + done);
    const how = `${source}: otelcol_exporter_send_failed_* ${n}, otelcol_exporter_sent_* ${done} since its start (${percent(share)} failed)`;
    const fix = `kubectl logs of that pod | sluice doctor --from-logs - says why; the check "Destinations" tries ${exporter}`;
    if (done === 0) out.push(failure(`${exporter} has delivered nothing`, how, fix));
    else if (share > BAD_SHARE) out.push(failure(`${exporter} fails often`, how, fix));
    else out.push(warning(`${exporter} has failed at times`, how, fix));
  }
  const capacity = sums(samples, 'otelcol_exporter_queue_capacity', 'exporter');
  for (const [exporter, size] of sums(samples, 'otelcol_exporter_queue_size', 'exporter')) {
    const most = capacity.get(exporter) ?? 0;
    if (most === 0 || size / most < FULL) continue;
    out.push(
      failure(
        `the queue of ${exporter} is nearly full`,
        `${source}: otelcol_exporter_queue_size ${size} of ${most}`,
        'the destination is slower than the sources: sending_queue: {num_consumers: 20}, and look at the destination',
      ),
    );
  }
  for (const [exporter, n] of sums(samples, /^otelcol_exporter_enqueue_failed_/, 'exporter'))
    if (n > 0)
      out.push(
        failure(
          `records found no room in the queue of ${exporter}`,
          `${source}: otelcol_exporter_enqueue_failed_* ${n} since its start`,
          'raise sending_queue.queue_size, or give it storage: file_storage',
        ),
      );
  for (const [receiver, n] of sums(samples, /^otelcol_receiver_refused_/, 'receiver'))
    if (n > 0)
      out.push(
        warning(
          `${receiver} was refused records by what follows`,
          `${source}: otelcol_receiver_refused_* ${n} since its start`,
          'memory_limiter or a full queue: raise resources.limits.memory, look at the destination',
        ),
      );
  for (const [receiver, n] of sums(samples, 'otelcol_scraper_errored_metric_points', 'receiver'))
    if (n > 0)
      out.push(
        warning(
          `${receiver} cannot read some of its metrics`,
          `${source}: otelcol_scraper_errored_metric_points ${n} since its start`,
          'its log says which: look for "Error scraping metrics"',
        ),
      );
  if (out.length > 0) return out;
  const total = [...sent.values()].reduce((a, b) => a + b, 0);
  const how = `${source}: ${total} records and points sent since its start, none failed, queues ${[...capacity.keys()].length === 0 ? 'not used' : `below ${percent(FULL)}`}`;
  return [
    total > 0
      ? ok('what is collected is delivered', how)
      : warning(
          'nothing was sent yet',
          how,
          'has it just begun? Do the receivers find something: see "Files of pod logs"',
        ),
  ];
}
