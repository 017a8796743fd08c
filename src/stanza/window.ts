/**
 * The hot path: read windows of whole lines → encoded log records, without an object per line.
 *
 * Two shapes are built for it: plain lines (no operators) and the `container` operator as first one. Whatever a line
 * has that this code does not know by heart (docker JSON, odd tags, broken times, paths of no pod) goes to `fallback`,
 * the general way through the operators, so behaviour is the same and only the price differs.
 */
import { isUtf8 } from 'node:buffer';
import { filtered } from '../core/batch.ts';
import type { Clock } from '../core/clock.ts';
import { EMPTY_SCOPE, type Resource, resourceOf } from '../core/resource.ts';
import { putNanos, putSeconds } from '../wire/nanos.ts';
import { writeAttributes } from '../wire/otlp.ts';
import { ProtoWriter, putVarint } from '../wire/proto.ts';
import { podOfPath } from './pod-path.ts';
import type { Token } from './program.ts';
import type { LogsSink } from './sink.ts';
import type { Source } from './source.ts';

export type Window = (source: Source, buf: Buffer, start: number, end: number, offset: number) => number;

export interface WindowContext {
  readonly sink: LogsSink;
  readonly clock: Clock;
  /** The general way for one line. */
  readonly fallback: (source: Source, token: Token) => void;
}

export interface ContainerWindowOptions {
  readonly format: '' | 'containerd' | 'crio';
  readonly addMetadataFromFilepath: boolean;
  /** Largest joined body; 0: no limit. */
  readonly maxLogSize: number;
  /** Joined parts are emitted unfinished after this long. */
  readonly flushAfterMs: number;
}

const BLANK_LINE = filtered('blank line');
const NL = 10;
const SPACE = 32;
const isBlank = (c: number): boolean => c === 32 || c === 10 || c === 13 || c === 9;

/** Worst case of everything in a record besides body and attributes. */
const RECORD_OVERHEAD = 64;

const varintBytes = (n: number): number => (n < 128 ? 1 : n < 16384 ? 2 : n < 2097152 ? 3 : n < 268435456 ? 4 : 5);

/** Attributes encoded as fields 6 of a LogRecord. */
function encodedAttributes(source: Source, extra: readonly (readonly [string, string])[]): Buffer {
  const w = new ProtoWriter(256);
  writeAttributes(w, 6, extra.length ? new Map([...source.attributes, ...extra]) : source.attributes);
  return Buffer.from(w.finish());
}

/** The bytes as they are when they are UTF-8, else with each ill-formed part replaced by U+FFFD. */
function wellFormed(bytes: Buffer): Buffer {
  return isUtf8(bytes) ? bytes : Buffer.from(bytes.toString('utf8'), 'utf8');
}

function tokenOf(buf: Buffer, start: number, end: number, lineStart: number, lineEnd: number, offset: number): Token {
  return {
    buf,
    start,
    end,
    untrimmedEnd: withoutLineEnd(buf, lineStart, lineEnd),
    offset,
    bytes: lineEnd - lineStart,
    raw: false,
    extra: undefined,
  };
}

/** Where the line [start, end) ends without its \n or \r\n. */
function withoutLineEnd(buf: Buffer, start: number, end: number): number {
  let e = end - 1;
  if (e > start && buf[e - 1] === 13) e--;
  return e;
}

