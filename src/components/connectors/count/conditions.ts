/** The conditions of metrics: which of the items that the cursors of `env` stand on count. */
import { FILTER_FUNCTIONS } from '../../../core/ottl/functions/filter.ts';
import {
  anyHolds,
  type ContextName,
  compileProgram,
  type Env,
  type OnError,
  type Program,
} from '../../../core/ottl/ottl.ts';
import type { MetricInfo } from './index.ts';

/** Throws an OttlTextError. */
export const compileConditions = (context: ContextName, conditions: readonly string[]): Program =>
  compileProgram(
    { statements: [], conditions },
    { context, contexts: [context, 'scope', 'resource'], functions: FILTER_FUNCTIONS },
  );

export class Conditions {
  readonly #programs: ReadonlyMap<string, Program>;
  readonly #env: Env;
  readonly #onError: OnError;

  constructor(context: ContextName, metrics: Readonly<Record<string, MetricInfo>>, env: Env, onError: OnError) {
    this.#programs = new Map(
      Object.entries(metrics).flatMap(([name, { conditions }]) =>
        conditions.length > 0 ? [[name, compileConditions(context, conditions)]] : [],
      ),
    );
    this.#env = env;
    this.#onError = onError;
  }

  /** No metric has any. */
  get isEmpty(): boolean {
    return this.#programs.size === 0;
  }

  /** Whether the item counts for the metric: one of its conditions holds, or it has none. */
  hold(metric: string): boolean {
    const program = this.#programs.get(metric);
    if (!program) return true;
    this.#env.clearCache();
    return anyHolds(program, this.#env, this.#onError);
  }
}
