/** What becomes of files that are known: they grow, are renamed, truncated, deleted, forgotten. */
import { closeSync, fstatSync, statSync, unlinkSync } from 'node:fs';
import { messageOf } from '../../../core/errors.ts';
import type { Descriptors } from './descriptors.ts';
import { ACTIVE_MS, inodeKey, type LogFile, sameInode } from './file.ts';
import { type Files, knownOf } from './files.ts';
import type { FoundFile } from './finder.ts';
import { EMPTY, identityOf, readFingerprint, readTail, tailMatches } from './identity.ts';
import { COPY_WAIT_MS, type Opening } from './opening.ts';
import type { FileReader } from './reader.ts';
import { findRotated } from './rotated.ts';

/** How long a descriptor is kept when nothing more comes: of deleted files, and of renamed ones (their writer may not have noticed). */
const LINGER_DELETED_MS = 5_000;
const LINGER_RENAMED_MS = 30_000;
/** A rest that is read when a file is given up. */
const FINAL_BYTES = 1 << 20;

export class Fates {
  readonly #t: Files;
  readonly #d: Descriptors;
  readonly #opening: Opening;
  readonly #reader: FileReader;

  constructor(files: Files, descriptors: Descriptors, opening: Opening, reader: FileReader) {
    this.#t = files;
    this.#d = descriptors;
    this.#opening = opening;
    this.#reader = reader;
  }

  lookAt(f: LogFile, now: number): void {
    try {
      const s = f.fd >= 0 ? fstatSync(f.fd) : statSync(f.path);
      if (f.fd >= 0) f.links = s.nlink;
      else if (!sameInode(identityOf(s), f.identity)) return;
      this.saw(f, s.size, s.mtimeMs, now);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#t.logError(`stat ${f.path}`, 'Cannot look at file', { path: f.path, error: messageOf(error) });
    }
    if (f.state === 'waiting') this.#opening.judge(f, now);
  }

  saw(f: LogFile, sizeBytes: number, modifiedMs: number, now: number): void {
    const grown = sizeBytes !== f.sizeBytes;
    const touched = modifiedMs !== f.modifiedMs;
    f.modifiedMs = modifiedMs;
    if (grown) f.activeUntilMs = now + ACTIVE_MS;
    const before = f.sizeBytes;
    f.sizeBytes = sizeBytes;
    if (f.state === 'waiting') return;
    if (before === 0 && sizeBytes > 0 && f.offset === 0 && f.fd >= 0 && f.state === 'live') {
      // It was empty when it was found: only now can be said whether it is a copy that is being written.
      f.state = 'waiting';
      f.sinceMs = now;
      this.#opening.judge(f, now);
      return;
    }
    // Written to while it was opened: without a beginning, no copy of it could be known.
    if (f.fingerprint.length === 0 && f.offset === 0 && sizeBytes > 0 && f.fd >= 0 && !f.packed) {
      f.fingerprint = readFingerprint(f.fd, this.#t.config.fingerprint_size, false);
      f.fingerprintSaved = false;
      this.#t.saver?.added();
    }
    if (!f.packed && sizeBytes < f.offset) {
      this.shrunk(f, before);
      return;
    }
    if (!f.packed && sizeBytes < before && this.ensureOpen(f) && !this.#isAsBefore(f)) {
      this.replace(f, before, 0);
      return;
    }
    if (!f.packed && touched && !grown && sizeBytes === f.offset && f.offset > 0 && this.ensureOpen(f)) {
      if (f.fd >= 0 && !tailMatches(f.fd, f.offset, f.tail)) {
        this.replace(f, before, 0);
        return;
      }
    }
    if (f.hasUnread) this.#t.enqueue(f);
    else this.enqueueIfDue(f, now);
  }

  /** Begins with the same bytes, and has the same ones before the offset. */
  #isAsBefore(f: LogFile): boolean {
    if (f.fd < 0) return true;
    const head = readFingerprint(f.fd, f.fingerprint.length, false);
    return head.equals(f.fingerprint) && tailMatches(f.fd, f.offset, f.tail);
  }

