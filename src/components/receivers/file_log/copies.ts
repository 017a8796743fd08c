/**
 * Whether a file that turned up is one we know: by what was stored or remembered, or as a copy of a file that is read
 * now (copytruncate, gzip of a rotated file).
 */
import { fstatSync } from 'node:fs';
import type { ReadonlyValueMap, Value } from '../../../wire/otlp.ts';
import type { KnownFile } from './checkpoint.ts';
import type { FileIdentity, LogFile } from './file.ts';
import { readTail, sameBefore, startsWith, tailMatches } from './identity.ts';

/** Where reading of a file begins. */
export interface Start {
  readonly isNew: boolean;
  readonly offset: number;
  readonly tail: Buffer;
  readonly recordNumber: number;
  readonly headerDone: boolean;
  readonly headerAttributes: ReadonlyValueMap | undefined;
  readonly skipping: boolean;
  readonly packedEndSize: number | undefined;
  /** Set: a copy of this file, which was read up to `offset`. */
  readonly continues: LogFile | undefined;
  /** Set: wait, it may be a copy of this file. */
  readonly original: LogFile | undefined;
}

export interface Candidate {
  readonly fd: number;
  readonly path: string;
  readonly fingerprint: Buffer;
  readonly size: number;
  readonly packed: boolean;
}

/** `rest`: it holds what was not read of the original. */
export type CopyVerdict =
  | 'other'
  | 'wait'
  | {
      readonly offset: number;
      readonly tail: Buffer;
      readonly rest: boolean;
      readonly packedEndSize: number | undefined;
    };

/** Is `c`, whose inode is new, a copy of `g`? */
export function judgeCopy(c: Candidate, g: LogFile, fingerprintSize: number): CopyVerdict {
  if (g.state === 'waiting' || g.packed || g.fingerprint.length === 0) return 'other';
  const long = c.fingerprint.length >= g.fingerprint.length;
  if (!(long ? startsWith(c.fingerprint, g.fingerprint) : startsWith(g.fingerprint, c.fingerprint))) return 'other';
  const size = g.fd >= 0 ? fstatSync(g.fd).size : g.sizeBytes;
  // Truncated; perhaps it has grown again since, and nobody has looked.
  const over =
    g.state === 'gone' ||
    size < g.offset ||
    size < g.sizeBytes ||
    (g.fd >= 0 && g.offset > 0 && !tailMatches(g.fd, g.offset, g.tail));
  const full = c.fingerprint.length >= fingerprintSize;
  // Nothing was read of it: only worth a thought when its content went away, or when a long beginning is the same.
  if (g.offset === 0 && !(over && (g.unreadBytes > 0 || g.state !== 'gone')) && !full) return 'other';
  if (c.packed) {
    // Only the beginning is written so far.
    if (!long) return 'wait';
    // Being packed, or packed and the original deleted. The bytes before the offset are compared while it is read.
    const deleted = over || (g.fd >= 0 && fstatSync(g.fd).nlink === 0 && isRead(g, size));
    return deleted ? { offset: g.offset, tail: g.tail, rest: true, packedEndSize: undefined } : 'wait';
  }
  if (over) {
    if (c.size >= g.offset)
      return long && tailMatches(c.fd, g.offset, g.tail)
        ? { offset: g.offset, tail: g.tail, rest: true, packedEndSize: undefined }
        : 'other';
    // All of the copy was read; certain only by a whole fingerprint.
    return full ? { offset: c.size, tail: readTail(c.fd, c.size), rest: false, packedEndSize: undefined } : 'other';
  }
  if (g.fd < 0) return 'other';
  if (fstatSync(g.fd).nlink === 0) {
    // Replaced by a new file at once: a long common beginning and the same bytes at the offset make it a copy.
    if (!full || c.size < g.offset || !tailMatches(c.fd, g.offset, g.tail)) return 'other';
    return isRead(g, size) ? { offset: g.offset, tail: g.tail, rest: true, packedEndSize: undefined } : 'wait';
  }
  if (c.size > size || !sameBefore(c.fd, g.fd, c.size)) return 'other';
  return 'wait';
}

/** A deleted file is read to its end before a copy goes on. */
const isRead = (g: LogFile, size: number): boolean => g.fd < 0 || g.offset >= size;

/** How long a file that vanished is remembered, and how many of them. */
const REMEMBER_MS = 600_000;
const REMEMBER_FILES = 2_000;

interface Found extends Candidate {
  readonly identity: FileIdentity;
}

/** Since when it is remembered; undefined: stored by the last run, and it is not decided yet whether it is lost. */
interface Memory {
  readonly sinceMs: number | undefined;
  /** The file it was until it was closed; what was read of that may be under way still. */
  readonly of: LogFile | undefined;
}

/** What is known of files that are not open: stored by the last run, or vanished a while ago. */
export class KnownFiles {
  readonly #files = new Map<KnownFile, Memory>();
  readonly #forgotten: (file: KnownFile) => void;
  #undecided = 0;

