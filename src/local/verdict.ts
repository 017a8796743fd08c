/** The check at the end: was everything that was written delivered? */
import type { LedgerTotals, PointTotals } from './agent-metrics.ts';
import { thousands } from './panel.ts';

export interface Account {
  /** Missing with --real, where nobody knows what was written. */
  readonly written: number | undefined;
  readonly ledger: LedgerTotals;
  readonly restarts: number;
  /** Missing without a cluster. */
  readonly gateway?: {
    readonly ledger: LedgerTotals;
    readonly restarts: number;
    /** That the API server has been given. */
    readonly events: number;
  };
  readonly store: {
    /** Logs and events. */
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

const sum = (name: string, ledger: LedgerTotals, restarts: number): string => {
  const n = thousands;
  return `${name.padEnd(8)} ${n(ledger.read)} read = ${n(ledger.delivered)} delivered + ${n(ledger.queued)} queued + ${n(ledger.filtered)} filtered + ${n(ledger.inFlight)} in flight + ${n(ledger.lost)} lost${restarts > 0 ? ' (as far as the killed ones could tell)' : ''}`;
};

function losses({ lost, lostBy }: LedgerTotals): string[] {
  const found = [...lostBy].map(([reason, count]) => `${thousands(count)} lost: ${reason}`);
  return lost > 0 && found.length === 0 ? [`${thousands(lost)} lost`] : found;
}

export function verdict(account: Account): Verdict {
  const { gateway, metrics } = account;
  const lines = [sum('ledger', account.ledger, account.restarts)];
  const problems = losses(account.ledger);
  const logs = logVerdict(account);
  lines.push(...logs.lines);
  problems.push(...logs.problems);
  if (gateway) {
    const found = eventVerdict(gateway);
    lines.push(sum('gateway', gateway.ledger, gateway.restarts), ...found.lines);
    problems.push(...losses(gateway.ledger), ...found.problems);
  }
  if (metrics) {
    const found = metricVerdict(metrics, account.restarts + (gateway?.restarts ?? 0));
    if (found.problems.length === 0) lines.push(found.line);
    problems.push(...found.problems);
  }
  lines.push(...problems.map((p) => `PROBLEM  ${p}`));
  return { isBalanced: problems.length === 0, lines };
}

interface Findings {
  readonly lines: readonly string[];
  readonly problems: readonly string[];
}

function eventVerdict({ ledger, restarts, events }: NonNullable<Account['gateway']>): Findings {
  const n = thousands;
  const problems: string[] = [];
  if (ledger.inFlight !== 0) problems.push(`${n(ledger.inFlight)} events were still in flight`);
  // The ledger of a killed process ends where it was last read.
  if (restarts === 0 && ledger.delivered + ledger.filtered + ledger.lost !== events)
    problems.push(`the cluster had ${n(events)} events, ${n(ledger.delivered)} were delivered`);
  if (problems.length > 0) return { lines: [], problems };
  return { lines: restarts > 0 ? [] : [`events   ${n(events)} of the cluster, each delivered once`], problems };
}

/** Of what the agent read; what the gateway delivered is in the same store. */
function logVerdict({ written, ledger, restarts, gateway, store: whole }: Account): Findings {
  const n = thousands;
  const lines: string[] = [];
  const problems: string[] = [];
  // Of a gateway that died, all that it can have delivered.
  const events = gateway ? (gateway.restarts > 0 ? gateway.events : gateway.ledger.delivered) : 0;
  const store = { ...whole, accepted: whole.accepted - events, kept: whole.kept - events };
  if (restarts > 0 || (gateway?.restarts ?? 0) > 0) {
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
        `complete ${written === undefined ? '' : `${n(written)} lines written, all `}in the store; ${n(store.repeated)} twice, because ${died('agent', restarts)}${restarts > 0 && gateway?.restarts ? ' and ' : ''}${died('gateway', gateway?.restarts ?? 0)}`,
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
  return { lines, problems };
}

const died = (name: string, times: number): string =>
  times === 0 ? '' : `the ${name} died ${times === 1 ? 'once' : `${times} times`}`;

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
