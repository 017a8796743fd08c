/** What happens to errors of statements and conditions while data flows. */

import type { Clock } from '../clock.ts';
import { messageOf, permanent } from '../errors.ts';
import { type Logger, RateLimit } from '../log.ts';
import type { ErrorMode, OnError } from './ottl.ts';

const INTERVAL_MS = 10_000;

/**
 * `ignore` tells about each text at most every ten seconds and goes on, `silent` goes on, `propagate` refuses the data
 * for good: the same data would fail again.
 */
export function onErrorOf(mode: ErrorMode, what: 'statement' | 'condition', log: Logger, clock: Clock): OnError {
  if (mode === 'silent') return () => {};
  if (mode === 'propagate')
    return (error, text) => {
      throw permanent(`failed to execute ${what}: ${text}, ${messageOf(error)}`, { cause: error });
    };
  const limit = new RateLimit(INTERVAL_MS, () => clock.monotonicMs());
  return (error, text) => {
    const held = limit.pass(text);
    if (held === undefined) return;
    log.warn(what === 'statement' ? 'failed to execute statement' : 'failed to eval condition', {
      error: messageOf(error),
      [what]: text,
      ...(held > 0 ? { suppressed: held } : {}),
    });
  };
}
