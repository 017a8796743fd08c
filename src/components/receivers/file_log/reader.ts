/**
 * Reads a file piece by piece and hands its records to the program. Everything a turn reads is accounted: the offset
 * and the ledger move together, at record ends only.
 */
import { readSync } from 'node:fs';
import { filtered, lost } from '../../../core/batch.ts';
import type { Clock } from '../../../core/clock.ts';
import type { Program, Token } from '../../../stanza/program.ts';
import type { LogsSink } from '../../../stanza/sink.ts';
import type { ReadonlyValueMap, Value } from '../../../wire/otlp.ts';
import type { Encoding } from './encoding.ts';
import type { LogFile } from './file.ts';
import { growFingerprint, TAIL_BYTES } from './identity.ts';
import { LineSplitter, type Splitter, windowChanged } from './splitter.ts';

const BLANK_LINE = filtered('blank line');
const OVER_LIMIT = filtered('over max_log_size');
const HEADER = filtered('header');
const UNDECODABLE = lost('undecodable');

const STANDARD_BUFFER = 256 * 1024;
/** Kept unread while the rest of a long record is dropped, since a pattern may begin in it. */
const PATTERN_OVERLAP = 4096;

export interface ReaderOptions {
  readonly encoding: Encoding;
  readonly maxLogSize: number;
  readonly truncate: boolean;
  readonly preserveLeading: boolean;
  readonly preserveTrailing: boolean;
  readonly forceFlushMs: number;
  readonly recordNumber: boolean;
  readonly recordOffset: boolean;
  readonly fingerprintSize: number;
  /** Takes a line at the start of a file; false: it is not part of the header. */
  readonly header: ((file: LogFile, line: Buffer) => boolean) | undefined;
}

/** `more`: there is more to read. `end`: nothing now. `replaced`: the bytes before the offset are not those that were read. */
export type TurnResult = 'more' | 'end' | 'replaced';

const isBlank = (c: number): boolean => c === 32 || c === 10 || c === 13 || c === 9;

export class FileReader {
  readonly #o: ReaderOptions;
  readonly #program: Program;
  readonly #sink: LogsSink;
  readonly #splitter: Splitter;
  readonly #headerSplitter = new LineSplitter();
  readonly #clock: Clock;
  readonly #fast: boolean;
  readonly #standard: Buffer;
  readonly #largest: number;
  #buf: Buffer;
  /** For records that do not fit the standard one; kept until there is nothing to read. */
  #large: Buffer | undefined;

  constructor(options: ReaderOptions, program: Program, sink: LogsSink, splitter: Splitter, clock: Clock) {
    this.#o = options;
    this.#program = program;
    this.#sink = sink;
    this.#splitter = splitter;
    this.#clock = clock;
    this.#fast =
      program.window !== undefined &&
      splitter instanceof LineSplitter &&
      options.encoding.kind === 'utf8' &&
      !options.preserveLeading &&
      !options.preserveTrailing &&
      !options.recordNumber &&
      !options.recordOffset;
    this.#standard = Buffer.allocUnsafeSlow(TAIL_BYTES + Math.min(STANDARD_BUFFER, Math.max(options.maxLogSize, 4096)));
    this.#buf = this.#standard;
    this.#largest = TAIL_BYTES + options.maxLogSize + PATTERN_OVERLAP;
  }

  /** Reads about `budget` bytes; stops early when a batch is ready. `final`: nobody will write any more. */
  turn(file: LogFile, budget: number, final = false): TurnResult {
    try {
      return this.#turn(file, budget, final);
    } finally {
      this.#buf = this.#standard;
    }
  }

  /** There is nothing to read: gives back what only long records need. */
  idle(): void {
    this.#large = undefined;
  }

