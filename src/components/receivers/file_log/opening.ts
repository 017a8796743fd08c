/** Files that turn up: are they new, known from before, or copies of others? Where does reading begin? */
import { closeSync, fstatSync } from 'node:fs';
import { messageOf } from '../../../core/errors.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import { fileAttributes } from './attributes.ts';
import { type Candidate, type CopyVerdict, isCopyOf, judgeCopy, type Start } from './copies.ts';
import type { Descriptors } from './descriptors.ts';
import { ACTIVE_MS, type FileIdentity, inodeKey, type LogFile } from './file.ts';
import type { Files } from './files.ts';
import type { FoundFile } from './finder.ts';
import { EMPTY, identityOf, readFingerprint, readTail, startsWith, tailMatches } from './identity.ts';
import { findRotated } from './rotated.ts';

/** How long a file that looks like a copy waits for its original to be truncated. */
export const COPY_WAIT_MS = 2_000;
/** Missing files of the last run are searched for no more often. */
const SEARCH_MS = 200;

const FROM_ZERO: Start = {
  isNew: true,
  offset: 0,
  tail: EMPTY,
  recordNumber: 0,
  headerDone: false,
  headerAttributes: undefined,
  skipping: false,
  packedEndSize: undefined,
  continues: undefined,
  original: undefined,
};

export class Opening {
  readonly #t: Files;
  readonly #d: Descriptors;
  readonly #shrunk: (f: LogFile, before: number) => void;
  /** New files are read from byte 0. */
  fromBeginning: boolean;
  #nextSearchMs = 0;
  #giveUpMs: number | undefined;

  constructor(files: Files, descriptors: Descriptors, shrunk: (f: LogFile, before: number) => void) {
    this.#t = files;
    this.#d = descriptors;
    this.#shrunk = shrunk;
    this.fromBeginning = files.config.start_at === 'beginning';
  }

  openFound(found: FoundFile, now: number): void {
    if (!this.#d.room()) {
      this.#t.unopened.set(found.path, found);
      return;
    }
    const fd = this.#d.openPath(found.path);
    if (fd === undefined) return;
    this.#t.unopened.delete(found.path);
    let kept = false;
    try {
      const s = fstatSync(fd);
      const identity = identityOf(s);
      if (!s.isFile() || this.#t.byInode.has(inodeKey(identity))) return;
      const packed = this.#isPacked(found.path);
      const fingerprint = readFingerprint(fd, this.#t.config.fingerprint_size, packed);
      const start = this.#startOf(fd, found.path, identity, fingerprint, s.size, packed);
      const attributes = this.attributes(found.path, start.headerAttributes);
      if (!attributes) return;
      const f = this.#t.create(found.path, identity, attributes, { ...start, fingerprint });
      f.headerAttributes = start.headerAttributes;
      f.skipping = start.skipping;
      f.continues = start.continues;
      this.#inherit(f);
      f.packed = packed;
      f.packedEndSize = start.packedEndSize ?? -1;
      f.fd = fd;
      kept = true;
      this.#d.open++;
      f.links = s.nlink;
      f.sizeBytes = s.size;
      f.modifiedMs = s.mtimeMs;
      f.activeUntilMs = now + ACTIVE_MS;
      this.#t.byInode.set(inodeKey(identity), f);
      this.#t.byPath.set(found.path, f);
      if (start.original) {
        f.state = 'waiting';
        f.original = start.original;
        f.sinceMs = now;
      } else {
        if (start.isNew && s.size > 0) this.#t.log.info('Started watching file', { path: found.path });
        if (!packed && s.size < f.offset) this.#shrunk(f, f.sizeBytes);
        else if (f.hasUnread) this.#t.enqueue(f);
      }
    } catch (error) {
      this.#t.logError(`open ${found.path}`, 'Failed to open file', { path: found.path, error: messageOf(error) });
    } finally {
      if (!kept) closeSync(fd);
    }
  }

  /** Where reading of a file that was just opened begins. */
  #startOf(
    fd: number,
    path: string,
    identity: FileIdentity,
    fingerprint: Buffer,
    size: number,
    packed: boolean,
  ): Start {
    const known = this.#t.known.match(
      { fd, path, identity, fingerprint, size, packed },
      this.#t.config.fingerprint_size,
    );
    if (known) return known;
    if (!this.fromBeginning) {
      if (!packed) return { ...FROM_ZERO, offset: size, tail: readTail(fd, size), headerDone: true };
      return { ...FROM_ZERO, packedEndSize: size };
    }
    const copy = fingerprint.length > 0 ? this.#copyOf({ fd, path, fingerprint, size, packed }) : undefined;
    if (copy)
      return copy.verdict === 'wait' ? { ...FROM_ZERO, original: copy.of } : this.#startAsCopy(copy.of, copy.verdict);
    return FROM_ZERO;
  }