  enqueueIfDue(f: LogFile, now: number): void {
    if (f.partialBytes === 0 || f.state === 'waiting') return;
    if (this.#t.config.force_flush_period > 0 && now - f.partialSinceMs >= this.#t.config.force_flush_period)
      this.#t.enqueue(f);
  }

  expire(now: number): void {
    for (const f of [...this.#t.all]) {
      if (f.state === 'draining' && !f.queued && !f.hasUnread) {
        const linger = f.links === 0 ? LINGER_DELETED_MS : LINGER_RENAMED_MS;
        if (now - Math.max(f.sinceMs, f.activeUntilMs - ACTIVE_MS) < linger) continue;
        if (f.partialBytes > 0 && f.fd >= 0) this.#reader.turn(f, FINAL_BYTES, true);
        f.rotateRange();
        this.#forget(f);
      } else if (f.state === 'gone' && f.isSettled && !this.#t.replaced.has(f)) this.#t.drop(f);
      else if (this.#t.config.delete_after_read && f.state === 'live') this.#deleteIfRead(f);
    }
    for (const f of this.#t.replaced) {
      if (now - f.sinceMs < LINGER_RENAMED_MS) continue;
      this.#t.replaced.delete(f);
      this.#loseUnread(f);
      this.#t.program.forget(f);
    }
    this.#t.known.expire(now);
  }

  renamed(f: LogFile, to: FoundFile, now: number): void {
    if (f.state === 'draining') {
      f.state = 'live';
    } else if (this.#t.byPath.get(f.path) === f) this.#t.byPath.delete(f.path);
    f.path = to.path;
    f.rotated = true;
    this.#t.byPath.set(f.path, f);
    const attributes = this.#opening.attributes(to.path, f.headerAttributes);
    if (attributes) f.attributes = attributes;
    f.changed = true;
    this.saw(f, to.sizeBytes, to.modifiedMs, now);
  }

  leftPath(f: LogFile, now: number): void {
    if (f.state === 'draining') return;
    if (this.#t.byPath.get(f.path) === f) this.#t.byPath.delete(f.path);
    if (f.state === 'waiting') {
      // Whatever it was, nothing of it was taken; its original answers for the content.
      f.state = 'draining';
      this.#forget(f);
      return;
    }
    f.state = 'draining';
    f.sinceMs = now;
    if (f.fd < 0) {
      const rotated = findRotated(f.path, (s) => s.ino === f.identity.inode && s.dev === f.identity.device);
      if (rotated) this.ensureOpen(f, rotated);
      if (f.fd < 0) {
        this.#loseUnread(f);
        this.#forget(f);
        return;
      }
    }
    this.lookAt(f, now);
    this.#t.enqueue(f);
  }

  /** Done with it. A renamed one is remembered for a while: it may come back. */
  #forget(f: LogFile): void {
    this.#t.program.forget(f);
    this.#t.rotateTouched();
    const remember = f.links > 0 && f.state === 'draining' && f.offset > 0;
    f.state = 'gone';
    f.original = undefined;
    f.sinceMs = this.#t.clock.monotonicMs();
    if (this.#t.byInode.get(inodeKey(f.identity)) === f) this.#t.byInode.delete(inodeKey(f.identity));
    if (remember) this.#t.known.add(knownOf(f, f.offset, Buffer.from(f.tail), this.#t.nextId++), f, f.sinceMs);
    this.#d.close(f);
    if (f.isSettled) this.#t.drop(f);
  }

  /** The file is shorter than what was read of it. */
  shrunk(f: LogFile, before: number): void {
    if (!this.ensureOpen(f) || f.fd < 0) return;
    const head = readFingerprint(f.fd, f.fingerprint.length, false);
    if (f.sizeBytes === 0 || !head.equals(f.fingerprint)) {
      this.replace(f, before, 0);
      return;
    }
    if (this.#t.config.on_truncate === 'read_whole_file') this.replace(f, before, 0);
    else if (this.#t.config.on_truncate === 'read_new') this.replace(f, before, f.sizeBytes);
    else
      this.#t.logWarning(
        `short ${f.path}`,
        'File is shorter than what was read and begins as before; waiting until it is longer',
        { path: f.path },
      );
  }

  /** The content is another one: goes on as a new file on the same descriptor. */
  replace(f: LogFile, sizeBefore: number, offset: number): LogFile {
    this.#t.log.info('File was truncated', { path: f.path });
    f.unreadBytes = f.heir ? 0 : Math.max(0, sizeBefore - f.offset);
    f.sizeBytes = Math.max(sizeBefore, f.offset);
    f.replaced = true;
    f.changed = true;
    const state = f.state;
    // Before the fingerprint is taken: whatever has a size has a beginning, too.
    const s = fstatSync(f.fd);
    const fresh = this.#t.create(f.path, f.identity, f.attributes, {
      offset,
      tail: offset > 0 ? readTail(f.fd, offset) : EMPTY,
      fingerprint: readFingerprint(f.fd, this.#t.config.fingerprint_size, false),
      recordNumber: 0,
      headerDone: offset > 0,
      headerAttributes: undefined,
      skipping: false,
    });
    fresh.fd = f.fd;
    fresh.state = state;
    fresh.sinceMs = f.sinceMs;
    fresh.links = f.links;
    fresh.watched = f.watched;
    const attributes = this.#opening.attributes(f.path, undefined);
    if (attributes) fresh.attributes = attributes;
    f.fd = -1;
    f.state = 'gone';
    this.#t.program.detach(f);
    f.sinceMs = this.#t.clock.monotonicMs();
    this.#t.replaced.add(f);
    this.#t.byInode.set(inodeKey(fresh.identity), fresh);
    if (state !== 'draining') this.#t.byPath.set(fresh.path, fresh);
    fresh.sizeBytes = s.size;
    fresh.modifiedMs = s.mtimeMs;
    fresh.activeUntilMs = f.sinceMs + ACTIVE_MS;
    if (fresh.hasUnread) this.#t.enqueue(fresh);
    return fresh;
  }

  /** Nobody will look for copies of truncated files any more; of those stored a moment ago, the next run will. */
  stop(): void {
    const now = this.#t.clock.monotonicMs();
    for (const f of this.#t.replaced) if (!this.#t.saver || now - f.sinceMs >= COPY_WAIT_MS) this.#loseUnread(f);
  }

  #loseUnread(f: LogFile): void {
    const bytes = f.unreadBytes > 0 ? f.unreadBytes : f.state === 'draining' && !f.packed ? f.sizeBytes - f.offset : 0;
    f.unreadBytes = 0;
    if (bytes <= 0) return;
    this.#t.lose(f.ledger, f.path, bytes);
    // Told, and not to be told again by the next run.
    f.sizeBytes = f.offset;
    f.changed = true;
    this.#t.saver?.changed();
  }

  #deleteIfRead(f: LogFile): void {
    if (f.fd < 0 || f.queued || f.hasUnread || f.partialBytes > 0 || !f.isSettled || f.offset === 0) return;
    try {
      const s = fstatSync(f.fd);
      if (!f.packed && s.size !== f.offset) return;
      if (sameInode(identityOf(statSync(f.path)), f.identity)) unlinkSync(f.path);
      f.links = 0;
      if (this.#t.byPath.get(f.path) === f) this.#t.byPath.delete(f.path);
      f.state = 'draining';
      this.#forget(f);
    } catch (error) {
      this.#t.logError(`delete ${f.path}`, 'could not delete', { path: f.path, error: messageOf(error) });
    }
  }

  /** Opens a known file again; false when that failed or another file is there by now. */
  ensureOpen(f: LogFile, path = f.path): boolean {
    if (f.fd >= 0) return true;
    if (!this.#d.room()) return false;
    const fd = this.#d.openPath(path);
    if (fd === undefined) return false;
    const s = fstatSync(fd);
    if (!sameInode(identityOf(s), f.identity)) {
      closeSync(fd);
      return false;
    }
    f.fd = fd;
    f.links = s.nlink;
    this.#d.open++;
    if (!f.packed) {
      const head = readFingerprint(fd, f.fingerprint.length, false);
      if (s.size >= f.offset && (!head.equals(f.fingerprint) || !tailMatches(fd, f.offset, f.tail))) {
        f.sizeBytes = s.size;
        this.replace(f, f.offset, 0);
        return false;
      }
    }
    return true;
  }
}
