/** What an operator is: its declaration, what it gets when it is compiled, and the keys all of them share. */
import * as z from 'zod';
import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { Telemetry } from '../core/telemetry.ts';
import type { Entry } from './entry.ts';
import { exprSchema } from './expression.ts';
import type { Source } from './source.ts';

/** Takes an entry and owns it: passes it on, holds it, or settles it. */
export type Process = (entry: Entry) => void;

/** An operator that keeps entries for later. */
export interface Holder {
  /** At each poll. */
  tick(): void;
  flush(): void;
  forget(source: Source): void;
  /** Of one that groups by a key: is there a group, and give it out. */
  has?(key: string): boolean;
  release?(key: string): void;
}

export interface OperatorContext {
  readonly id: string;
  /** Id of the receiver that it belongs to, for labels of metrics. */
  readonly receiver: string;
  readonly telemetry: Telemetry;
  readonly log: Logger;
  readonly clock: Clock;
  readonly next: Process;
  /** The operator with this id; only those that `outputs` named. */
  output(id: string): Process;
  /** Does what `on_error` says: logs, then passes on or drops. */
  fail(entry: Entry, error: string): void;
  /** Another record with the same content, for a further output. */
  copy(entry: Entry): Entry;
  /** Settles the entry as filtered for `reason`. */
  drop(entry: Entry, reason: string): void;
  /** Logs at most once in a while per message. */
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  hold(holder: Holder): void;
}

export interface OperatorDefinition<C = unknown> {
  readonly type: string;
  /** One sentence for the docs. */
  readonly summary: string;
  readonly schema: z.ZodType<C>;
  readonly compile: (config: C, ctx: OperatorContext) => Process;
  /** Ids it sends to by itself; such an operator has no `next`. */
  readonly outputs?: (config: C) => readonly string[];
  /** `if` and `on_error` have no meaning for it. */
  readonly unconditional?: boolean;
}

export const defineOperator = <S extends z.ZodType>(
  d: Omit<OperatorDefinition<z.output<S>>, 'schema'> & { readonly schema: S },
): OperatorDefinition => d as unknown as OperatorDefinition;

export const ON_ERROR = ['send', 'send_quiet', 'drop', 'drop_quiet'] as const;
export type OnError = (typeof ON_ERROR)[number];

/** Keys of every operator. Unknown keys are let through, as upstream does. */
export const commonKeys = {
  id: z.string().optional().describe('Name for `output` and for messages; the type when left out'),
  type: z.string().describe('Which operator'),
  output: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe('Id, or list of ids, of what comes next; the next in the list when left out'),
  on_error: z
    .enum(ON_ERROR, {
      error: (i) => `invalid on_error ${JSON.stringify(i.input)}; write one of ${ON_ERROR.join(', ')}`,
    })
    .default('send')
    .describe('What becomes of a record that this operator cannot process'),
  if: exprSchema('bool').optional().describe('Expression; records for which it is false pass by'),
};

export const operatorConfig = <T extends z.ZodRawShape>(keys: T) => z.looseObject({ ...commonKeys, ...keys });
