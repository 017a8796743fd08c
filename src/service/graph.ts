/**
 * Pipelines as running instances: one receiver per id, one processor per pipeline and id, one exporter per id and
 * signal, connectors between pipelines; built from the exporters up, started the same way, stopped the other way round.
 */
import type { Batch, Consumer, Signal } from '../core/batch.ts';
import type { Clock } from '../core/clock.ts';
import {
  type AnyDefinition,
  type BuildInfo,
  type Component,
  type ComponentContext,
  type ComponentKind,
  type Extension,
  type Host,
  STOPPING,
} from '../core/component.ts';
import { ConfigError, messageOf } from '../core/errors.ts';
import type { Ledger } from '../core/ledger.ts';
import type { Instrument, Telemetry } from '../core/telemetry.ts';
import type { ComponentConfig, LoadedConfig, PipelineConfig } from './config/config.ts';
import { inComponent } from './config/diagnostics.ts';
import { DeferredTelemetry } from './deferred-telemetry.ts';
import { fanOut } from './fan-out.ts';
import type { ServiceLogger } from './log.ts';
import { viewOf } from './view.ts';

export interface GraphOptions {
  readonly config: LoadedConfig;
  readonly build: BuildInfo;
  readonly log: ServiceLogger;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly onFatal: (id: string, error: Error) => void;
  /** False for `validate`, which leaves extensions alone as upstream does. */
  readonly withExtensions: boolean;
}

export const PROCESSOR_INSTRUMENTS = {
  incoming: {
    name: 'otelcol_processor_incoming_items',
    kind: 'counter',
    help: 'Number of items passed to the processor.',
    unit: '{item}',
  },
  outgoing: {
    name: 'otelcol_processor_outgoing_items',
    kind: 'counter',
    help: 'Number of items emitted from the processor.',
    unit: '{item}',
  },
} as const satisfies Record<string, Instrument>;

/** Shares of the time to stop that are over when receivers, processors and exporters have to be done. */
const STOP_SHARES = { receivers: 0.3, processors: 0.6, exporters: 0.95 } as const;
/** How long a component may take to return after its deadline has passed. */
const STOP_GRACE_MS = 500;

interface Node {
  readonly id: string;
  readonly kind: ComponentKind;
  readonly instance: Component;
}

interface BuiltPipeline {
  readonly head: Consumer;
  /** First to last. */
  readonly processors: readonly Node[];
  /** Connectors between this pipeline and the sources: 0 for one that only receivers feed. */
  depth: number;
}

type Consuming = Component & Consumer;

/** Creates everything; nothing listens, opens or runs before `start`. When a component cannot be made, none is left. */
export async function buildGraph(options: GraphOptions): Promise<Graph> {
  const graph = new Graph(options);
  try {
    await graph.build();
  } catch (error) {
    await graph.stop(AbortSignal.timeout(1000), 1000);
    throw error;
  }
  return graph;
}

export class Graph {
  readonly config: LoadedConfig;
  readonly ledgers = new Map<string, Ledger[]>();
  readonly #options: GraphOptions;
  readonly #host: Host;
  readonly #telemetry: DeferredTelemetry;
  readonly #stopping = new AbortController();
  readonly #shared = new Map<string, unknown>([[STOPPING, this.#stopping]]);
  readonly #extensions = new Map<string, Node & { readonly instance: Extension }>();
  readonly #exporters = new Map<string, Node & { readonly instance: Consuming }>();
  readonly #connectors = new Map<string, Node & { readonly instance: Consuming }>();
  readonly #pipelines = new Map<string, BuiltPipeline>();
  readonly #building = new Set<string>();
  readonly #receivers: Node[] = [];
  #isStarted = false;
  #stopped: Promise<Error[]> | undefined;

