/** What tells files apart: device and inode, the first bytes, and the last bytes before an offset. */
import { fstatSync, readSync, type Stats } from 'node:fs';
import type { FileIdentity, LogFile } from './file.ts';
import { gzipHead } from './gzip.ts';

/** Bytes before the offset that are kept and compared. */
export const TAIL_BYTES = 128;

export const EMPTY = Buffer.alloc(0);

export const identityOf = (s: Stats): FileIdentity => ({
  device: s.dev,
  inode: s.ino,
  bornMs: Math.trunc(s.birthtimeMs),
});

/** Fills as much of `size` bytes as there are at `position`. */
export function readAt(fd: number, position: number, size: number): Buffer {
  if (size <= 0) return EMPTY;
  const buf = Buffer.allocUnsafeSlow(size);
  let n = 0;
  while (n < size) {
    const got = readSync(fd, buf, n, size - n, position + n);
    if (got === 0) break;
    n += got;
  }
  return n === size ? buf : Buffer.from(buf.subarray(0, n));
}

/** The first bytes; of a packed file those of its content. */
export const readFingerprint = (fd: number, size: number, packed: boolean): Buffer =>
  packed ? gzipHead(fd, size) : readAt(fd, 0, size);

export const startsWith = (long: Buffer, short: Buffer): boolean =>
  short.length <= long.length && long.compare(short, 0, short.length, 0, short.length) === 0;

/** The bytes before `offset` are `tail`. */
export function tailMatches(fd: number, offset: number, tail: Buffer): boolean {
  if (tail.length === 0) return true;
  const there = readAt(fd, offset - tail.length, tail.length);
  return there.equals(tail);
}

export const readTail = (fd: number, offset: number): Buffer => {
  const size = Math.min(TAIL_BYTES, offset);
  return readAt(fd, offset - size, size);
};

/** Takes in what was written since, while the file is shorter than a fingerprint. False: it begins differently now. */
export function growFingerprint(file: LogFile, size: number): boolean {
  const now = readAt(file.fd, 0, size);
  if (!startsWith(now, file.fingerprint)) return false;
  if (now.length > file.fingerprint.length) {
    file.fingerprint = now;
    file.fingerprintSaved = false;
  }
  return true;
}

/** Two open files have the same bytes just before `offset`. */
export function sameBefore(a: number, b: number, offset: number): boolean {
  return readTail(a, offset).equals(readTail(b, offset));
}

export const sizeOf = (fd: number): number => fstatSync(fd).size;
