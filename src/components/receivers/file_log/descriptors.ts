/** File descriptors: no more than max_concurrent_files, taken from idle files when others need them. */
import { closeSync, constants, openSync } from 'node:fs';
import { messageOf } from '../../../core/errors.ts';
import type { LogFile } from './file.ts';
import type { Files } from './files.ts';

export class Descriptors {
  readonly #t: Files;
  readonly #unreadable = new Set<string>();
  /** How many are open. */
  open = 0;

  constructor(files: Files) {
    this.#t = files;
  }

  openPath(path: string): number | undefined {
    try {
      // Without waiting, should a pipe stand there by now.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (this.#unreadable.delete(path)) this.#t.log.info('File can be read again', { path });
      return fd;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM') {
        if (!this.#unreadable.has(path)) this.#t.log.error('Failed to open file', { path, error: messageOf(error) });
        if (this.#unreadable.size < 10_000) this.#unreadable.add(path);
      } else if (code !== 'ENOENT')
        this.#t.logError(`open ${path}`, 'Failed to open file', { path, error: messageOf(error) });
      return undefined;
    }
  }

  /** A descriptor can be had, if need be by closing that of an idle file. */
  room(): boolean {
    if (this.open < this.#t.config.max_concurrent_files) return true;
    for (const f of this.#t.all) {
      if (f.fd < 0 || f.state !== 'live' || f.queued || f.gzip || f.hasUnread || f.partialBytes > 0) continue;
      this.close(f);
      // So that the next search begins with others.
      this.#t.all.delete(f);
      this.#t.all.add(f);
      return true;
    }
    this.#t.logWarning('room', 'All max_concurrent_files descriptors are in use; other files wait', {
      max_concurrent_files: this.#t.config.max_concurrent_files,
    });
    return false;
  }

  close(f: LogFile): void {
    f.gzip?.close();
    f.gzip = undefined;
    if (f.fd < 0) return;
    try {
      closeSync(f.fd);
    } catch (error) {
      this.#t.logError('close', 'Failed to close file', { path: f.path, error: messageOf(error) });
    }
    f.fd = -1;
    this.open--;
  }
}
