/**
 * Finds the files that the globs match. Where the kernel can tell of changes (inotify), listings are kept and only
 * directories that something happened in are read again; everything is looked through every twenty seconds anyway.
 */
import { type Dirent, type FSWatcher, readdirSync, realpathSync, statfsSync, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { messageOf } from '../../../core/errors.ts';
import { compileGlob, type DirectoryEntry, type Glob, type Lister, matchesGlob, walkGlob } from '../../../core/glob.ts';
import type { Logger } from '../../../core/log.ts';
import type { FileIdentity } from './file.ts';
import { identityOf } from './identity.ts';

export interface FoundFile {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Looked at in this scan, not remembered from an earlier one. */
  readonly fresh: boolean;
  /** Links followed; undefined when the path is no link. */
  readonly realPath: string | undefined;
}

export interface FinderOptions {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly watch: boolean;
  readonly log: Logger;
  readonly nowMs: () => number;
  /** The file at this path was written to. */
  readonly written: (path: string) => void;
  /** A directory changed: a scan would find something. */
  readonly changed: () => void;
}

const FULL_SCAN_MS = 20_000;
/** A directory whose files are written faster than this is polled for a while: its events cost more than looking. */
const HOT_EVENTS = 200;
const HOT_MS = 5_000;
const HOT_WINDOW_MS = 200;

/** File systems of other machines or other kernels: nobody tells of what happens there. */
const REMOTE = new Set([
  0x6969, 0xff534d42, 0xfe534d42, 0x517b, 0x65735546, 0x01021997, 0x00c36400, 0x6a656a63, 0x5346414f,
]);

interface Directory {
  entries: readonly DirectoryEntry[] | undefined;
  watcher: FSWatcher | undefined;
  /** Something happened in it since it was read. */
  dirty: boolean;
  /** Does not exist, or cannot be watched: read in every scan. */
  poll: boolean;
  /** Of what is watched: another directory may have its path by now. */
  inode: number;
  scan: number;
  readIn: number;
  events: number;
  eventsSinceMs: number;
  pollUntilMs: number;
}

export class Finder {
  readonly #o: FinderOptions;
  readonly #include: Glob[];
  readonly #exclude: Glob[];
  readonly #directories = new Map<string, Directory>();
  #known = new Map<string, FoundFile>();
  /** Links' targets whose file changed hands are looked at again when the target's directory is dirty. */
  #scan = 0;
  #nextFullMs = 0;
  #full = true;
  #watchFailed = false;
  /** Some directory is dirty or polled. */
  #restless = true;

  constructor(options: FinderOptions) {
    this.#o = options;
    this.#include = options.include.map(compileGlob);
    this.#exclude = options.exclude.map(compileGlob);
  }

  /** A scan could give another result than the last one. */
  get due(): boolean {
    return this.#restless || this.#o.nowMs() >= this.#nextFullMs;
  }

  /** In the order of paths. */
  scan(): FoundFile[] {
    const now = this.#o.nowMs();
    this.#scan++;
    this.#full = now >= this.#nextFullMs;
    if (this.#full) this.#nextFullMs = now + FULL_SCAN_MS;
    const found = new Map<string, FoundFile>();
    const visit = (path: string, directory: string, entry: DirectoryEntry): void => {
      if (found.has(path) || this.#exclude.some((g) => matchesGlob(g, path))) return;
      const file = this.#look(path, directory, entry);
      if (file) found.set(path, file);
    };
    const lister: Lister = { list: (d) => this.#list(d), identity: (d) => this.#identity(d) };
    for (const glob of this.#include) walkGlob(glob, lister, visit);
    this.#known = found;
    this.#restless = false;
    for (const [path, d] of this.#directories) {
      if (d.scan === this.#scan) {
        if (d.readIn === this.#scan) d.dirty = false;
        if (d.dirty || d.poll) this.#restless = true;
        continue;
      }
      d.watcher?.close();
      this.#directories.delete(path);
    }
    return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  }

  /** Somebody is told when the file is written to. */
  isWatched(file: FoundFile): boolean {
    return this.#directories.get(dirname(file.realPath ?? file.path))?.watcher !== undefined;
  }

  close(): void {
    for (const d of this.#directories.values()) d.watcher?.close();
    this.#directories.clear();
  }

  #look(path: string, directory: string, entry: DirectoryEntry): FoundFile | undefined {
    const last = this.#known.get(path);
    const reread = this.#directories.get(directory)?.readIn === this.#scan;
    if (last && !reread && !this.#full) {
      if (!last.realPath) return last.fresh ? { ...last, fresh: false } : last;
      const target = this.#watched(dirname(last.realPath));
      if (!target.dirty && !target.poll) return last.fresh ? { ...last, fresh: false } : last;
    }
    try {
      const s = statSync(path);
      if (!s.isFile()) return undefined;
      let realPath: string | undefined;
      if (entry.link) {
        realPath = realpathSync(path);
        const target = this.#watched(dirname(realPath));
        // Nobody lists it, unless the globs lead there too.
        if (!target.entries) target.readIn = this.#scan;
      }
      return {
        path,
        identity: identityOf(s),
        sizeBytes: s.size,
        modifiedMs: s.mtimeMs,
        fresh: true,
        realPath,
      };
    } catch (error) {
      if (this.#o.log.enabled('debug')) this.#o.log.debug('Cannot look at file', { path, error: messageOf(error) });
      return undefined;
    }
  }

  #identity(directory: string): string | undefined {
    try {
      const s = statSync(directory);
      return s.isDirectory() ? `${s.dev}:${s.ino}` : undefined;
    } catch {
      return undefined;
    }
  }

  /** The state of a directory, which is watched from now on when it can be. */
  #watched(path: string): Directory {
    let d = this.#directories.get(path);
    if (!d) {
      d = {
        entries: undefined,
        watcher: undefined,
        dirty: true,
        poll: false,
        inode: 0,
        scan: this.#scan,
        readIn: 0,
        events: 0,
        eventsSinceMs: 0,
        pollUntilMs: 0,
      };
      this.#directories.set(path, d);
    }
    if (d.watcher && (d.dirty || this.#full) && d.scan !== this.#scan && inodeOf(path) !== d.inode) {
      d.watcher.close();
      d.watcher = undefined;
      d.dirty = true;
    }
    d.scan = this.#scan;
    if (!d.watcher && (!d.poll || (d.pollUntilMs > 0 && this.#o.nowMs() >= d.pollUntilMs))) this.#watch(path, d);
    return d;
  }

  #list(path: string): readonly DirectoryEntry[] | undefined {
    const d = this.#watched(path);
    if (!this.#full && !d.dirty && !d.poll) return d.entries;
    if (d.readIn === this.#scan && d.entries) return d.entries;
    d.readIn = this.#scan;
    try {
      d.entries = readdirSync(path, { withFileTypes: true }).flatMap((e) => entryOf(path, e) ?? []);
      if (d.poll && this.#o.watch && d.pollUntilMs === 0 && !this.#watchFailed) {
        d.poll = false;
        this.#watch(path, d);
      }
    } catch (error) {
      d.entries = undefined;
      const code = (error as NodeJS.ErrnoException).code;
      // What does not exist yet is looked for in every poll; what may not be read, in every full scan.
      d.poll = code === 'ENOENT' || code === 'ENOTDIR';
      d.dirty = false;
      d.watcher?.close();
      d.watcher = undefined;
      if (code !== 'ENOENT' && this.#o.log.enabled('debug'))
        this.#o.log.debug('Cannot read directory', { directory: path, error: messageOf(error) });
    }
    return d.entries;
  }

  #watch(path: string, d: Directory): void {
    d.poll = true;
    d.pollUntilMs = 0;
    if (!this.#o.watch || this.#watchFailed) return;
    try {
      if (REMOTE.has(Number(statfsSync(path).type) >>> 0)) {
        d.pollUntilMs = Number.POSITIVE_INFINITY;
        return;
      }
      const watcher = watch(path, { persistent: false }, (event, name) => this.#event(path, d, event, name));
      watcher.on('error', () => {
        watcher.close();
        d.watcher = undefined;
        d.poll = true;
        this.#restless = true;
      });
      d.watcher = watcher;
      d.inode = inodeOf(path);
      d.poll = false;
      d.dirty = true;
      d.events = 0;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOSPC' || code === 'EMFILE' || code === 'ENOSYS') {
        this.#watchFailed = true;
        this.#o.log.warn('Cannot watch directories; polling instead', {
          directory: path,
          error: messageOf(error),
          hint: 'raise fs.inotify.max_user_watches and fs.inotify.max_user_instances',
        });
      }
    }
  }

  #event(path: string, d: Directory, event: string, name: string | null): void {
    const now = this.#o.nowMs();
    if (now - d.eventsSinceMs > HOT_WINDOW_MS) {
      d.eventsSinceMs = now;
      d.events = 0;
    }
    if (++d.events > HOT_EVENTS && d.watcher) {
      d.watcher.close();
      d.watcher = undefined;
      d.poll = true;
      this.#restless = true;
      d.pollUntilMs = now + HOT_MS;
      this.#o.changed();
      return;
    }
    if (event === 'rename' || name === null) {
      d.dirty = true;
      this.#restless = true;
      this.#o.changed();
    }
    if (name !== null) this.#o.written(join(path, name));
  }
}

const inodeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.ino ?? 0;

function entryOf(directory: string, e: Dirent): DirectoryEntry | undefined {
  if (e.isFile()) return { name: e.name, kind: 'file', link: false };
  if (e.isDirectory()) return { name: e.name, kind: 'directory', link: false };
  if (!e.isSymbolicLink()) return undefined;
  try {
    const s = statSync(join(directory, e.name));
    return { name: e.name, kind: s.isFile() ? 'file' : s.isDirectory() ? 'directory' : 'other', link: true };
  } catch {
    // Points to nothing now; it may later, so it must be looked at when something changes.
    return { name: e.name, kind: 'other', link: true };
  }
}
