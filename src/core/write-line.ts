/** Writing text lines to a file descriptor synchronously, for logs and for the debug exporter. */
import { writeSync } from 'node:fs';

const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes all of it, waiting a little when the reader of a pipe is slow. A closed pipe or a full disk takes the line
 * with it: a log must not stop the data.
 */
export function writeLine(fd: number, line: string): void {
  const bytes = Buffer.from(line);
  let at = 0;
  for (let tries = 0; at < bytes.length && tries < 200; ) {
    try {
      at += writeSync(fd, bytes, at);
      tries = 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      tries++;
      Atomics.wait(pause, 0, 0, 5);
    }
  }
}
