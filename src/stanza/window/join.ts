/**
 * recombine over bytes: lines of one file that belong together become one record, without an object per line.
 *
 * Only what is simple is joined here: well-formed lines of one file after the other. When anything else comes, the
 * lines of the open group go through the operators after all ("handed over"), and so does what follows, until the
 * group that is open there is over. Behaviour is the same either way, but for the time that an unfinished group waits:
 * it begins anew when the group is handed over.
 */
import { EMPTY_SCOPE, type Resource } from '../../core/resource.ts';
import type { Source } from '../source.ts';
import { NO, type TextPredicate, UNKNOWN, YES } from './predicate.ts';
import { isBlank, NEWLINE, observe, putRecord, RECORD_OVERHEAD, tokenOf, type WindowContext } from './record.ts';
import type { Tail } from './tail.ts';

export interface JoinOptions {
  readonly matches: TextPredicate;
  /** What matches is the first line of a group, else the last one. */
  readonly isFirst: boolean;
  readonly glue: string;
  /** The last line gives time and attributes, else the first one. */
  readonly newest: boolean;
  /** As recombine's; 0: no limit. */
  readonly maxLines: number;
  readonly maxUnmatchedLines: number;
  readonly maxBytes: number;
  readonly maxSources: number;
  readonly flushAfterMs: number;
}

export interface JoinContext extends WindowContext {
  readonly tail?: Tail | undefined;
  /** The groups of the general way. */
  readonly general: GroupHolder;
}

/** What recombine itself holds, by path. */
export interface GroupHolder {
  has(path: string): boolean;
  /** Gives out the group. */
  release(path: string): void;
}

/** A line in the read buffer whose prefix is off: text is buf[from, to). */
export interface Line {
  readonly buf: Buffer;
  /** All of it, with its line end, and where that stands in the source. */
  start: number;
  end: number;
  offset: number;
  from: number;
  to: number;
  seconds: number;
  nanos: number;
  /** Encoded fields that records of this stream share. */
  common: Buffer;
}

/** What lines of earlier windows have been copied to. */
interface Earlier {
  readonly raw: Buffer;
  readonly offset: number;
}

interface Group {
  readonly source: Source;
  readonly resource: Resource;
  observedMs: number;
  readonly sinceMs: number;
  /** Where its first line stands in the source. */
  readonly offset: number;
  seconds: number;
  nanos: number;
  common: Buffer;
  count: number;
  /** Text without what stands between the lines. */
  size: number;
  /** Source bytes of its lines. */
  bytes: number;
  matched: boolean;
  /** It was open at the end of a window; then the offset is held, and `earlier` has its lines, `text` their texts. */
  isKept: boolean;
  readonly earlier: Earlier[];
  text: Buffer;
  /** Of the current window: where its lines begin in the read buffer and in the source; -1: none yet. */
  from: number;
  fromOffset: number;
  /** Start and end of texts in the read buffer. */
  readonly ranges: number[];
}

/** By path, as recombine tells groups apart. */
interface Place {
  group: Group | undefined;
  /** The general way has a group, or may have one. */
  isGeneral: boolean;
}

const NOTHING = Buffer.alloc(0);

export class LineJoin {
  readonly #options: JoinOptions;
  readonly #ctx: JoinContext;
  readonly #glue: Buffer;
  readonly #places = new Map<string, Place>();
  #open = 0;
  #scratch = Buffer.allocUnsafeSlow(16 << 10);

  constructor(options: JoinOptions, ctx: JoinContext) {
    this.#options = options;
    this.#ctx = ctx;
    this.#glue = Buffer.from(options.glue);
  }

