/** Reads files of /proc, /sys and /etc: into one buffer that is used again, with Go's words when it fails. */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, realpathSync } from 'node:fs';
import { getSystemErrorMessage } from 'node:util';
import { Lines } from './lines.ts';

/** A file that does not end is cut here. */
const MAX_BYTES = 32 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/**
 * While there is more, the kernel gives a page, less what the next line would need. So fewer bytes are the end, and
 * asking once more, which for TCP connections goes over the whole hash table, is not needed.
 */
const LAST_CHUNK_BYTES = 4096 - 512;

export class ProcError extends Error {
  /** `ENOENT` */
  readonly code: string;
  constructor(call: string, path: string, cause: unknown) {
    const { errno, code } = cause as { errno?: number; code?: string };
    super(`${call} ${path}: ${errno === undefined ? String(cause) : getSystemErrorMessage(errno)}`);
    this.name = 'ProcError';
    this.code = code ?? '';
  }
}

export const isMissing = (error: unknown): boolean => error instanceof ProcError && error.code === 'ENOENT';
/** A process that ended between two looks at it. */
export const isGone = (error: unknown): boolean =>
  error instanceof ProcError && (error.code === 'ENOENT' || error.code === 'ESRCH');
export const isDenied = (error: unknown): boolean =>
  error instanceof ProcError && (error.code === 'EACCES' || error.code === 'EPERM');

function attempt<T>(call: string, path: string, f: () => T): T {
  try {
    return f();
  } catch (error) {
    throw new ProcError(call, path, error);
  }
}

export class ProcReader {
  #buf = Buffer.allocUnsafeSlow(8 * 1024);

  #open(path: string): number {
    return attempt('open', path, () => openSync(path, 'r'));
  }

  /** The bytes of a file, valid until the next read. Files of /proc tell no size and come in pieces. */
  read(path: string): Buffer {
    return this.#read(path, false);
  }

  /** Of a file that the kernel gives in one piece, as those of one process: saves asking for more. */
  readRecord(path: string): Buffer {
    return this.#read(path, true);
  }

  #read(path: string, isOnePiece: boolean): Buffer {
    const fd = this.#open(path);
    let length = 0;
    try {
      for (;;) {
        if (length === this.#buf.length) {
          if (length >= MAX_BYTES) break;
          const bigger = Buffer.allocUnsafeSlow(length * 2);
          this.#buf.copy(bigger);
          this.#buf = bigger;
        }
        const room = this.#buf.length - length;
        const got = readSync(fd, this.#buf, length, room, null);
        length += got;
        if (got === 0 || (isOnePiece && got < room)) break;
      }
    } catch (error) {
      throw new ProcError('read', path, error);
    } finally {
      closeSync(fd);
    }
    return this.#buf.subarray(0, length);
  }

  lines(path: string): Lines {
    return new Lines(this.read(path));
  }

  /** The lines of a file of any length, a piece at a time; other work gets its turn in between. */
  async eachLine(path: string, onLine: (line: Lines) => void): Promise<void> {
    const fd = this.#open(path);
    try {
      const piece = Buffer.allocUnsafe(CHUNK_BYTES);
      let kept = 0;
      for (let pieces = 1; ; pieces++) {
        const room = piece.length - kept;
        const got = attempt('read', path, () => readSync(fd, piece, kept, room, null));
        const end = kept + got;
        const isLast = got < Math.min(room, LAST_CHUNK_BYTES);
        // Without a line end the piece is full of one line, which is no line of ours.
        const whole = isLast ? end : piece.lastIndexOf(10, end - 1) + 1;
        const lines = new Lines(piece.subarray(0, whole));
        while (lines.next()) onLine(lines);
        if (isLast) return;
        kept = whole === 0 && end === piece.length ? 0 : end - whole;
        piece.copyWithin(0, end - kept, end);
        if (pieces % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      closeSync(fd);
    }
  }

  names(directory: string): string[] {
    return attempt('open', directory, () => readdirSync(directory));
  }

  link(path: string): string {
    return attempt('readlink', path, () => readlinkSync(path));
  }

  realPath(path: string): string {
    return attempt('lstat', path, () => realpathSync(path));
  }

  text(path: string): string {
    return attempt('open', path, () => readFileSync(path, 'utf8'));
  }
}