  /** Of all files that it could be a copy of, the one that was read farthest; not before it is clear for all. */
  #copyOf(c: Candidate): { of: LogFile; verdict: Exclude<CopyVerdict, 'other'> } | undefined {
    let best: { of: LogFile; verdict: Exclude<CopyVerdict, 'other'> } | undefined;
    for (const of of [...this.#t.replaced, ...this.#t.all]) {
      const verdict = this.#besideHeirs(c, of, judgeCopy(c, of, this.#t.config.fingerprint_size));
      if (verdict === 'other') continue;
      if (verdict === 'wait') return { of, verdict };
      if (!best || best.verdict === 'wait' || verdict.offset > best.verdict.offset) best = { of, verdict };
    }
    return best;
  }

  /** Several copies of one file (truncated, its copy packed at once): what one of them goes on with, no other may. */
  #besideHeirs(c: Candidate, of: LogFile, verdict: CopyVerdict): CopyVerdict {
    if (typeof verdict === 'string' || !verdict.rest) return verdict;
    let heir = of;
    while (heir.heir) heir = heir.heir;
    if (heir === of) {
      // A plain copy that waits comes first: the packed one is made of it.
      const waits = c.packed && [...this.#t.all].some((f) => f.state === 'waiting' && !f.packed && f.original === of);
      return waits ? 'wait' : verdict;
    }
    const isRead = heir.state !== 'gone';
    // The heir is judged by itself, as the original of this candidate.
    if (isRead && !heir.packed) return 'other';
    if (c.packed) return { offset: heir.offset, tail: heir.tail, rest: !isRead, packedEndSize: undefined };
    return { offset: c.size, tail: readTail(c.fd, c.size), rest: false, packedEndSize: undefined };
  }

