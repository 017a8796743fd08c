/**
 * Cuts answers of the API server into objects while they arrive: elements of `items` of a list, lines of a watch. What
 * has been visited is gone, so memory is bounded by one object, not by the answer.
 */

/** Of one object. etcd takes 1.5 MiB by default; more than this is no object. */
export const MAX_OBJECT_BYTES = 16 * 1024 * 1024;
/** Of what stands around the items of a list. */
const MAX_REST_BYTES = 1024 * 1024;

const QUOTE = 34;
const COLON = 58;
const OPEN_LIST = 91;
const BACKSLASH = 92;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;
const NEWLINE = 10;

/** What is read and not yet visited, in one piece that grows and is used again. */
class Pending {
  bytes: Buffer = Buffer.allocUnsafeSlow(64 * 1024);
  /** Bytes that count, from 0. */
  length = 0;

  add(chunk: Uint8Array): void {
    const needed = this.length + chunk.length;
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
    this.bytes.set(chunk, this.length);
    this.length = needed;
  }

  drop(bytes: number): void {
    if (bytes === 0) return;
    this.bytes.copyWithin(0, bytes, this.length);
    this.length -= bytes;
  }
}

/** Visits each element of the top member `items`; views are valid during the visit only. */
export class ListScanner {
  readonly #visit: (item: Buffer) => void;
  readonly #pending = new Pending();
  #pos = 0;
  #depth = 0;
  #isInString = false;
  /** Of the string that is walked or was walked last, in #pending. */
  #stringStart = 0;
  #key = '';
  #itemStart = -1;
  #phase: 'before' | 'items' | 'after' = 'before';
  #before = '';

  constructor(visit: (item: Buffer) => void) {
    this.#visit = visit;
  }

  /** What stands before the items; complete when the first one is visited. */
  get head(): unknown {
    return JSON.parse(`${this.#before}]}`);
  }

  push(chunk: Uint8Array): void {
    this.#pending.add(chunk);
    this.#scan();
    this.#forget();
  }

  /** The list without its items. Throws a SyntaxError when it is cut off. */
  end(): unknown {
    const tail = this.#pending.bytes.toString('utf8', 0, this.#pending.length);
    return JSON.parse(this.#phase === 'before' ? tail : this.#before + tail);
  }

  #scan(): void {
    // What follows the items is parsed in the end.
    if (this.#phase === 'after') return;
    const { bytes, length } = this.#pending;
    let depth = this.#depth;
    let isInString = this.#isInString;
    let pos = this.#pos;
    for (; pos < length; pos++) {
      const c = bytes[pos]!;
      if (isInString) {
        if (c === BACKSLASH) pos++;
        else if (c === QUOTE) {
          isInString = false;
          if (depth === 1) this.#key = bytes.toString('latin1', this.#stringStart, pos);
        }
        continue;
      }
      if (c === QUOTE) {
        isInString = true;
        this.#stringStart = pos + 1;
      } else if (c === OPEN_OBJECT) {
        if (depth === 2 && this.#phase === 'items') this.#itemStart = pos;
        depth++;
      } else if (c === CLOSE_OBJECT) {
        depth--;
        if (depth === 2 && this.#phase === 'items' && this.#itemStart >= 0) {
          this.#visit(bytes.subarray(this.#itemStart, pos + 1));
          this.#itemStart = -1;
        }
      } else if (c === OPEN_LIST) {
        if (depth === 1 && this.#phase === 'before' && this.#key === 'items') {
          this.#before = bytes.toString('utf8', 0, pos + 1);
          this.#phase = 'items';
        }
        depth++;
      } else if (c === CLOSE_LIST) {
        depth--;
        if (depth === 1 && this.#phase === 'items') {
          this.#phase = 'after';
          this.#pending.drop(pos);
          return;
        }
      } else if (c !== COLON && depth === 1 && c > 32) this.#key = '';
    }
    this.#depth = depth;
    this.#isInString = isInString;
    this.#pos = pos;
  }

  /** Drops what was visited. */
  #forget(): void {
    const limit = this.#phase === 'items' ? MAX_OBJECT_BYTES : MAX_REST_BYTES;
    if (this.#phase === 'items') {
      const keepFrom = this.#itemStart >= 0 ? this.#itemStart : Math.min(this.#pos, this.#pending.length);
      this.#pending.drop(keepFrom);
      this.#pos -= keepFrom;
      this.#stringStart -= keepFrom;
      if (this.#itemStart >= 0) this.#itemStart = 0;
    }
    if (this.#pending.length > limit) throw new Error(`an object of the list is longer than ${limit} bytes`);
  }
}

/** Visits each line; views are valid until the next call of `next`. */
export class LineScanner {
  readonly #pending = new Pending();
  readonly #maxBytes: number;
  #start = 0;
  #searched = 0;

  constructor(maxBytes = MAX_OBJECT_BYTES) {
    this.#maxBytes = maxBytes;
  }

  push(chunk: Uint8Array): void {
    this.#pending.drop(this.#start);
    this.#searched -= this.#start;
    this.#start = 0;
    this.#pending.add(chunk);
  }

  /** The next whole line that is not blank, undefined when more has to arrive. */
  next(): Buffer | undefined {
    const { bytes, length } = this.#pending;
    for (;;) {
      const at = bytes.subarray(0, length).indexOf(NEWLINE, this.#searched);
      if (at < 0) {
        this.#searched = length;
        if (length - this.#start > this.#maxBytes) throw new Error(`a line is longer than ${this.#maxBytes} bytes`);
        return undefined;
      }
      const line = bytes.subarray(this.#start, at);
      this.#start = this.#searched = at + 1;
      if (line.length > this.#maxBytes) throw new Error(`a line is longer than ${this.#maxBytes} bytes`);
      if (line.length > 1) return line;
    }
  }

  /** Bytes of a line that has not ended. */
  get rest(): number {
    return this.#pending.length - this.#start;
  }
}
