/** What a check of `sluice doctor` says: what is the case, how it is known, and what to do about it. */

export const STATES = ['failure', 'warning', 'unknown', 'ok'] as const;
export type State = (typeof STATES)[number];

export interface Finding {
  readonly state: State;
  /** One sentence. */
  readonly what: string;
  /** The evidence: where it was read, in the words of the source. */
  readonly how: string;
  /** One line: a command to type or a setting to change. */
  readonly fix?: string;
}

export const ok = (what: string, how: string): Finding => ({ state: 'ok', what, how });
export const warning = (what: string, how: string, fix: string): Finding => ({ state: 'warning', what, how, fix });
export const failure = (what: string, how: string, fix: string): Finding => ({ state: 'failure', what, how, fix });
/** It could not be found out; the fix says what would make it possible. */
export const unknown = (what: string, how: string, fix?: string): Finding => ({
  state: 'unknown',
  what,
  how,
  ...(fix === undefined ? {} : { fix }),
});

/** The findings of one check. */
export interface CheckResult {
  readonly id: string;
  readonly title: string;
  readonly findings: readonly Finding[];
}

/** `3 nodes`, `1 node` */
export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** The first ones, and how many more there are. */
export function some(items: readonly string[], most = 5): string {
  const shown = items.slice(0, most).join(', ');
  return items.length > most ? `${shown} and ${items.length - most} more` : shown;
}
