/** The configuration after loading: sources merged, references replaced, every component's section parsed by its schema. */
import type { RegistryEntry } from '../../components/index.ts';
import type { AnyDefinition, ComponentKind, Signal } from '../../core/component.ts';
import type { TelemetryConfig } from './telemetry.ts';

export interface ComponentConfig {
  readonly kind: ComponentKind;
  /** As written, trimmed: `filelog/app`. Logs, metrics and storage use this spelling. */
  readonly id: string;
  /** As written: `filelog`; `entry.id` is the name it goes by now. */
  readonly type: string;
  /** Behind the first slash; empty without one. */
  readonly name: string;
  readonly entry: RegistryEntry;
  readonly definition: AnyDefinition;
  /** Plain data after merging and replacing references, before defaults. */
  readonly raw: unknown;
  /** What the component's schema made of it; goes to `definition.create`. */
  readonly value: unknown;
}

export interface PipelineConfig {
  /** `logs/main` */
  readonly id: string;
  readonly signal: Signal;
  readonly name: string;
  /** Ids of receivers or connectors. */
  readonly receivers: readonly string[];
  readonly processors: readonly string[];
  /** Ids of exporters or connectors. */
  readonly exporters: readonly string[];
}

/** Something to log, once, when the service starts; nothing that stops it. */
export interface ConfigWarning {
  readonly level: 'info' | 'warn';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** The component it is about, if it is about one. */
  readonly component?: { readonly kind: ComponentKind; readonly id: string };
}

export interface ConfigPosition {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

export interface LoadedConfig {
  readonly receivers: ReadonlyMap<string, ComponentConfig>;
  readonly processors: ReadonlyMap<string, ComponentConfig>;
  readonly exporters: ReadonlyMap<string, ComponentConfig>;
  readonly connectors: ReadonlyMap<string, ComponentConfig>;
  readonly extensions: ReadonlyMap<string, ComponentConfig>;
  readonly service: {
    /** Ids of the extensions to start, in the order written. */
    readonly extensions: readonly string[];
    readonly pipelines: readonly PipelineConfig[];
    readonly telemetry: TelemetryConfig;
  };
  readonly warnings: readonly ConfigWarning[];
  /** Every known feature gate and whether it is on. */
  readonly gates: ReadonlyMap<string, boolean>;
  /** Where a path of the merged configuration was written; the nearest written parent of a path that is not there. */
  readonly locate: (path: readonly (string | number)[]) => ConfigPosition | undefined;
}
