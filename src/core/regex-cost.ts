/**
 * How much work a backtracking engine may have with an expression. Looks at which characters may follow each other
 * (positions and their followers, as in Glushkov's construction, but counting every way to get there): where the next
 * character always decides, backtracking cannot multiply.
 */
import { type CharSet, negate, overlaps, type RegexNode } from './regex-syntax.ts';

/** Work grows at most with length ** degree; Infinity: exponentially, or with results that only Go's engines give. */
export interface RegexCost {
  readonly degree: number;
}

const MAX_POSITIONS = 600;

interface Part {
  readonly nullable: boolean;
  readonly first: readonly number[];
  readonly last: readonly number[];
}

const NOTHING: Part = { nullable: true, first: [], last: [] };

export function costOf(root: RegexNode): RegexCost {
  const sets: CharSet[] = [];
  const follow: number[][] = [];
  /** Positions [from, to) of the bodies of loops. */
  const loops: { from: number; to: number; last: readonly number[] }[] = [];
  let tooMuch = false;

  function connect(a: readonly number[], b: readonly number[]): void {
    for (const p of a) {
      const f = follow[p]!;
      if (f.length > 500) tooMuch = true;
      else for (const q of b) f.push(q);
    }
  }

  function visit(node: RegexNode): Part {
    if (tooMuch) return NOTHING;
    switch (node.t) {
      case 'empty':
      case 'assert':
        return NOTHING;
      case 'set': {
        const p = sets.push(node.set) - 1;
        follow.push([]);
        if (p >= MAX_POSITIONS) tooMuch = true;
        return { nullable: false, first: [p], last: [p] };
      }
      case 'group':
        return visit(node.item);
      case 'cat': {
        let all: Part = NOTHING;
        for (const item of node.items) {
          const part = visit(item);
          connect(all.last, part.first);
          all = {
            nullable: all.nullable && part.nullable,
            first: all.nullable ? [...all.first, ...part.first] : all.first,
            last: part.nullable ? [...all.last, ...part.last] : part.last,
          };
        }
        return all;
      }
      case 'alt': {
        const parts = node.items.map(visit);
        return {
          nullable: parts.some((p) => p.nullable),
          first: parts.flatMap((p) => p.first),
          last: parts.flatMap((p) => p.last),
        };
      }
      case 'repeat': {
        const from = sets.length;
        const part = visit(node.item);
        if (node.max !== 1 && node.max !== 0) {
          // A loop whose body may match nothing, or whose groups may be skipped in a round: engines differ there.
          if (part.nullable || skipsGroup(node.item)) tooMuch = true;
          connect(part.last, part.first);
          loops.push({ from, to: sets.length, last: part.last });
        } else if (node.min === 0 && part.nullable) tooMuch = true;
        return { ...part, nullable: part.nullable || node.min === 0 };
      }
    }
  }

  const whole = visit(root);
  if (tooMuch) return { degree: Number.POSITIVE_INFINITY };

  const conflict = (positions: readonly number[]): boolean => {
    for (let i = 0; i < positions.length; i++)
      for (let j = i + 1; j < positions.length; j++)
        if (overlaps(sets[positions[i]!]!, sets[positions[j]!]!)) return true;
    return false;
  };

  let ambiguous = 0;
  let plain = 0;
  for (const loop of loops) {
    const inside = (p: number) => p >= loop.from && p < loop.to;
    for (let p = loop.from; p < loop.to; p++)
      if (conflict(follow[p]!.filter(inside))) return { degree: Number.POSITIVE_INFINITY };
    const leaves = loop.last.some((p) => {
      const out = follow[p]!.filter((q) => !inside(q));
      const back = follow[p]!.filter(inside);
      return out.some((q) => back.some((b) => overlaps(sets[q]!, sets[b]!)));
    });
    if (leaves) ambiguous++;
    else plain++;
  }
  // Alternatives that start alike outside of loops only cost a factor.
  const floating = loops.length > 0 && whole.first.length > 0 && !anchored(root) && !startsWithAnything(root) ? 1 : 0;
  const degree = ambiguous + floating + (plain > 0 && ambiguous + floating > 0 ? 1 : 0);
  return { degree: Math.max(1, degree) };
}

function anchored(node: RegexNode): boolean {
  switch (node.t) {
    case 'assert':
      return node.at === 'text-start';
    case 'cat':
      return node.items.length > 0 && anchored(node.items[0]!);
    case 'alt':
      return node.items.every(anchored);
    case 'group':
      return anchored(node.item);
    case 'repeat':
      return node.min > 0 && anchored(node.item);
    default:
      return false;
  }
}

/**
 * The expression begins with `.*` (or `.*?`): if it does not match from the start of a line, it does not match from
 * anywhere else in that line, so only line starts need to be tried.
 */
export function startsWithAnything(node: RegexNode): boolean {
  switch (node.t) {
    case 'cat':
      return node.items.length > 0 && startsWithAnything(node.items[0]!);
    case 'group':
      return startsWithAnything(node.item);
    case 'repeat': {
      const set = node.item.t === 'set' ? negate(node.item.set) : undefined;
      return (
        node.min === 0 &&
        node.max < 0 &&
        set !== undefined &&
        (set.length === 0 || (set.length === 2 && set[0] === 10 && set[1] === 10))
      );
    }
    default:
      return false;
  }
}

function hasGroup(node: RegexNode): boolean {
  switch (node.t) {
    case 'group':
      return true;
    case 'cat':
    case 'alt':
      return node.items.some(hasGroup);
    case 'repeat':
      return hasGroup(node.item);
    default:
      return false;
  }
}

/** Go keeps what a group matched in an earlier round; JavaScript forgets it. */
function skipsGroup(node: RegexNode): boolean {
  switch (node.t) {
    case 'group':
      return skipsGroup(node.item);
    case 'cat':
      return node.items.some(skipsGroup);
    case 'alt':
      return node.items.some(hasGroup);
    case 'repeat':
      return node.min === 0 ? hasGroup(node.item) : skipsGroup(node.item);
    default:
      return false;
  }
}