  #turn(file: LogFile, budget: number, final: boolean): TurnResult {
    let left = budget;
    while (left > 0) {
      const back = file.tail.length;
      const buf = this.#buf;
      const end = readSync(file.fd, buf, 0, buf.length, file.offset - back);
      if (end < back || (back > 0 && buf.compare(file.tail, 0, back, 0, back) !== 0)) return 'replaced';
      // Before the first byte is taken, the file is still the one whose beginning was looked at.
      const head = file.offset === 0 ? file.fingerprint : undefined;
      if (
        head &&
        (end < head.length || buf.compare(head, 0, Math.min(head.length, end), 0, Math.min(head.length, end)) !== 0)
      )
        return 'replaced';
      const more = end === buf.length;
      const consumed = end > back ? this.feed(file, buf, back, end, more) : 0;
      if (consumed > 0) {
        this.advance(file, buf, back + consumed, consumed);
        if (file.fingerprint.length < this.#o.fingerprintSize && !growFingerprint(file, this.#o.fingerprintSize))
          return 'replaced';
        left -= consumed;
        if (this.#sink.hasReady) return 'more';
      } else if (more) {
        if (buf.length >= this.#largest) throw new Error('a record does not fit the buffer');
        const size = Math.min(this.#largest, buf.length * 2);
        if (!this.#large || this.#large.length < size) this.#large = Buffer.allocUnsafeSlow(size);
        this.#buf = this.#large;
        continue;
      }
      if (!more) return this.#atEnd(file, buf, back + consumed, end, final);
      this.#buf = this.#standard;
    }
    return 'more';
  }

  /** buf[start, end) is an unfinished record at the end of the file. */
  #atEnd(file: LogFile, buf: Buffer, start: number, end: number, final: boolean): TurnResult {
    const rest = end - start;
    file.sizeBytes = Math.max(file.sizeBytes, file.offset + rest);
    if (rest === 0) {
      file.partialBytes = 0;
      return 'end';
    }
    const now = this.#clock.monotonicMs();
    if (rest !== file.partialBytes) {
      file.partialBytes = rest;
      file.partialSinceMs = now;
    }
    if (final || (this.#o.forceFlushMs > 0 && now - file.partialSinceMs >= this.#o.forceFlushMs))
      this.flush(file, buf, start, end);
    return 'end';
  }

  /** Emits an unfinished record. */
  flush(file: LogFile, buf: Buffer, start: number, end: number): void {
    const rest = end - start;
    if (file.skipping) {
      file.skipping = false;
      file.ledger.settle(0, rest, OVER_LIMIT);
    } else if (!this.#headerLine(file, buf, start, end, rest)) this.#emit(file, buf, start, end, start, rest);
    this.advance(file, buf, end, rest);
    if (file.fingerprint.length < this.#o.fingerprintSize && !file.packed)
      growFingerprint(file, this.#o.fingerprintSize);
    file.partialBytes = 0;
  }

  /** The offset moves on by `bytes`, to what stands at buf[at]. */
  advance(file: LogFile, buf: Buffer, at: number, bytes: number): void {
    file.offset += bytes;
    file.ledger.read(0, bytes);
    file.partialBytes = 0;
    const from = Math.max(0, at - TAIL_BYTES);
    if (at - from > file.tail.length) file.tail = Buffer.allocUnsafeSlow(at - from);
    buf.copy(file.tail, 0, at - file.tail.length, at);
  }

  /** As `advance`, of unpacked content: `rest` begins at the offset, the bytes before it are in `tail` only. */
  advancePacked(file: LogFile, rest: Buffer, bytes: number): void {
    file.offset += bytes;
    file.ledger.read(0, bytes);
    file.tail = Buffer.from(
      Buffer.concat([file.tail, rest.subarray(Math.max(0, bytes - TAIL_BYTES), bytes)]).subarray(-TAIL_BYTES),
    );
  }

  /** Emits what is left at the end of unpacked content. */
  flushPacked(file: LogFile, rest: Buffer): void {
    const before = file.tail;
    this.flush(file, rest, 0, rest.length);
    file.tail = Buffer.from(Buffer.concat([before, rest]).subarray(-TAIL_BYTES));
  }

  /** Whole records of buf[start, end), which stand at the file's offset; returns how many bytes they take. */
  feed(file: LogFile, buf: Buffer, start: number, end: number, more: boolean): number {
    windowChanged(this.#splitter);
    // A line of a window that is no longer than the limit cannot be over the limit.
    if (this.#fast && file.headerDone && !file.skipping && end - start <= this.#o.maxLogSize)
      return this.#program.window!(file, buf, start, end, file.offset);
    let p = start;
    while (p < end) {
      const taken = this.#record(file, buf, p, end, more, file.offset + p - start);
      if (taken === 0) break;
      p += taken;
      if (this.#sink.hasReady) break;
    }
    return p - start;
  }

  /** The record at buf[p]: emits it and returns the bytes it takes; 0 when it is not finished. */
  #record(file: LogFile, buf: Buffer, p: number, end: number, more: boolean, offset: number): number {
    const { maxLogSize, truncate } = this.#o;
    const header = !file.headerDone && this.#o.header !== undefined;
    const splitter = header ? this.#headerSplitter : this.#splitter;
    const found = splitter.next(buf, p, end, more);
    if (file.skipping) {
      const dropped = found ? splitter.after - p : this.#droppable(end - p, more);
      if (found) file.skipping = false;
      if (dropped > 0) file.ledger.settle(0, dropped, OVER_LIMIT);
      return dropped;
    }
    if (!found) {
      if (end - p < maxLogSize || (more && end - p < maxLogSize + 2)) return 0;
      file.headerDone = true;
      file.skipping = truncate;
      this.#emit(file, buf, p, p + maxLogSize, p, maxLogSize, offset);
      return maxLogSize;
    }
    const { tokenStart, tokenEnd, after } = splitter;
    if (header && this.#headerLine(file, buf, tokenStart, tokenEnd, after - p)) return after - p;
    if (header && !(this.#splitter instanceof LineSplitter)) return this.#record(file, buf, p, end, more, offset);
    if (tokenEnd - tokenStart > maxLogSize) {
      const cut = tokenStart + maxLogSize;
      this.#emit(file, buf, tokenStart, cut, p, cut - p, offset);
      if (!truncate) return cut - p;
      file.ledger.settle(0, after - cut, OVER_LIMIT);
      return after - p;
    }
    this.#emit(file, buf, tokenStart, tokenEnd, p, after - p, offset);
    return after - p;
  }

  /** How much of the rest of a long record can go when its end is not in sight. */
  #droppable(available: number, more: boolean): number {
    if (this.#splitter instanceof LineSplitter) return available;
    return more ? Math.max(0, available - PATTERN_OVERLAP) & ~1 : 0;
  }

  /** True when the line belongs to the header (then it is accounted for). */
  #headerLine(file: LogFile, buf: Buffer, start: number, end: number, bytes: number): boolean {
    const { header } = this.#o;
    if (file.headerDone || !header) return false;
    if (header(file, buf.subarray(start, end))) {
      file.ledger.settle(0, bytes, HEADER);
      return true;
    }
    file.headerDone = true;
    return false;
  }

  #emit(
    file: LogFile,
    buf: Buffer,
    tokenStart: number,
    tokenEnd: number,
    from: number,
    bytes: number,
    offset = file.offset,
  ): void {
    const { encoding } = this.#o;
    file.recordNumber++;
    let text = buf;
    let start = tokenStart;
    let end = tokenEnd;
    if (encoding.kind === 'decoded') {
      const decoded = encoding.decode(buf, tokenStart, tokenEnd);
      if (!decoded) {
        file.ledger.settle(0, bytes, UNDECODABLE);
        return;
      }
      text = decoded;
      start = 0;
      end = decoded.length;
    }
    const raw = encoding.kind === 'bytes';
    if (!raw) {
      if (!this.#o.preserveTrailing) while (end > start && isBlank(text[end - 1]!)) end--;
      if (!this.#o.preserveLeading) while (start < end && isBlank(text[start]!)) start++;
    }
    if (start === end) {
      file.ledger.settle(0, bytes, BLANK_LINE);
      return;
    }
    const token: Token = {
      buf: text,
      start,
      end,
      offset,
      bytes,
      raw,
      extra: this.#extra(file, offset + tokenStart - from),
    };
    this.#program.token(file, token);
  }

  #extra(file: LogFile, offset: number): ReadonlyValueMap | undefined {
    const { recordNumber, recordOffset } = this.#o;
    if (!recordNumber && !recordOffset) return undefined;
    const extra = new Map<string, Value>();
    if (recordNumber) extra.set('log.file.record_number', BigInt(file.recordNumber));
    if (recordOffset) extra.set('log.file.record_offset', BigInt(offset));
    return extra;
  }
}