  #placeOf(path: string): Place {
    let place = this.#places.get(path);
    if (!place) this.#places.set(path, (place = { group: undefined, isGeneral: false }));
    return place;
  }

  /**
   * Takes a line, or returns false: then it has to go the general way, and what was open has gone there. `isPending`:
   * something of this path is still on its way there.
   */
  take(source: Source, path: string, resource: Resource, line: Line, nowMs: number, isPending: boolean): boolean {
    const { matches, isFirst, newest, maxLines, maxUnmatchedLines, maxBytes, maxSources } = this.#options;
    const { buf, from, to } = line;
    const place = this.#placeOf(path);
    const match = matches(buf, from, to);
    let group = place.group;
    if (match === UNKNOWN || isPending || (group && group.source !== source)) {
      this.handOver(path, buf);
      return false;
    }
    if (place.isGeneral) {
      if (match === NO) return false;
      // With this line the group that is open there is over.
      place.isGeneral = false;
      if (!isFirst) return false;
      this.#ctx.general.release(path);
    }
    if (group && match === YES && isFirst) {
      this.#emit(place, group, buf);
      group = undefined;
    }
    if (!group) {
      if (this.#open >= maxSources) {
        place.isGeneral = true;
        return false;
      }
      group = this.#begin(source, resource, line, nowMs);
      place.group = group;
      this.#open++;
    }
    if (newest || group.count === 0) {
      group.seconds = line.seconds;
      group.nanos = line.nanos;
      group.common = line.common;
      group.observedMs = nowMs;
    }
    if (group.from < 0) {
      group.from = line.start;
      group.fromOffset = line.offset;
    }
    group.ranges.push(from, to);
    group.count++;
    group.size += to - from;
    group.bytes += line.end - line.start;
    group.matched ||= match === YES;
    const isFull =
      (maxLines > 0 && group.count >= maxLines) ||
      (maxBytes > 0 && group.size > maxBytes) ||
      (!group.matched && maxUnmatchedLines > 0 && group.count >= maxUnmatchedLines);
    if (isFull || (match === YES && !isFirst)) this.#emit(place, group, buf);
    return true;
  }

  #begin(source: Source, resource: Resource, line: Line, nowMs: number): Group {
    return {
      source,
      resource,
      observedMs: nowMs,
      sinceMs: this.#ctx.clock.monotonicMs(),
      offset: line.offset,
      seconds: 0,
      nanos: 0,
      common: line.common,
      count: 0,
      size: 0,
      bytes: 0,
      matched: false,
      isKept: false,
      earlier: [],
      text: NOTHING,
      from: -1,
      fromOffset: 0,
      ranges: [],
    };
  }

  #close(place: Place, group: Group): void {
    place.group = undefined;
    this.#open--;
    if (group.isKept) group.source.holds.remove(group.offset);
  }

  #emit(place: Place, group: Group, buf: Buffer): void {
    const { sink, tail } = this.#ctx;
    const { source, ranges, common } = group;
    let text = buf;
    let from = ranges[0]!;
    let to = ranges[1]!;
    if (group.isKept || ranges.length > 2) {
      text = this.#joined(group, buf);
      from = 0;
      to = group.size + (group.count - 1) * this.#glue.length;
    }
    sink.reserve(to - from + common.length + RECORD_OVERHEAD + (tail ? tail.room(to - from) : 0));
    sink.open(source, group.resource, EMPTY_SCOPE);
    observe(common, group.observedMs);
    const { seconds, nanos } = group;
    const end = tail
      ? tail.put(sink.mem, sink.pos, seconds, nanos, text, from, to, common)
      : putRecord(sink.mem, sink.pos, seconds, nanos, text, from, to, common);
    if (end < 0) {
      this.#handOver(place, group, buf);
      const path = source.attributes.get('log.file.path') as string;
      this.#ctx.general.release(path);
      place.isGeneral = false;
      return;
    }
    sink.wrote(end, 1, group.bytes);
    this.#close(place, group);
  }

  /** All texts of the group, in a buffer that the next call writes over. */
  #joined(group: Group, buf: Buffer): Buffer {
    const glue = this.#glue;
    const { ranges, text } = group;
    const size = group.size + (group.count - 1) * glue.length;
    let out = this.#scratch;
    if (out.length < size) {
      out = Buffer.allocUnsafeSlow(size * 2);
      // Large ones are rare: their memory is not kept.
      if (size < 1 << 20) this.#scratch = out;
    }
    let o = text.copy(out, 0);
    for (let i = 0; i < ranges.length; i += 2) {
      if (i > 0 || group.isKept) o += glue.copy(out, o);
      o += buf.copy(out, o, ranges[i]!, ranges[i + 1]!);
    }
    return out;
  }

  /** The open group of this path goes the general way, and what follows after it. */
  handOver(path: string, buf: Buffer): void {
    const place = this.#placeOf(path);
    place.isGeneral = true;
    if (place.group) this.#handOver(place, place.group, buf);
  }

  #handOver(place: Place, group: Group, buf: Buffer): void {
    const { source, from, ranges } = group;
    const pieces = [...group.earlier];
    if (from >= 0) {
      // To the end of the line that the last text stands in.
      const end = buf.indexOf(NEWLINE, ranges.at(-1)!) + 1;
      pieces.push({ raw: buf.subarray(from, end), offset: group.fromOffset });
    }
    place.isGeneral = true;
    for (const { raw, offset } of pieces)
      for (let at = 0; at < raw.length; ) {
        const end = raw.indexOf(NEWLINE, at);
        let a = at;
        let b = end;
        while (a < b && isBlank(raw[a]!)) a++;
        while (b > a && isBlank(raw[b - 1]!)) b--;
        if (a < b) this.#ctx.fallback(source, tokenOf(raw, a, b, at, end + 1, offset + at));
        at = end + 1;
      }
    this.#close(place, group);
  }

  /** At the end of a window: what is open is copied, since the read buffer is going to be used again. */
  keep(path: string, buf: Buffer): void {
    const group = this.#places.get(path)?.group;
    if (!group || group.from < 0) return;
    const { ranges, from } = group;
    const end = buf.indexOf(NEWLINE, ranges.at(-1)!) + 1;
    group.text = Buffer.from(this.#joined(group, buf).subarray(0, group.size + (group.count - 1) * this.#glue.length));
    group.earlier.push({ raw: Buffer.from(buf.subarray(from, end)), offset: group.fromOffset });
    ranges.length = 0;
    group.from = -1;
    if (group.isKept) return;
    group.isKept = true;
    group.source.holds.add(group.offset);
  }

  /** Between windows: gives out what has been open for too long, or everything. */
  flush(all: boolean): void {
    if (this.#places.size === 0) return;
    const { general, clock } = this.#ctx;
    const due = clock.monotonicMs() - this.#options.flushAfterMs;
    for (const [path, place] of this.#places) {
      const { group } = place;
      if (group && (all || group.sinceMs <= due)) this.#emit(place, group, NOTHING);
      if (place.group) continue;
      if (!place.isGeneral || !general.has(path)) this.#places.delete(path);
    }
  }

  /** Between windows: the source is gone. */
  forget(source: Source): void {
    for (const place of this.#places.values())
      if (place.group?.source === source) this.#emit(place, place.group, NOTHING);
  }
}
