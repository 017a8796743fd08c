/** What a known trouble looks like in a log, and what helps. The rules are data; their order counts: the first that matches a line has it. */
import type { LogEntry } from './line.ts';

export interface LogRule {
  readonly id: string;
  readonly state: 'failure' | 'warning';
  /** Also of lines without a level, which a process prints when it has no log yet or no more. */
  readonly isPrinted?: boolean;
  /** It is told again and again while it lasts: a log that is silent about it says that it is over. */
  readonly isRepeated?: boolean;
  /** A later line of the same component that says that it is over. */
  readonly isOver?: RegExp;
  /** Of the text of an entry: message and fields, a line each. */
  readonly pattern: RegExp;
  /** One sentence; lines of which it is the same are one finding, so nothing in it may differ from line to line. */
  readonly what: (match: RegExpExecArray, entry: LogEntry) => string;
  readonly fix: (match: RegExpExecArray, entry: LogEntry) => string;
}

/** `exporter otlphttp`, or what it is when the line does not say. */
export const who = (entry: LogEntry, otherwise: string): string =>
  entry.component === '' ? otherwise : entry.component;

/** Scheme, host and port of the URL that the text is about; '' without one. No path: it may hold a secret. */
export function targetOf(text: string): string {
  const url = /\bhttps?:\/\/[^\s"'\\]+/.exec(text)?.[0];
  if (url !== undefined && URL.canParse(url)) {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  }
  return /dial tcp:? (?:lookup )?([\w.:[\]-]+?)(?: on [^\s]+)?: /.exec(text)?.[1] ?? '';
}

/** ` of http://host:port`, '' without one. */
export const at = (text: string): string => {
  const target = targetOf(text);
  return target === '' ? '' : ` (${target})`;
};
