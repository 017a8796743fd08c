/**
 * Matches in time linear in the text: runs all threads of the expression side by side (Pike's machine), with Go's
 * leftmost-first priorities and groups. Slower than the built-in engine for harmless expressions, never worse for evil ones.
 */
import { Dfa } from './regex-dfa.ts';
import { ASSERT, type Instruction, JUMP, MATCH, Matcher, SAVE, SET, SPLIT } from './regex-program.ts';
import { type RegexNode, RegexSyntaxError, type RegexTree } from './regex-syntax.ts';

const MAX_PROGRAM = 50_000;

export class LinearRegex {
  readonly #program: Instruction[] = [];
  readonly #slots: number;
  /** Answers yes or no much faster, where it can. */
  readonly #dfa: Dfa | undefined;
  // Two lists of threads, and where each instruction stands in them.
  readonly #lists: [Threads, Threads];

  constructor(tree: RegexTree) {
    this.#slots = tree.names.length * 2;
    this.#emit({ op: SAVE, x: 0, y: 0 });
    this.#node(tree.root);
    this.#emit({ op: SAVE, x: 1, y: 0 });
    this.#emit({ op: MATCH, x: 0, y: 0 });
    this.#dfa = Dfa.of(this.#program);
    const n = this.#program.length;
    this.#lists = [new Threads(n, this.#slots), new Threads(n, this.#slots)];
  }

  #emit(i: Instruction): number {
    if (this.#program.length >= MAX_PROGRAM)
      throw new RegexSyntaxError('error parsing regexp: expression is too large');
    return this.#program.push(i) - 1;
  }

  #node(node: RegexNode): void {
    const program = this.#program;
    switch (node.t) {
      case 'empty':
        return;
      case 'set':
        this.#emit({ op: SET, x: 0, y: 0, set: new Matcher(node.set) });
        return;
      case 'assert':
        this.#emit({ op: ASSERT, x: 0, y: 0, assert: node.at });
        return;
      case 'cat':
        for (const item of node.items) this.#node(item);
        return;
      case 'group':
        this.#emit({ op: SAVE, x: node.index * 2, y: 0 });
        this.#node(node.item);
        this.#emit({ op: SAVE, x: node.index * 2 + 1, y: 0 });
        return;
      case 'alt': {
        const ends: number[] = [];
        node.items.forEach((item, i) => {
          if (i === node.items.length - 1) {
            this.#node(item);
            return;
          }
          const split = this.#emit({ op: SPLIT, x: program.length + 1, y: 0 });
          this.#node(item);
          ends.push(this.#emit({ op: JUMP, x: 0, y: 0 }));
          program[split]!.y = program.length;
        });
        for (const e of ends) program[e]!.x = program.length;
        return;
      }
      case 'repeat':
        this.#repeat(node);
    }
  }

  #repeat(node: RegexNode & { t: 'repeat' }): void {
    const { item, min, max, greedy } = node;
    for (let i = 0; i < min - (max < 0 && min > 0 ? 1 : 0); i++) this.#node(item);
    if (max < 0) {
      // x* of something that may be empty is (x+)?, so that the empty round comes last.
      const optional = min === 0 ? this.#split(greedy) : undefined;
      const start = this.#program.length;
      this.#node(item);
      const split = this.#emit({ op: SPLIT, x: 0, y: 0 });
      this.#branch(split, greedy, start, split + 1);
      if (optional !== undefined) this.#branch(optional, greedy, optional + 1, this.#program.length);
      return;
    }
    const opened: number[] = [];
    for (let i = min; i < max; i++) {
      opened.push(this.#split(greedy));
      this.#node(item);
    }
    for (const s of opened) this.#branch(s, greedy, s + 1, this.#program.length);
  }

