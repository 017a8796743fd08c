/** What checks are given: where they run, the cluster as far as it can be seen, and the configurations that are looked at. */
import type { Clock } from '../core/clock.ts';
import type { AnyDefinition, ComponentKind, Signal } from '../core/component.ts';
import type { Environment } from '../core/environment.ts';
import type { Logger } from '../core/log.ts';
import type { CollectorConfig } from '../deploy/config.ts';
import type { Access } from '../kubernetes/access.ts';
import type { ClockReading } from './clocks.ts';
import type { ClusterReader } from './cluster.ts';
import type { CheckResult, Finding } from './finding.ts';
import type { Workload } from './objects.ts';

/** A component as the service loads it. */
export interface ConfiguredComponent {
  readonly kind: ComponentKind;
  /** As written. */
  readonly id: string;
  readonly entry: { readonly id: string };
  readonly definition: AnyDefinition;
  /** What its schema made of it; what was written where rules are broken. */
  readonly value: unknown;
}

export interface ConfiguredPipeline {
  readonly id: string;
  readonly signal: Signal;
  readonly receivers: readonly string[];
  readonly processors: readonly string[];
  readonly exporters: readonly string[];
}

type Section = ReadonlyMap<string, ConfiguredComponent>;

export interface DoctorConfig {
  readonly receivers: Section;
  readonly processors: Section;
  readonly exporters: Section;
  readonly connectors: Section;
  readonly extensions: Section;
  readonly pipelines: readonly ConfiguredPipeline[];
  readonly gates: ReadonlyMap<string, boolean>;
  /** Where it serves its own metrics. */
  readonly metrics: readonly { readonly host: string; readonly port: number }[];
  /** As data, for the computation of rights. */
  readonly data: CollectorConfig;
  /** Deprecated names and the like, in words. */
  readonly warnings: readonly string[];
}

/** One configuration, and what runs it. */
export interface Tier {
  /** `otel-agent` */
  readonly name: string;
  /** Where the configuration was read. */
  readonly origin: string;
  readonly workload: Workload | undefined;
  readonly config: DoctorConfig | undefined;
  /** Why there is no configuration, or what is wrong with it. */
  readonly problem: string | undefined;
  /** Components that are not known here: of another collector, or mistakes. */
  readonly leftOut?: readonly string[] | undefined;
  /** It was not seen at all: the problem is not one of the configuration. */
  readonly isUnseen?: boolean;
}

export interface DoctorContext {
  /** In a pod of the cluster, as its service account. */
  readonly isInside: boolean;
  readonly namespace: string;
  /** Undefined: no API server, and `clusterProblem` says why. */
  readonly cluster: ClusterReader | undefined;
  readonly clusterProblem: string;
  /** Of the answer that is the problem; 0 without one. */
  readonly clusterStatus: number;
  /** Of the kubeconfig; '' in a pod, and where it is not known. */
  readonly contextName: string;
  /** No configuration was given, or a cluster was named. */
  readonly isClusterMeant: boolean;
  readonly access: Access | undefined;
  /** The clock of the API server; undefined when it did not tell. */
  readonly serverClock: ClockReading | undefined;
  /** By the clock of the API server: what ages of objects are counted to. */
  readonly serverNowMs: () => number;
  /** Of the cluster: `v1.34.1`; '' when not known. */
  readonly version: string;
  readonly tiers: readonly Tier[];
  /** The tiers that run in the namespace, also when `tiers` has a file instead. */
  readonly workloads: readonly Workload[];
  /** Why workloads could not be looked for; '' when they were. */
  readonly workloadsProblem: string;
  readonly env: Environment;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** For tests: where the credentials of a pod are. */
  readonly serviceAccountDir?: string | undefined;
  /** Before what may be over in a moment is looked at again. */
  readonly pause: (ms: number) => Promise<void>;
  /** One value per key, made once: what several checks look at. */
  readonly once: <T>(key: string, make: () => Promise<T>) => Promise<T>;
}

export interface Check {
  /** For --format json, and for people who talk about it. */
  readonly id: string;
  readonly title: string;
  readonly run: (ctx: DoctorContext) => Promise<Finding[]>;
}

export function memo(): DoctorContext['once'] {
  const known = new Map<string, Promise<unknown>>();
  return <T>(key: string, make: () => Promise<T>): Promise<T> => {
    if (!known.has(key)) known.set(key, make());
    return known.get(key) as Promise<T>;
  };
}

export type { CheckResult };
