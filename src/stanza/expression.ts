/** Expressions of operators: the variables they see, and EXPR(…) templates. */
import { env } from 'node:process';
import * as z from 'zod';
import { messageOf } from '../core/errors.ts';
import { type CompiledExpr, compileExpr, type ExprValue, Instant, type Kind } from '../core/expr/expr.ts';
import type { Value } from '../wire/otlp.ts';
import type { Entry } from './entry.ts';

export type EntryExpr = CompiledExpr<Entry>;

const VARIABLES: ReadonlyMap<string, (entry: Entry) => ExprValue> = new Map<string, (entry: Entry) => ExprValue>([
  ['body', (e) => e.body],
  ['$', (e) => e.body],
  ['attributes', (e) => e.attributes],
  ['resource', (e) => e.resource],
  ['timestamp', (e) => new Instant(e.time)],
  ['severity_text', (e) => e.severityText],
  ['severity_number', (e) => BigInt(e.severityNumber)],
]);

// The one place where the language of the configuration reaches outside of the record.
const FUNCTIONS = new Map([
  [
    'env',
    (args: readonly ExprValue[]): ExprValue => {
      if (typeof args[0] !== 'string') throw new Error('env takes the name of a variable');
      return env[args[0]] ?? '';
    },
  ],
]);

/** Throws an Error whose message says what is wrong, and where. */
export const compileEntryExpr = (text: string, expect?: Kind): EntryExpr =>
  compileExpr<Entry>(text, { variables: VARIABLES, functions: FUNCTIONS, expect });

export const exprSchema = (expect?: Kind) =>
  z.string().transform((text, ctx): EntryExpr => {
    try {
      return compileEntryExpr(text, expect);
    } catch (error) {
      ctx.addIssue({
        code: 'custom',
        message: `failed to compile expression ${JSON.stringify(text)}: ${messageOf(error)}`,
      });
      return z.NEVER;
    }
  });

/** What an expression gave, as a value of a record. */
export function toValue(v: ExprValue): Value {
  if (v === undefined) return null;
  if (v instanceof Instant) return v.toString();
  return v as Value;
}

/** Text with EXPR(…) in it: gives the text, or throws when a part does not give a string. */
export type Template = (entry: Entry) => string;

/** The template, or undefined when there is no EXPR in the text. */
export function compileTemplate(text: string): Template | undefined {
  const parts: (string | EntryExpr)[] = [];
  let from = 0;
  for (;;) {
    const at = text.indexOf('EXPR(', from);
    if (at < 0) break;
    const end = closing(text, at + 5);
    if (end < 0) break;
    if (at > from) parts.push(text.slice(from, at));
    parts.push(compileEntryExpr(text.slice(at + 5, end)));
    from = end + 1;
  }
  if (!parts.some((p) => typeof p !== 'string')) return undefined;
  if (from < text.length) parts.push(text.slice(from));
  return (entry) => {
    let out = '';
    for (const part of parts) {
      if (typeof part === 'string') {
        out += part;
        continue;
      }
      const v = part(entry);
      if (typeof v !== 'string') throw new Error('embedded expression returned non-string');
      out += v;
    }
    return out;
  };
}

/** An expression that makes up the whole text: EXPR(…). */
export function wholeExpr(text: string): string | undefined {
  if (!text.startsWith('EXPR(')) return undefined;
  return closing(text, 5) === text.length - 1 ? text.slice(5, -1) : undefined;
}

/** Where the bracket opened before `from` is closed; strings are passed over. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    const c = text[i];
    if (c === '(') depth++;
    else if (c === ')') {
      if (--depth === 0) return i;
    } else if (c === '"' || c === "'" || c === '`') {
      let j = i + 1;
      while (j < text.length && text[j] !== c) j += text[j] === '\\' && c !== '`' ? 2 : 1;
      i = j;
    }
  }
  return -1;
}
