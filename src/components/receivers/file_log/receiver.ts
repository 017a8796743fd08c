/**
 * The receiver: a poller that keeps track of files (found, renamed, truncated, gone) and a pump that reads them in
 * turns and hands batches on. They share one thread: the poller goes on while the pump waits for the pipeline.
 */
import { closeSync, constants, fstatSync, openSync, statSync, unlinkSync } from 'node:fs';
import type { Batch, Consumer } from '../../../core/batch.ts';
import { lost } from '../../../core/batch.ts';
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Ledger } from '../../../core/ledger.ts';
import { RateLimit } from '../../../core/log.ts';
import type { Program } from '../../../stanza/program.ts';
import type { LogsSink } from '../../../stanza/sink.ts';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import { fileAttributes } from './attributes.ts';
import type { CheckpointStore, KnownFile } from './checkpoint.ts';
import type { FileLogConfig } from './config.ts';
import { type Candidate, type CopyVerdict, judgeCopy, KnownFiles, type Start } from './copies.ts';
import type { Delivery } from './delivery.ts';
import { type FileEvents, type FileIdentity, inodeKey, LogFile, sameInode } from './file.ts';
import { Finder, type FoundFile } from './finder.ts';
import { GzipReader } from './gzip.ts';
import { EMPTY, identityOf, readFingerprint, readTail, startsWith, tailMatches } from './identity.ts';
import type { FileReader } from './reader.ts';
import { findRotated } from './rotated.ts';
import { Saver } from './saver.ts';

/** Read of one file before the next gets its turn. */
const TURN_BYTES = 1 << 20;
/** The event loop gets its turn after so long. */
const YIELD_MS = 8;
/** A file that was written to is looked at in every poll for so long. */
const ACTIVE_MS = 5_000;
/** Every file is looked at after so long, told of or not. */
const SWEEP_MS = 4_000;
/** How long a descriptor is kept when nothing more comes: of deleted files, and of renamed ones (their writer may not have noticed). */
const LINGER_DELETED_MS = 5_000;
const LINGER_RENAMED_MS = 30_000;
/** How long a file that looks like a copy waits for its original to be truncated. */
const COPY_WAIT_MS = 2_000;
const DELETED = lost('deleted before it was read');

export interface Parts {
  readonly config: FileLogConfig;
  readonly ctx: ReceiverContext;
  readonly next: Consumer;
  readonly program: Program;
  readonly sink: LogsSink;
  readonly reader: FileReader;
  readonly delivery: Delivery;
  readonly abort: AbortController;
  readonly ledger: Ledger;
  /** Undefined without `storage`. */
  readonly openStore: (() => Promise<CheckpointStore>) | undefined;
  /** Paths in the order and number that ordering_criteria wants. */
  readonly order: (files: readonly FoundFile[]) => readonly FoundFile[];
}

