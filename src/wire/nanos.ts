/** Unix nanoseconds as fixed64 bytes, from parts that are exact as numbers. */

/** Writes lo and hi words, little endian; returns the next position. */
function putWords(buf: Uint8Array, at: number, lo: number, hi: number): number {
  buf[at] = lo;
  buf[at + 1] = lo >>> 8;
  buf[at + 2] = lo >>> 16;
  buf[at + 3] = lo >>> 24;
  buf[at + 4] = hi;
  buf[at + 5] = hi >>> 8;
  buf[at + 6] = hi >>> 16;
  buf[at + 7] = hi >>> 24;
  return at + 8;
}

// Records that follow each other mostly name the same second.
let lastSeconds = Number.NaN;
let lastLow = 0;
let lastHigh = 0;

/**
 * seconds·1e9 + nanos modulo 2^64. Seconds are any safe integer (negative before 1970), nanos 0…1e9-1.
 * The product is formed in halves of 16 bits, so that no intermediate exceeds 2^53.
 */
export function putSeconds(buf: Uint8Array, at: number, seconds: number, nanos: number): number {
  if (seconds !== lastSeconds) {
    const high = Math.floor(seconds / 65536);
    const a = high * 1e9;
    const aHigh = Math.floor(a / 65536);
    const total = (a - aHigh * 65536) * 65536 + (seconds - high * 65536) * 1e9;
    const carry = Math.floor(total / 4294967296);
    lastSeconds = seconds;
    lastLow = total - carry * 4294967296;
    lastHigh = aHigh + carry;
  }
  const low = lastLow + nanos;
  // ToInt32 takes the words modulo 2^32.
  return low < 4294967296
    ? putWords(buf, at, low | 0, lastHigh | 0)
    : putWords(buf, at, (low - 4294967296) | 0, (lastHigh + 1) | 0);
}

/** Milliseconds since 1970 as nanoseconds. */
export function putNanos(buf: Uint8Array, at: number, ms: number): number {
  const seconds = Math.floor(ms / 1000);
  return putSeconds(buf, at, seconds, Math.round((ms - seconds * 1000) * 1e6));
}