/** Lines without operators. */
export function plainWindow(ctx: WindowContext): Window {
  const { sink } = ctx;
  const known = new WeakMap<Source, { for: unknown; attributes: Buffer; resource: Resource }>();
  return (source, buf, start, end, offset) => {
    const last = buf.lastIndexOf(NL, end - 1);
    if (last < start) return 0;
    let about = known.get(source);
    if (about?.for !== source.attributes) {
      about = {
        for: source.attributes,
        attributes: encodedAttributes(source, []),
        resource: resourceOf(source.resource),
      };
      known.set(source, about);
    }
    const { attributes, resource } = about;
    const clean = isUtf8(buf.subarray(start, last + 1));
    const nowMs = ctx.clock.nowMs();
    sink.reserve(1024);
    sink.open(source, resource, EMPTY_SCOPE);
    let mem = sink.mem;
    let o = sink.pos;
    let records = 0;
    let bytes = 0;
    let blank = 0;
    let p = start;
    while (p <= last) {
      const nl = buf.indexOf(NL, p);
      let a = p;
      let b = nl;
      while (a < b && isBlank(buf[a]!)) a++;
      while (b > a && isBlank(buf[b - 1]!)) b--;
      if (a === b) {
        blank += nl + 1 - p;
        p = nl + 1;
        continue;
      }
      let text = buf;
      if (!clean) {
        const fixed = wellFormed(buf.subarray(a, b));
        if (fixed.length !== b - a || fixed.buffer !== buf.buffer) {
          text = fixed;
          a = 0;
          b = fixed.length;
        }
      }
      const need = b - a + attributes.length + RECORD_OVERHEAD;
      if (o + need > mem.length) {
        if (records > 0) sink.wrote(o, records, bytes);
        records = 0;
        bytes = 0;
        sink.reserve(need);
        sink.open(source, resource, EMPTY_SCOPE);
        mem = sink.mem;
        o = sink.pos;
        if (sink.hasReady && p > start) break;
      }
      const size = b - a;
      const value = 1 + varintBytes(size) + size;
      mem[o++] = 0x12;
      o = putVarint(mem, o, 1 + varintBytes(value) + value + attributes.length + 9);
      mem[o++] = 0x2a;
      o = putVarint(mem, o, value);
      mem[o++] = 0x0a;
      o = putVarint(mem, o, size);
      text.copy(mem, o, a, b);
      o += size;
      attributes.copy(mem, o, 0, attributes.length);
      o += attributes.length;
      mem[o++] = 0x59;
      o = putNanos(mem, o, nowMs);
      records++;
      bytes += nl + 1 - p;
      p = nl + 1;
    }
    if (records > 0) sink.wrote(o, records, bytes);
    if (blank > 0) source.ledger.settle(0, blank, BLANK_LINE);
    return p - start;
  };
}

/** Parts of a line that the container runtime cut, per stream. */
interface Parts {
  chunks: Buffer[];
  size: number;
  seconds: number;
  nanos: number;
  observedMs: number;
  /** Of the first part; held until the record is emitted. */
  offset: number;
  bytes: number;
}

/** What is constant for one source. */
interface About {
  for: unknown;
  resource: Resource;
  /** Encoded attributes by stream (stdout 0, stderr 1) and tag (F 0, P 2). */
  attributes: [Buffer, Buffer, Buffer, Buffer];
  open: [Parts | undefined, Parts | undefined];
}

export interface ContainerWindow {
  readonly window: Window;
  /** Emits what has been open for too long, or everything. */
  flush(all: boolean): void;
  forget(source: Source): void;
}