  constructor(options: GraphOptions) {
    this.#options = options;
    this.config = options.config;
    this.#telemetry = new DeferredTelemetry(options.telemetry);
    this.#host = {
      extension: (id) => this.#extensions.get(id)?.instance,
      fatal: (id, error) => options.onFatal(id, error),
      shared: <T>(key: string, make: () => T): T => {
        if (!this.#shared.has(key)) this.#shared.set(key, make());
        return this.#shared.get(key) as T;
      },
      addLedger: (id, ledger) => {
        const known = this.ledgers.get(id);
        if (known) known.push(ledger);
        else this.ledgers.set(id, [ledger]);
      },
      view: () => viewOf(options.config),
    };
  }

  async build(): Promise<void> {
    const { config, withExtensions } = this.#options;
    if (withExtensions)
      for (const id of config.service.extensions) {
        const c = config.extensions.get(id)!;
        const create = definitionOf(c, 'extension').create;
        const instance = await this.#create(c, undefined, () => create(c.value, this.#context(c, {})));
        this.#extensions.set(id, { id, kind: 'extension', instance });
      }
    for (const p of config.service.pipelines)
      for (const id of p.exporters) if (!config.connectors.has(id)) await this.#exporter(id, p.signal);
    for (const p of config.service.pipelines) await this.#pipeline(p);
    for (const p of config.service.pipelines) this.#sink(p, 0);
    for (const id of new Set(config.service.pipelines.flatMap((p) => p.receivers)))
      if (!config.connectors.has(id)) await this.#receiver(id);
  }

