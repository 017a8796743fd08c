/** The configuration of a tier while presets add to it. Components have their present names; their spelling comes last. */
import type { Components, Json, TierName } from './config.ts';
import type { NormalSpec } from './spec.ts';

export type Signal = 'logs' | 'metrics';

/** Where in a pipeline a processor stands: memory_limiter first, batch last. */
type Place = 'enrich' | 'change';

export class Draft {
  readonly tier: TierName;
  readonly spec: NormalSpec;
  readonly extensions: Components = {};
  readonly receivers: Components = {};
  readonly processors: Components = {};
  readonly exporters: Components = {};
  readonly #of: Record<Signal, { receivers: string[]; enrich: string[]; change: string[] }> = {
    logs: { receivers: [], enrich: [], change: [] },
    metrics: { receivers: [], enrich: [], change: [] },
  };

  constructor(spec: NormalSpec, tier: TierName) {
    this.spec = spec;
    this.tier = tier;
  }

  get isSluice(): boolean {
    return this.spec.engine === 'sluice';
  }

  extension(id: string, config: Json): string {
    this.extensions[id] ??= config;
    return id;
  }

  receiver(signal: Signal, id: string, config: Json): void {
    this.receivers[id] = config;
    this.#of[signal].receivers.push(id);
  }

  processor(signals: readonly Signal[], place: Place, id: string, config: Json): void {
    this.processors[id] = config;
    for (const signal of signals) this.#of[signal][place].push(id);
  }

  has(signal: Signal): boolean {
    return this.#of[signal].receivers.length > 0;
  }

  /** Receivers and processors of a pipeline, in order. */
  pipeline(signal: Signal): { receivers: string[]; processors: string[] } {
    const { receivers, enrich, change } = this.#of[signal];
    return { receivers, processors: ['memory_limiter', ...enrich, ...change, 'batch'] };
  }

  /** Where offsets and queues are kept; the directory is mounted from the node for the agent. */
  storage(): string {
    return this.extension('file_storage', { directory: STORAGE_DIRECTORY, create_directory: true });
  }
}

export const STORAGE_DIRECTORY = '/var/lib/otelcol';

/** A regular expression or text of the user as a value: `$` would begin a reference. */
export const escapeDollar = (text: string): string => text.replaceAll('$', '$$$$');
