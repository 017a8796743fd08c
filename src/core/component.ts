/**
 * The contract between the service and its components. A component's index.ts exports one definition made by
 * defineReceiver, defineProcessor, defineExporter or defineExtension; the registry names it and loads it when used.
 */
import type * as z from 'zod';
import type { Consumer, Signal } from './batch.ts';
import type { Clock } from './clock.ts';
import type { Ledger } from './ledger.ts';
import type { Logger } from './log.ts';
import type { Instrument, Telemetry } from './telemetry.ts';

export type { Consumer, Signal } from './batch.ts';

export type ComponentKind = 'receiver' | 'processor' | 'exporter' | 'connector' | 'extension';
export type Stability = 'stable' | 'beta' | 'alpha' | 'development' | 'deprecated';

export interface BuildInfo {
  /** `sluice` */
  readonly command: string;
  readonly description: string;
  readonly version: string;
}

/**
 * Key of Host.shared for an AbortController that aborts when the service begins to stop: calls that wait for room or
 * memory end then, so that the receivers behind them can come down. Their data stays unsettled.
 */
export const STOPPING = 'service/stopping';

/** What runs, for components that show it. */
export interface ServiceView {
  readonly pipelines: readonly {
    readonly id: string;
    readonly signal: Signal;
    readonly receivers: readonly string[];
    readonly processors: readonly string[];
    readonly exporters: readonly string[];
  }[];
  readonly extensions: readonly string[];
  readonly gates: readonly {
    readonly id: string;
    readonly stage: string;
    readonly description: string;
    readonly isEnabled: boolean;
  }[];
}

/** What a component may ask of the service around it. */
export interface Host {
  /** A started (or, while starting, created) extension by its id; undefined when service.extensions does not name it. */
  extension(id: string): unknown;
  /** For a component that cannot go on, as upstream's fatal status: the service stops gracefully. */
  fatal(id: string, error: Error): void;
  /** One value per process, key and configuration generation (a server that several components share). */
  shared<T>(key: string, make: () => T): T;
  /** Makes a ledger show up in self telemetry and in the last log line. `id` is the component's. */
  addLedger(id: string, ledger: Ledger): void;
  /** Pipelines, extensions and feature gates of the configuration that runs; absent in tests without a service. */
  view?(): ServiceView;
}

export interface ComponentContext {
  /** As written in the configuration: `filelog/app`. */
  readonly id: string;
  readonly kind: ComponentKind;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  readonly clock: Clock;
  readonly host: Host;
  readonly build: BuildInfo;
  /** Feature gates by id and whether they are on; without it every gate is in its default state. */
  readonly gates?: ReadonlyMap<string, boolean>;
}

/** One receiver instance per id serves all signals that pipelines ask of it. */
export interface ReceiverContext extends ComponentContext {
  readonly outputs: Readonly<Partial<Record<Signal, Consumer>>>;
}

export interface ProcessorContext extends ComponentContext {
  readonly signal: Signal;
  /** `logs/main` */
  readonly pipelineId: string;
  readonly next: Consumer;
}

export interface ExporterContext extends ComponentContext {
  readonly signal: Signal;
}

export interface ConnectorContext extends ComponentContext {
  /** Of the pipelines that feed it. */
  readonly signal: Signal;
  readonly outputs: Readonly<Partial<Record<Signal, Consumer>>>;
}

export interface Component {
  /** Resolves when ready; a ConfigError or Error here fails the start of the service. */
  start?(): Promise<void>;
  /**
   * Stops taking, flushes what it holds, frees everything. Idempotent, safe without start. When `deadline` aborts it
   * must return soon, leaving undone what is undone (unsettled data is read again after the next start).
   */
  stop?(deadline: AbortSignal): Promise<void>;
}

export interface Receiver extends Component {}
export interface Extension extends Component {
  /** All pipelines run; false again before they stop. */
  ready?(isReady: boolean): void;
}
export interface Processor extends Component, Consumer {}
export interface Exporter extends Component, Consumer {}
export interface Connector extends Component, Consumer {}

interface Definition<Schema extends z.ZodType> {
  /** Folder name and YAML key, as upstream writes it now. */
  readonly id: string;
  /** Former spellings; they work, with a warning. */
  readonly aliases?: readonly string[];
  /** One sentence for `components`, docs and editors. */
  readonly summary: string;
  readonly stability: Stability;
  /** Defaults, validation, help and JSON Schema in one. Parses what YAML gave (null counts as {}). */
  readonly schema: Schema;
  /** Everything the component serves on /metrics. */
  readonly telemetry?: readonly Instrument[];
}

export interface ReceiverDefinition<S extends z.ZodType = z.ZodType> extends Definition<S> {
  readonly kind: 'receiver';
  readonly signals: readonly Signal[];
  readonly create: (config: z.output<S>, ctx: ReceiverContext) => Promise<Receiver>;
}
export interface ProcessorDefinition<S extends z.ZodType = z.ZodType> extends Definition<S> {
  readonly kind: 'processor';
  readonly signals: readonly Signal[];
  readonly create: (config: z.output<S>, ctx: ProcessorContext) => Promise<Processor>;
}
export interface ExporterDefinition<S extends z.ZodType = z.ZodType> extends Definition<S> {
  readonly kind: 'exporter';
  readonly signals: readonly Signal[];
  readonly create: (config: z.output<S>, ctx: ExporterContext) => Promise<Exporter>;
}
export interface ConnectorDefinition<S extends z.ZodType = z.ZodType> extends Definition<S> {
  readonly kind: 'connector';
  /** Which output signals each input signal can become. */
  readonly signals: readonly { readonly from: Signal; readonly to: Signal }[];
  readonly create: (config: z.output<S>, ctx: ConnectorContext) => Promise<Connector>;
}
export interface ExtensionDefinition<S extends z.ZodType = z.ZodType> extends Definition<S> {
  readonly kind: 'extension';
  readonly create: (config: z.output<S>, ctx: ComponentContext) => Promise<Extension>;
}

export type AnyDefinition =
  | ReceiverDefinition
  | ProcessorDefinition
  | ExporterDefinition
  | ConnectorDefinition
  | ExtensionDefinition;

type Declared<D> = Omit<D, 'kind'>;

// The registry holds definitions of every schema, so the precise type ends here.
export const defineReceiver = <S extends z.ZodType>(d: Declared<ReceiverDefinition<S>>): ReceiverDefinition =>
  ({ kind: 'receiver', ...d }) as unknown as ReceiverDefinition;
export const defineProcessor = <S extends z.ZodType>(d: Declared<ProcessorDefinition<S>>): ProcessorDefinition =>
  ({ kind: 'processor', ...d }) as unknown as ProcessorDefinition;
export const defineExporter = <S extends z.ZodType>(d: Declared<ExporterDefinition<S>>): ExporterDefinition =>
  ({ kind: 'exporter', ...d }) as unknown as ExporterDefinition;
export const defineConnector = <S extends z.ZodType>(d: Declared<ConnectorDefinition<S>>): ConnectorDefinition =>
  ({ kind: 'connector', ...d }) as unknown as ConnectorDefinition;
export const defineExtension = <S extends z.ZodType>(d: Declared<ExtensionDefinition<S>>): ExtensionDefinition =>
  ({ kind: 'extension', ...d }) as unknown as ExtensionDefinition;
