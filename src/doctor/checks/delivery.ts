/** Do records leave the collectors? By their own counters: what failed, what was refused, how full queues are. */
import type { Check, Tier } from '../context.ts';
import { type Finding, failure, ok, warning } from '../finding.ts';
import type { Sample } from './metrics-text.ts';
import { LOGS_LINE, laterMetrics, type SelfMetrics, selfMetrics, sums, withoutMetrics } from './self-metrics.ts';

const FULL = 0.8;
/** Until then, nothing need have been sent. */
const JUST_BEGUN_S = 120;
const LISTENERS = ['otlp', 'tcp_log', 'udp_log', 'syslog', 'k8s_objects', 'k8s_events', 'nop'];
/** Of what was tried: more is a failure, less may have been a restart of the destination. */
const BAD_SHARE = 0.05;

export const delivery: Check = {
  id: 'delivery',
  title: 'Delivery: remote write, OTLP, queues',
  async run(ctx) {
    const all = await selfMetrics(ctx);
    const missing = withoutMetrics(ctx, all);
    if (missing) return [missing];
    const out: Finding[] = [];
    for (const m of all.read) {
      // A burst fills a queue for a moment.
      const later = fullQueues(m.samples).length > 0 ? await laterMetrics(ctx, m.source) : undefined;
      out.push(...ofCollector(m, later?.samples));
    }
    return out;
  },
};

const sum = (of: ReadonlyMap<string, number>): number => [...of.values()].reduce((a, b) => a + b, 0);

function fullQueues(samples: readonly Sample[]): { exporter: string; size: number; most: number }[] {
  const capacity = sums(samples, 'otelcol_exporter_queue_capacity', 'exporter');
  return [...sums(samples, 'otelcol_exporter_queue_size', 'exporter')]
    .map(([exporter, size]) => ({ exporter, size, most: capacity.get(exporter) ?? 0 }))
    .filter(({ size, most }) => most > 0 && size / most >= FULL);
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;

/** `later`: of the same collector, after a while. */
export function ofCollector({ source, tier, samples, logs = LOGS_LINE }: SelfMetrics, later = samples): Finding[] {
  const out: Finding[] = [];
  const sent = sums(samples, /^otelcol_exporter_sent_/, 'exporter');
  const failed = sums(samples, /^otelcol_exporter_send_failed_/, 'exporter');
  for (const [exporter, n] of failed) {
    if (n === 0) continue;
    const done = sent.get(exporter) ?? 0;
    const share = n / (n + done);
    const how = `${source}: otelcol_exporter_send_failed_* ${n}, otelcol_exporter_sent_* ${done} since its start (${percent(share)} failed)`;
    const fix = logs;
    if (done === 0) out.push(failure(`${exporter} has delivered nothing`, how, fix));
    else if (share > BAD_SHARE) out.push(failure(`${exporter} fails often`, how, fix));
    else out.push(warning(`${exporter} has failed at times`, how, fix));
  }
  for (const { exporter, size, most } of fullQueues(later))
    out.push(
      failure(
        `the queue of ${exporter} is nearly full`,
        `${source}: otelcol_exporter_queue_size ${size} of ${most}`,
        'the destination is slower than the sources: sending_queue: {num_consumers: 20}, and look at the destination',
      ),
    );
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
          logs,
        ),
      );
  if (out.length > 0) return out;
  const total = sum(sent);
  const hasQueues = sums(samples, 'otelcol_exporter_queue_capacity', 'exporter').size > 0;
  const how = `${source}: ${total} records and points sent since its start, none failed, queues ${hasQueues ? `below ${percent(FULL)}` : 'not used'}`;
  if (total > 0) return [ok('what is collected is delivered', how)];
  const upSeconds = Math.max(0, ...sums(samples, /^otelcol_process_uptime/, '').values());
  const accepted = sum(sums(samples, /^otelcol_receiver_accepted_/, 'receiver'));
  if (upSeconds > 0 && upSeconds < JUST_BEGUN_S)
    return [ok('nothing was sent yet, and nothing failed', `${how}; it began ${Math.round(upSeconds)} s ago`)];
  if (accepted === 0 && tier && onlyListens(tier))
    return [ok('nothing came, so nothing was sent', `${how}; its receivers wait for others to send`)];
  return [
    warning(
      accepted > 0 ? 'records were taken in, and none was sent' : 'nothing was sent yet',
      `${how}; ${accepted} taken in`,
      accepted > 0
        ? 'does a filter drop them all? `sluice why POD` shows it'
        : 'do the receivers find something? See "Files of pod logs"; `sluice why POD` shows which rule decides',
    ),
  ];
}

/** Whether it has something to send is up to others: who sends to it, or events that may not come. */
function onlyListens({ config }: Tier): boolean {
  const receivers = (config?.pipelines ?? []).flatMap((p) => p.receivers);
  return receivers.every((id) => LISTENERS.includes(config!.receivers.get(id)?.entry.id ?? 'otlp'));
}
