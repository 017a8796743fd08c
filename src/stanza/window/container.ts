/**
 * The hot path: lines of container logs → encoded log records, without an object per line.
 *
 * Whatever a line has that this code does not know by heart (docker JSON, odd tags, broken times, paths of no pod)
 * goes to `fallback`, the general way through the operators, so behaviour is the same and only the price differs.
 */
import { isUtf8 } from 'node:buffer';
import { EMPTY_SCOPE, type Resource, resourceOf } from '../../core/resource.ts';
import { podOfPath } from '../pod-path.ts';
import type { Source } from '../source.ts';
import { IsoTime } from './iso-time.ts';
import type { JsonTail } from './json-tail.ts';
import {
  BLANK_LINE,
  encodedAttributes,
  isBlank,
  NEWLINE,
  putRecord,
  RECORD_OVERHEAD,
  tokenOf,
  type Window,
  type WindowContext,
  wellFormed,
  withoutLineEnd,
} from './record.ts';

export interface ContainerOptions {
  readonly format: '' | 'containerd' | 'crio';
  readonly addMetadataFromFilepath: boolean;
  /** Largest joined body; 0: no limit. */
  readonly maxLogSize: number;
  /** Joined parts are emitted unfinished after this long. */
  readonly flushAfterMs: number;
}

