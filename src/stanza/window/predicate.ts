/** Expressions of operators that only look at the text of the body, over its bytes. */
import { type Node, parse } from '../../core/expr/parser.ts';
import { byteRegex, GAVE_UP } from '../../core/regex-bytes.ts';
import { isAsciiText } from './record.ts';

export const NO = 0;
export const YES = 1;
/** The general way must tell. */
export const UNKNOWN = -1;

/** Of the UTF-8 text buf[from, to). */
export type TextPredicate = (buf: Buffer, from: number, to: number) => number;

/** undefined: the expression is not of this kind. */
export function textPredicate(expression: string): TextPredicate | undefined {
  return compile(parse(expression));
}

function compile(node: Node): TextPredicate | undefined {
  if (node.t === 'unary' && node.op === 'not') {
    const arg = compile(node.arg);
    return (
      arg &&
      ((buf, from, to) => {
        const is = arg(buf, from, to);
        return is === UNKNOWN ? UNKNOWN : 1 - is;
      })
    );
  }
  if (node.t !== 'binary') return undefined;
  const { op, left, right } = node;
  if (op === 'and' || op === 'or') {
    const a = compile(left);
    const b = compile(right);
    const decides = op === 'and' ? NO : YES;
    return (
      a &&
      b &&
      ((buf, from, to) => {
        const is = a(buf, from, to);
        return is === UNKNOWN || is === decides ? is : b(buf, from, to);
      })
    );
  }
  const isBody = left.t === 'name' && (left.name === 'body' || left.name === '$');
  if (!isBody || right.t !== 'const' || typeof right.value !== 'string') return undefined;
  if (op === 'startsWith') {
    const want = Buffer.from(right.value);
    return (buf, from, to) => {
      if (to - from < want.length) return NO;
      for (let i = 0; i < want.length; i++) if (buf[from + i] !== want[i]) return NO;
      return YES;
    };
  }
  if (op !== 'matches') return undefined;
  const regex = byteRegex(right.value);
  if (!regex) return undefined;
  return (buf, from, to) => {
    if (!regex.isUtf8 && !isAsciiText(buf, from, to)) return UNKNOWN;
    const at = regex.find(buf, from, to);
    return at === GAVE_UP ? UNKNOWN : at < 0 ? NO : YES;
  };
}
