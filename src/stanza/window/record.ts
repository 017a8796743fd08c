/** Pieces of the fast paths: line ends, encoded attributes, and the bytes of a LogRecord. */
import { isAscii, isUtf8 } from 'node:buffer';
import { filtered } from '../../core/batch.ts';
import type { Clock } from '../../core/clock.ts';
import { putNanos, putSeconds } from '../../wire/nanos.ts';
import { writeAttributes } from '../../wire/otlp.ts';
import { ProtoWriter, putVarint } from '../../wire/proto.ts';
import type { Token } from '../program.ts';
import type { LogsSink } from '../sink.ts';
import type { Source } from '../source.ts';

/** See Program.window. */
export type Window = (source: Source, buf: Buffer, start: number, end: number, offset: number) => number;

export interface WindowContext {
  readonly sink: LogsSink;
  readonly clock: Clock;
  /** The general way for one line. */
  readonly fallback: (source: Source, token: Token) => void;
}

export const BLANK_LINE = filtered('blank line');
export const NEWLINE = 10;

/** Worst case of everything in a record besides body, attributes and severity text. */
export const RECORD_OVERHEAD = 72;

/** What upstream's trimming takes off: space, tab, CR, LF. */
export const isBlank = (c: number): boolean => c === 32 || c === 10 || c === 13 || c === 9;

export const varintBytes = (n: number): number =>
  n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : n < 268435456 ? 4 : 5;

/**
 * src[from, to) to out[at…]; returns the next position. perf: below some forty bytes a loop beats the call into native
 * code (bench `logs-json`).
 */
export function copyBytes(src: Buffer, from: number, to: number, out: Buffer, at: number): number {
  if (to - from > 40) {
    src.copy(out, at, from, to);
    return at + to - from;
  }
  let o = at;
  for (let i = from; i < to; i++) out[o++] = src[i]!;
  return o;
}

/** What records of a source have in common: attributes (the source's and `extra`), and the observed time, see `observe`. */
export function commonFields(source: Source, extra: readonly (readonly [string, string])[]): Buffer {
  const w = new ProtoWriter(256);
  writeAttributes(w, 6, extra.length > 0 ? new Map([...source.attributes, ...extra]) : source.attributes);
  w.fixed64(11, 0n);
  return Buffer.from(w.finish());
}

/** Sets the observed time in what commonFields made. */
export function observe(common: Buffer, observedMs: number): void {
  putNanos(common, common.length - 8, observedMs);
}

/** The bytes as they are when they are UTF-8, else with each ill-formed part replaced by U+FFFD. */
export const wellFormed = (bytes: Buffer): Buffer =>
  isUtf8(bytes) ? bytes : Buffer.from(bytes.toString('utf8'), 'utf8');

export const isAsciiText = (buf: Buffer, from: number, to: number): boolean => isAscii(buf.subarray(from, to));

/** The line buf[lineStart, lineEnd), trimmed to [start, end), as the general way wants it. */
export function tokenOf(
  buf: Buffer,
  start: number,
  end: number,
  lineStart: number,
  lineEnd: number,
  offset: number,
): Token {
  return {
    buf,
    start,
    end,
    offset,
    bytes: lineEnd - lineStart,
    raw: false,
    extra: undefined,
  };
}

/** Field 5: the body text[from, to) as a string. */
export function putBody(mem: Buffer, at: number, text: Buffer, from: number, to: number): number {
  let o = at;
  const size = to - from;
  mem[o++] = 0x2a;
  o = putVarint(mem, o, 1 + varintBytes(size) + size);
  mem[o++] = 0x0a;
  o = putVarint(mem, o, size);
  text.copy(mem, o, from, to);
  return o + size;
}

/**
 * One item of ScopeLogs: time (left out when `seconds` is NaN), string body, common fields. Returns the next position.
 */
export function putRecord(
  mem: Buffer,
  at: number,
  seconds: number,
  nanos: number,
  text: Buffer,
  from: number,
  to: number,
  common: Buffer,
): number {
  let o = at;
  const size = to - from;
  const value = 1 + varintBytes(size) + size;
  const timed = !Number.isNaN(seconds);
  mem[o++] = 0x12;
  o = putVarint(mem, o, (timed ? 9 : 0) + 1 + varintBytes(value) + value + common.length);
  if (timed) {
    mem[o++] = 0x09;
    o = putSeconds(mem, o, seconds, nanos);
  }
  o = putBody(mem, o, text, from, to);
  common.copy(mem, o, 0, common.length);
  return o + common.length;
}
