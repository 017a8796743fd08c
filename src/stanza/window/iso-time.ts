/** Reads `2026-11-22T10:00:00.123456789Z` (or ±hh:mm) from bytes; the second of the last time read is remembered. */

const DOT = 46;
const ZULU = 90;

export class IsoTime {
  /** Of the last `read` that succeeded: seconds since 1970 UTC and nanoseconds. */
  seconds = 0;
  nanos = 0;
  zulu = false;
  fraction = false;

  readonly #prefix = new Uint8Array(19);
  #prefixSeconds = 0;

  /** Position behind the time at `p`, or -1 when there is none of exactly this form (at most nine fraction digits). */
  read(buf: Buffer, p: number): number {
    let i = 18;
    while (i >= 0 && buf[p + i] === this.#prefix[i]) i--;
    if (i >= 0 && !this.#newPrefix(buf, p)) return -1;
    this.seconds = this.#prefixSeconds;
    let q = p + 19;
    let nanos = 0;
    this.fraction = buf[q] === DOT;
    if (this.fraction) {
      q++;
      let scale = 1e9;
      for (let c: number; (c = buf[q]! - 48) >= 0 && c <= 9; q++) {
        nanos = nanos * 10 + c;
        scale /= 10;
        if (scale < 1) return -1;
      }
      if (scale === 1e9) return -1;
      nanos *= scale;
    }
    this.nanos = nanos;
    this.zulu = buf[q] === ZULU;
    if (this.zulu) return q + 1;
    const offset = offsetSeconds(buf, q);
    if (Number.isNaN(offset)) return -1;
    this.seconds -= offset;
    return q + 6;
  }

  #newPrefix(buf: Buffer, p: number): boolean {
    const text = buf.toString('latin1', p, p + 19);
    const ms = Date.parse(`${text}Z`);
    // Date.parse takes the 30th of February for the 2nd of March.
    if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== text) return false;
    this.#prefix.set(buf.subarray(p, p + 19));
    this.#prefixSeconds = ms / 1000;
    return true;
  }
}

/** Seconds that `+02:00` at `p` stands for; NaN for anything but ±hh:mm. */
function offsetSeconds(buf: Buffer, p: number): number {
  const sign = buf[p] === 43 ? 1 : buf[p] === 45 ? -1 : Number.NaN;
  const digit = (i: number): number => {
    const d = buf[p + i]! - 48;
    return d >= 0 && d <= 9 ? d : Number.NaN;
  };
  if (buf[p + 3] !== 58) return Number.NaN;
  const hours = digit(1) * 10 + digit(2);
  const minutes = digit(4) * 10 + digit(5);
  return hours > 23 || minutes > 59 ? Number.NaN : sign * (hours * 3600 + minutes * 60);
}
