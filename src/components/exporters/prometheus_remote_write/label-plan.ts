/** How labels of points and of resources are put together without sorting: plans, and the bytes they move. */
import type { Label } from '../../../wire/remote-write.ts';
import { hashBytes, viewOf } from './byte-table.ts';
import { compareNames } from './labels.ts';

/** The labels of a resource as bytes, with where each begins, and hashes that do not depend on their order. */
export interface Base {
  readonly names: readonly string[];
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly hash: readonly [number, number];
  /** The same for all bases with these names. */
  readonly shape: number;
  /** By first label: the run that was asked for last, as a view. */
  readonly runs: ({ readonly end: number; readonly bytes: Uint8Array } | undefined)[];
}

/** More labels than a position in a plan can tell. */
export const MAX_BASE = 255;
const SEEDS = [0x51ed270b, 0x2545f491] as const;

export function hashOf(encoded: readonly Uint8Array[]): [number, number] {
  let a = 0;
  let b = 0;
  for (const e of encoded) {
    const view = viewOf(e);
    a = (a + hashBytes(view, 0, e.length, SEEDS[0])) | 0;
    b = (b + hashBytes(view, 0, e.length, SEEDS[1])) | 0;
  }
  return [a, b];
}

/** The labels of a base from `first` to before `end`. */
export function runOf(base: Base, first: number, end: number): Uint8Array {
  const known = base.runs[first];
  if (known !== undefined && known.end === end) return known.bytes;
  const bytes = base.bytes.subarray(base.starts[first]!, base.starts[end]!);
  base.runs[first] = { end, bytes };
  return bytes;
}

export function copyShort(from: DataView, at: number, to: DataView, toAt: number, size: number): void {
  let i = 0;
  for (; i + 4 <= size; i += 4) to.setInt32(toAt + i, from.getInt32(at + i, true), true);
  for (; i < size; i++) to.setUint8(toAt + i, from.getUint8(at + i));
}

/**
 * How own labels go between shared ones: the number of runs, then for each how many shared labels stand before it and
 * how many bytes it has.
 */
export function planOf(own: readonly Label[], encoded: readonly Uint8Array[], base: readonly string[]): Uint8Array {
  const runs: { before: number; size: number }[] = [];
  let before = 0;
  for (const [i, [name]] of own.entries()) {
    while (before < base.length && compareNames(base[before]!, name) < 0) before++;
    const last = runs.at(-1);
    // Three bytes tell a size; what is longer is told in several runs.
    for (let left = encoded[i]!.length; left > 0; left -= 0xff_ffff) {
      const size = Math.min(left, 0xff_ffff);
      if (last && last.before === before && last.size + size <= 0xff_ffff) last.size += size;
      else runs.push({ before, size });
    }
  }
  const plan = new Uint8Array(2 + runs.length * 4);
  plan[0] = runs.length & 255;
  plan[1] = runs.length >> 8;
  for (const [i, r] of runs.entries()) {
    const p = 2 + i * 4;
    plan[p] = r.before;
    plan[p + 1] = r.size & 255;
    plan[p + 2] = (r.size >> 8) & 255;
    plan[p + 3] = r.size >> 16;
  }
  return plan;
}
