/**
 * The receiver: a poller that keeps track of files and a pump that reads them and hands batches on. They share one
 * thread; the poller goes on while the pump waits for the pipeline, so that rotated files are open before they are gone.
 */
import { statSync } from 'node:fs';
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Ledger } from '../../../core/ledger.ts';
import type { Program } from '../../../stanza/program.ts';
import type { LogsSink } from '../../../stanza/sink.ts';
import type { CheckpointStore } from './checkpoint.ts';
import type { FileLogConfig } from './config.ts';
import type { Delivery } from './delivery.ts';
import { Descriptors } from './descriptors.ts';
import { Fates } from './fates.ts';
import { inodeKey, type LogFile, sameInode } from './file.ts';
import { Files } from './files.ts';
import { Finder, type FoundFile } from './finder.ts';
import { Opening } from './opening.ts';
import { Pump } from './pump.ts';
import type { FileReader } from './reader.ts';
import { Saver } from './saver.ts';

/** Every file is looked at after so long, told of or not. */
const SWEEP_MS = 4_000;
/** After a change of a directory. */
const KICK_MS = 20;

export interface Parts {
  readonly config: FileLogConfig;
  readonly ctx: ReceiverContext;
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

/** Idle for so long: memory of the last burst is given back. */
const REST_AFTER_MS = 6_000;

export class FileLogReceiver implements Receiver {
  readonly #p: Parts;
  readonly #c: FileLogConfig;
  readonly #finder: Finder;
  readonly #files: Files;
  readonly #descriptors: Descriptors;
  readonly #opening: Opening;
  readonly #fates: Fates;
  readonly #pump: Pump;
  /** Of links: the file by what the link leads to. */
  readonly #byRealPath = new Map<string, LogFile>();
  /** Written to since the last poll. */
  readonly #dirty = new Set<LogFile>();
  #firstScan = true;
  #missLogged = false;
  #busyMs = 0;
  #nextSweepMs = 0;

  #timer: NodeJS.Timeout | undefined;
  #kick: NodeJS.Timeout | undefined;
  #stopping = false;
  #running: Promise<void> | undefined;
  #progress: (() => void) | undefined;
  readonly #takeAway: (() => void)[] = [];

