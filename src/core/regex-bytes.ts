/**
 * Regular expressions over bytes of text, for paths that do not make strings: groups come out as positions. Knows the
 * forms that patterns of log lines are made of, and gives up on what it does not know or what takes it too long; the
 * caller then asks the engines of regex.ts, which find the same (leftmost match, first alternative first).
 */
import { parseRegex, type RegexNode } from './regex-syntax.ts';

/** `find` could not tell. */
export const GAVE_UP = -2;

const BYTE = 0;
const SET = 1;
/** A run of one set; what follows decides where it ends, so it is never shortened. */
const RUN = 2;
const GREEDY = 3;
const LAZY = 4;
const SAVE = 5;
const SPLIT = 6;
const JUMP = 7;
const BEGIN = 8;
const END = 9;
const WORD = 10;
const NO_WORD = 11;
const MATCH = 12;
/** Numbers of an operation: its code, and up to three operands. */
const OP = 4;

const MAX_OPS = 2000;
const MAX_STACK = 3 * 4096;
/** Bytes from 128 on all behave alike, if at all (see `isUtf8`), so they share the last place. */
const SET_SIZE = 256;

/** What may come at some place of the pattern: bytes, and whether the end of the match may come there, too. */
interface Next {
  readonly bytes: Uint8Array;
  /** It may match without taking a byte, so the bytes do not tell all. */
  readonly isOpen: boolean;
}

class Unknown extends Error {}

/** Steps back, and bytes looked at again, that one search may take. */
const STEPS_PER_BYTE = 32;

export class ByteRegex {
  /** Name of each group, '' without; [0] is the whole match. */
  readonly groupNames: readonly string[];
  /** Of the last match: start and end of each group; -1 when it took no part. */
  readonly spans: Int32Array;
  /** Text may be any UTF-8; otherwise it must be ASCII. */
  readonly isUtf8: boolean;

  readonly #code: Int32Array;
  readonly #sets: readonly Uint8Array[];
  readonly #anchored: boolean;
  /** Bytes that a match can begin with, but at the end of the text; undefined: any. */
  readonly #first: Uint8Array | undefined;
  readonly #stack = new Int32Array(MAX_STACK);

  constructor(names: readonly string[], made: Assembly) {
    this.groupNames = names;
    this.spans = new Int32Array(names.length * 2).fill(-1);
    this.#code = Int32Array.from(made.code);
    this.#sets = made.sets;
    this.isUtf8 = made.isUtf8;
    this.#anchored = made.anchored;
    this.#first = made.first;
  }

  /** Position of the first match in buf[from, to), -1 when there is none, or GAVE_UP. */
  find(buf: Uint8Array, from: number, to: number): number {
    const budget = (to - from + 16) * STEPS_PER_BYTE;
    if (this.#anchored) {
      const left = this.#run(buf, from, from, to, budget);
      return left === GAVE_UP ? GAVE_UP : left < 0 ? -1 : from;
    }
    const first = this.#first;
    let left = budget;
    for (let at = from; at <= to; at++) {
      if (first) while (at < to && first[buf[at]!] === 0) at++;
      // No match begins inside of a character, not even one of nothing (`\B`).
      if (at < to && (buf[at]! & 0xc0) === 0x80) continue;
      const rest = this.#run(buf, from, at, to, left);
      if (rest >= 0) return at;
      if (rest === GAVE_UP) return GAVE_UP;
      left = -3 - rest;
    }
    return -1;
  }

