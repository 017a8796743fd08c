/**
 * The life of the collector: start, wait for signals, reload on SIGHUP, stop. A configuration that cannot be built
 * never takes a running one down.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import type { BuildInfo } from '../core/component.ts';
import { messageOf } from '../core/errors.ts';
import type { Ledger } from '../core/ledger.ts';
import type { LogLevel } from '../core/log.ts';
import { SILENT } from '../core/log.ts';
import { type Instrument, TelemetryRegistry } from '../core/telemetry.ts';
import type { ConfigWarning, LoadedConfig } from './config/config.ts';
import { describeError } from './config/diagnostics.ts';
import type { TelemetryConfig } from './config/telemetry.ts';
import { buildGraph, type Graph } from './graph.ts';
import { openLog, type ServiceLog, type ServiceLogger } from './log.ts';
import { type MetricsServers, observeProcess, serveMetrics } from './self-telemetry.ts';
import { optimizeWhenBusy } from './tiering.ts';

export interface RunOptions {
  /** Called at start and on every SIGHUP. */
  readonly load: () => Promise<LoadedConfig>;
  readonly build: BuildInfo;
}

/** Time that components have to flush and close; Kubernetes kills after 30 s, so that much is there. */
const STOP_MS = 30_000;
/** After a second signal. */
const HURRY_MS = 1000;

const UNCAUGHT: Instrument = {
  name: 'sluice_process_uncaught_errors',
  kind: 'counter',
  help: 'Errors that no code handled; each is a bug and logged with its stack.',
};

type Event =
  | { readonly kind: 'stop' | 'reload'; readonly signal: string }
  | { readonly kind: 'fatal'; readonly error: Error };

/** Resolves to the exit code. Rejects when the first configuration cannot be loaded, built or started. */
export async function runService(options: RunOptions): Promise<number> {
  return new Service(options).run();
}

/** Builds all pipeline components (not extensions) and throws them away again. */
export async function validateService(config: LoadedConfig, build: BuildInfo): Promise<void> {
  const log: ServiceLogger = { ...SILENT, from: () => log, with: () => log };
  const graph = await buildGraph({
    config,
    build,
    log,
    telemetry: new TelemetryRegistry(),
    clock: SYSTEM_CLOCK,
    onFatal() {},
    withExtensions: false,
  });
  await graph.stop(AbortSignal.timeout(HURRY_MS), HURRY_MS);
}

/** The kernel's own random UUID: loading the crypto module for one costs 4 MB of RSS. */
function newInstanceId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim();
  } catch {
    return process.getBuiltinModule('node:crypto').randomUUID();
  }
}

class Service {
  readonly #options: RunOptions;
  readonly #registry = new TelemetryRegistry();
  readonly #instanceId = newInstanceId();
  readonly #events: Event[] = [];
  #wake: (() => void) | undefined;
  #log!: ServiceLog;
  #graph: Graph | undefined;
  #metrics: MetricsServers | undefined;
  #hurry = new AbortController();

  constructor(options: RunOptions) {
    this.#options = options;
  }