  #split(_greedy: boolean): number {
    return this.#emit({ op: SPLIT, x: 0, y: 0 });
  }

  #branch(split: number, greedy: boolean, into: number, past: number): void {
    const i = this.#program[split]!;
    i.x = greedy ? into : past;
    i.y = greedy ? past : into;
  }

  test(text: string): boolean {
    return this.#dfa ? this.#dfa.test(text) : this.#run(text, 0, false) !== undefined;
  }

  /** Start and end of each group (-1: not part of the match), searched from `from` on. */
  match(text: string, from: number): Int32Array | undefined {
    // Most texts that are searched from the start do not match at all.
    if (from === 0 && this.#dfa && !this.#dfa.test(text)) return undefined;
    return this.#run(text, from, true);
  }

  #run(text: string, from: number, groups: boolean): Int32Array | undefined {
    let [now, next] = this.#lists;
    now.clear();
    let found: Int32Array | undefined;
    const start = new Int32Array(groups ? this.#slots : 0).fill(-1);
    let at = from;
    for (;;) {
      if (!found) this.#add(now, 0, at, text, start, groups);
      if (now.size === 0 && found) return found;
      const code = at < text.length ? text.codePointAt(at)! : -1;
      const step = code > 0xffff ? 2 : 1;
      next.clear();
      for (let i = 0; i < now.size; i++) {
        const pc = now.order[i]!;
        const instruction = this.#program[pc]!;
        if (instruction.op === MATCH) {
          if (!groups) return start;
          found = now.slots(i).slice();
          break;
        }
        if (instruction.op === SET && code >= 0 && instruction.set!.has(code))
          this.#add(next, pc + 1, at + step, text, groups ? now.slots(i) : start, groups);
      }
      if (code < 0) return found;
      at += step;
      [now, next] = [next, now];
    }
  }

  readonly #stack: number[] = [];

  /** Follows everything that takes no character, in order of priority. */
  #add(list: Threads, pc0: number, at: number, text: string, slots: Int32Array, groups: boolean): void {
    const stack = this.#stack;
    const own = list.scratch;
    if (groups) own.set(slots);
    stack.length = 0;
    stack.push(pc0);
    while (stack.length > 0) {
      let pc = stack.pop()!;
      if (pc < 0) {
        // Puts back a slot: behind it are alternatives of lower priority.
        own[-pc - 1] = stack.pop()!;
        continue;
      }
      for (;;) {
        if (!list.enter(pc)) break;
        const i = this.#program[pc]!;
        if (i.op === JUMP) pc = i.x;
        else if (i.op === SPLIT) {
          stack.push(i.y);
          pc = i.x;
        } else if (i.op === SAVE) {
          if (groups) {
            stack.push(own[i.x]!, -(i.x + 1));
            own[i.x] = at;
          }
          pc++;
        } else if (i.op === ASSERT) {
          if (!holds(i.assert!, text, at)) break;
          pc++;
        } else {
          list.push(pc, own, groups);
          break;
        }
      }
    }
  }
}

const isWord = (c: number): boolean =>
  (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || c === 95 || (c >= 97 && c <= 122);

function holds(kind: NonNullable<Instruction['assert']>, text: string, at: number): boolean {
  switch (kind) {
    case 'text-start':
      return at === 0;
    case 'text-end':
      return at === text.length;
    case 'line-start':
      return at === 0 || text.charCodeAt(at - 1) === 10;
    case 'line-end':
      return at === text.length || text.charCodeAt(at) === 10;
    default:
      return (isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at))) === (kind === 'word');
  }
}

class Threads {
  size = 0;
  readonly order: Int32Array;
  readonly scratch: Int32Array;
  readonly #seen: Uint32Array;
  #generation = 0;
  readonly #saved: Int32Array;
  readonly #slots: number;

  constructor(program: number, slots: number) {
    this.order = new Int32Array(program);
    this.scratch = new Int32Array(slots);
    this.#seen = new Uint32Array(program);
    this.#saved = new Int32Array(program * slots);
    this.#slots = slots;
  }

  clear(): void {
    this.size = 0;
    if (++this.#generation === 0xffffffff) {
      this.#seen.fill(0);
      this.#generation = 1;
    }
  }

  enter(pc: number): boolean {
    if (this.#seen[pc] === this.#generation) return false;
    this.#seen[pc] = this.#generation;
    return true;
  }

  push(pc: number, slots: Int32Array, groups: boolean): void {
    if (groups) this.#saved.set(slots, this.size * this.#slots);
    this.order[this.size++] = pc;
  }

  slots(i: number): Int32Array {
    return this.#saved.subarray(i * this.#slots, (i + 1) * this.#slots);
  }
}