  async start(): Promise<void> {
    const log = this.#options.log;
    this.#isStarted = true;
    this.#telemetry.commit();
    log.info('Starting extensions...');
    for (const node of this.#extensions.values()) {
      const own = log.with({ 'otelcol.component.id': node.id, 'otelcol.component.kind': 'extension' });
      own.info('Extension is starting...');
      await this.#startNode(node, 'failed to start extensions');
      own.info('Extension started.');
    }
    const upwards = [...this.#pipelines.values()].flatMap((p) => p.processors.toReversed());
    for (const node of [...this.#exporters.values(), ...this.#connectors.values(), ...upwards, ...this.#receivers])
      await this.#startNode(node, 'cannot start pipelines');
    for (const node of this.#extensions.values()) node.instance.ready?.(true);
  }

  /** Idempotent. `budgetMs` is the time that `deadline` leaves, divided among the stages. Resolves to what went wrong. */
  stop(deadline: AbortSignal, budgetMs: number): Promise<Error[]> {
    return (this.#stopped ??= this.#stop(deadline, budgetMs));
  }

  async #stop(deadline: AbortSignal, budgetMs: number): Promise<Error[]> {
    const errors: Error[] = [];
    const startedMs = this.#options.clock.monotonicMs();
    const until = (share: number): AbortSignal => {
      const leftMs = budgetMs * share - (this.#options.clock.monotonicMs() - startedMs);
      return AbortSignal.any([deadline, AbortSignal.timeout(Math.max(0, Math.round(leftMs)))]);
    };
    const all = async (nodes: Iterable<Node>, signal: AbortSignal): Promise<void> => {
      await Promise.all([...nodes].map((n) => stopNode(n, signal, errors)));
    };
    for (const node of this.#extensions.values()) node.instance.ready?.(false);
    this.#stopping.abort();
    await all(this.#receivers, until(STOP_SHARES.receivers));
    const signal = until(STOP_SHARES.processors);
    const deepest = Math.max(0, ...[...this.#pipelines.values()].map((p) => p.depth));
    for (let depth = 0; depth <= deepest; depth++)
      await Promise.all(
        [...this.#pipelines.values()]
          .filter((p) => p.depth === depth)
          .map(async (p) => {
            for (const node of p.processors) await stopNode(node, signal, errors);
          }),
      );
    await all(this.#connectors.values(), signal);
    await all(this.#exporters.values(), until(STOP_SHARES.exporters));
    if (this.#isStarted) this.#options.log.info('Stopping extensions...');
    for (const node of [...this.#extensions.values()].reverse()) await stopNode(node, deadline, errors);
    this.#telemetry.close();
    return errors;
  }

  async #startNode(node: Node, prefix: string): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    try {
      await node.instance.start?.();
    } catch (error) {
      throw new Error(`${prefix}: failed to start "${node.id}" ${node.kind}: ${messageOf(error)}`, { cause: error });
    }
  }

  #context(c: ComponentConfig, fields: { signal?: Signal; pipelineId?: string }): ComponentContext {
    const log = this.#options.log.from(`${c.kind}s/${c.definition.id}`).with({
      'otelcol.component.id': c.id,
      'otelcol.component.kind': c.kind,
      'otelcol.pipeline.id': fields.pipelineId,
      'otelcol.signal': fields.signal,
    });
    const { clock, build, config } = this.#options;
    return {
      gates: config.gates,
      id: c.id,
      kind: c.kind,
      log,
      telemetry: this.#telemetry,
      clock,
      host: this.#host,
      build,
    };
  }

  async #create<T>(c: ComponentConfig, signal: Signal | undefined, create: () => Promise<T>): Promise<T> {
    try {
      return await create();
    } catch (error) {
      const doing = `failed to create "${c.id}" ${c.kind}${signal ? ` for data type "${signal}"` : ''}`;
      if (error instanceof ConfigError) throw inComponent(this.#options.config, c.kind, c.id, error, doing);
      throw new Error(`${doing}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #exporter(id: string, signal: Signal): Promise<void> {
    const key = `${signal} ${id}`;
    if (this.#exporters.has(key)) return;
    const c = this.#options.config.exporters.get(id)!;
    const definition = definitionOf(c, 'exporter');
    checkSignal(c, definition.signals, signal);
    const instance = await this.#create(c, signal, () =>
      definition.create(c.value, { ...this.#context(c, { signal }), signal }),
    );
    this.#exporters.set(key, { id, kind: 'exporter', instance });
  }

  /** The pipeline's first consumer; builds what it feeds before it. */
  async #pipeline(p: PipelineConfig): Promise<Consumer> {
    const known = this.#pipelines.get(p.id);
    if (known) return known.head;
    if (this.#building.has(p.id))
      throw new ConfigError([
        {
          path: ['service', 'pipelines', p.id],
          message: `cycle detected: pipeline "${p.id}" feeds itself through connectors`,
        },
      ]);
    this.#building.add(p.id);
    const { config } = this.#options;
    const consumers: Consumer[] = [];
    for (const id of p.exporters)
      consumers.push(
        config.connectors.has(id)
          ? await this.#connector(id, p.signal)
          : this.#exporters.get(`${p.signal} ${id}`)!.instance,
      );
    let next = this.#fanOut(consumers, p.id);
    const processors: Node[] = [];
    for (const id of p.processors.toReversed()) {
      const c = config.processors.get(id)!;
      const definition = definitionOf(c, 'processor');
      checkSignal(c, definition.signals, p.signal);
      const labels = { processor: id, 'otel.signal': p.signal };
      const counted = this.#counted(next, PROCESSOR_INSTRUMENTS.outgoing, labels);
      const context = {
        ...this.#context(c, { signal: p.signal, pipelineId: p.id }),
        signal: p.signal,
        pipelineId: p.id,
      };
      const instance = await this.#create(c, p.signal, () => definition.create(c.value, { ...context, next: counted }));
      processors.unshift({ id, kind: 'processor', instance });
      next = this.#counted(instance, PROCESSOR_INSTRUMENTS.incoming, labels);
    }
    this.#building.delete(p.id);
    this.#pipelines.set(p.id, { head: next, processors, depth: 0 });
    return next;
  }

  async #connector(id: string, signal: Signal): Promise<Consumer> {
    const key = `${signal} ${id}`;
    const known = this.#connectors.get(key);
    if (known) return known.instance;
    const { config } = this.#options;
    const c = config.connectors.get(id)!;
    const definition = definitionOf(c, 'connector');
    const outputs: Partial<Record<Signal, Consumer>> = {};
    for (const { from, to } of definition.signals) {
      if (from !== signal) continue;
      const targets = config.service.pipelines.filter((p) => p.signal === to && p.receivers.includes(id));
      const heads: Consumer[] = [];
      for (const p of targets) heads.push(await this.#pipeline(p));
      if (heads.length > 0) outputs[to] = this.#fanOut(heads, id);
    }
    if (Object.keys(outputs).length === 0) checkSignal(c, [], signal);
    const instance = await this.#create(c, signal, () =>
      definition.create(c.value, { ...this.#context(c, { signal }), signal, outputs }),
    );
    this.#connectors.set(key, { id, kind: 'connector', instance });
    return instance;
  }

  async #receiver(id: string): Promise<void> {
    const { config } = this.#options;
    const c = config.receivers.get(id)!;
    const definition = definitionOf(c, 'receiver');
    const outputs: Partial<Record<Signal, Consumer>> = {};
    for (const signal of new Set(
      config.service.pipelines.filter((p) => p.receivers.includes(id)).map((p) => p.signal),
    )) {
      checkSignal(c, definition.signals, signal);
      const fed = config.service.pipelines.filter((p) => p.signal === signal && p.receivers.includes(id));
      outputs[signal] = this.#fanOut(
        fed.map((p) => this.#pipelines.get(p.id)!.head),
        id,
      );
    }
    const only = definition.signals.length === 1 ? definition.signals[0] : undefined;
    const instance = await this.#create(c, only, () =>
      definition.create(c.value, { ...this.#context(c, only ? { signal: only } : {}), outputs }),
    );
    this.#receivers.push({ id, kind: 'receiver', instance });
  }

  #fanOut(consumers: readonly Consumer[], where: string): Consumer {
    const log = this.#options.log.with({ from: where });
    return fanOut(consumers, { log, stopping: this.#stopping.signal });
  }

  #counted(to: Consumer, instrument: Instrument, labels: Readonly<Record<string, string>>): Consumer {
    const counter = this.#telemetry.counter(instrument, labels);
    return {
      consume(batch: Batch): Promise<void> {
        counter.add(batch.count);
        return to.consume(batch);
      },
    };
  }

  /** Pushes the pipelines behind connectors down, so that stopping goes from the sources to the destinations. */
  #sink(p: PipelineConfig, depth: number): void {
    const built = this.#pipelines.get(p.id)!;
    built.depth = Math.max(built.depth, depth);
    const { config } = this.#options;
    for (const id of p.exporters)
      if (config.connectors.has(id))
        for (const q of config.service.pipelines) if (q.receivers.includes(id)) this.#sink(q, built.depth + 1);
  }
}

type DefinitionOf<K extends ComponentKind> = Extract<AnyDefinition, { readonly kind: K }>;

function definitionOf<K extends ComponentKind>(c: ComponentConfig, kind: K): DefinitionOf<K> {
  if (c.definition.kind !== kind) throw new Error(`"${c.id}" is a ${c.definition.kind}, not a ${kind}`);
  return c.definition as DefinitionOf<K>;
}

function checkSignal(c: ComponentConfig, signals: readonly Signal[], signal: Signal): void {
  if (signals.includes(signal)) return;
  throw new ConfigError([
    {
      path: [`${c.kind}s`, c.id],
      message: `failed to create "${c.id}" ${c.kind} for data type "${signal}": telemetry type is not supported`,
      ...(signals.length ? { hint: `${c.definition.id} takes ${signals.join(', ')}` } : {}),
    },
  ]);
}

/** Waits for a component to stop, but not for ever: one that hangs must not keep the process. */
async function stopNode(node: Node, deadline: AbortSignal, errors: Error[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const overdue = new Promise<'overdue'>((resolve) => {
    const grace = (): void => {
      timer = setTimeout(() => resolve('overdue'), STOP_GRACE_MS);
    };
    if (deadline.aborted) grace();
    else deadline.addEventListener('abort', grace, { once: true });
  });
  try {
    const stopped = Promise.resolve(node.instance.stop?.(deadline));
    if ((await Promise.race([stopped, overdue])) === 'overdue') throw new Error('did not stop in time');
  } catch (error) {
    errors.push(new Error(`failed to stop "${node.id}" ${node.kind}: ${messageOf(error)}`, { cause: error }));
  } finally {
    clearTimeout(timer);
  }
}
