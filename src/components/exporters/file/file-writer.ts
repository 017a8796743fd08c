/**
 * One file that requests are appended to, one after the other. A request is in the file whole or not at all: what a
 * failed write left behind is cut off again. With rotation the file is renamed when it is full.
 */
import { constants, type FileHandle, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';

export interface Rotation {
  readonly maxBytes: number;
  readonly maxDays: number;
  readonly maxBackups: number;
  readonly localTime: boolean;
}

export interface FileWriterOptions {
  readonly path: string;
  /** Empties the file when it is opened for the first time. */
  readonly truncate: boolean;
  readonly rotation?: Rotation | undefined;
  /** Mode for directories that are missing; undefined: they must be there. */
  readonly directoryMode?: number | undefined;
  /** Another writer of the same file that is about to close. */
  readonly after?: Promise<unknown> | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Appending, so that a file that others empty has no hole at its beginning. */
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
const FILE_MODE = 0o644;
/** As upstream's rotation has it. */
const ROTATED_FILE_MODE = 0o600;
const DAY_MS = 86_400_000;

export class FileWriter {
  readonly #o: FileWriterOptions;
  #handle: FileHandle | undefined;
  /** End of the last whole request; undefined where there are no positions (a pipe, a terminal). */
  #sizeBytes: number | undefined;
  #truncated = false;
  /** A failed write left bytes that could not be cut off yet. */
  #torn = false;
  #tail: Promise<unknown>;

  constructor(options: FileWriterOptions) {
    this.#o = options;
    this.#tail = options.after ?? Promise.resolve();
  }

  open(): Promise<void> {
    return this.#inOrder(() => this.#opened().then(() => {}));
  }

  /** Resolves when the operating system has all of it. */
  write(data: Uint8Array): Promise<void> {
    return this.#inOrder(() => this.#write(data));
  }

  close(): Promise<void> {
    return this.#inOrder(() => this.#close());
  }

  #inOrder(step: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(step);
    this.#tail = done.catch(() => {});
    return done;
  }

  async #opened(): Promise<FileHandle> {
    if (this.#handle) return this.#handle;
    const { path, truncate, rotation, directoryMode } = this.#o;
    if (directoryMode !== undefined) await mkdir(dirname(path), { recursive: true, mode: directoryMode });
    // Opened again after it was closed, it must not lose what was written before.
    const empty = truncate && !rotation && !this.#truncated;
    const handle = await open(
      path,
      empty ? FLAGS | constants.O_TRUNC : FLAGS,
      rotation ? ROTATED_FILE_MODE : FILE_MODE,
    );
    this.#truncated = true;
    const stat = await handle.stat();
    this.#sizeBytes = stat.isFile() ? stat.size : undefined;
    this.#torn = false;
    this.#handle = handle;
    return handle;
  }

  async #write(data: Uint8Array): Promise<void> {
    let handle = await this.#opened();
    const size = this.#sizeBytes;
    const { rotation } = this.#o;
    if (rotation && size !== undefined && size > 0 && size + data.length > rotation.maxBytes) {
      await this.#rotate(rotation);
      handle = await this.#opened();
    }
    if (this.#torn) await this.#cut(handle);
    try {
      for (let at = 0; at < data.length; ) {
        const { bytesWritten } = await handle.write(data, at, data.length - at);
        if (bytesWritten === 0) throw new Error('nothing was written');
        at += bytesWritten;
      }
    } catch (e) {
      this.#torn = this.#sizeBytes !== undefined;
      if (this.#torn) await this.#cut(handle).catch(() => {});
      throw e;
    }
    if (this.#sizeBytes !== undefined) this.#sizeBytes += data.length;
  }

  async #cut(handle: FileHandle): Promise<void> {
    const { size } = await handle.stat();
    // Somebody else may have emptied the file meanwhile.
    if (size > this.#sizeBytes!) await handle.truncate(this.#sizeBytes);
    else this.#sizeBytes = size;
    this.#torn = false;
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #rotate(rotation: Rotation): Promise<void> {
    await this.#close();
    const { path, clock, log } = this.#o;
    await rename(path, await this.#backupName(rotation));
    try {
      await removeOld(path, rotation, clock.nowMs());
    } catch (e) {
      log.warn('older files could not be removed', { path, error: messageOf(e) });
    }
  }

  /** Later than every name there is, so that names keep the order of the files whatever the clock does. */
  async #backupName({ localTime }: Rotation): Promise<string> {
    const { path, clock } = this.#o;
    const [newest] = await backups(path, localTime);
    return backupName(path, Math.max(clock.nowMs(), (newest?.ms ?? 0) + 1), localTime);
  }
}

/** `logs.json` → `logs-2026-11-22T19-49-32.033.json` */
export function backupName(path: string, ms: number, localTime: boolean): string {
  const date = new Date(ms);
  const shifted = localTime ? new Date(ms - date.getTimezoneOffset() * 60_000) : date;
  const stamp = shifted.toISOString().slice(0, 23).replaceAll(':', '-');
  const ext = extname(path);
  return `${path.slice(0, path.length - ext.length)}-${stamp}${ext}`;
}

const STAMP = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})$/;

/** Older files of `path`, newest first, with the time of their name. */
export async function backups(path: string, localTime: boolean): Promise<{ file: string; ms: number }[]> {
  const ext = extname(path);
  const prefix = `${basename(path).slice(0, basename(path).length - ext.length)}-`;
  const found: { file: string; ms: number }[] = [];
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix) || !name.endsWith(ext)) continue;
    const m = STAMP.exec(name.slice(prefix.length, name.length - ext.length));
    if (m)
      found.push({
        file: join(dirname(path), name),
        ms: Date.parse(`${m[1]}T${m[2]}:${m[3]}:${m[4]}${localTime ? '' : 'Z'}`),
      });
  }
  return found.sort((a, b) => b.ms - a.ms);
}

async function removeOld(path: string, { maxBackups, maxDays, localTime }: Rotation, nowMs: number): Promise<void> {
  const all = await backups(path, localTime);
  for (const [i, { file, ms }] of all.entries()) {
    const tooMany = maxBackups > 0 && i >= maxBackups;
    const tooOld = maxDays > 0 && nowMs - ms > maxDays * DAY_MS;
    if (tooMany || tooOld) await unlink(file);
  }
}
