/** Forced garbage collection, where the runtime can be talked into it. */

/**
 * Without it a limiter could wait for ever: while it holds everything back, nothing allocates, and the runtime has no
 * reason to collect what is garbage already. Undefined where there is no such function.
 */
export function findCollector(): (() => void) | undefined {
  const given = (globalThis as { gc?: () => void }).gc;
  if (given) return given;
  try {
    process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc');
    const gc: unknown = process.getBuiltinModule('node:vm').runInNewContext('gc');
    return typeof gc === 'function' ? () => void gc() : undefined;
  } catch {
    return undefined;
  }
}