  /** Tries at `start`. At least 0: matched; GAVE_UP; else -3 less the steps that are left. */
  #run(buf: Uint8Array, from: number, start: number, to: number, budget: number): number {
    const code = this.#code;
    const sets = this.#sets;
    const spans = this.spans;
    const stack = this.#stack;
    let top = 0;
    let left = budget;
    let pc = 0;
    let p = start;
    spans.fill(-1);
    spans[0] = start;
    for (;;) {
      let failed = false;
      switch (code[pc]!) {
        case BYTE:
          if (p < to && buf[p] === code[pc + 1]) {
            p++;
            pc += OP;
          } else failed = true;
          break;
        case SET:
          if (p < to && sets[code[pc + 1]!]![buf[p]!] === 1) {
            p++;
            pc += OP;
          } else failed = true;
          break;
        case RUN: {
          const set = sets[code[pc + 1]!]!;
          const min = p + code[pc + 2]!;
          const max = code[pc + 3]!;
          const stop = max < 0 || p + max > to ? to : p + max;
          while (p < stop && set[buf[p]!] === 1) p++;
          if (p < min) failed = true;
          else pc += OP;
          break;
        }
        case GREEDY: {
          const set = sets[code[pc + 1]!]!;
          const min = p + code[pc + 2]!;
          const max = code[pc + 3]!;
          const stop = max < 0 || p + max > to ? to : p + max;
          while (p < stop && set[buf[p]!] === 1) p++;
          if (p < min) failed = true;
          else {
            if (p > min) {
              if (top + 3 > MAX_STACK) return GAVE_UP;
              stack[top++] = min;
              stack[top++] = p;
              stack[top++] = pc;
            }
            pc += OP;
          }
          break;
        }
        case LAZY: {
          const set = sets[code[pc + 1]!]!;
          const min = p + code[pc + 2]!;
          const max = code[pc + 3]!;
          const stop = max < 0 || p + max > to ? to : p + max;
          while (p < min && p < to && set[buf[p]!] === 1) p++;
          if (p < min) failed = true;
          else {
            if (p < stop) {
              if (top + 3 > MAX_STACK) return GAVE_UP;
              stack[top++] = stop;
              stack[top++] = p;
              stack[top++] = pc;
            }
            pc += OP;
          }
          break;
        }
        case SAVE: {
          const slot = code[pc + 1]!;
          if (top > 0) {
            if (top + 3 > MAX_STACK) return GAVE_UP;
            stack[top++] = slot;
            stack[top++] = spans[slot]!;
            stack[top++] = -1;
          }
          spans[slot] = p;
          pc += OP;
          break;
        }
        case SPLIT:
          if (top + 3 > MAX_STACK) return GAVE_UP;
          stack[top++] = code[pc + 2]!;
          stack[top++] = p;
          stack[top++] = -2;
          pc = code[pc + 1]!;
          break;
        case JUMP:
          pc = code[pc + 1]!;
          break;
        case BEGIN:
          if (p === from) pc += OP;
          else failed = true;
          break;
        case END:
          if (p === to) pc += OP;
          else failed = true;
          break;
        case WORD:
        case NO_WORD: {
          const before = p > from && IS_WORD[buf[p - 1]!] === 1;
          const after = p < to && IS_WORD[buf[p]!] === 1;
          if ((before !== after) === (code[pc] === WORD)) pc += OP;
          else failed = true;
          break;
        }
        default:
          spans[1] = p;
          return left;
      }
      if (!failed) continue;

      for (;;) {
        if (--left <= 0) return GAVE_UP;
        if (top === 0) {
          // What was looked at will be looked at again from the next start.
          left -= p - start;
          return left > 0 ? -3 - left : GAVE_UP;
        }
        const at = stack[top - 1]!;
        if (at === -1) {
          spans[stack[top - 3]!] = stack[top - 2]!;
          top -= 3;
          continue;
        }
        if (at === -2) {
          pc = stack[top - 3]!;
          p = stack[top - 2]!;
          top -= 3;
          break;
        }
        if (code[at] === GREEDY) {
          const min = stack[top - 3]!;
          p = stack[top - 2]! - 1;
          // Where a certain byte has to follow, other places need not be tried.
          const then = code[at + OP] === BYTE ? code[at + OP + 1]! : -1;
          if (then >= 0) while (p >= min && buf[p] !== then) p--;
          if (p <= min) top -= 3;
          else stack[top - 2] = p;
          if (p < min) continue;
        } else {
          const stop = stack[top - 3]!;
          const set = sets[code[at + 1]!]!;
          p = stack[top - 2]!;
          if (set[buf[p]!] !== 1) {
            top -= 3;
            continue;
          }
          p++;
          const then = code[at + OP] === BYTE ? code[at + OP + 1]! : -1;
          if (then >= 0) while (p < stop && buf[p] !== then && set[buf[p]!] === 1) p++;
          if (p >= stop) top -= 3;
          else stack[top - 2] = p;
        }
        pc = at + OP;
        break;
      }
    }
  }
}

