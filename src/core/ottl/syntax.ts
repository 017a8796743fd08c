/** The tree of OTTL statements and conditions, and the errors that tell where in the text something is wrong. */

export type Op = '==' | '!=' | '<' | '>' | '<=' | '>=';

export interface Argument {
  readonly name: string | undefined;
  readonly value: ValueNode;
}

export interface CallNode {
  readonly t: 'call';
  readonly at: number;
  readonly name: string;
  readonly args: readonly Argument[];
  readonly keys: readonly ValueNode[];
}

export interface PathSegment {
  readonly name: string;
  readonly keys: readonly ValueNode[];
}

export interface PathNode {
  readonly t: 'path';
  readonly at: number;
  readonly end: number;
  readonly segments: readonly PathSegment[];
}

export type Literal = null | boolean | bigint | number | string | Uint8Array;

export type ValueNode =
  | { readonly t: 'literal'; readonly at: number; readonly value: Literal }
  /** An enum, or the name of a converter where a parameter takes one. */
  | { readonly t: 'symbol'; readonly at: number; readonly name: string }
  | PathNode
  | CallNode
  | { readonly t: 'list'; readonly at: number; readonly items: readonly ValueNode[] }
  | { readonly t: 'map'; readonly at: number; readonly entries: readonly (readonly [string, ValueNode])[] }
  | {
      readonly t: 'math';
      readonly at: number;
      readonly op: '+' | '-' | '*' | '/';
      readonly left: ValueNode;
      readonly right: ValueNode;
    };

export type BoolNode =
  | { readonly t: 'and' | 'or'; readonly at: number; readonly items: readonly BoolNode[] }
  | { readonly t: 'not'; readonly at: number; readonly item: BoolNode }
  | { readonly t: 'const'; readonly at: number; readonly value: boolean }
  | { readonly t: 'call-bool'; readonly at: number; readonly call: CallNode }
  | {
      readonly t: 'compare';
      readonly at: number;
      readonly op: Op;
      readonly left: ValueNode;
      readonly right: ValueNode;
    };

export interface StatementNode {
  readonly editor: CallNode;
  readonly where: BoolNode | undefined;
}

/** `line:column` of a place in a text, from 1. */
export function positionOf(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${before.at(-1)!.length + 1}`;
}

/** Something in a text that cannot work: its syntax, or a name or type in it. */
export class OttlError extends Error {
  readonly at: number;
  readonly isSyntax: boolean;
  constructor(message: string, at: number, isSyntax = false) {
    super(message);
    this.name = 'OttlError';
    this.at = at;
    this.isSyntax = isSyntax;
  }
}
