/** The check at the end: was everything that was written delivered? */
import type { LedgerTotals, PointTotals } from './agent-metrics.ts';
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
  /** Missing when this machine is not measured. Both as of the same moment: measuring goes on until the agent has stopped. */
  readonly metrics?: { readonly points: PointTotals; readonly stored: number; readonly repeated: number };
}

export interface Verdict {
  readonly isBalanced: boolean;
  readonly lines: readonly string[];
}

export function verdict({ written, ledger, restarts, store, metrics }: Account): Verdict {
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
  if (metrics) {
    const found = metricVerdict(metrics, restarts);
    if (found.problems.length === 0) lines.push(found.line);
    problems.push(...found.problems);
  }
  lines.push(...problems.map((p) => `PROBLEM  ${p}`));
  return { isBalanced: problems.length === 0, lines };
}

function metricVerdict(
  { points, stored, repeated }: NonNullable<Account['metrics']>,
  restarts: number,
): { line: string; problems: string[] } {
  const n = thousands;
  const problems: string[] = [];
  if (points.failed > 0) problems.push(`${n(points.failed)} data points were refused or not delivered`);
  if (restarts > 0) {
    // What a killed process had measured last is told by nobody.
    if (stored < points.sent)
      problems.push(`${n(points.sent)} data points were delivered, but the store took ${n(stored)} samples`);
    return { line: `metrics  ${n(stored)} samples stored; an agent that dies takes the last ones along`, problems };
  }
  if (points.accepted !== points.sent + points.failed)
    problems.push(`${n(points.accepted)} data points were accepted, ${n(points.sent)} delivered`);
  if (stored !== points.sent)
    problems.push(`${n(points.sent)} data points were delivered, but the store took ${n(stored)} samples`);
  if (repeated > 0) problems.push(`${n(repeated)} samples came twice`);
  if (points.sent === 0) problems.push('no data point was delivered');
  return {
    line: `metrics  ${n(points.accepted)} points accepted = ${n(points.sent)} delivered = ${n(stored)} samples stored, none twice`,
    problems,
  };
}
