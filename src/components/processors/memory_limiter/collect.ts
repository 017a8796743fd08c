/** Forced garbage collection, where the runtime can be talked into it. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Without it a limiter could wait for ever: while it holds everything back, nothing allocates, and the runtime has no
 * reason to collect what is garbage already. Undefined where there is no such function.
 */
export function findCollector(): (() => void) | undefined {
  const given = (globalThis as { gc?: () => void }).gc;
  if (given) return given;
  try {
    setFlagsFromString('--expose-gc');
    const gc: unknown = runInNewContext('gc');
    return typeof gc === 'function' ? () => void gc() : undefined;
  } catch {
    return undefined;
  }
}