/** The `container` operator, straight to encoded records. */
export function containerWindow(options: ContainerWindowOptions, ctx: WindowContext): ContainerWindow {
  const { sink } = ctx;
  const known = new WeakMap<Source, About | null>();
  /** Sources with open parts. */
  const partial = new Set<Source>();

  // The second that the last line named, and its text; most lines name the same one.
  const prefix = new Uint8Array(19);
  let prefixSeconds = 0;

  function aboutOf(source: Source): About | null {
    let about = known.get(source);
    if (about === undefined || (about !== null && about.for !== source.attributes)) {
      const open: About['open'] = about?.open ?? [undefined, undefined];
      about = describeSource(source, open, options.addMetadataFromFilepath);
      known.set(source, about);
    }
    return about;
  }

  /** Reads the 19 bytes of `2026-11-22T10:00:00`; NaN when they are no valid time. */
  function secondsAt(buf: Buffer, p: number): number {
    let i = 18;
    while (i >= 0 && buf[p + i] === prefix[i]) i--;
    if (i < 0) return prefixSeconds;
    const text = buf.toString('latin1', p, p + 19);
    const ms = Date.parse(`${text}Z`);
    if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 19) !== text) return Number.NaN;
    prefix.set(buf.subarray(p, p + 19));
    prefixSeconds = ms / 1000;
    return prefixSeconds;
  }

  /** Emits the open parts of a stream, followed by buf[a, b) if any, as one record. */
  function emitJoined(
    source: Source,
    about: About,
    stream: 0 | 1,
    buf: Buffer,
    a: number,
    b: number,
    bytes: number,
  ): void {
    const parts = about.open[stream]!;
    about.open[stream] = undefined;
    if (!about.open[0] && !about.open[1]) partial.delete(source);
    const body = wellFormed(Buffer.concat([...parts.chunks, buf.subarray(a, b)]));
    const attributes = about.attributes[stream + 2]!;
    sink.reserve(body.length + attributes.length + RECORD_OVERHEAD);
    sink.open(source, about.resource, EMPTY_SCOPE);
    const end = putRecord(
      sink.mem,
      sink.pos,
      parts.seconds,
      parts.nanos,
      body,
      0,
      body.length,
      attributes,
      parts.observedMs,
    );
    sink.wrote(end, 1, parts.bytes + bytes);
    source.holds.remove(parts.offset);
  }

  const window: Window = (source, buf, start, end, offset) => {
    const last = buf.lastIndexOf(NL, end - 1);
    if (last < start) return 0;
    const about = aboutOf(source);
    const clean = isUtf8(buf.subarray(start, last + 1));
    const nowMs = ctx.clock.nowMs();
    sink.reserve(1024);
    if (about) sink.open(source, about.resource, EMPTY_SCOPE);
    let mem = sink.mem;
    let o = sink.pos;
    let records = 0;
    let bytes = 0;
    let blank = 0;
    let p = start;
    while (p <= last) {
      const nl = buf.indexOf(NL, p);
      const next = nl + 1;
      let a = p;
      let b = nl;
      while (a < b && isBlank(buf[a]!)) a++;
      while (b > a && isBlank(buf[b - 1]!)) b--;
      if (a === b) {
        blank += next - p;
        p = next;
        continue;
      }

      // time, stream, tag; `q` walks, `ok` falls when the line is not of the plain kind
      let q = a + 19;
      let seconds = Number.NaN;
      let nanos = 0;
      let stream: 0 | 1 = 0;
      let tag = 0;
      if (about !== null && b - a > 28) {
        seconds = secondsAt(buf, a);
        if (buf[q] === 46) {
          q++;
          let scale = 1e9;
          for (let c: number; (c = buf[q]! - 48) >= 0 && c <= 9; q++) {
            nanos = nanos * 10 + c;
            scale /= 10;
          }
          // More than nine digits, or a dot without any.
          if (scale < 1 || scale === 1e9) seconds = Number.NaN;
          nanos *= scale;
        }
        if (buf[q] === 90) {
          q++;
          if (options.format === 'crio') seconds = Number.NaN;
        } else {
          seconds -= offsetSeconds(buf, q);
          q += 6;
          if (options.format === 'containerd') seconds = Number.NaN;
        }
        // ` stdout ` or ` stderr `
        if (
          buf[q] === SPACE &&
          buf[q + 1] === 115 &&
          buf[q + 2] === 116 &&
          buf[q + 3] === 100 &&
          buf[q + 7] === SPACE
        ) {
          if (buf[q + 4] === 111 && buf[q + 5] === 117 && buf[q + 6] === 116) stream = 0;
          else if (buf[q + 4] === 101 && buf[q + 5] === 114 && buf[q + 6] === 114) stream = 1;
          else seconds = Number.NaN;
        } else seconds = Number.NaN;
        q += 8;
        tag = buf[q]!;
        q++;
        if ((tag !== 70 && tag !== 80) || q > b) seconds = Number.NaN;
        else if (q < b) {
          if (buf[q] === SPACE) q++;
          else seconds = Number.NaN;
        }
      }

      if (Number.isNaN(seconds)) {
        if (records > 0) sink.wrote(o, records, bytes);
        records = 0;
        bytes = 0;
        ctx.fallback(source, tokenOf(buf, a, b, p, next, offset + (p - start)));
        p = next;
        if (about) sink.open(source, about.resource, EMPTY_SCOPE);
        mem = sink.mem;
        o = sink.pos;
        if (sink.hasReady) break;
        continue;
      }

      if (tag === 80 || about!.open[stream]) {
        if (records > 0) sink.wrote(o, records, bytes);
        records = 0;
        bytes = 0;
        part(source, about!, stream, tag, buf, q, b, p, next, offset + (p - start), seconds, nanos, nowMs);
        p = next;
        sink.open(source, about!.resource, EMPTY_SCOPE);
        mem = sink.mem;
        o = sink.pos;
        if (sink.hasReady) break;
        continue;
      }

      let text = buf;
      let from = q;
      let to = b;
      if (!clean && !isUtf8(buf.subarray(q, b))) {
        text = wellFormed(buf.subarray(q, b));
        from = 0;
        to = text.length;
      }
      const attributes = about!.attributes[stream]!;
      const need = to - from + attributes.length + RECORD_OVERHEAD;
      if (o + need > mem.length) {
        if (records > 0) sink.wrote(o, records, bytes);
        records = 0;
        bytes = 0;
        sink.reserve(need);
        sink.open(source, about!.resource, EMPTY_SCOPE);
        mem = sink.mem;
        o = sink.pos;
        if (sink.hasReady && p > start) break;
      }
      o = putRecord(mem, o, seconds, nanos, text, from, to, attributes, nowMs);
      records++;
      bytes += next - p;
      p = next;
    }
    if (records > 0) sink.wrote(o, records, bytes);
    if (blank > 0) source.ledger.settle(0, blank, BLANK_LINE);
    return p - start;
  };

  /** A part of a line that goes on (P), or the last one of it (F). Blanks at the end of a P part belong to the text. */
  function part(
    source: Source,
    about: About,
    stream: 0 | 1,
    tag: number,
    buf: Buffer,
    q: number,
    b: number,
    lineStart: number,
    lineEnd: number,
    offset: number,
    seconds: number,
    nanos: number,
    nowMs: number,
  ): void {
    const bytes = lineEnd - lineStart;
    if (tag === 70) {
      emitJoined(source, about, stream, buf, q, b, bytes);
      return;
    }
    const stop = Math.max(q, withoutLineEnd(buf, lineStart, lineEnd));
    let parts = about.open[stream];
    if (!parts) {
      parts = { chunks: [], size: 0, seconds, nanos, observedMs: nowMs, offset, bytes: 0 };
      about.open[stream] = parts;
      partial.add(source);
      source.holds.add(offset);
    }
    parts.chunks.push(Buffer.from(buf.subarray(q, stop)));
    parts.size += stop - q;
    parts.bytes += bytes;
    if (options.maxLogSize > 0 && parts.size > options.maxLogSize) emitJoined(source, about, stream, buf, 0, 0, 0);
  }

  function flushSource(source: Source, dueMs: number): void {
    const about = known.get(source);
    if (!about) return;
    for (const stream of [0, 1] as const)
      if ((about.open[stream]?.observedMs ?? Number.POSITIVE_INFINITY) <= dueMs)
        emitJoined(source, about, stream, NOTHING, 0, 0, 0);
  }

  return {
    window,
    flush(all) {
      if (partial.size === 0) return;
      const due = all ? Number.MAX_VALUE : ctx.clock.nowMs() - options.flushAfterMs;
      for (const source of [...partial]) flushSource(source, due);
    },
    forget(source) {
      flushSource(source, Number.MAX_VALUE);
      known.delete(source);
    },
  };
}

