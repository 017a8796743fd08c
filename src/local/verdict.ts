/** The check at the end: was everything that was written delivered? */
import type { LedgerTotals } from './agent-metrics.ts';
import { thousands } from './panel.ts';

export interface Account {
  /** Missing with --real, where nobody knows what was written. */
  readonly written: number | undefined;
  readonly ledger: LedgerTotals;
  readonly restarts: number;
  readonly store: {
    readonly accepted: number;
    readonly kept: number;
    /** Rows kept that are there more than once. */
    readonly repeated: number;
  };
}

export interface Verdict {
  readonly isBalanced: boolean;
  readonly lines: readonly string[];
}

export function verdict({ written, ledger, restarts, store }: Account): Verdict {
  const n = thousands;
  const lines = [
    `ledger   ${n(ledger.read)} read = ${n(ledger.delivered)} delivered + ${n(ledger.queued)} queued + ${n(ledger.filtered)} filtered + ${n(ledger.inFlight)} in flight + ${n(ledger.lost)} lost${restarts > 0 ? ' (as far as the killed ones could tell)' : ''}`,
  ];
  const problems: string[] = [];
  for (const [reason, count] of ledger.lostBy) problems.push(`${n(count)} lost: ${reason}`);
  if (ledger.lost > 0 && ledger.lostBy.size === 0) problems.push(`${n(ledger.lost)} lost`);
  if (restarts > 0) {
    // The ledger of a killed process ends where it was last read, so the store has to tell.
    const distinct = store.accepted - store.repeated;
    if (store.kept < store.accepted)
      problems.push(
        ...(written !== undefined && store.accepted < written
          ? [`${n(written - store.accepted)} of ${n(written)} lines are missing`]
          : []),
      );
    else if (written !== undefined && distinct !== written)
      problems.push(`${n(written)} lines were written, ${n(distinct)} different ones are in the store`);
    if (problems.length === 0)
      lines.push(
        `complete ${written === undefined ? '' : `${n(written)} lines written, all `}in the store; ${n(store.repeated)} twice, because the agent died ${restarts === 1 ? 'once' : `${restarts} times`}`,
      );
  } else {
    if (ledger.inFlight !== 0) problems.push(`${n(ledger.inFlight)} were still in flight`);
    if (store.accepted !== ledger.delivered)
      problems.push(`${n(ledger.delivered)} delivered, but the store took ${n(store.accepted)}`);
    const accounted = ledger.delivered + ledger.filtered;
    if (written !== undefined && accounted + ledger.lost !== written)
      problems.push(`${n(written)} lines were written, ${n(accounted)} delivered or filtered`);
    if (problems.length === 0)
      lines.push(
        written === undefined
          ? `balanced everything that was read is in the store: ${n(store.accepted)} records`
          : `balanced delivered = written: ${n(written)} lines, all in the store, none twice`,
      );
  }
  lines.push(...problems.map((p) => `PROBLEM  ${p}`));
  return { isBalanced: problems.length === 0, lines };
}
