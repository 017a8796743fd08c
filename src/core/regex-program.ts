/** Instructions of the linear engine's machine. */
import type { CharSet, RegexNode } from './regex-syntax.ts';

export const SET = 0;
export const SPLIT = 1;
export const JUMP = 2;
export const SAVE = 3;
export const ASSERT = 4;
export const MATCH = 5;

export interface Instruction {
  readonly op: number;
  x: number;
  y: number;
  readonly set?: Matcher;
  readonly assert?: (RegexNode & { t: 'assert' })['at'];
}

/** Membership: a table for ASCII, ranges for the rest. */
export class Matcher {
  readonly #ascii = new Uint8Array(128);
  readonly ranges: CharSet;
  constructor(set: CharSet) {
    this.ranges = set;
    for (let i = 0; i < set.length; i += 2) for (let c = set[i]!; c <= set[i + 1]! && c < 128; c++) this.#ascii[c] = 1;
  }
  has(code: number): boolean {
    if (code < 128) return this.#ascii[code] === 1;
    const r = this.ranges;
    let lo = 0;
    let hi = (r.length >> 1) - 1;
    while (lo <= hi) {
      const mid = (lo + hi) >> 1;
      if (code < r[mid * 2]!) hi = mid - 1;
      else if (code > r[mid * 2 + 1]!) lo = mid + 1;
      else return true;
    }
    return false;
  }
}
