/**
 * The hot path: lines of container logs → encoded log records, without an object per line.
 *
 * Whatever a line has that this code does not know by heart (docker JSON, odd tags, broken times, paths of no pod)
 * goes to `fallback`, the general way through the operators, so behaviour is the same and only the price differs.
 */
import { isUtf8 } from 'node:buffer';
import { EMPTY_SCOPE, type Resource, resourceOf } from '../../core/resource.ts';
import { podOf } from '../operators/container-path.ts';
import type { Source } from '../source.ts';
import { IsoTime } from './iso-time.ts';
import type { Line, LineJoin } from './join.ts';
import {
  BLANK_LINE,
  commonFields,
  isBlank,
  NEWLINE,
  observe,
  putRecord,
  RECORD_OVERHEAD,
  tokenOf,
  type Window,
  type WindowContext,
  wellFormed,
} from './record.ts';
import type { Tail } from './tail.ts';

export interface ContainerOptions {
  readonly format: '' | 'containerd' | 'crio';
  readonly addMetadataFromFilepath: boolean;
  /** Largest joined body; 0: no limit. */
  readonly maxLogSize: number;
  /** Joined parts are emitted unfinished after this long. */
  readonly flushAfterMs: number;
}

export interface ContainerContext extends WindowContext {
  /**
   * A parser and its blocks, written straight behind the container's attributes. Lines in parts go the general way
   * then, so that what is joined is parsed, too.
   */
  readonly tail?: Tail;
  /** recombine, and what comes behind it. */
  readonly join?: LineJoin;
  /** The tail of `join`. */
  readonly avoid?: Pick<Tail, 'avoid'> | undefined;
}

export interface ContainerWindow {
  readonly window: Window;
  /** Emits what has been open for too long, or everything. */
  flush(all: boolean): void;
  /** The source will not be read again. What is open for its path stays: the next file there may go on with it. */
  forget(source: Source): void;
  /** `to` is a copy of `from` and goes on where that was left, perhaps in the middle of a line. */
  inherit(from: Source, to: Source): void;
  /** What is read next at this source's path is not what its last line goes on with. */
  detach(source: Source): void;
}

/** Parts of a line that the container runtime cut. */
interface Parts {
  /** Where the first part was read; the last one may stand in the next file of the same path. */
  readonly owner: Source;
  readonly chunks: Buffer[];
  size: number;
  readonly seconds: number;
  readonly nanos: number;
  readonly observedMs: number;
  /** Of the first part; held until the record is emitted. */
  readonly offset: number;
  bytes: number;
}

/** By stream: stdout, stderr. */
interface Open {
  readonly parts: [Parts | undefined, Parts | undefined];
  /** The general way has parts, or had some: what comes next belongs there. */
  readonly isGeneral: [boolean, boolean];
  /** When that was last set. */
  generalSinceMs: number;
}

/** What is constant for one source. */
interface About {
  readonly for: unknown;
  /** log.file.path: by this recombine tells groups apart. */
  readonly path: string;
  readonly resource: Resource;
  /** Common fields of whole lines: stdout, stderr. */
  readonly common: readonly [Buffer, Buffer];
  /** Of joined lines; most files have none. */
  readonly joined: [Buffer | undefined, Buffer | undefined];
  /** Shared by all sources of the same path, so that a line goes on over a rotation. */
  readonly open: Open;
}

const SPACE = 32;
const FULL = 70;
const PARTIAL = 80;
const NOTHING = Buffer.alloc(0);
const NO_LINE = { start: 0, end: 0, offset: 0, from: 0, to: 0, seconds: 0, nanos: 0, common: NOTHING };
const TAKEN = ['log.iostream', 'logtag'];