  /** @param forgotten called for each that is known no more */
  constructor(forgotten: (file: KnownFile) => void) {
    this.#forgotten = forgotten;
  }

  load(files: readonly KnownFile[]): void {
    for (const f of files) this.#files.set(f, { sinceMs: undefined, of: undefined });
    this.#undecided = files.length;
  }

  add(file: KnownFile, of: LogFile, nowMs: number): void {
    this.#files.set(file, { sinceMs: nowMs, of });
    if (this.#files.size > REMEMBER_FILES) this.take(this.#files.keys().next().value!);
  }

  /** What is to be stored: for bytes under way the file itself answers. */
  *stored(): Generator<KnownFile> {
    for (const [k, { of }] of this.#files) if (!of || of.isSettled) yield k;
  }

  /** Some of the last run have not been found, nor given up. */
  get hasUndecided(): boolean {
    return this.#undecided > 0;
  }

  undecided(): KnownFile[] {
    return [...this.#files].flatMap(([k, m]) => (m.sinceMs === undefined ? k : []));
  }

  take(file: KnownFile): void {
    const memory = this.#files.get(file);
    if (!memory) return;
    if (memory.sinceMs === undefined) this.#undecided--;
    this.#files.delete(file);
    this.#forgotten(file);
  }

  /** Not found, yet it may be: kept for a while as those that vanished. */
  keep(file: KnownFile, nowMs: number): void {
    this.#undecided--;
    this.#files.set(file, { sinceMs: nowMs, of: undefined });
  }

  hasInode(inode: number): boolean {
    for (const k of this.#files.keys()) if (k.identity?.inode === inode && !k.replaced) return true;
    return false;
  }

  expire(nowMs: number): void {
    for (const [f, { sinceMs }] of this.#files)
      if (sinceMs !== undefined && nowMs - sinceMs > REMEMBER_MS) this.take(f);
  }

  headerOf(k: KnownFile): ReadonlyValueMap | undefined {
    let parsed: unknown;
    try {
      parsed = JSON.parse(k.headerAttributes);
    } catch {
      return undefined;
    }
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    const out = new Map<string, Value>();
    for (const [key, value] of Object.entries(parsed))
      if (
        !key.startsWith('log.file.') &&
        (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      )
        out.set(key, value);
    return out.size > 0 ? out : undefined;
  }

  /** Takes what fits a file that turned up. Files whose inode is known must have had their turn before others. */
  match(c: Found, fingerprintSize: number): Start | undefined {
    let best: KnownFile | undefined;
    for (const k of this.#files.keys()) {
      if (k.fingerprint.length === 0) {
        // It was empty, so there is nothing to go on with.
        if (k.identity?.inode === c.identity.inode && k.offset === 0) this.take(k);
        continue;
      }
      const fingerprint =
        k.fingerprint.length > fingerprintSize ? k.fingerprint.subarray(0, fingerprintSize) : k.fingerprint;
      if (!startsWith(c.fingerprint, fingerprint)) continue;
      const full = fingerprint.length >= fingerprintSize;
      const certain = full || k.tail.length > 0 || k.offset === 0;
      if (k.packed !== c.packed) {
        if (c.packed && k.identity && certain) best ??= k;
        continue;
      }
      if (!k.identity) {
        best ??= k;
        continue;
      }
      // The device may have another number after a restart of the machine.
      const same = !k.replaced && k.identity.inode === c.identity.inode;
      if (same) {
        const another = k.identity.bornMs !== 0 && c.identity.bornMs !== 0 && k.identity.bornMs !== c.identity.bornMs;
        if (another && !full) continue;
        if (!c.packed && c.size >= k.offset && !tailMatches(c.fd, k.offset, k.tail)) continue;
        best = k;
        break;
      }
      // Its inode may be there with other content by now; had it the same, the match by inode would have taken it.
      if (c.size < k.offset || !tailMatches(c.fd, k.offset, k.tail)) continue;
      if (!certain || (c.path === k.path && !full)) continue;
      best ??= k;
    }
    if (!best) return undefined;
    const { of } = this.#files.get(best)!;
    this.take(best);
    const asOriginal = best.packed === c.packed;
    return {
      isNew: best.offset === 0,
      offset: best.offset,
      tail: best.tail.length > 0 || c.packed ? best.tail : readTail(c.fd, Math.min(best.offset, c.size)),
      recordNumber: best.recordNumber,
      headerDone: best.headerDone,
      headerAttributes: this.headerOf(best),
      skipping: best.skipping,
      packedEndSize: asOriginal && best.packedEndSize >= 0 ? best.packedEndSize : undefined,
      continues: of?.isSettled === false ? of : undefined,
      original: undefined,
    };
  }
}

/** A file that is read holds what was stored of `k`. */
export const isCopyOf = (f: LogFile, k: KnownFile): boolean =>
  f.fd >= 0 &&
  k.fingerprint.length > 0 &&
  !(k.replaced && f.identity.inode === k.identity?.inode) &&
  startsWith(f.fingerprint, k.fingerprint) &&
  (f.packed || tailMatches(f.fd, k.offset, k.tail));
