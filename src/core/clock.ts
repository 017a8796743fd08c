/** Time as components get it, so that tests can set it. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  nowMs(): number;
  /** Wall clock, nanoseconds since 1970 (millisecond steps are enough). */
  nowUnixNano(): bigint;
  /** Never goes back; milliseconds from an arbitrary start. */
  monotonicMs(): number;
}

export const SYSTEM_CLOCK: Clock = {
  nowMs: () => Date.now(),
  nowUnixNano: () => BigInt(Date.now()) * 1_000_000n,
  monotonicMs: () => performance.now(),
};
