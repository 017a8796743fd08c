/**
 * The symbols of remote write 2. Every text has one number as long as the cache lives; series keep those numbers. A
 * request has its own, smaller numbers: those of the texts that occur in it.
 */
import { decodeUtf8, encodeUtf8, varintSize } from '../../../wire/proto.ts';

export class Symbols {
  #ids = new Map<string, number>();
  #texts: Uint8Array[] = [];
  #local = new Int32Array(1024);
  #stamp = new Int32Array(1024);
  #request = 0;
  #usedIds: number[] = [];
  /** Of the request that is being made, in the order of their numbers there. */
  used: Uint8Array[] = [];
  usedBytes = 0;

  constructor() {
    this.reset();
  }

  reset(): void {
    this.#ids = new Map();
    this.#texts = [];
    this.id('');
  }

  id(text: string): number {
    let id = this.#ids.get(text);
    if (id === undefined) {
      id = this.#texts.length;
      this.#ids.set(text, id);
      this.#texts.push(encodeUtf8(text));
      if (id >= this.#local.length) {
        const [local, stamp] = [new Int32Array(id * 2), new Int32Array(id * 2)];
        local.set(this.#local);
        stamp.set(this.#stamp);
        this.#local = local;
        this.#stamp = stamp;
      }
    }
    return id;
  }

  text(id: number): string {
    return decodeUtf8(this.#texts[id]!);
  }

  beginRequest(): void {
    this.#request++;
    this.used = [];
    this.#usedIds = [];
    this.usedBytes = 0;
    this.ref(0);
  }

  /** The number that the symbol has in this request. */
  ref(id: number): number {
    if (this.#stamp[id] === this.#request) return this.#local[id]!;
    const text = this.#texts[id]!;
    this.#stamp[id] = this.#request;
    this.#local[id] = this.used.length;
    this.used.push(text);
    this.#usedIds.push(id);
    this.usedBytes += 1 + varintSize(text.length) + text.length;
    return this.used.length - 1;
  }

  /** Takes back the symbols beyond the first `count`: the series that asked for them goes into another request. */
  rollback(count: number): void {
    for (const id of this.#usedIds.splice(count)) this.#stamp[id] = 0;
    for (const text of this.used.splice(count)) this.usedBytes -= 1 + varintSize(text.length) + text.length;
  }

  readonly refOf = (text: string): number => this.ref(this.id(text));
}
