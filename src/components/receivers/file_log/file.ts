/**
 * One file as it is read: where it stands, what it begins with, and which of its bytes are settled. A file whose
 * content was replaced (truncated and written anew) goes on as a new LogFile on the same descriptor.
 */
import { Ledger } from '../../../core/ledger.ts';
import { Holds, Range, type Source } from '../../../stanza/source.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import type { GzipReader } from './gzip.ts';

/** A range that also remembers offsets which operators held and gave out while it was open. */
export class FileRange extends Range {
  /** The stored offset stays below it until the range is settled. */
  heldFrom = Number.POSITIVE_INFINITY;
  /** Records before its first byte. */
  readonly recordNumber: number;

  constructor(from: number, recordNumber: number, ledger: Ledger, done: (range: Range) => void) {
    super(from, ledger, done);
    this.recordNumber = recordNumber;
  }
}

/** An entry that is let go is under way in the open range: its bytes are not settled before that range is. */
class FileHolds extends Holds {
  readonly #file: LogFile;
  constructor(file: LogFile) {
    super();
    this.#file = file;
  }
  override remove(offset: number): void {
    super.remove(offset);
    const range = this.#file.range;
    if (offset < range.heldFrom) range.heldFrom = offset;
    this.#file.touched();
  }
}

export interface FileIdentity {
  readonly device: number;
  readonly inode: number;
  /** Milliseconds; 0 when the file system does not tell. */
  readonly bornMs: number;
}

export interface FileEvents {
  /** The stored offset may have moved on. */
  settled(file: LogFile): void;
  /** Something was emitted for it outside its turn. */
  touched(file: LogFile): void;
}

/**
 * `live`: its path leads to it. `draining`: the path does not any more; read to the end, then forgotten.
 * `waiting`: looks like a copy of a file that we read; not touched until it is clear what it is. `gone`: forgotten.
 */
export type FileState = 'live' | 'waiting' | 'draining' | 'gone';

/** A file that was written to is looked at in every poll for so long. */
export const ACTIVE_MS = 5_000;

export class LogFile implements Source {
  path: string;
  attributes: ReadonlyValueMap;
  resource: ReadonlyValueMap;
  readonly ledger: Ledger;
  readonly holds: Holds;
  range: FileRange;
  memo: unknown = undefined;

  /** Number by which stored changes refer to it. */
  readonly id: number;
  identity: FileIdentity;
  state: FileState = 'live';
  fd = -1;
  /** As last seen; of a packed file: the packed size. */
  sizeBytes = 0;
  modifiedMs = 0;
  links = 1;
  /** How much of the (unpacked) content was read. */
  offset: number;
  recordNumber: number;
  fingerprint: Buffer;
  /** The last bytes before `offset`. */
  tail: Buffer;
  gzip: GzipReader | undefined = undefined;
  packed = false;
  /** Of a packed file: it was read to the end when it had this size. */
  packedEndSize = -1;

  headerDone: boolean;
  headerAttributes: ReadonlyValueMap | undefined = undefined;
  /** Inside a record that is over max_log_size: the rest of it is dropped. */
  skipping = false;
  /** Length of the unfinished record at the end when it was last looked at, and since when it has that length. */
  partialBytes = 0;
  partialSinceMs = 0;

  /** Looked at in every poll until then. */
  activeUntilMs = 0;
  queued = false;
  /** Renamed, and perhaps not read to its end: goes before others, as its successor may go on with its last line. */
  rotated = false;
  /** Somebody tells when it is written to. */
  watched = false;
  /** Its content was truncated away; the inode holds other content. */
  replaced = false;
  /** Of replaced content: bytes that were not read when it was replaced. */
  unreadBytes = 0;
  /** The copy that goes on where it was left; no other copy may go on with the same bytes. */
  heir: LogFile | undefined = undefined;
  /** When its path went away, or when the waiting began. */
  sinceMs = 0;
  /** Of a file that waits: the file it looks like. */
  original: LogFile | undefined = undefined;
  /** The file whose content this copy goes on with: while that one is not settled, this one holds its bytes too. */
  continues: LogFile | undefined = undefined;
  /** Saved state is older than this one. */
  changed = true;
  fingerprintSaved = false;

  readonly #events: FileEvents;
  /** Not settled, in order; the last one is open. */
  readonly #ranges: FileRange[] = [];

  constructor(init: {
    id: number;
    path: string;
    attributes: ReadonlyValueMap;
    resource: ReadonlyValueMap;
    identity: FileIdentity;
    fingerprint: Buffer;
    tail: Buffer;
    offset: number;
    recordNumber: number;
    headerDone: boolean;
    parent: Ledger;
    events: FileEvents;
  }) {
    this.id = init.id;
    this.path = init.path;
    this.attributes = init.attributes;
    this.resource = init.resource;
    this.identity = init.identity;
    this.fingerprint = init.fingerprint;
    // Written in place later.
    this.tail = Buffer.from(init.tail);
    this.offset = init.offset;
    this.recordNumber = init.recordNumber;
    this.headerDone = init.headerDone;
    this.ledger = new Ledger(init.parent);
    this.holds = new FileHolds(this);
    this.#events = init.events;
    this.range = this.#open();
  }

  #open(): FileRange {
    const range = new FileRange(this.offset, this.recordNumber, this.ledger, this.#done);
    this.#ranges.push(range);
    return range;
  }

  readonly #done = (): void => {
    let moved = false;
    while (this.#ranges.length > 1 && this.#ranges[0]!.settled) {
      this.#ranges.shift();
      moved = true;
    }
    if (moved) this.changed = true;
    this.#events.settled(this);
  };

  touched(): void {
    this.#events.touched(this);
  }

  /** Closes the open range at the present offset and opens the next, unless nothing happened in it. */
  rotateRange(): void {
    const range = this.range;
    if (this.offset === range.from && range.pendingRecords === 0 && range.heldFrom === Number.POSITIVE_INFINITY) return;
    this.range = this.#open();
    range.close(this.offset);
  }

  /** Reading begins anew at `offset`; nothing may be under way. */
  restartAt(offset: number): void {
    this.offset = offset;
    this.#ranges.length = 0;
    this.range = this.#open();
  }

  /** Everything before it is settled: where reading begins after a restart. */
  get settledOffset(): number {
    let low = this.holds.lowest;
    for (const r of this.#ranges) {
      if (r.heldFrom < low) low = r.heldFrom;
      if (r.from < low) low = r.from;
    }
    const o = this.continues;
    if (o) {
      if (o.isSettled) this.continues = undefined;
      else low = Math.min(low, o.settledOffset);
    }
    return low;
  }

  /** Records before the settled offset. */
  get settledRecordNumber(): number {
    return this.#ranges[0]!.recordNumber;
  }

  /** Nothing that was read is under way or held. */
  get isSettled(): boolean {
    return this.holds.size === 0 && this.#ranges.length === 1 && this.range.pendingRecords === 0;
  }

  /** There may be something to read. */
  get hasUnread(): boolean {
    return this.packed ? this.sizeBytes !== this.packedEndSize : this.sizeBytes > this.offset + this.partialBytes;
  }
}

export const sameInode = (a: FileIdentity, b: FileIdentity): boolean => a.device === b.device && a.inode === b.inode;
export const inodeKey = (i: FileIdentity): string => `${i.device}:${i.inode}`;
