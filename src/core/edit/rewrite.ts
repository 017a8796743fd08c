/**
 * Walks the items of groups, lets somebody look at each, and makes new groups of what is left and what was changed.
 * Unchanged groups are handed on as they are, unchanged runs of bytes are copied whole, and the parts stay exact.
 */
import { ProtoReader, type ProtoWriter } from '../../wire/proto.ts';
import type { Group, Part } from '../batch.ts';
import type { Message } from './message.ts';
import { SlabWriter } from './slab-writer.ts';

/** Runs of kept and dropped records, in order. */
export class Runs {
  /** Lengths; even places are kept runs, odd ones dropped runs. */
  readonly lengths: number[] = [0];
  kept = 0;
  dropped = 0;

  keep(n: number): void {
    if (n === 0) return;
    this.kept += n;
    if (this.lengths.length % 2 === 1) this.lengths[this.lengths.length - 1]! += n;
    else this.lengths.push(n);
  }

  drop(n: number): void {
    if (n === 0) return;
    this.dropped += n;
    if (this.lengths.length % 2 === 0) this.lengths[this.lengths.length - 1]! += n;
    else this.lengths.push(n);
  }
}

function add(to: Part[], part: Part): void {
  const last = to.at(-1);
  if (last?.ack === part.ack)
    to[to.length - 1] = { ack: part.ack, records: last.records + part.records, bytes: last.bytes + part.bytes };
  else to.push(part);
}

/** Parts of the kept and of the dropped records. Source bytes are divided in proportion; sums stay exact. */
export function divideParts(parts: readonly Part[], runs: Runs): { kept: Part[]; dropped: Part[] } {
  const out = { kept: [] as Part[], dropped: [] as Part[] };
  let run = 0;
  let left = runs.lengths[0] ?? 0;
  for (const p of parts) {
    let taken = 0;
    let bytes = 0;
    while (taken < p.records) {
      while (left === 0 && run < runs.lengths.length - 1) left = runs.lengths[++run]!;
      // Records that no run tells of stay.
      const n = left === 0 ? p.records - taken : Math.min(left, p.records - taken);
      const upTo = Math.floor((p.bytes * (taken + n)) / p.records);
      add(run % 2 === 0 || left === 0 ? out.kept : out.dropped, { ack: p.ack, records: n, bytes: upTo - bytes });
      taken += n;
      bytes = upTo;
      left = Math.max(0, left - n);
    }
    // A part without records still holds source bytes.
    if (p.records === 0) add(out.kept, p);
  }
  return out;
}

/** Items of a new group: views while nothing changed, a copy from the first change on. */
export class ItemsWriter {
  readonly #w: ProtoWriter;
  readonly #items: Uint8Array;
  #from = 0;
  #to = 0;

  constructor(items: Uint8Array, w: ProtoWriter) {
    this.#items = items;
    this.#w = w;
    w.reset();
  }

  /** The bytes up to `to` stay. */
  keep(from: number, to: number): void {
    if (this.#to !== from) {
      this.#flush();
      this.#from = from;
    }
    this.#to = to;
  }

  #flush(): void {
    if (this.#to > this.#from) this.#w.raw(this.#items.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  /** For an item that is written anew. */
  get writer(): ProtoWriter {
    this.#flush();
    return this.#w;
  }

  finish(): Uint8Array {
    if (this.#w.pos === 0) return this.#items.subarray(this.#from, this.#to);
    this.#flush();
    return this.#w.finish();
  }

  /** As finish, in the writer's slab when it has one. */
  take(parts: readonly Part[]): Pick<Group, 'items' | 'parts'> {
    const w = this.#w;
    if (w.pos === 0 || !(w instanceof SlabWriter)) return { items: this.finish(), parts };
    this.#flush();
    return w.take(parts);
  }
}

export interface Rewritten {
  /** Undefined when nothing is left. The same object when nothing changed. */
  readonly group: Group | undefined;
  /** Parts of what was dropped. */
  readonly dropped: readonly Part[];
  /** In the unit of `count`. */
  readonly droppedCount: number;
}

/** A buffer over the same bytes: strings are decoded from it without making views. */
export const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/**
 * Walks the log records or spans of a group. `visit` may change the message, and returns false to drop it. Children are
 * rewritten by `childrenOf`, called after `visit` for messages that stay: new content, or undefined when they stay.
 */
export function rewriteItems(
  group: Group,
  message: Message,
  scratch: ProtoWriter,
  visit: (message: Message) => boolean,
  childrenOf?: (message: Message) => Uint8Array | undefined,
): Rewritten {
  const buf = bufferOf(group.items);
  const out = new ItemsWriter(group.items, scratch);
  const runs = new Runs();
  const r = new ProtoReader(buf);
  let changed = false;
  for (let from = 0; r.next(); from = r.pos) {
    const n = r.varint();
    const at = r.pos;
    r.pos = at + n;
    message.bind(buf, at, r.pos);
    if (!visit(message)) {
      runs.drop(1);
      continue;
    }
    runs.keep(1);
    const children = childrenOf?.(message);
    if (children || message.isChanged) {
      message.write(out.writer, 2, children);
      changed = true;
    } else out.keep(from, r.pos);
  }
  return rewritten(group, out, runs, changed, runs.kept, true);
}

/** `isWhole`: nothing will be added to the group's records, so that its bytes are free when those are settled. */
export function rewritten(
  group: Group,
  out: ItemsWriter,
  runs: Runs,
  changed: boolean,
  messages: number,
  isWhole = false,
): Rewritten {
  const takeItems = (parts: readonly Part[]) => (isWhole ? out.take(parts) : { items: out.finish(), parts });
  if (runs.dropped === 0 && messages === group.messages) {
    const same = changed ? { ...group, ...takeItems(group.parts) } : group;
    return { group: same, dropped: [], droppedCount: 0 };
  }
  const parts = divideParts(group.parts, runs);
  const left: Group = { ...group, messages, count: runs.kept, ...takeItems(parts.kept) };
  return {
    group: messages > 0 ? left : undefined,
    dropped: messages > 0 ? parts.dropped : [...parts.dropped, ...parts.kept],
    droppedCount: runs.dropped,
  };
}