  constructor(parts: Parts) {
    this.#p = parts;
    this.#c = parts.config;
    const { clock, log } = parts.ctx;
    this.#files = new Files(parts.config, parts.program, parts.ledger, log, clock, () => {
      this.#pump.wake();
      this.#progress?.();
    });
    this.#descriptors = new Descriptors(this.#files);
    this.#opening = new Opening(this.#files, this.#descriptors, (f, before) => this.#fates.shrunk(f, before));
    this.#fates = new Fates(this.#files, this.#descriptors, this.#opening, parts.reader);
    this.#pump = new Pump(this.#files, this.#fates, parts.reader, parts.sink, parts.delivery);
    this.#finder = new Finder({
      include: this.#c.include,
      exclude: this.#c.exclude,
      watch: this.#c.poll_mode === 'auto',
      log,
      nowMs: () => clock.monotonicMs(),
      written: (path) => {
        const f = this.#files.byPath.get(path) ?? this.#byRealPath.get(path);
        if (f) this.#dirty.add(f);
      },
      changed: () => this.#kickPoll(),
    });
  }

  get openFiles(): number {
    return this.#descriptors.open;
  }

  get readingFiles(): number {
    return this.#pump.reading;
  }

  /** For tests: nothing waits to be stored. */
  get isStored(): boolean {
    return this.#files.saver?.isIdle ?? true;
  }

  /** For tests: the file at this path was found, and is not waiting to be told from a copy. */
  tracks(path: string): boolean {
    const f = this.#files.byPath.get(path);
    return f !== undefined && f.state === 'live' && f.identity.inode === statSync(path).ino;
  }

  /** For tests: as last seen. */
  sizeOf(path: string): number {
    return this.#files.byPath.get(path)?.sizeBytes ?? 0;
  }

  /** To be called at the stop. */
  atStop(takeAway: () => void): void {
    this.#takeAway.push(takeAway);
  }

  async start(): Promise<void> {
    if (this.#p.openStore) {
      const { log, clock } = this.#p.ctx;
      const store = await this.#p.openStore();
      this.#files.saver = new Saver(store, () => this.#files.snapshot(), log, clock);
      const known = store.load((error) =>
        log.warn('Stored offsets are damaged; going on with what can be read', { error: messageOf(error) }),
      );
      if (known.length > 0) {
        log.info("Resuming from previously known offset(s). 'start_at' setting is not applicable.");
        this.#opening.fromBeginning = true;
        this.#files.known.load(known);
        for (const k of known) this.#files.nextId = Math.max(this.#files.nextId, k.id + 1);
      }
    }
    this.#running = this.#pump.run();
    this.#poll();
    this.#timer = setInterval(() => this.#poll(), this.#c.poll_interval);
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#halt();
    const late = new Promise<'late'>((resolve) => {
      if (deadline.aborted) resolve('late');
      else deadline.addEventListener('abort', () => resolve('late'), { once: true });
    });
    if ((await Promise.race([this.#running, late])) !== 'late') {
      // With stored offsets, what is held is read again.
      if (!this.#files.saver) {
        this.#p.program.flush();
        this.#files.rotateTouched();
      }
      this.#p.sink.seal();
      await Promise.race([this.#pump.deliverReady(), late]);
      await this.#settlement(late);
    }
    this.#fates.stop();
    for (const f of this.#files.all) this.#descriptors.close(f);
    for (const t of this.#takeAway) t();
    // What is settled behind us while the pipeline stops is stored too.
    this.#files.saver?.finish(() => this.#unsettled() === 0);
  }

  /** Stops without a word to anybody, as when the process is killed: for tests. */
  abandon(): void {
    this.#halt();
    this.#files.saver?.abandon();
    for (const f of this.#files.all) this.#descriptors.close(f);
  }

  #halt(): void {
    this.#stopping = true;
    clearInterval(this.#timer);
    clearTimeout(this.#kick);
    this.#finder.close();
    this.#p.abort.abort();
    this.#pump.stop();
  }

  /** Waits as long as there is progress in every second. */
  async #settlement(late: Promise<'late'>): Promise<void> {
    let before = Number.POSITIVE_INFINITY;
    for (let left = this.#unsettled(); left > 0 && left < before; left = this.#unsettled()) {
      before = left;
      let timer: NodeJS.Timeout | undefined;
      const progress = new Promise<void>((resolve) => {
        this.#progress = resolve;
        timer = setTimeout(resolve, 1000);
      });
      const end = await Promise.race([progress, late]);
      clearTimeout(timer);
      if (end === 'late') return;
    }
  }

  /** Records under way. */
  #unsettled(): number {
    return this.#p.ledger.snapshot().inFlight.records;
  }

  #kickPoll(): void {
    if (this.#stopping || this.#kick) return;
    // Soon rather than at the next poll: files that are rotated quickly must be open before they are gone.
    this.#kick = setTimeout(() => {
      this.#kick = undefined;
      if (!this.#stopping) this.#poll();
    }, KICK_MS);
  }

  #poll(): void {
    const now = this.#p.ctx.clock.monotonicMs();
    try {
      if (this.#firstScan || this.#finder.due || this.#files.unopened.size > 0) this.#reconcile(now);
      this.#opening.findMissing(now);
      this.#lookAtFiles(now);
      this.#fates.expire(now);
      this.#p.program.tick();
      this.#files.rotateTouched();
      this.#rest(now);
    } catch (error) {
      this.#files.logError('poll', 'Failed to look for files', { error: messageOf(error) });
    }
    this.#pump.wake();
  }

  /** When a burst is over and all of it delivered, its memory goes back: many agents are idle for most of the day. */
  #rest(now: number): void {
    if (this.#p.sink.unsettledBytes > 0) this.#busyMs = now;
    else if (now - this.#busyMs > REST_AFTER_MS && this.#p.sink.trim())
      // Exporters have let go of their buffers too; without allocations nobody would collect them.
      (globalThis as { gc?: (how: object) => void }).gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }

  /** Puts what is found beside what is known. */
  #reconcile(now: number): void {
    const { all, byInode, known } = this.#files;
    let found = this.#p.order(this.#finder.scan());
    if (this.#c.max_batches > 0)
      found = found.slice(0, this.#c.max_batches * Math.max(1, Math.floor(this.#c.max_concurrent_files / 2)));
    if (found.length === 0 && !this.#missLogged) {
      this.#missLogged = true;
      this.#p.ctx.log.warn('no files match the configured criteria', { include: this.#c.include });
    }
    const foundByPath = new Map(found.map((f) => [f.path, f]));
    const foundByInode = new Map<string, FoundFile>();
    for (const f of found) if (!foundByInode.has(inodeKey(f.identity))) foundByInode.set(inodeKey(f.identity), f);

    for (const f of [...all]) {
      if (f.state === 'gone') continue;
      const here = f.state === 'draining' ? undefined : foundByPath.get(f.path);
      if (here && sameInode(here.identity, f.identity)) {
        if (here.fresh) this.#fates.saw(f, here.sizeBytes, here.modifiedMs, now);
        continue;
      }
      const moved = foundByInode.get(inodeKey(f.identity));
      if (moved && (f.fd >= 0 || f.identity.bornMs === moved.identity.bornMs)) this.#fates.renamed(f, moved, now);
      else this.#fates.leftPath(f, now);
    }
    this.#loseUnopened(foundByPath, foundByInode);
    const unknown = found.filter((f) => !byInode.has(inodeKey(f.identity)));
    // Originals before copies of them: what is known goes to the inode it was known of.
    for (const f of unknown) if (known.hasInode(f.identity.inode)) this.#opening.openFound(f, now);
    for (const f of unknown) if (!byInode.has(inodeKey(f.identity))) this.#opening.openFound(f, now);
    if (this.#firstScan) {
      this.#firstScan = false;
      this.#opening.fromBeginning = true;
    }
    this.#byRealPath.clear();
    for (const f of found) {
      const file = byInode.get(inodeKey(f.identity));
      if (!file) continue;
      file.watched = this.#finder.isWatched(f);
      if (f.realPath) this.#byRealPath.set(f.realPath, file);
    }
  }

  /** Files that vanished before there was a descriptor for them. */
  #loseUnopened(byPath: ReadonlyMap<string, FoundFile>, byInode: ReadonlyMap<string, FoundFile>): void {
    for (const [path, was] of this.#files.unopened) {
      const here = byPath.get(path);
      if (here && sameInode(here.identity, was.identity)) continue;
      this.#files.unopened.delete(path);
      if (!byInode.has(inodeKey(was.identity)) && was.sizeBytes > 0)
        this.#files.lose(this.#p.ledger, was.path, was.sizeBytes);
    }
  }

  /** Sizes of the files that may have changed. */
  #lookAtFiles(now: number): void {
    const sweep = now >= this.#nextSweepMs;
    if (sweep) this.#nextSweepMs = now + SWEEP_MS;
    for (const f of this.#files.all) {
      if (f.state === 'gone') continue;
      if (sweep || !f.watched || now < f.activeUntilMs || f.state !== 'live' || this.#dirty.has(f))
        this.#fates.lookAt(f, now);
      else if (f.partialBytes > 0) this.#fates.enqueueIfDue(f, now);
    }
    this.#dirty.clear();
  }
}
