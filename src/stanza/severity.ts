/** Severity: names and numbers of OpenTelemetry. */
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];

/** `ERROR2` of 18; empty outside of 1 to 24. */
export function severityName(n: number): string {
  if (n < 1 || n > 24) return '';
  const step = (n - 1) % 4;
  return `${LEVELS[(n - 1 - step) / 4]}${step === 0 ? '' : step + 1}`;
}