  #inherit(f: LogFile): void {
    if (!f.continues) return;
    f.continues.heir = f;
    if (!f.packed) this.#t.saver?.forgotten(f.continues.id);
    this.#t.program.inherit(f.continues, f);
    this.#t.copies.add(f);
  }

  #startAsCopy(g: LogFile, verdict: Exclude<CopyVerdict, 'other' | 'wait'>): Start {
    if (verdict.rest) g.unreadBytes = 0;
    return {
      ...FROM_ZERO,
      isNew: false,
      offset: verdict.offset,
      tail: verdict.tail,
      recordNumber: g.recordNumber,
      headerDone: g.headerDone,
      headerAttributes: g.headerAttributes,
      skipping: g.skipping,
      packedEndSize: verdict.packedEndSize,
      continues: verdict.rest ? g : undefined,
    };
  }

  /** A file that waits: is it clear by now what it is? */
  judge(f: LogFile, now: number): void {
    if (f.fd < 0) return;
    const size = fstatSync(f.fd).size;
    f.fingerprint = readFingerprint(f.fd, this.#t.config.fingerprint_size, f.packed);
    const candidate = { fd: f.fd, path: f.path, fingerprint: f.fingerprint, size, packed: f.packed };
    const copy = this.#copyOf(candidate);
    const g = copy?.of;
    let verdict: CopyVerdict = copy?.verdict ?? 'other';
    if (verdict === 'wait' && g) {
      if (g.links === 0 && g.state !== 'gone') return;
      if (now - f.sinceMs < Math.max(COPY_WAIT_MS, 5 * this.#t.config.poll_interval)) return;
      // The original lives on: a copy that somebody keeps, if the beginning is long enough to be sure.
      if (f.fingerprint.length < this.#t.config.fingerprint_size) verdict = 'other';
      else if (f.packed) verdict = { offset: g.offset, tail: g.tail, rest: false, packedEndSize: undefined };
      else if (g.offset < size) return;
      else verdict = { offset: size, tail: readTail(f.fd, size), rest: false, packedEndSize: undefined };
    }
    const start = verdict === 'other' || verdict === 'wait' || !g ? FROM_ZERO : this.#startAsCopy(g, verdict);
    const fresh = this.#t.create(f.path, f.identity, f.attributes, { ...start, fingerprint: f.fingerprint });
    if (start.headerAttributes) fresh.attributes = this.attributes(f.path, start.headerAttributes) ?? f.attributes;
    fresh.headerAttributes = start.headerAttributes;
    fresh.continues = start.continues;
    this.#inherit(fresh);
    fresh.packed = f.packed;
    fresh.packedEndSize = start.packedEndSize ?? -1;
    fresh.fd = f.fd;
    fresh.links = f.links;
    fresh.watched = f.watched;
    fresh.sizeBytes = size;
    fresh.modifiedMs = f.modifiedMs;
    fresh.activeUntilMs = now + ACTIVE_MS;
    f.fd = -1;
    f.state = 'gone';
    f.original = undefined;
    this.#t.drop(f);
    this.#t.byInode.set(inodeKey(fresh.identity), fresh);
    this.#t.byPath.set(fresh.path, fresh);
    if (verdict === 'other') this.#t.log.info('Started watching file', { path: f.path });
    if (fresh.hasUnread) this.#t.enqueue(fresh);
  }

  attributes(path: string, header: ReadonlyValueMap | undefined): ReadonlyValueMap | undefined {
    try {
      const attributes = fileAttributes(this.#t.config, path, this.#t.program.baseAttributes);
      return header ? new Map([...attributes, ...header]) : attributes;
    } catch (error) {
      this.#t.logError(`attributes ${path}`, 'Failed to resolve attributes of file', { path, error: messageOf(error) });
      return undefined;
    }
  }

  #isPacked(path: string): boolean {
    return this.#t.config.compression === 'gzip' || (this.#t.config.compression === 'auto' && path.endsWith('.gz'));
  }

  /**
   * After a restart, files of the last run that were not found. They may have been renamed to names that the globs do
   * not match; and one that is renamed, copied or packed while a directory is read can be missing in what was read,
   * under either name. So a file is lost only when it was not found for a while.
   */
  findMissing(now: number): void {
    if (!this.#t.known.hasUndecided || now < this.#nextSearchMs) return;
    this.#nextSearchMs = now + SEARCH_MS;
    this.#giveUpMs ??= now + Math.max(COPY_WAIT_MS, 5 * this.#t.config.poll_interval);
    this.#drainRotated(now);
    if (now < this.#giveUpMs) return;
    for (const k of this.#t.known.undecided()) {
      if (!k.identity) {
        this.#t.known.keep(k, now);
        continue;
      }
      this.#t.known.take(k);
      const bytes = k.packed ? 0 : k.sizeBytes - k.offset;
      if (bytes > 0 && ![...this.#t.all].some((f) => isCopyOf(f, k))) this.#t.lose(this.#t.ledger, k.path, bytes);
    }
  }

  #drainRotated(now: number): void {
    for (const k of this.#t.known.undecided()) {
      if (!k.identity || k.path === '' || k.replaced) continue;
      const { identity } = k;
      const path = findRotated(k.path, (s) => s.ino === identity.inode && s.size >= k.offset);
      if (path && this.#d.room()) {
        const fd = this.#d.openPath(path);
        if (fd === undefined) continue;
        const s = fstatSync(fd);
        const same =
          !this.#t.byInode.has(inodeKey(identityOf(s))) &&
          startsWith(readFingerprint(fd, this.#t.config.fingerprint_size, false), k.fingerprint) &&
          tailMatches(fd, k.offset, k.tail);
        const attributes = same ? this.#attributesOfGone(k.path) : undefined;
        if (!same || !attributes) {
          closeSync(fd);
          continue;
        }
        this.#t.known.take(k);
        const header = this.#t.known.headerOf(k);
        const f = this.#t.create(k.path, identityOf(s), header ? new Map([...attributes, ...header]) : attributes, {
          offset: k.offset,
          tail: k.tail,
          recordNumber: k.recordNumber,
          headerDone: k.headerDone,
          headerAttributes: header,
          skipping: k.skipping,
          fingerprint: readFingerprint(fd, this.#t.config.fingerprint_size, false),
        });
        f.skipping = k.skipping;
        f.headerAttributes = header;
        f.fd = fd;
        this.#d.open++;
        f.state = 'draining';
        f.sinceMs = now;
        f.sizeBytes = s.size;
        f.links = s.nlink;
        this.#t.byInode.set(inodeKey(f.identity), f);
        this.#t.enqueue(f);
      }
    }
  }

  /** Attributes by the path a file had: what the path leads to now is another file or nothing. */
  #attributesOfGone(path: string): ReadonlyValueMap | undefined {
    try {
      return fileAttributes(this.#t.config, path, this.#t.program.baseAttributes);
    } catch {
      const plain = {
        ...this.#t.config,
        include_file_name_resolved: false,
        include_file_path_resolved: false,
        include_file_owner_name: false,
        include_file_owner_group_name: false,
        include_file_permissions: false,
      };
      return fileAttributes(plain, path, this.#t.program.baseAttributes);
    }
  }
}