export function containerWindow(options: ContainerOptions, ctx: ContainerContext): ContainerWindow {
  const { sink, tail, join } = ctx;
  const known = new WeakMap<Source, About | null>();
  const openByPath = new Map<string, Open>();
  const inherited = new WeakMap<Source, Open>();
  /** Those with parts in them. */
  const active = new Set<Open>();
  /** Those that the general way has parts of, and the path of the file. */
  const general = new Map<Open, string>();

  function openAt(path: string): Open {
    let open = openByPath.get(path);
    if (!open)
      openByPath.set(path, (open = { parts: [undefined, undefined], isGeneral: [false, false], generalSinceMs: 0 }));
    return open;
  }

  const iso = new IsoTime();

  function aboutOf(source: Source): About | null {
    let about = known.get(source);
    if (about === undefined || (about !== null && about.for !== source.attributes)) {
      // A renamed file takes along what is open in it: the rest of the line comes from the same file first.
      const open = about?.open ?? inherited.get(source) ?? openAt(source.path);
      about = describeSource(source, open, options.addMetadataFromFilepath, join !== undefined);
      known.set(source, about);
    }
    return about;
  }

  /** Emits the open parts of a stream, followed by buf[a, b) of `source`, as one record of the first part's source. */
  function emitJoined(open: Open, stream: 0 | 1, source: Source, buf: Buffer, a: number, b: number, bytes: number) {
    const parts = open.parts[stream]!;
    open.parts[stream] = undefined;
    if (!open.parts[0] && !open.parts[1]) active.delete(open);
    const { owner, seconds, nanos, observedMs, offset } = parts;
    const about = aboutOf(owner)!;
    const body = wellFormed(Buffer.concat([...parts.chunks, buf.subarray(a, b)]));
    const common = (about.joined[stream] ??= commonOf(owner, stream, 'P'));
    observe(common, observedMs);
    sink.open(owner, about.resource, EMPTY_SCOPE);
    sink.reserve(body.length + common.length + RECORD_OVERHEAD);
    const end = putRecord(sink.mem, sink.pos, seconds, nanos, body, 0, body.length, common);
    if (owner === source) sink.wrote(end, 1, parts.bytes + bytes);
    else sink.wroteJoined(end, parts.bytes, source, bytes);
    owner.holds.remove(offset);
  }

  /** A line of this stream takes the general way: what comes next may have to do with it. Tag 0: not known. */
  function goGeneral({ open, path }: About, stream: 0 | 1, tag: number): void {
    const { isGeneral, parts } = open;
    if (tag !== 0) isGeneral[stream] = tag === PARTIAL;
    // Lines with tags of their own count as parts there.
    else if (!parts[0] && !parts[1]) isGeneral.fill(true);
    if (isGeneral[0] || isGeneral[1]) {
      open.generalSinceMs = ctx.clock.monotonicMs();
      general.set(open, path);
    } else general.delete(open);
  }

  /** A part of a line that goes on (P). */
  function keepPart(
    source: Source,
    open: Open,
    stream: 0 | 1,
    text: Buffer,
    bytes: number,
    offset: number,
    nowMs: number,
  ) {
    let parts = open.parts[stream];
    if (parts && parts.owner !== source) {
      // A line over three files: no container does that, so the rest is a line of its own.
      emitJoined(open, stream, parts.owner, NOTHING, 0, 0, 0);
      parts = undefined;
    }
    if (!parts) {
      const { seconds, nanos } = iso;
      parts = { owner: source, chunks: [], size: 0, seconds, nanos, observedMs: nowMs, offset, bytes: 0 };
      open.parts[stream] = parts;
      active.add(open);
      source.holds.add(offset);
    }
    parts.chunks.push(Buffer.from(text));
    parts.size += text.length;
    parts.bytes += bytes;
    if (options.maxLogSize > 0 && parts.size > options.maxLogSize) emitJoined(open, stream, source, NOTHING, 0, 0, 0);
  }

  const window: Window = (source, buf, start, end, offset) => {
    const last = buf.lastIndexOf(NEWLINE, end - 1);
    if (last < start) return 0;
    const about = aboutOf(source);
    const clean = isUtf8(buf.subarray(start, last + 1));
    const nowMs = ctx.clock.nowMs();
    if (about) {
      observe(about.common[0], nowMs);
      observe(about.common[1], nowMs);
      (tail ?? ctx.avoid)?.avoid(source, TAKEN);
    }
    sink.reserve(1024);
    if (about) sink.open(source, about.resource, EMPTY_SCOPE);
    let mem = sink.mem;
    let o = sink.pos;
    const line: Line = { ...NO_LINE, buf };
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

      if (q < 0 || tag === PARTIAL || about!.open.parts[stream] !== undefined || about!.open.isGeneral[stream]) {
        // Not the common case: leave the slab in order, do it out of line, and come back.
        if (records > 0) sink.wrote(o, records, bytes);
        records = 0;
        bytes = 0;
        const at = offset + (p - start);
        const open = about?.open;
        if (q < 0 || ((tail || join) && open) || (open?.isGeneral[stream] && !open.parts[stream])) {
          if (about) goGeneral(about, stream, q < 0 ? 0 : tag);
          if (about) join?.handOver(about.path, buf);
          ctx.fallback(source, tokenOf(buf, a, b, p, after, at));
        } else if (tag === PARTIAL) keepPart(source, about!.open, stream, buf.subarray(q, b), after - p, at, nowMs);
        else emitJoined(about!.open, stream, source, buf, q, b, after - p);
        p = after;
        if (about) sink.open(source, about.resource, EMPTY_SCOPE);
        mem = sink.mem;
        o = sink.pos;
        if (sink.hasReady) break;
        continue;
      }

      if (join) {
        const isBroken = !clean && !isUtf8(buf.subarray(q, b));
        const open = about!.open;
        line.start = p;
        line.end = after;
        line.offset = offset + (p - start);
        line.from = q;
        line.to = b;
        line.seconds = iso.seconds;
        line.nanos = iso.nanos;
        line.common = about!.common[stream];
        if (isBroken) join.handOver(about!.path, buf);
        const isPending = open.isGeneral[0] || open.isGeneral[1];
        if (isBroken || !join.take(source, about!.path, about!.resource, line, nowMs, isPending))
          ctx.fallback(source, tokenOf(buf, a, b, p, after, line.offset));
        p = after;
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
      const common = about!.common[stream];
      const need = to - from + common.length + RECORD_OVERHEAD + (tail ? tail.room(to - from) : 0);
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
      if (tail) {
        const end = tail.put(mem, o, iso.seconds, iso.nanos, text, from, to, common);
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
      } else o = putRecord(mem, o, iso.seconds, iso.nanos, text, from, to, common);
      records++;
      bytes += after - p;
      p = after;
    }
    if (records > 0) sink.wrote(o, records, bytes);
    if (about) join?.keep(about.path, buf);
    if (blank > 0) source.ledger.settle(0, blank, BLANK_LINE);
    return p - start;
  };

  return {
    window,
    flush(all) {
      join?.flush(all);
      // Their time is over there, too: they are given out at this tick, after this.
      for (const [open, path] of general)
        if (all || ctx.clock.monotonicMs() - open.generalSinceMs >= options.flushAfterMs) {
          open.isGeneral.fill(false);
          general.delete(open);
          join?.handOver(path, NOTHING);
        }
      const due = all ? Number.MAX_VALUE : ctx.clock.nowMs() - options.flushAfterMs;
      for (const open of active)
        for (const stream of [0, 1] as const) {
          const parts = open.parts[stream];
          if (parts && parts.observedMs <= due) emitJoined(open, stream, parts.owner, NOTHING, 0, 0, 0);
        }
    },
    inherit(from, to) {
      const open = known.get(from)?.open;
      if (open) inherited.set(to, open);
    },
    detach(source) {
      openByPath.delete(source.path);
    },
    forget(source) {
      join?.forget(source);
      const open = openByPath.get(source.path);
      if (open && !open.parts.some(Boolean) && !open.isGeneral.some(Boolean)) openByPath.delete(source.path);
    },
  };
}

/** null: lines of this source must take the general way (its path names no pod, so every line is an error there). */
const commonOf = (source: Source, stream: 0 | 1, tag: string): Buffer =>
  commonFields(source, [
    ['log.iostream', stream === 0 ? 'stdout' : 'stderr'],
    ['logtag', tag],
  ]);

function describeSource(source: Source, open: Open, fromPath: boolean, needsPath: boolean): About | null {
  const resource = new Map(source.resource);
  const path = source.attributes.get('log.file.path');
  if (needsPath && (typeof path !== 'string' || path === '')) return null;
  if (fromPath) {
    const pod = typeof path === 'string' ? podOf(path) : undefined;
    if (!pod) return null;
    for (let i = 0; i < pod.length; i += 2) resource.set(pod[i]!, pod[i + 1]!);
  }
  return {
    for: source.attributes,
    path: typeof path === 'string' ? path : '',
    resource: resourceOf(resource),
    common: [commonOf(source, 0, 'F'), commonOf(source, 1, 'F')],
    joined: [undefined, undefined],
    open,
  };
}
