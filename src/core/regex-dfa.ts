/**
 * Tells whether an expression matches anywhere in a text, one table look-up per character: states of the machine are
 * sets of instructions, made when they are first met and thrown away when there are too many.
 */
import { ASSERT, type Instruction, JUMP, MATCH, SAVE, SET, SPLIT } from './regex-program.ts';

const MAX_CELLS = 400_000;
const MATCHED = -2;
const UNKNOWN = -1;

interface State {
  /** Instructions that wait for a character, and `text-end` assertions. */
  readonly pcs: readonly number[];
  /** Next state by class of character. */
  readonly next: Int32Array;
  /** Whether it matches when the text ends here; undefined: not asked yet. */
  atEnd: boolean | undefined;
}

export class Dfa {
  readonly #program: readonly Instruction[];
  /** First code points of the classes of characters that the expression cannot tell apart. */
  readonly #bounds: readonly number[];
  readonly #ascii = new Uint16Array(128);
  #states: State[] = [];
  #known = new Map<string, number>();
  readonly #marks: Uint32Array;
  #mark = 0;

  private constructor(program: readonly Instruction[], bounds: readonly number[]) {
    this.#program = program;
    this.#bounds = bounds;
    this.#marks = new Uint32Array(program.length);
    for (let c = 0; c < 128; c++) this.#ascii[c] = this.#classOf(c);
  }

  /** undefined: the expression looks at neighbours of characters, which states do not know. */
  static of(program: readonly Instruction[]): Dfa | undefined {
    const bounds = new Set<number>([0]);
    for (const i of program) {
      if (i.op === ASSERT && i.assert !== 'text-start' && i.assert !== 'text-end') return undefined;
      const ranges = i.set?.ranges ?? [];
      for (let r = 0; r < ranges.length; r += 2) bounds.add(ranges[r]!).add(ranges[r + 1]! + 1);
    }
    return bounds.size > 4000
      ? undefined
      : new Dfa(
          program,
          [...bounds].sort((a, b) => a - b),
        );
  }

  test(text: string): boolean {
    if (text === '') return this.#close(0, this.#begin(), true, true);
    let at = this.#start();
    if (at === MATCHED) return true;
    const { length } = text;
    for (let i = 0; i < length; i++) {
      let code = text.charCodeAt(i);
      let kind: number;
      if (code < 128) kind = this.#ascii[code]!;
      else {
        if (code >= 0xd800 && code < 0xdc00) {
          code = text.codePointAt(i)!;
          if (code > 0xffff) i++;
        }
        kind = this.#classOf(code);
      }
      let next = this.#states[at]!.next[kind]!;
      if (next === UNKNOWN) next = this.#step(at, kind);
      if (next === MATCHED) return true;
      at = next;
    }
    return this.#matchesAtEnd(at);
  }

  #classOf(code: number): number {
    const b = this.#bounds;
    let lo = 0;
    let hi = b.length - 1;
    while (lo < hi) {
      const mid = (lo + hi + 1) >> 1;
      if (b[mid]! <= code) lo = mid;
      else hi = mid - 1;
    }
    return lo;
  }

  #begin(): number[] {
    if (++this.#mark === 0xffffffff) {
      this.#marks.fill(0);
      this.#mark = 1;
    }
    return [];
  }

  /** Adds what can be reached without a character; true when that is a match. */
  #close(pc0: number, out: number[], isStart: boolean, isEnd: boolean): boolean {
    const stack = [pc0];
    while (stack.length > 0) {
      const pc = stack.pop()!;
      if (this.#marks[pc] === this.#mark) continue;
      this.#marks[pc] = this.#mark;
      const i = this.#program[pc]!;
      if (i.op === MATCH) return true;
      if (i.op === SET) out.push(pc);
      else if (i.op === JUMP) stack.push(i.x);
      else if (i.op === SPLIT) stack.push(i.x, i.y);
      else if (i.op === SAVE) stack.push(pc + 1);
      else if (i.assert === 'text-start' ? isStart : isEnd) stack.push(pc + 1);
      else if (i.assert === 'text-end') out.push(pc);
    }
    return false;
  }

  #start(): number {
    const known = this.#known.get('start');
    if (known !== undefined) return known;
    const pcs = this.#begin();
    const to = this.#close(0, pcs, true, false) ? MATCHED : this.#state(pcs);
    this.#known.set('start', to);
    return to;
  }

  #step(from: number, kind: number): number {
    const code = this.#bounds[kind]!;
    const state = this.#states[from]!;
    const pcs = this.#begin();
    let matched = false;
    for (const pc of state.pcs) {
      const i = this.#program[pc]!;
      if (i.op === SET && i.set!.has(code) && this.#close(pc + 1, pcs, false, false)) matched = true;
      if (matched) break;
    }
    // A match may begin at the next character as well.
    if (!matched) matched = this.#close(0, pcs, false, false);
    const to = matched ? MATCHED : this.#state(pcs);
    // After a clearing `state` is no longer part of the table; writing to it does no harm.
    state.next[kind] = to;
    return to;
  }

  #state(pcs: number[]): number {
    pcs.sort((a, b) => a - b);
    const key = pcs.join(' ');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const width = this.#bounds.length;
    if ((this.#states.length + 1) * width > MAX_CELLS) {
      this.#states = [];
      this.#known.clear();
    }
    const at = this.#states.push({ pcs, next: new Int32Array(width).fill(UNKNOWN), atEnd: undefined }) - 1;
    this.#known.set(key, at);
    return at;
  }

  #matchesAtEnd(at: number): boolean {
    const state = this.#states[at]!;
    if (state.atEnd === undefined) {
      const pcs = this.#begin();
      state.atEnd = state.pcs.some((pc) => this.#program[pc]!.op === ASSERT && this.#close(pc, pcs, false, true));
    }
    return state.atEnd;
  }
}
