/** What people and programs read: the findings of all checks as text or JSON. */
import { type CheckResult, type Finding, STATES, type State } from './finding.ts';

const SIGNS: Readonly<Record<State, string>> = { ok: '✓', warning: '!', failure: '✗', unknown: '?' };
const WORDS: Readonly<Record<State, readonly [string, string]>> = {
  failure: ['failure', 'failures'],
  warning: ['warning', 'warnings'],
  unknown: ['unknown', 'unknown'],
  ok: ['ok', 'ok'],
};
/** Evidence can be a whole answer of a server. */
const MAX_HOW = 600;

export const worst = (findings: readonly Finding[]): State =>
  STATES.find((s) => findings.some((f) => f.state === s)) ?? 'ok';

export const hasFailure = (results: readonly CheckResult[]): boolean =>
  results.some((r) => r.findings.some((f) => f.state === 'failure'));

function totals(results: readonly CheckResult[]): Record<State, number> {
  const n: Record<State, number> = { failure: 0, warning: 0, unknown: 0, ok: 0 };
  for (const r of results) for (const f of r.findings) n[f.state]++;
  return n;
}

const oneLine = (text: string): string => {
  const line = text.replace(/\s*\n\s*/g, ' ').trim();
  return line.length > MAX_HOW ? `${line.slice(0, MAX_HOW)}…` : line;
};

export function textReport(head: string, results: readonly CheckResult[]): string {
  const lines = [head, ''];
  for (const { title, findings } of results) {
    lines.push(`${SIGNS[worst(findings)]} ${title}`);
    for (const f of findings) {
      lines.push(`  ${SIGNS[f.state]} ${oneLine(f.what)}`, `      how: ${oneLine(f.how)}`);
      if (f.fix !== undefined) lines.push(`      fix: ${oneLine(f.fix)}`);
    }
  }
  const n = totals(results);
  const summary = STATES.filter((s) => n[s] > 0).map((s) => `${n[s]} ${WORDS[s][n[s] === 1 ? 0 : 1]}`);
  lines.push('', summary.join(', ') || 'nothing to check');
  return `${lines.join('\n')}\n`;
}

export const jsonReport = (head: string, results: readonly CheckResult[]): string =>
  `${JSON.stringify({ subject: head, state: worst(results.flatMap((r) => r.findings)), totals: totals(results), checks: results }, null, 2)}\n`;