  get #logger(): ServiceLogger {
    return this.#log.logger;
  }

  async run(): Promise<number> {
    const config = await this.#options.load();
    this.#log = this.#openLog(config.service.telemetry);
    const release = this.#listen();
    let stopWatching = (): void => {};
    observeProcess(this.#registry, SYSTEM_CLOCK);
    try {
      this.#warn(config.warnings);
      this.#metrics = await this.#serve(config.service.telemetry);
      this.#graph = await this.#build(config, this.#logger);
      const { version, command } = this.#options.build;
      this.#logger.info(`Starting ${command}...`, { Version: version, NumCPU: availableParallelism() });
      const started = this.#graph.start();
      await Promise.race([started, this.#stopAsked()]);
      if (!this.#isStopping()) {
        await started;
        this.#logger.info('Everything is ready. Begin running and processing data.');
        stopWatching = optimizeWhenBusy();
      } else started.catch((error: unknown) => this.#logger.error('Start was interrupted', { error }));
      return await this.#loop();
    } catch (error) {
      this.#logger.info('Starting shutdown...');
      await this.#shutDown(HURRY_MS);
      throw error;
    } finally {
      stopWatching();
      release();
      this.#log.close();
    }
  }

  async #loop(): Promise<number> {
    for (;;) {
      const event = await this.#next();
      if (event.kind === 'fatal')
        this.#logger.error('Asynchronous error received, terminating process', { error: event.error });
      else this.#logger.info('Received signal from OS', { signal: event.signal });
      if (event.kind === 'reload') {
        await this.#reload();
        continue;
      }
      this.#logger.info('Starting shutdown...');
      const errors = await this.#shutDown(STOP_MS);
      for (const error of errors) this.#logger.error('Shutdown failed', { error: messageOf(error) });
      this.#logger.info('Shutdown complete.');
      return errors.length ? 1 : 0;
    }
  }

  /** The new configuration is loaded and built first; until it is known to be good, the old one keeps running. */
  async #reload(): Promise<void> {
    const old = this.#graph!;
    const oldLog = this.#log;
    let newLog = oldLog;
    let next: Graph;
    try {
      const config = await this.#options.load();
      const [was, is] = [old.config.service.telemetry, config.service.telemetry];
      if (!isDeepStrictEqual([was.logs, was.resource], [is.logs, is.resource])) newLog = this.#openLog(is);
      next = await this.#build(config, newLog.logger);
      this.#warn(config.warnings);
    } catch (error) {
      this.#logger.error('Configuration was not reloaded; the old one keeps running', { error: describeError(error) });
      if (newLog !== oldLog) newLog.close();
      return;
    }
    this.#logger.info('Config updated, restart service');
    for (const error of await this.#stopGraph(old, STOP_MS))
      this.#logger.error('Shutdown failed', { error: messageOf(error) });
    this.#log = newLog;
    let unused = oldLog;
    try {
      await this.#switchTelemetry(old.config.service.telemetry, next.config.service.telemetry);
      this.#graph = next;
      await next.start();
    } catch (error) {
      this.#logger.error('The new configuration did not start; going back to the old one', {
        error: describeError(error),
      });
      await this.#stopGraph(next, HURRY_MS);
      this.#log = oldLog;
      unused = newLog;
      await this.#switchTelemetry(next.config.service.telemetry, old.config.service.telemetry);
      this.#graph = await this.#build(old.config, oldLog.logger);
      await this.#graph.start();
    }
    if (unused !== this.#log) unused.close();
    this.#logger.info('Everything is ready. Begin running and processing data.');
  }

  async #switchTelemetry(from: TelemetryConfig, to: TelemetryConfig): Promise<void> {
    if (isDeepStrictEqual([from.metrics, from.resource], [to.metrics, to.resource])) return;
    await this.#metrics?.stop();
    this.#metrics = undefined;
    this.#metrics = await this.#serve(to);
  }

  async #shutDown(budgetMs: number): Promise<Error[]> {
    const errors = this.#graph ? await this.#stopGraph(this.#graph, budgetMs) : [];
    await this.#metrics?.stop();
    return errors;
  }

  /** `budgetMs` at most, and hardly anything once a second signal to stop is there. */
  async #stopGraph(graph: Graph, budgetMs: number): Promise<Error[]> {
    const deadline = AbortSignal.any([AbortSignal.timeout(budgetMs), this.#hurry.signal]);
    const errors = await graph.stop(deadline, budgetMs);
    for (const [id, ledgers] of graph.ledgers)
      for (const l of ledgers) this.#log.unsampled.info('Ledger', account(id, l));
    return errors;
  }

  #build(config: LoadedConfig, log: ServiceLogger): Promise<Graph> {
    return buildGraph({
      config,
      build: this.#options.build,
      log,
      telemetry: this.#registry,
      clock: SYSTEM_CLOCK,
      onFatal: (id, error) => {
        const wrapped = new Error(`${id}: ${messageOf(error)}`, { cause: error });
        this.#push({ kind: 'fatal', error: wrapped });
      },
      withExtensions: true,
    });
  }

  #serve(telemetry: TelemetryConfig): Promise<MetricsServers> {
    return serveMetrics({
      config: telemetry.metrics,
      resource: this.#resource(telemetry),
      registry: this.#registry,
      ledgers: () => this.#graph?.ledgers ?? new Map<string, Ledger[]>(),
    });
  }

  #resource(telemetry: TelemetryConfig): Record<string, string> {
    const { command, version } = this.#options.build;
    const all: Record<string, string | null> = {
      'service.instance.id': this.#instanceId,
      'service.name': command,
      'service.version': version,
      ...telemetry.resource,
    };
    return Object.fromEntries(Object.entries(all).filter((e): e is [string, string] => e[1] !== null));
  }

  #openLog(telemetry: TelemetryConfig): ServiceLog {
    const { logs } = telemetry;
    return openLog({
      level: levelOf(logs.level),
      encoding: logs.encoding,
      disableCaller: logs.disable_caller,
      disableStacktrace: logs.disable_stacktrace,
      resource: logs.disable_zap_resource ? undefined : this.#resource(telemetry),
      initialFields: logs.initial_fields,
      sampling: logs.sampling.enabled
        ? { tickMs: logs.sampling.tick, initial: logs.sampling.initial, thereafter: logs.sampling.thereafter }
        : undefined,
      outputPaths: logs.output_paths,
      nowMs: SYSTEM_CLOCK.nowMs,
    });
  }

  #warn(warnings: readonly ConfigWarning[]): void {
    for (const w of warnings) {
      const about = w.component
        ? { 'otelcol.component.id': w.component.id, 'otelcol.component.kind': w.component.kind }
        : {};
      this.#logger.with(about)[w.level](w.message, w.fields);
    }
  }

  #push(event: Event): void {
    if (event.kind !== 'reload' && this.#isStopping()) return;
    this.#events.push(event);
    this.#wake?.();
  }

  #isStopping(): boolean {
    return this.#events.some((e) => e.kind !== 'reload');
  }

  async #next(): Promise<Event> {
    for (;;) {
      const stop = this.#events.find((e) => e.kind !== 'reload');
      // The stop stays in the list, so that what comes later is known to come second.
      if (stop) return stop;
      const event = this.#events.shift();
      if (event) return event;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #stopAsked(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        if (this.#isStopping()) resolve();
      };
    });
  }

  /** Signals and unhandled errors. The timer keeps the process alive when nothing else does. */
  #listen(): () => void {
    const onStop = (signal: string): void => {
      if (this.#isStopping()) {
        this.#logger.info('Received signal from OS', { signal: NAMES[signal] });
        setTimeout(() => this.#hurry.abort(), HURRY_MS).unref();
      } else this.#push({ kind: 'stop', signal: NAMES[signal]! });
    };
    const onReload = (): void => this.#push({ kind: 'reload', signal: 'hangup' });
    const uncaught = this.#registry.counter(UNCAUGHT);
    const onError = (error: unknown): void => {
      uncaught.add(1);
      this.#logger.error('Unhandled error', { error: error instanceof Error ? error : new Error(String(error)) });
    };
    const handlers = [
      ['SIGTERM', onStop],
      ['SIGINT', onStop],
      ['SIGHUP', onReload],
      ['uncaughtException', onError],
      ['unhandledRejection', onError],
    ] as const;
    for (const [name, handler] of handlers) process.on(name, handler);
    const alive = setInterval(() => {}, 2 ** 30);
    return () => {
      clearInterval(alive);
      for (const [name, handler] of handlers) process.off(name, handler);
    };
  }
}

/** As Go prints them. */
const NAMES: Readonly<Record<string, string>> = { SIGTERM: 'terminated', SIGINT: 'interrupt' };

const levelOf = (level: TelemetryConfig['logs']['level']): LogLevel =>
  level === 'debug' || level === 'info' || level === 'warn' ? level : 'error';

function account(id: string, ledger: Ledger): Record<string, unknown> {
  const s = ledger.snapshot();
  const of = (k: 'records' | 'bytes') => ({
    read: s.read[k],
    delivered: s.delivered[k],
    filtered: s.filtered[k],
    queued: s.queued[k],
    in_flight: s.inFlight[k],
    lost: s.lost[k],
  });
  return {
    'otelcol.component.id': id,
    records: of('records'),
    bytes: of('bytes'),
    lost_by: Object.fromEntries(s.lostBy),
  };
}
