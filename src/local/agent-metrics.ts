/** What `up` reads from the agent's /metrics: the ledger, the counters of data points and the size of the process. */

export interface LedgerTotals {
  readonly read: number;
  readonly delivered: number;
  readonly queued: number;
  readonly filtered: number;
  readonly inFlight: number;
  readonly lost: number;
  /** Loss by its reason. */
  readonly lostBy: ReadonlyMap<string, number>;
  readonly readBytes: number;
}

/** Of data points, as otelcol's counters tell. */
export interface PointTotals {
  /** Taken over by the pipeline from receivers. */
  readonly accepted: number;
  /** Taken by the destination. */
  readonly sent: number;
  /** Refused to receivers, by queues or by the destination. */
  readonly failed: number;
}

export interface AgentMetrics {
  readonly ledger: LedgerTotals;
  readonly points: PointTotals;
  readonly rssBytes: number;
  readonly cpuSeconds: number;
}

export const EMPTY_LEDGER: LedgerTotals = {
  read: 0,
  delivered: 0,
  queued: 0,
  filtered: 0,
  inFlight: 0,
  lost: 0,
  lostBy: new Map(),
  readBytes: 0,
};

export const NO_POINTS: PointTotals = { accepted: 0, sent: 0, failed: 0 };

export const addPoints = (a: PointTotals, b: PointTotals): PointTotals => ({
  accepted: a.accepted + b.accepted,
  sent: a.sent + b.sent,
  failed: a.failed + b.failed,
});

export function addLedgers(a: LedgerTotals, b: LedgerTotals): LedgerTotals {
  const lostBy = new Map(a.lostBy);
  for (const [reason, n] of b.lostBy) lostBy.set(reason, (lostBy.get(reason) ?? 0) + n);
  return {
    read: a.read + b.read,
    delivered: a.delivered + b.delivered,
    queued: a.queued + b.queued,
    filtered: a.filtered + b.filtered,
    inFlight: a.inFlight + b.inFlight,
    lost: a.lost + b.lost,
    lostBy,
    readBytes: a.readBytes + b.readBytes,
  };
}

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const POINTS: Readonly<Record<string, keyof PointTotals>> = {
  otelcol_receiver_accepted_metric_points: 'accepted',
  otelcol_exporter_sent_metric_points: 'sent',
  otelcol_receiver_refused_metric_points: 'failed',
  otelcol_exporter_send_failed_metric_points: 'failed',
  otelcol_exporter_enqueue_failed_metric_points: 'failed',
};
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Sums over all components; lines that are not understood are left out. */
export function parseMetrics(text: string): AgentMetrics {
  const sums: Record<string, number> = {};
  const lostBy = new Map<string, number>();
  const points = { ...NO_POINTS };
  let readBytes = 0;
  let rssBytes = 0;
  let cpuSeconds = 0;
  for (const line of text.split('\n')) {
    const m = SAMPLE.exec(line);
    if (!m) continue;
    const value = Number(m[3]);
    const point = POINTS[m[1]!.replace(/_total$/, '')];
    if (point !== undefined) {
      points[point] += value;
      continue;
    }
    if (m[1] === 'otelcol_process_memory_rss_bytes' || m[1] === 'otelcol_process_memory_rss') rssBytes = value;
    else if (m[1] === 'otelcol_process_cpu_seconds_total' || m[1] === 'otelcol_process_cpu_seconds') cpuSeconds = value;
    else if (m[1] === 'sluice_ledger_records' || m[1] === 'sluice_ledger_bytes') {
      const labels = Object.fromEntries([...(m[2] ?? '').matchAll(LABEL)].map((l) => [l[1]!, l[2]!]));
      const outcome = labels['outcome'] ?? '';
      if (m[1] === 'sluice_ledger_bytes') {
        if (outcome === 'read') readBytes += value;
        continue;
      }
      sums[outcome] = (sums[outcome] ?? 0) + value;
      if (outcome === 'lost' && value > 0)
        lostBy.set(labels['reason'] ?? '', (lostBy.get(labels['reason'] ?? '') ?? 0) + value);
    }
  }
  const of = (outcome: string): number => sums[outcome] ?? 0;
  return {
    ledger: {
      read: of('read'),
      delivered: of('delivered'),
      queued: of('queued'),
      filtered: of('filtered'),
      inFlight: of('in_flight'),
      lost: of('lost'),
      lostBy,
      readBytes,
    },
    points,
    rssBytes,
    cpuSeconds,
  };
}
