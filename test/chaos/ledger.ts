/** Reads the account that Sluice logs at the end of its life, and checks that it adds up. */

export interface Account {
  readonly read: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly queued: number;
  readonly in_flight: number;
  readonly lost: number;
}

export interface LedgerLine {
  readonly component: string;
  readonly records: Account;
  readonly bytes: Account;
  readonly lostBy: unknown;
}

/** The `Ledger` lines of one life's log, in otelcol's console shape: columns, then the fields as JSON. */
export function ledgerLines(log: string): LedgerLine[] {
  const found: LedgerLine[] = [];
  for (const line of log.split('\n')) {
    if (!/\tLedger\t/.test(line)) continue;
    const fields = JSON.parse(line.slice(line.indexOf('{'))) as Record<string, unknown>;
    found.push({
      component: String(fields['component'] ?? fields['otelcol.component.id'] ?? fields['id'] ?? ''),
      records: fields['records'] as Account,
      bytes: fields['bytes'] as Account,
      lostBy: fields['lost_by'],
    });
  }
  return found;
}

/** What is wrong with the account; nothing when it balances. */
export function ledgerProblems(line: LedgerLine): string[] {
  const problems: string[] = [];
  for (const [what, a] of [
    ['records', line.records],
    ['bytes', line.bytes],
  ] as const) {
    const sum = a.delivered + a.filtered + a.queued + a.in_flight + a.lost;
    if (sum !== a.read) problems.push(`ledger of ${line.component}: ${what} read ${a.read}, accounted for ${sum}`);
    if (a.in_flight < 0) problems.push(`ledger of ${line.component}: ${what} in flight ${a.in_flight}`);
  }
  return problems;
}