export class FileLogReceiver implements Receiver {
  readonly #p: Parts;
  readonly #c: FileLogConfig;
  readonly #finder: Finder;
  readonly #limit: RateLimit;
  readonly #events: FileEvents = {
    settled: (f) => this.#settled(f),
    touched: (f) => this.#touched.add(f),
  };

  /** Live, waiting, draining; and gone ones until they are settled. */
  readonly #files = new Set<LogFile>();
  readonly #byInode = new Map<string, LogFile>();
  readonly #byPath = new Map<string, LogFile>();
  /** Of links: the file by what the link leads to. */
  readonly #byRealPath = new Map<string, LogFile>();
  /** Those that go on with the content of another one which is not settled. */
  readonly #copies = new Set<LogFile>();
  /** Truncated ones a copy of which may turn up. */
  readonly #replaced = new Set<LogFile>();
  /** Files for which there is no descriptor left, by path: what is known of them when they vanish. */
  readonly #unopened = new Map<string, FoundFile>();
  readonly #unreadable = new Set<string>();
  readonly #touched = new Set<LogFile>();
  readonly #queue: LogFile[] = [];
  readonly #dirty = new Set<LogFile>();
  readonly #known = new KnownFiles();
  #saver: Saver | undefined;
  #nextId = 1;
  #open = 0;
  #reading = 0;
  /** New files are read from byte 0. */
  #fromBeginning: boolean;
  #firstScan = true;
  #missLogged = false;
  #nextSweepMs = 0;

  #timer: NodeJS.Timeout | undefined;
  #kick: NodeJS.Timeout | undefined;
  #stopping = false;
  #pump: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  #takeAway: (() => void)[] = [];

  constructor(parts: Parts) {
    this.#p = parts;
    this.#c = parts.config;
    this.#fromBeginning = parts.config.start_at === 'beginning';
    const { clock, log } = parts.ctx;
    this.#limit = new RateLimit(10_000, () => clock.monotonicMs());
    this.#finder = new Finder({
      include: this.#c.include,
      exclude: this.#c.exclude,
      watch: this.#c.poll_mode === 'auto',
      log,
      nowMs: () => clock.monotonicMs(),
      written: (path) => {
        const f = this.#byPath.get(path) ?? this.#byRealPath.get(path);
        if (f) this.#dirty.add(f);
      },
      changed: () => this.#kickPoll(),
    });
  }

  /** For self telemetry and tests. */
  get openFiles(): number {
    return this.#open;
  }
  get readingFiles(): number {
    return this.#reading;
  }

  /** For tests: nothing waits to be stored. */
  get isStored(): boolean {
    return this.#saver?.isIdle ?? true;
  }

  /** For tests: the file at this path was found, and is not waiting to be told from a copy. */
  tracks(path: string): boolean {
    const f = this.#byPath.get(path);
    return f !== undefined && f.state === 'live' && f.identity.inode === statSync(path).ino;
  }

  observe(takeAway: () => void): void {
    this.#takeAway.push(takeAway);
  }

  async start(): Promise<void> {
    if (this.#p.openStore) {
      const store = await this.#p.openStore();
      this.#saver = new Saver(store, () => this.#snapshot(), this.#p.ctx.log, this.#p.ctx.clock);
      const known = store.load((error) =>
        this.#p.ctx.log.warn('Stored offsets are damaged; going on with what can be read', { error: messageOf(error) }),
      );
      if (known.length > 0) {
        this.#p.ctx.log.info("Resuming from previously known offset(s). 'start_at' setting is not applicable.");
        this.#fromBeginning = true;
        this.#known.load(known);
        for (const k of known) this.#nextId = Math.max(this.#nextId, k.id + 1);
      }
    }
    this.#pump = this.#run();
    this.#poll();
    this.#timer = setInterval(() => this.#poll(), this.#c.poll_interval);
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    clearTimeout(this.#kick);
    this.#finder.close();
    this.#p.abort.abort();
    this.#wake?.();
    const late = new Promise<'late'>((resolve) => {
      if (deadline.aborted) resolve('late');
      else deadline.addEventListener('abort', () => resolve('late'), { once: true });
    });
    if ((await Promise.race([this.#pump, late])) !== 'late') {
      // With stored offsets, what is held is read again.
      if (!this.#saver) {
        this.#p.program.flush();
        this.#rotateTouched();
      }
      this.#p.sink.seal();
      await Promise.race([this.#deliverReady(), late]);
      await this.#settledOr(late);
    }
    for (const f of this.#files) this.#closeFile(f);
    for (const t of this.#takeAway) t();
    // What is settled behind us while the pipeline stops is stored too.
    this.#saver?.finish(() => this.#unsettled() === 0);
  }

  /** Stops without a word to anybody, as when the process is killed: for tests. */
  abandon(): void {
    this.#stopping = true;
    clearInterval(this.#timer);
    clearTimeout(this.#kick);
    this.#finder.close();
    this.#p.abort.abort();
    this.#wake?.();
    this.#saver?.abandon();
    for (const f of this.#files) this.#closeFile(f);
  }

  /** Waits for settlement as long as it makes progress. */
  async #settledOr(late: Promise<'late'>): Promise<void> {
    let before = -1;
    for (let still = 0; still < 10; still++) {
      const n = this.#unsettled();
      if (n === 0) return;
      if (n !== before) still = 0;
      before = n;
      const pause = new Promise((resolve) => {
        this.#wake = () => resolve(undefined);
        setTimeout(resolve, 100);
      });
      if ((await Promise.race([pause, late])) === 'late') return;
    }
  }

  #unsettled(): number {
    const { inFlight } = this.#p.ledger.snapshot();
    return inFlight.records;
  }

  // ---------------------------------------------------------------- poller

  #kickPoll(): void {
    if (this.#stopping || this.#kick) return;
    // Soon rather than at the next poll: files that are rotated quickly must be open before they are gone.
    this.#kick = setTimeout(() => {
      this.#kick = undefined;
      if (!this.#stopping) this.#poll();
    }, 20);
  }

  #poll(): void {
    const now = this.#p.ctx.clock.monotonicMs();
    try {
      if (this.#firstScan || this.#finder.due || this.#unopened.size > 0) this.#reconcile(now);
      this.#lookAtFiles(now);
      this.#expire(now);
      this.#p.program.tick();
      this.#rotateTouched();
    } catch (error) {
      this.#logError('poll', 'Failed to look for files', { error: messageOf(error) });
    }
    this.#wake?.();
  }

  #reconcile(now: number): void {
    let found = this.#p.order(this.#finder.scan());
    if (this.#c.max_batches > 0)
      found = found.slice(0, this.#c.max_batches * Math.max(1, Math.floor(this.#c.max_concurrent_files / 2)));
    if (found.length === 0 && !this.#missLogged) {
      this.#missLogged = true;
      this.#p.ctx.log.warn('no files match the configured criteria', { include: this.#c.include });
    }
    const byPath = new Map(found.map((f) => [f.path, f]));
    const byInode = new Map<string, FoundFile>();
    for (const f of found) if (!byInode.has(inodeKey(f.identity))) byInode.set(inodeKey(f.identity), f);

    for (const f of [...this.#files]) {
      if (f.state === 'gone') continue;
      const here = f.state === 'draining' ? undefined : byPath.get(f.path);
      if (here && sameInode(here.identity, f.identity)) {
        if (here.fresh) this.#saw(f, here.sizeBytes, here.modifiedMs, now);
        continue;
      }
      const moved = byInode.get(inodeKey(f.identity));
      if (moved && (f.fd >= 0 || f.identity.bornMs === moved.identity.bornMs)) this.#renamed(f, moved, now);
      else this.#leftPath(f, now);
    }
    for (const f of this.#unopened.keys()) {
      const here = byPath.get(f);
      const was = this.#unopened.get(f)!;
      if (here && sameInode(here.identity, was.identity)) continue;
      this.#unopened.delete(f);
      if (!byInode.has(inodeKey(was.identity)) && was.sizeBytes > 0)
        this.#lose(this.#p.ledger, was.path, was.sizeBytes);
    }
    const unknown = found.filter((f) => !this.#byInode.has(inodeKey(f.identity)));
    // Originals before copies of them: what is known goes to the inode it was known of.
    for (const f of unknown) if (this.#known.hasInode(f.identity.inode)) this.#openFound(f, now);
    for (const f of unknown) if (!this.#byInode.has(inodeKey(f.identity))) this.#openFound(f, now);
    if (this.#firstScan) {
      this.#firstScan = false;
      this.#fromBeginning = true;
      this.#drainRotated(now);
    }
    this.#byRealPath.clear();
    for (const f of found) {
      const file = f.realPath && this.#byInode.get(inodeKey(f.identity));
      if (file) this.#byRealPath.set(f.realPath!, file);
    }
    for (const f of found) {
      const file = this.#byInode.get(inodeKey(f.identity));
      if (file) file.watched = this.#finder.isWatched(f);
    }
  }

  /** Sizes of the files that may have changed. */
  #lookAtFiles(now: number): void {
    const sweep = now >= this.#nextSweepMs;
    if (sweep) this.#nextSweepMs = now + SWEEP_MS;
    for (const f of this.#files) {
      if (f.state === 'gone') continue;
      if (sweep || !f.watched || now < f.activeUntilMs || f.state !== 'live' || this.#dirty.has(f))
        this.#lookAt(f, now);
      else if (f.partialBytes > 0) this.#enqueueIfDue(f, now);
    }
    this.#dirty.clear();
  }

  #lookAt(f: LogFile, now: number): void {
    try {
      const s = f.fd >= 0 ? fstatSync(f.fd) : statSync(f.path);
      if (f.fd >= 0) f.links = s.nlink;
      else if (!sameInode(identityOf(s), f.identity)) return;
      this.#saw(f, s.size, s.mtimeMs, now);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
        this.#logError(`stat ${f.path}`, 'Cannot look at file', { path: f.path, error: messageOf(error) });
    }
    if (f.state === 'waiting') this.#judge(f, now);
  }

  #saw(f: LogFile, sizeBytes: number, modifiedMs: number, now: number): void {
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
      this.#judge(f, now);
      return;
    }
    if (!f.packed && sizeBytes < f.offset) {
      this.#shrunk(f, before);
      return;
    }
    if (!f.packed && sizeBytes < before && this.#ensureOpen(f) && !this.#isAsBefore(f)) {
      this.#replace(f, before, 0);
      return;
    }
    if (!f.packed && touched && !grown && sizeBytes === f.offset && f.offset > 0 && this.#ensureOpen(f)) {
      if (f.fd >= 0 && !tailMatches(f.fd, f.offset, f.tail)) {
        this.#replace(f, before, 0);
        return;
      }
    }
    if (f.hasUnread) this.#enqueue(f);
    else this.#enqueueIfDue(f, now);
  }

  /** Begins with the same bytes, and has the same ones before the offset. */
  #isAsBefore(f: LogFile): boolean {
    if (f.fd < 0) return true;
    const head = readFingerprint(f.fd, f.fingerprint.length, false);
    return head.equals(f.fingerprint) && tailMatches(f.fd, f.offset, f.tail);
  }

  #enqueueIfDue(f: LogFile, now: number): void {
    if (f.partialBytes === 0 || f.state === 'waiting') return;
    if (this.#c.force_flush_period > 0 && now - f.partialSinceMs >= this.#c.force_flush_period) this.#enqueue(f);
  }

  #enqueue(f: LogFile): void {
    if (f.queued || f.state === 'waiting' || f.state === 'gone') return;
    f.queued = true;
    // What is left of a rotated file comes before its successor.
    if (f.state === 'draining') this.#queue.unshift(f);
    else this.#queue.push(f);
  }

  #expire(now: number): void {
    for (const f of [...this.#files]) {
      if (f.state === 'draining' && !f.queued && !f.hasUnread) {
        const linger = f.links === 0 ? LINGER_DELETED_MS : LINGER_RENAMED_MS;
        if (now - Math.max(f.sinceMs, f.activeUntilMs - ACTIVE_MS) < linger) continue;
        if (f.partialBytes > 0 && f.fd >= 0) this.#p.reader.turn(f, TURN_BYTES, true);
        f.rotateRange();
        this.#forget(f);
      } else if (f.state === 'gone' && f.isSettled && !this.#replaced.has(f)) this.#drop(f);
      else if (this.#c.delete_after_read && f.state === 'live') this.#deleteIfRead(f);
    }
    for (const f of this.#replaced) {
      if (now - f.sinceMs < LINGER_RENAMED_MS) continue;
      this.#replaced.delete(f);
      this.#loseUnread(f);
      this.#p.program.forget(f);
    }
    this.#known.expire(now);
  }

  // ---------------------------------------------------------------- what becomes of files

  #renamed(f: LogFile, to: FoundFile, now: number): void {
    if (f.state === 'draining') {
      f.state = 'live';
    } else if (this.#byPath.get(f.path) === f) this.#byPath.delete(f.path);
    f.path = to.path;
    this.#byPath.set(f.path, f);
    const attributes = this.#attributes(to.path, f.headerAttributes);
    if (attributes) f.attributes = attributes;
    f.changed = true;
    this.#saw(f, to.sizeBytes, to.modifiedMs, now);
  }

  #leftPath(f: LogFile, now: number): void {
    if (f.state === 'draining') return;
    if (this.#byPath.get(f.path) === f) this.#byPath.delete(f.path);
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
      if (rotated) this.#ensureOpen(f, rotated);
      if (f.fd < 0) {
        this.#loseUnread(f);
        this.#forget(f);
        return;
      }
    }
    this.#lookAt(f, now);
    this.#enqueue(f);
  }

  /** Done with it. A renamed one is remembered for a while: it may come back. */
  #forget(f: LogFile): void {
    this.#p.program.forget(f);
    this.#rotateTouched();
    const remember = f.links > 0 && f.state === 'draining' && f.offset > 0;
    f.state = 'gone';
    f.original = undefined;
    f.sinceMs = this.#p.ctx.clock.monotonicMs();
    if (this.#byInode.get(inodeKey(f.identity)) === f) this.#byInode.delete(inodeKey(f.identity));
    if (remember) this.#known.add(knownOf(f, f.offset, Buffer.from(f.tail)), f.sinceMs);
    this.#closeFile(f);
    if (f.isSettled) this.#drop(f);
  }

  #drop(f: LogFile): void {
    this.#files.delete(f);
    this.#saver?.forgotten(f.id);
  }

  /** The file is shorter than what was read of it. */
  #shrunk(f: LogFile, before: number): void {
    if (!this.#ensureOpen(f) || f.fd < 0) return;
    const head = readFingerprint(f.fd, f.fingerprint.length, false);
    if (f.sizeBytes === 0 || !head.equals(f.fingerprint)) {
      this.#replace(f, before, 0);
      return;
    }
    if (this.#c.on_truncate === 'read_whole_file') this.#replace(f, before, 0);
    else if (this.#c.on_truncate === 'read_new') this.#replace(f, before, f.sizeBytes);
    else
      this.#logLimited(
        `short ${f.path}`,
        'File is shorter than what was read and begins as before; waiting until it is longer',
        { path: f.path },
      );
  }

  /** The content is another one: goes on as a new file on the same descriptor. */
  #replace(f: LogFile, sizeBefore: number, offset: number): LogFile {
    this.#p.ctx.log.info('File was truncated', { path: f.path });
    f.unreadBytes = f.continued ? 0 : Math.max(0, sizeBefore - f.offset);
    const state = f.state;
    const fresh = this.#newFile(f.path, f.identity, f.attributes, {
      offset,
      tail: offset > 0 ? readTail(f.fd, offset) : EMPTY,
      fingerprint: readFingerprint(f.fd, this.#c.fingerprint_size, false),
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
    const attributes = this.#attributes(f.path, undefined);
    if (attributes) fresh.attributes = attributes;
    f.fd = -1;
    f.state = 'gone';
    f.sinceMs = this.#p.ctx.clock.monotonicMs();
    this.#replaced.add(f);
    this.#byInode.set(inodeKey(fresh.identity), fresh);
    if (state !== 'draining') this.#byPath.set(fresh.path, fresh);
    const s = fstatSync(fresh.fd);
    fresh.sizeBytes = s.size;
    fresh.modifiedMs = s.mtimeMs;
    fresh.activeUntilMs = f.sinceMs + ACTIVE_MS;
    if (fresh.hasUnread) this.#enqueue(fresh);
    return fresh;
  }

  #loseUnread(f: LogFile): void {
    const bytes = f.unreadBytes > 0 ? f.unreadBytes : f.state === 'draining' && !f.packed ? f.sizeBytes - f.offset : 0;
    f.unreadBytes = 0;
    if (bytes > 0) this.#lose(f.ledger, f.path, bytes);
  }

  #lose(ledger: Ledger, path: string, bytes: number): void {
    ledger.read(0, bytes);
    ledger.settle(0, bytes, DELETED);
    this.#logError(`lost ${path}`, 'File was deleted or truncated before all of it was read', { path, bytes });
  }

  #deleteIfRead(f: LogFile): void {
    if (f.fd < 0 || f.queued || f.hasUnread || f.partialBytes > 0 || !f.isSettled || f.offset === 0) return;
    try {
      const s = fstatSync(f.fd);
      if (!f.packed && s.size !== f.offset) return;
      if (sameInode(identityOf(statSync(f.path)), f.identity)) unlinkSync(f.path);
      f.links = 0;
      if (this.#byPath.get(f.path) === f) this.#byPath.delete(f.path);
      f.state = 'draining';
      this.#forget(f);
    } catch (error) {
      this.#logError(`delete ${f.path}`, 'could not delete', { path: f.path, error: messageOf(error) });
    }
  }

  // ---------------------------------------------------------------- opening

  #openFound(found: FoundFile, now: number): void {
    if (!this.#room()) {
      this.#unopened.set(found.path, found);
      return;
    }
    const fd = this.#openPath(found.path);
    if (fd === undefined) return;
    this.#unopened.delete(found.path);
    let kept = false;
    try {
      const s = fstatSync(fd);
      const identity = identityOf(s);
      if (!s.isFile() || this.#byInode.has(inodeKey(identity))) return;
      const packed = this.#isPacked(found.path);
      const fingerprint = readFingerprint(fd, this.#c.fingerprint_size, packed);
      const start = this.#startOf(fd, found.path, identity, fingerprint, s.size, packed);
      const attributes = this.#attributes(found.path, start.headerAttributes);
      if (!attributes) return;
      const f = this.#newFile(found.path, identity, attributes, { ...start, fingerprint });
      f.headerAttributes = start.headerAttributes;
      f.skipping = start.skipping;
      f.continues = start.continues;
      if (f.continues) this.#copies.add(f);
      f.packed = packed;
      f.packedEndSize = start.packedEndSize ?? -1;
      f.fd = fd;
      kept = true;
      this.#open++;
      f.links = s.nlink;
      f.sizeBytes = s.size;
      f.modifiedMs = s.mtimeMs;
      f.activeUntilMs = now + ACTIVE_MS;
      this.#byInode.set(inodeKey(identity), f);
      this.#byPath.set(found.path, f);
      if (start.original) {
        f.state = 'waiting';
        f.original = start.original;
        f.sinceMs = now;
      } else {
        if (start.isNew && s.size > 0) this.#p.ctx.log.info('Started watching file', { path: found.path });
        if (!packed && s.size < f.offset) this.#shrunk(f, f.sizeBytes);
        else if (f.hasUnread) this.#enqueue(f);
      }
    } catch (error) {
      this.#logError(`open ${found.path}`, 'Failed to open file', { path: found.path, error: messageOf(error) });
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
    const known = this.#known.match({ fd, path, identity, fingerprint, size, packed }, this.#c.fingerprint_size);
    if (known) return known;
    if (!this.#fromBeginning && this.#firstScan) {
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
    for (const of of [...this.#replaced, ...this.#files]) {
      const verdict = judgeCopy(c, of, this.#c.fingerprint_size);
      if (verdict === 'other') continue;
      if (verdict === 'wait') return { of, verdict };
      if (!best || best.verdict === 'wait' || verdict.offset > best.verdict.offset) best = { of, verdict };
    }
    return best;
  }

  #startAsCopy(g: LogFile, verdict: Exclude<CopyVerdict, 'other' | 'wait'>): Start {
    if (verdict.rest) {
      g.unreadBytes = 0;
      g.continued = true;
    }
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
  #judge(f: LogFile, now: number): void {
    if (f.fd < 0) return;
    f.fingerprint = readFingerprint(f.fd, this.#c.fingerprint_size, f.packed);
    const size = fstatSync(f.fd).size;
    const candidate = { fd: f.fd, path: f.path, fingerprint: f.fingerprint, size, packed: f.packed };
    const copy = this.#copyOf(candidate);
    const g = copy?.of;
    let verdict: CopyVerdict = copy?.verdict ?? 'other';
    if (verdict === 'wait' && g) {
      if (g.links === 0 && g.state !== 'gone') return;
      if (now - f.sinceMs < Math.max(COPY_WAIT_MS, 5 * this.#c.poll_interval)) return;
      // The original lives on: a copy that somebody keeps, if the beginning is long enough to be sure.
      if (f.fingerprint.length < this.#c.fingerprint_size) verdict = 'other';
      else if (f.packed) verdict = { offset: g.offset, tail: g.tail, rest: false, packedEndSize: undefined };
      else if (g.offset < size) return;
      else verdict = { offset: size, tail: readTail(f.fd, size), rest: false, packedEndSize: undefined };
    }
    const start = verdict === 'other' || verdict === 'wait' || !g ? FROM_ZERO : this.#startAsCopy(g, verdict);
    const fresh = this.#newFile(f.path, f.identity, f.attributes, { ...start, fingerprint: f.fingerprint });
    if (start.headerAttributes) fresh.attributes = this.#attributes(f.path, start.headerAttributes) ?? f.attributes;
    fresh.headerAttributes = start.headerAttributes;
    fresh.continues = start.continues;
    if (fresh.continues) this.#copies.add(fresh);
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
    this.#drop(f);
    this.#byInode.set(inodeKey(fresh.identity), fresh);
    this.#byPath.set(fresh.path, fresh);
    if (verdict === 'other') this.#p.ctx.log.info('Started watching file', { path: f.path });
    if (fresh.hasUnread) this.#enqueue(fresh);
  }

  #newFile(
    path: string,
    identity: FileIdentity,
    attributes: ReadonlyValueMap,
    from: Pick<Start, 'offset' | 'tail' | 'recordNumber' | 'headerDone' | 'headerAttributes' | 'skipping'> & {
      fingerprint: Buffer;
    },
  ): LogFile {
    const f = new LogFile({
      id: this.#nextId++,
      path,
      attributes,
      resource: this.#p.program.baseResource,
      identity,
      fingerprint: from.fingerprint,
      tail: from.tail,
      offset: from.offset,
      recordNumber: from.recordNumber,
      headerDone: from.headerDone || !this.#c.header,
      parent: this.#p.ledger,
      events: this.#events,
    });
    this.#files.add(f);
    this.#saver?.added();
    return f;
  }

  #attributes(path: string, header: ReadonlyValueMap | undefined): ReadonlyValueMap | undefined {
    try {
      const attributes = fileAttributes(this.#c, path, this.#p.program.baseAttributes);
      return header ? new Map([...attributes, ...header]) : attributes;
    } catch (error) {
      this.#logError(`attributes ${path}`, 'Failed to resolve attributes of file', { path, error: messageOf(error) });
      return undefined;
    }
  }

  #isPacked(path: string): boolean {
    return this.#c.compression === 'gzip' || (this.#c.compression === 'auto' && path.endsWith('.gz'));
  }

  #openPath(path: string): number | undefined {
    try {
      // Without waiting, should a pipe stand there by now.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (this.#unreadable.delete(path)) this.#p.ctx.log.info('File can be read again', { path });
      return fd;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM') {
        if (!this.#unreadable.has(path))
          this.#p.ctx.log.error('Failed to open file', { path, error: messageOf(error) });
        if (this.#unreadable.size < 10_000) this.#unreadable.add(path);
      } else if (code !== 'ENOENT')
        this.#logError(`open ${path}`, 'Failed to open file', { path, error: messageOf(error) });
      return undefined;
    }
  }

  /** A descriptor can be had, if need be by closing that of an idle file. */
  #room(): boolean {
    if (this.#open < this.#c.max_concurrent_files) return true;
    for (const f of this.#files) {
      if (f.fd < 0 || f.state !== 'live' || f.queued || f.gzip || f.hasUnread || f.partialBytes > 0) continue;
      this.#closeFile(f);
      // So that the next search begins with others.
      this.#files.delete(f);
      this.#files.add(f);
      return true;
    }
    const held = this.#limit.pass('room');
    if (held !== undefined)
      this.#p.ctx.log.warn('All max_concurrent_files descriptors are in use; other files wait', {
        max_concurrent_files: this.#c.max_concurrent_files,
      });
    return false;
  }

  /** Opens a known file again; false when that failed or another file is there by now. */
  #ensureOpen(f: LogFile, path = f.path): boolean {
    if (f.fd >= 0) return true;
    if (!this.#room()) return false;
    const fd = this.#openPath(path);
    if (fd === undefined) return false;
    const s = fstatSync(fd);
    if (!sameInode(identityOf(s), f.identity)) {
      closeSync(fd);
      return false;
    }
    f.fd = fd;
    f.links = s.nlink;
    this.#open++;
    if (!f.packed) {
      const head = readFingerprint(fd, f.fingerprint.length, false);
      if (s.size >= f.offset && (!head.equals(f.fingerprint) || !tailMatches(fd, f.offset, f.tail))) {
        f.sizeBytes = s.size;
        this.#replace(f, f.offset, 0);
        return false;
      }
    }
    return true;
  }

  #closeFile(f: LogFile): void {
    f.gzip?.close();
    f.gzip = undefined;
    if (f.fd < 0) return;
    try {
      closeSync(f.fd);
    } catch (error) {
      this.#logError('close', 'Failed to close file', { path: f.path, error: messageOf(error) });
    }
    f.fd = -1;
    this.#open--;
  }

  /** After a restart: tails of files that were renamed meanwhile, to names that the globs may not match. */
  #drainRotated(now: number): void {
    for (const k of this.#known.unmatched()) {
      if (!k.identity || k.path === '') continue;
      const { identity } = k;
      const path = findRotated(k.path, (s) => s.ino === identity.inode && s.size >= k.offset);
      if (path && this.#room()) {
        const fd = this.#openPath(path);
        if (fd === undefined) continue;
        const s = fstatSync(fd);
        const same =
          !this.#byInode.has(inodeKey(identityOf(s))) &&
          startsWith(readFingerprint(fd, this.#c.fingerprint_size, false), k.fingerprint) &&
          tailMatches(fd, k.offset, k.tail);
        const attributes = same ? this.#attributesOfGone(k.path) : undefined;
        if (!same || !attributes) {
          closeSync(fd);
          continue;
        }
        this.#known.take(k);
        const header = this.#known.headerOf(k);
        const f = this.#newFile(k.path, identityOf(s), header ? new Map([...attributes, ...header]) : attributes, {
          offset: k.offset,
          tail: k.tail,
          recordNumber: k.recordNumber,
          headerDone: k.headerDone,
          headerAttributes: header,
          skipping: k.skipping,
          fingerprint: readFingerprint(fd, this.#c.fingerprint_size, false),
        });
        f.skipping = k.skipping;
        f.headerAttributes = header;
        f.fd = fd;
        this.#open++;
        f.state = 'draining';
        f.sinceMs = now;
        f.sizeBytes = s.size;
        f.links = s.nlink;
        this.#byInode.set(inodeKey(f.identity), f);
        this.#enqueue(f);
      } else if (!path && ![...this.#files].some((f) => isCopyOf(f, k)))
        this.#known.lose(k, (bytes) => this.#lose(this.#p.ledger, k.path, bytes));
    }
  }

  /** Attributes by the path a file had: what the path leads to now is another file or nothing. */
  #attributesOfGone(path: string): ReadonlyValueMap | undefined {
    try {
      return fileAttributes(this.#c, path, this.#p.program.baseAttributes);
    } catch {
      const plain = {
        ...this.#c,
        include_file_name_resolved: false,
        include_file_path_resolved: false,
        include_file_owner_name: false,
        include_file_owner_group_name: false,
        include_file_permissions: false,
      };
      return fileAttributes(plain, path, this.#p.program.baseAttributes);
    }
  }

  // ---------------------------------------------------------------- pump

  async #run(): Promise<void> {
    let lastYield = this.#p.ctx.clock.monotonicMs();
    while (!this.#stopping) {
      const f = this.#queue.shift();
      if (!f) {
        this.#p.sink.seal();
        if (!(await this.#deliverReady())) return;
        if (this.#queue.length === 0 && !this.#p.sink.hasReady) {
          this.#p.reader.idle();
          await this.#sleep();
        }
        continue;
      }
      f.queued = false;
      if (f.state === 'gone' || f.state === 'waiting') continue;
      if (!(await this.#windowOpen())) return;
      if ((f.state as string) === 'gone') continue;
      await this.#turn(f);
      if (this.#p.sink.hasReady && !(await this.#deliverReady())) return;
      const now = this.#p.ctx.clock.monotonicMs();
      if (now - lastYield >= YIELD_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        lastYield = this.#p.ctx.clock.monotonicMs();
      }
    }
  }

  async #turn(f: LogFile): Promise<void> {
    this.#reading = 1;
    try {
      if (!this.#ensureOpen(f)) {
        f.activeUntilMs = this.#p.ctx.clock.monotonicMs() + ACTIVE_MS;
        return;
      }
      const result = f.packed ? await this.#packedTurn(f) : this.#p.reader.turn(f, TURN_BYTES);
      if (result === 'replaced') {
        const size = fstatSync(f.fd).size;
        if (size < f.offset) {
          const before = f.sizeBytes;
          f.sizeBytes = size;
          this.#shrunk(f, before);
        } else this.#replace(f, f.offset, 0);
      } else if (result === 'more') this.#enqueue(f);
    } catch (error) {
      this.#logError(`read ${f.path}`, 'Failed to read file', { path: f.path, error: messageOf(error) });
      f.activeUntilMs = this.#p.ctx.clock.monotonicMs() + ACTIVE_MS;
    } finally {
      f.rotateRange();
      this.#rotateTouched();
      this.#reading = 0;
    }
  }

  async #packedTurn(f: LogFile): Promise<'more' | 'end'> {
    f.gzip ??= new GzipReader(f.fd, f.sizeBytes, f.offset, f.tail);
    const g = f.gzip;
    let budget = TURN_BYTES;
    while (budget > 0) {
      const filled = await g.fill();
      // Closed meanwhile.
      if (f.gzip !== g) return 'end';
      if (g.isShort && f.fingerprint.length >= this.#c.fingerprint_size) {
        // Packed before the original was complete: all of it was read there.
        f.packedEndSize = g.packedSize;
        f.gzip = undefined;
        g.close();
        return 'end';
      }
      if (g.mismatch) {
        f.gzip = undefined;
        g.close();
        this.#logError(
          `packed ${f.path}`,
          'Packed file does not go on where its original was left; reading all of it',
          { path: f.path },
        );
        f.tail = EMPTY;
        f.rotateRange();
        f.restartAt(0);
        return 'more';
      }
      // Reading keeps the bytes before the record that begins in `rest`.
      for (;;) {
        const rest = g.rest;
        const taken = rest.length > 0 ? this.#p.reader.feed(f, rest, 0, rest.length, !g.ended) : 0;
        if (taken === 0) break;
        this.#p.reader.advancePacked(f, rest, taken);
        g.rest = rest.subarray(taken);
        budget -= taken;
        if (this.#p.sink.hasReady) return 'more';
      }
      if (filled) continue;
      if (g.error) {
        const cut = /unexpected end/.test(g.error.message);
        if (!cut)
          this.#logError(`packed ${f.path}`, 'Failed to read packed file', { path: f.path, error: messageOf(g.error) });
      } else if (g.rest.length > 0) {
        const rest = g.rest;
        g.rest = EMPTY;
        this.#p.reader.flushPacked(f, rest);
      }
      f.packedEndSize = g.packedSize;
      f.gzip = undefined;
      g.close();
      f.changed = true;
      return 'end';
    }
    return 'more';
  }

  /** Waits while too much is unsettled. False: stopping. */
  async #windowOpen(): Promise<boolean> {
    const { sink } = this.#p;
    while (sink.unsettledBytes >= this.#c.unsettled_window) {
      sink.seal();
      if (!(await this.#deliverReady())) return false;
      if (sink.unsettledBytes < this.#c.unsettled_window) break;
      await this.#sleep();
      if (this.#stopping) return false;
    }
    return true;
  }

  /** Until something happened: a poll, a settlement, the stop. */
  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      if (this.#stopping) this.#wake();
    });
  }

  /** False: stopping before a batch was taken. */
  async #deliverReady(): Promise<boolean> {
    while (this.#p.sink.hasReady) {
      const batches: Batch[] = this.#p.sink.takeReady();
      for (const b of batches) if (!(await this.#p.delivery.deliver(b))) return false;
    }
    return true;
  }

  // ---------------------------------------------------------------- settlement

  #rotateTouched(): void {
    if (this.#touched.size === 0) return;
    for (const f of this.#touched) f.rotateRange();
    this.#touched.clear();
  }

  #settled(f: LogFile): void {
    if (f.changed) this.#saver?.changed();
    for (const c of this.#copies)
      if (c.continues === f) {
        c.changed = true;
        if (f.isSettled) this.#copies.delete(c);
      }
    this.#wake?.();
  }

  /** What is to be stored; content that was replaced is not there to be read again. */
  *#snapshot(): Generator<{ file: LogFile | undefined; known: KnownFile }> {
    for (const f of this.#files) {
      if (this.#replaced.has(f)) continue;
      if (f.state === 'waiting' || (f.state === 'gone' && f.links === 0)) continue;
      const offset = f.settledOffset;
      const tail = offset === f.offset ? f.tail : f.fd >= 0 && !f.packed ? readTail(f.fd, offset) : EMPTY;
      yield { file: f, known: knownOf(f, offset, tail) };
    }
    for (const known of this.#known.all()) yield { file: undefined, known };
  }

  #logLimited(key: string, message: string, fields: Record<string, unknown>): void {
    if (this.#limit.pass(key) !== undefined) this.#p.ctx.log.warn(message, fields);
  }

  #logError(key: string, message: string, fields: Record<string, unknown>): void {
    const held = this.#limit.pass(key);
    if (held !== undefined) this.#p.ctx.log.error(message, held > 0 ? { ...fields, suppressed: held } : fields);
  }
}

/** A file that is read holds what was stored of `k`. */
const isCopyOf = (f: LogFile, k: KnownFile): boolean =>
  f.fd >= 0 &&
  k.fingerprint.length > 0 &&
  startsWith(f.fingerprint, k.fingerprint) &&
  (f.packed || tailMatches(f.fd, k.offset, k.tail));

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

function knownOf(f: LogFile, offset: number, tail: Buffer): KnownFile {
  return {
    id: f.id,
    identity: f.identity,
    path: f.path,
    fingerprint: f.fingerprint,
    tail,
    offset,
    recordNumber: f.settledRecordNumber,
    sizeBytes: f.packed ? 0 : Math.max(f.sizeBytes, offset),
    headerDone: f.headerDone && offset > 0,
    headerAttributes: f.headerAttributes ? JSON.stringify(Object.fromEntries(f.headerAttributes)) : '{}',
    skipping: f.skipping && offset === f.offset,
    packed: f.packed,
    packedEndSize: f.packed && offset === f.offset ? f.packedEndSize : -1,
  };
}