/** A whole line of the runtime, taken apart; what follows `container` when that is not encoding. */
export interface ContainerLine {
  readonly source: Source;
  readonly seconds: number;
  readonly nanos: number;
  readonly stderr: boolean;
  /** Joined of parts. */
  readonly joined: boolean;
  readonly body: Buffer;
  readonly observedMs: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface ContainerContext extends WindowContext {
  /** json_parser and its blocks, written straight behind the container's attributes. */
  readonly json?: JsonTail;
  /** Takes lines apart for the operators behind `container`, in place of encoding them. */
  readonly next?: (line: ContainerLine, resource: Resource) => void;
}

export interface ContainerWindow {
  readonly window: Window;
  /** Emits what has been open for too long, or everything. */
  flush(all: boolean): void;
  forget(source: Source): void;
}

/** Parts of a line that the container runtime cut, per stream. */
interface Parts {
  readonly chunks: Buffer[];
  size: number;
  readonly seconds: number;
  readonly nanos: number;
  readonly observedMs: number;
  /** Of the first part; held until the record is emitted. */
  readonly offset: number;
  bytes: number;
}

/** What is constant for one source. */
interface About {
  readonly for: unknown;
  readonly resource: Resource;
  /** Encoded attributes: stdout F, stderr F, stdout P, stderr P. */
  readonly attributes: readonly Buffer[];
  readonly open: [Parts | undefined, Parts | undefined];
}

const SPACE = 32;
const FULL = 70;
const PARTIAL = 80;
const NOTHING = Buffer.alloc(0);
const TAKEN = ['log.iostream', 'logtag'];

export function containerWindow(options: ContainerOptions, ctx: ContainerContext): ContainerWindow {
  const { sink, json, next } = ctx;
  const known = new WeakMap<Source, About | null>();
  /** Sources with open parts. */
  const partial = new Set<Source>();
  const iso = new IsoTime();

  function aboutOf(source: Source): About | null {
    let about = known.get(source);
    if (about === undefined || (about !== null && about.for !== source.attributes)) {
      about = describeSource(source, about?.open ?? [undefined, undefined], options.addMetadataFromFilepath);
      known.set(source, about);
      json?.avoid(source, TAKEN);
    }
    return about;
  }

  /** Emits the open parts of a stream, followed by buf[a, b), as one record. */
  function emitJoined(source: Source, about: About, stream: 0 | 1, buf: Buffer, a: number, b: number, bytes: number) {
    const parts = about.open[stream]!;
    about.open[stream] = undefined;
    if (!about.open[0] && !about.open[1]) partial.delete(source);
    const body = wellFormed(Buffer.concat([...parts.chunks, buf.subarray(a, b)]));
    const { seconds, nanos, observedMs, offset } = parts;
    if (next)
      next(
        {
          source,
          seconds,
          nanos,
          stderr: stream === 1,
          joined: true,
          body,
          observedMs,
          offset,
          bytes: parts.bytes + bytes,
        },
        about.resource,
      );
    else {
      const attributes = about.attributes[stream + 2]!;
      sink.reserve(body.length + attributes.length + RECORD_OVERHEAD);
      sink.open(source, about.resource, EMPTY_SCOPE);
      const end = putRecord(sink.mem, sink.pos, seconds, nanos, body, 0, body.length, attributes, observedMs);
      sink.wrote(end, 1, parts.bytes + bytes);
    }
    source.holds.remove(offset);
  }

  /** A part of a line that goes on (P). Blanks at its end belong to the text. */
  function keepPart(
    source: Source,
    about: About,
    stream: 0 | 1,
    text: Buffer,
    bytes: number,
    offset: number,
    nowMs: number,
  ) {
    let parts = about.open[stream];
    if (!parts) {
      parts = { chunks: [], size: 0, seconds: iso.seconds, nanos: iso.nanos, observedMs: nowMs, offset, bytes: 0 };
      about.open[stream] = parts;
      partial.add(source);
      source.holds.add(offset);
    }
    parts.chunks.push(Buffer.from(text));
    parts.size += text.length;
    parts.bytes += bytes;
    if (options.maxLogSize > 0 && parts.size > options.maxLogSize) emitJoined(source, about, stream, NOTHING, 0, 0, 0);
  }

  const window: Window = (source, buf, start, end, offset) => {
    const last = buf.lastIndexOf(NEWLINE, end - 1);
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
      const nl = buf.indexOf(NEWLINE, p);
      const after = nl + 1;
      let a = p;
      let b = nl;
      while (a < b && isBlank(buf[a]!)) a++;
      while (b > a && isBlank(buf[b - 1]!)) b--;
      if (a === b) {
        blank += after - p;
        p = after;
        continue;
      }

      // `<time> stdout F <text>`; `q` becomes the start of the text, or -1 when the line is not of this form
      let q = -1;
      let stream: 0 | 1 = 0;
      let tag = 0;
      if (about !== null && b - a > 28) {
        q = iso.read(buf, a);
        if (iso.zulu ? options.format === 'crio' : options.format === 'containerd') q = -1;
        if (q > 0) {
          stream = buf[q + 4] === 101 ? 1 : 0;
          tag = buf[q + 8]!;
          if (
            buf[q] !== SPACE ||
            buf[q + 7] !== SPACE ||
            buf[q + 1] !== 115 ||
            buf[q + 2] !== 116 ||
            buf[q + 3] !== 100 ||
            (stream === 1
              ? buf[q + 5] !== 114 || buf[q + 6] !== 114
              : buf[q + 4] !== 111 || buf[q + 5] !== 117 || buf[q + 6] !== 116) ||
            (tag !== FULL && tag !== PARTIAL) ||
            q + 9 > b
          )
            q = -1;
          else if (q + 9 === b) q = b;
          else q = buf[q + 9] === SPACE ? q + 10 : -1;
        }
      }

      if (q < 0 || tag === PARTIAL || about!.open[stream] !== undefined || next !== undefined) {
        // Not the common case: leave the slab in order, do it out of line, and come back.
        if (records > 0) sink.wrote(o, records, bytes);
        records = 0;
        bytes = 0;
        const at = offset + (p - start);
        if (q < 0) ctx.fallback(source, tokenOf(buf, a, b, p, after, at));
        else if (tag === PARTIAL) {
          const stop = Math.max(q, withoutLineEnd(buf, p, after));
          keepPart(source, about!, stream, buf.subarray(q, stop), after - p, at, nowMs);
        } else if (about!.open[stream]) emitJoined(source, about!, stream, buf, q, b, after - p);
        else
          next!(
            {
              source,
              seconds: iso.seconds,
              nanos: iso.nanos,
              stderr: stream === 1,
              joined: false,
              body: clean ? buf.subarray(q, b) : wellFormed(buf.subarray(q, b)),
              observedMs: nowMs,
              offset: at,
              bytes: after - p,
            },
            about!.resource,
          );
        p = after;
        if (about) sink.open(source, about.resource, EMPTY_SCOPE);
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
      const need = to - from + attributes.length + RECORD_OVERHEAD + (json ? json.room(to - from) : 0);
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
      if (json) {
        const seconds = iso.seconds;
        const end = json.put(mem, o, seconds, iso.nanos, text, from, to, attributes, nowMs);
        if (end < 0) {
          if (records > 0) sink.wrote(o, records, bytes);
          records = 0;
          bytes = 0;
          ctx.fallback(source, tokenOf(buf, a, b, p, after, offset + (p - start)));
          sink.open(source, about!.resource, EMPTY_SCOPE);
          mem = sink.mem;
          o = sink.pos;
          p = after;
          if (sink.hasReady) break;
          continue;
        }
        o = end;
      } else o = putRecord(mem, o, iso.seconds, iso.nanos, text, from, to, attributes, nowMs);
      records++;
      bytes += after - p;
      p = after;
    }
    if (records > 0) sink.wrote(o, records, bytes);
    if (blank > 0) source.ledger.settle(0, blank, BLANK_LINE);
    return p - start;
  };

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