const NOTHING = Buffer.alloc(0);

/** Seconds that `+02:00` or `-0530`-less forms at `p` stand for; NaN for anything but ±hh:mm. */
function offsetSeconds(buf: Buffer, p: number): number {
  const sign = buf[p] === 43 ? 1 : buf[p] === 45 ? -1 : Number.NaN;
  const digit = (i: number): number => {
    const d = buf[p + i]! - 48;
    return d >= 0 && d <= 9 ? d : Number.NaN;
  };
  if (buf[p + 3] !== 58) return Number.NaN;
  const hours = digit(1) * 10 + digit(2);
  const minutes = digit(4) * 10 + digit(5);
  return hours > 24 || minutes > 59 ? Number.NaN : sign * (hours * 3600 + minutes * 60);
}

/** One item of ScopeLogs: time, string body, attributes, observed time. Returns the next position. */
function putRecord(
  mem: Buffer,
  at: number,
  seconds: number,
  nanos: number,
  text: Buffer,
  from: number,
  to: number,
  attributes: Buffer,
  observedMs: number,
): number {
  let o = at;
  const size = to - from;
  const value = 1 + varintBytes(size) + size;
  mem[o++] = 0x12;
  o = putVarint(mem, o, 9 + 1 + varintBytes(value) + value + attributes.length + 9);
  mem[o++] = 0x09;
  o = putSeconds(mem, o, seconds, nanos);
  mem[o++] = 0x2a;
  o = putVarint(mem, o, value);
  mem[o++] = 0x0a;
  o = putVarint(mem, o, size);
  text.copy(mem, o, from, to);
  o += size;
  attributes.copy(mem, o, 0, attributes.length);
  o += attributes.length;
  mem[o++] = 0x59;
  return putNanos(mem, o, observedMs);
}

/** null: lines of this source must take the general way (its path names no pod, so every line is an error there). */
function describeSource(source: Source, open: About['open'], fromPath: boolean): About | null {
  const resource = new Map(source.resource);
  if (fromPath) {
    const path = source.attributes.get('log.file.path');
    const pod = typeof path === 'string' ? podOfPath(path) : undefined;
    if (!pod) return null;
    for (const [k, v] of pod) resource.set(k, v);
  }
  const attributes = (stream: string, tag: string) =>
    encodedAttributes(source, [
      ['log.iostream', stream],
      ['logtag', tag],
    ]);
  return {
    for: source.attributes,
    resource: resourceOf(resource),
    attributes: [
      attributes('stdout', 'F'),
      attributes('stderr', 'F'),
      attributes('stdout', 'P'),
      attributes('stderr', 'P'),
    ],
    open,
  };
}