const IS_WORD = new Uint8Array(SET_SIZE);
for (const c of Buffer.from('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz')) IS_WORD[c] = 1;

interface Assembly {
  readonly code: readonly number[];
  readonly sets: readonly Uint8Array[];
  readonly isUtf8: boolean;
  readonly anchored: boolean;
  readonly first: Uint8Array | undefined;
}

/** The expression over bytes, or undefined when it has something that is not known here. Its syntax must be right. */
export function byteRegex(source: string): ByteRegex | undefined {
  const { root, names } = parseRegex(source);
  try {
    return new ByteRegex(names, assemble(root));
  } catch (error) {
    if (error instanceof Unknown) return undefined;
    throw error;
  }
}

const NO_BYTES = new Uint8Array(SET_SIZE);
/** Nothing may follow but the end of the text. */
const AT_END: Next = { bytes: NO_BYTES, isOpen: false };
const ANYTHING: Next = { bytes: NO_BYTES, isOpen: true };

function union(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(SET_SIZE);
  for (let i = 0; i < SET_SIZE; i++) out[i] = a[i]! | b[i]!;
  return out;
}

const overlap = (a: Uint8Array, b: Uint8Array): boolean => a.some((bit, i) => bit === 1 && b[i] === 1);

function assemble(root: RegexNode): Assembly {
  const code: number[] = [];
  const sets: Uint8Array[] = [];
  let isUtf8 = true;

  const emit = (op: number, a = 0, b = 0, c = 0): number => {
    if (code.length > MAX_OPS * OP) throw new Unknown();
    return code.push(op, a, b, c) - OP;
  };

  /** Of bytes from 128 on all or none. A set that has some of those characters can only be asked about ASCII. */
  const bytesOf = (ranges: readonly number[]): Uint8Array => {
    const bytes = new Uint8Array(SET_SIZE);
    let high = 0;
    for (let i = 0; i < ranges.length; i += 2) {
      for (let c = ranges[i]!; c <= ranges[i + 1]! && c < 128; c++) bytes[c] = 1;
      if (ranges[i + 1]! >= 128) high += ranges[i + 1]! - Math.max(128, ranges[i]!) + 1;
    }
    if (high === 0x110000 - 128) bytes.fill(1, 128);
    else if (high > 0) isUtf8 = false;
    return bytes;
  };
  const setOf = (bytes: Uint8Array): number => {
    const known = sets.findIndex((s) => s.every((bit, i) => bit === bytes[i]));
    return known >= 0 ? known : sets.push(bytes) - 1;
  };

  /** What `node` may begin with when `next` comes behind it. */
  const firstOf = (node: RegexNode, next: Next): Next => {
    switch (node.t) {
      case 'empty':
        return next;
      case 'set':
        return { bytes: bytesOf(node.set), isOpen: false };
      case 'assert':
        if (node.at === 'text-end') return AT_END;
        return node.at === 'text-start' ? next : { bytes: next.bytes, isOpen: true };
      case 'group':
        return firstOf(node.item, next);
      case 'cat':
        return node.items.reduceRight((after, item) => firstOf(item, after), next);
      case 'alt':
        return node.items
          .map((item) => firstOf(item, next))
          .reduce((a, b) => ({ bytes: union(a.bytes, b.bytes), isOpen: a.isOpen || b.isOpen }));
      case 'repeat': {
        if (node.max === 0) return next;
        const inside = firstOf(node.item, node.max === 1 ? next : { bytes: next.bytes, isOpen: true });
        if (node.min > 0) return inside;
        return { bytes: union(inside.bytes, next.bytes), isOpen: inside.isOpen || next.isOpen };
      }
    }
  };

  const isNullable = (node: RegexNode): boolean => {
    switch (node.t) {
      case 'empty':
      case 'assert':
        return true;
      case 'set':
        return false;
      case 'group':
        return isNullable(node.item);
      case 'cat':
        return node.items.every(isNullable);
      case 'alt':
        return node.items.some(isNullable);
      case 'repeat':
        return node.min === 0 || isNullable(node.item);
    }
  };

  const repeat = (node: RegexNode & { t: 'repeat' }, next: Next, isLast: boolean): void => {
    const { item, min, max, greedy } = node;
    if (item.t === 'set') {
      const bytes = bytesOf(item.set);
      // A character of several bytes can only be taken whole: by a run that nothing cuts and that counts nothing.
      const certain = !next.isOpen && !overlap(bytes, next.bytes);
      if (bytes[128] === 1 && !((certain || (isLast && greedy)) && max < 0 && min <= 1)) isUtf8 = false;
      emit(certain || (isLast && greedy) ? RUN : greedy ? GREEDY : LAZY, setOf(bytes), min, max);
      return;
    }
    // A loop over something that may be empty ends by rules of its own.
    if (isNullable(item)) throw new Unknown();
    const inLoop: Next = firstOf(item, ANYTHING);
    const again: Next = { bytes: union(inLoop.bytes, next.bytes), isOpen: inLoop.isOpen || next.isOpen };
    for (let i = 0; i < min; i++) compile(item, again, false);
    if (max < 0) {
      const split = emit(SPLIT);
      compile(item, again, false);
      emit(JUMP, split);
      branch(split, split + OP, code.length, greedy);
      return;
    }
    const splits: number[] = [];
    for (let i = min; i < max; i++) {
      splits.push(emit(SPLIT));
      compile(item, again, false);
    }
    for (const split of splits) branch(split, split + OP, code.length, greedy);
  };
  const branch = (split: number, enter: number, leave: number, greedy: boolean): void => {
    code[split + 1] = greedy ? enter : leave;
    code[split + 2] = greedy ? leave : enter;
  };

  /** `isLast`: behind it the match is over, so the first way to get there is the match. */
  const compile = (node: RegexNode, next: Next, isLast: boolean): void => {
    switch (node.t) {
      case 'empty':
        return;
      case 'set': {
        const bytes = bytesOf(node.set);
        if (bytes[128] === 1) isUtf8 = false;
        const only = bytes.indexOf(1);
        if (only >= 0 && bytes.indexOf(1, only + 1) < 0) emit(BYTE, only);
        else emit(SET, setOf(bytes));
        return;
      }
      case 'assert':
        if (node.at === 'text-start') emit(BEGIN);
        else if (node.at === 'text-end') emit(END);
        else if (node.at === 'word') emit(WORD);
        else if (node.at === 'no-word') emit(NO_WORD);
        else throw new Unknown();
        return;
      case 'group':
        emit(SAVE, node.index * 2);
        compile(node.item, next, isLast);
        emit(SAVE, node.index * 2 + 1);
        return;
      case 'cat': {
        const after: Next[] = [];
        node.items.reduceRight((following, item, i) => {
          after[i] = following;
          return firstOf(item, following);
        }, next);
        node.items.forEach((item, i) => {
          compile(item, after[i]!, isLast && i === node.items.length - 1);
        });
        return;
      }
      case 'alt': {
        const jumps: number[] = [];
        node.items.forEach((item, i) => {
          const isFinal = i === node.items.length - 1;
          const split = isFinal ? -1 : emit(SPLIT);
          compile(item, next, isLast);
          if (isFinal) return;
          jumps.push(emit(JUMP));
          branch(split, split + OP, code.length, true);
        });
        for (const jump of jumps) code[jump + 1] = code.length;
        return;
      }
      case 'repeat':
        repeat(node, next, isLast);
        return;
    }
  };

  compile(root, ANYTHING, true);
  emit(MATCH);
  const first = firstOf(root, ANYTHING);
  return { code, sets, isUtf8, anchored: isAnchored(root), first: first.isOpen ? undefined : first.bytes };
}

function isAnchored(node: RegexNode): boolean {
  switch (node.t) {
    case 'assert':
      return node.at === 'text-start';
    case 'cat':
      return node.items.length > 0 && isAnchored(node.items[0]!);
    case 'group':
      return isAnchored(node.item);
    case 'alt':
      return node.items.every(isAnchored);
    default:
      return false;
  }
}
