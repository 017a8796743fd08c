/** Serves the collector's own metrics to Prometheus, as `service.telemetry.metrics` says. */
import type { Server } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import type { Ledger } from '../core/ledger.ts';
import type { Instrument, Telemetry, TelemetryRegistry } from '../core/telemetry.ts';
import type { TelemetryConfig } from './config/telemetry.ts';
import { metricsPage, type PageOptions } from './prometheus-text.ts';

export interface SelfTelemetryOptions {
  readonly config: TelemetryConfig['metrics'];
  readonly resource: Readonly<Record<string, string>>;
  readonly registry: TelemetryRegistry;
  readonly ledgers: () => Iterable<readonly [string, readonly Ledger[]]>;
}

export interface MetricsServers {
  /** Ports that the readers got, in their order. */
  readonly ports: readonly number[];
  stop(): Promise<void>;
}

/** One server per reader; none when the level is none. */
export async function serveMetrics(options: SelfTelemetryOptions): Promise<MetricsServers> {
  const { level, readers } = options.config;
  const servers: Server[] = [];
  const stop = async (): Promise<void> => {
    const closed = servers.map((s) => new Promise((done) => s.close(done)));
    for (const s of servers) s.closeAllConnections();
    await Promise.all(closed);
  };
  if (level === 'none') return { ports: [], stop };
  // Only now, so that a collector without metrics does not load an HTTP server for them.
  const [{ createServer }, { formatAddress, listen, parseEndpoint }] = await Promise.all([
    import('node:http'),
    import('../core/http-server.ts'),
  ]);
  const ports: number[] = [];
  for (const reader of readers) {
    if (!reader.pull) continue;
    const prometheus = reader.pull.exporter.prometheus;
    const { host, port } = prometheus;
    const filter = prometheus.with_resource_constant_labels;
    const page: Omit<PageOptions, 'utf8Names'> = {
      level,
      typeSuffix: !prometheus.without_type_suffix,
      unitSuffix: !prometheus.without_units,
      resource: options.resource,
      constantLabels: filter ? pick(options.resource, filter.included, filter.excluded) : {},
    };
    const server = createServer((req, res) => {
      if (req.url?.split('?')[0] !== '/metrics') {
        res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('404 page not found\n');
        return;
      }
      const utf8Names = /escaping=allow-utf-8/.test(req.headers.accept ?? '');
      const type = utf8Names
        ? 'text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8'
        : 'text/plain; version=0.0.4; charset=utf-8; escaping=underscores';
      res.writeHead(200, { 'content-type': type });
      res.end(metricsPage(options.registry, options.ledgers(), { ...page, utf8Names }));
    });
    try {
      const address = await listen(server, formatAddress(host, port));
      ports.push(parseEndpoint(address).port);
    } catch (error) {
      await stop();
      throw new ConfigError(
        [
          {
            path: ['service', 'telemetry', 'metrics'],
            message: `binding address ${host}:${port} for Prometheus exporter: ${messageOf(error)}`,
            hint: 'another collector on this host? Give service.telemetry.metrics.readers another port, or set level: none',
          },
        ],
        { cause: error },
      );
    }
    servers.push(server);
  }
  return { ports, stop };
}

/** `*` in a pattern stands for any text. */
function pick(
  resource: Readonly<Record<string, string>>,
  included: readonly string[],
  excluded: readonly string[],
): Record<string, string> {
  const match = (patterns: readonly string[], name: string): boolean =>
    patterns.some((p) => new RegExp(`^${p.split('*').map(RegExp.escape).join('.*')}$`).test(name));
  return Object.fromEntries(Object.entries(resource).filter(([k]) => match(included, k) && !match(excluded, k)));
}

const PROCESS: readonly (readonly [Instrument, () => number])[] = [
  [
    {
      name: 'otelcol_process_cpu_seconds',
      kind: 'counter',
      unit: 's',
      help: 'Total CPU user and system time in seconds',
    },
    () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  ],
  [
    {
      name: 'otelcol_process_memory_rss',
      kind: 'gauge',
      unit: 'By',
      help: 'Total physical memory (resident set size)',
    },
    () => process.memoryUsage.rss(),
  ],
  [
    {
      name: 'otelcol_process_runtime_heap_alloc_bytes',
      kind: 'gauge',
      unit: 'By',
      help: 'Bytes of heap objects and buffers in use',
    },
    () => {
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    },
  ],
  [
    {
      name: 'otelcol_process_runtime_total_alloc_bytes',
      kind: 'counter',
      unit: 'By',
      help: 'Cumulative bytes allocated for heap objects',
    },
    // Newer than the type definitions.
    () =>
      (process.getBuiltinModule('node:v8').getHeapStatistics() as { total_allocated_bytes?: number })
        .total_allocated_bytes ?? 0,
  ],
  [
    {
      name: 'otelcol_process_runtime_total_sys_memory_bytes',
      kind: 'gauge',
      unit: 'By',
      help: 'Total bytes of memory obtained from the OS for the heap and buffers',
    },
    () => {
      const { heapTotal, external } = process.memoryUsage();
      return heapTotal + external;
    },
  ],
];

/** The metrics about this process, read when the page is asked for. */
export function observeProcess(telemetry: Telemetry, clock: Clock): void {
  for (const [instrument, read] of PROCESS) telemetry.observe(instrument, {}, read);
  const startedMs = clock.monotonicMs();
  const uptime = { name: 'otelcol_process_uptime', kind: 'counter', unit: 's', help: 'Uptime of the process' } as const;
  telemetry.observe(uptime, {}, () => (clock.monotonicMs() - startedMs) / 1000);
}
