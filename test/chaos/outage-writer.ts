/**
 * The workload of the outage, as its own process: several files that grow and are rotated at 10 MiB like the kubelet's,
 * all rotated files kept, except those the harness has deleted.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { filePieces } from './lines.ts';

export interface OutageWriterOptions {
  readonly dir: string;
  readonly files: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  /** Rotated files to delete when half of the bytes are written. */
  readonly deletions: number;
}

export interface OutageWritten {
  readonly lines: readonly number[];
  readonly bytes: number;
  readonly rotations: number;
  /** The lines (`to` included) of the deleted files, and the files' sizes. */
  readonly deleted: readonly {
    readonly stream: number;
    readonly from: number;
    readonly to: number;
    readonly bytes: number;
  }[];
}

const WRITER = 'sluice-chaos-outage-writer';
const ROTATE_AT_BYTES = 10 * 1024 * 1024;
const CHUNK_BYTES = 128 * 1024;

/** Resolves when everything has been written. */
export function writeDuringOutage(options: OutageWriterOptions): Promise<OutageWritten> {
  const child: ChildProcess = fork(import.meta.filename, [WRITER, JSON.stringify(options)], { execArgv: [] });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the writer ended with ${code}`)));
    child.on('message', (written: OutageWritten) => {
      resolve(written);
      child.disconnect();
    });
  });
}

interface RotatedFile {
  readonly path: string;
  readonly stream: number;
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

function write(options: OutageWriterOptions): void {
  const files = Array.from({ length: options.files }, (_, i) => {
    const dir = join(options.dir, `pod-${i}`);
    mkdirSync(dir);
    const path = join(dir, '0.log');
    return { path, fd: openSync(path, 'a'), lines: 0, first: 0, size: 0 };
  });
  const rotated: RotatedFile[] = [];
  const deleted: RotatedFile[] = [];
  const startedAt = performance.now();
  let bytes = 0;
  let rotations = 0;

  const append = (stream: number): void => {
    const f = files[stream]!;
    let text = '';
    while (text.length < CHUNK_BYTES) text += filePieces('plain', stream, f.lines++, 0)[0];
    const size = writeSync(f.fd, text);
    bytes += size;
    f.size += size;
    if (f.size < ROTATE_AT_BYTES) return;
    closeSync(f.fd);
    const path = `${f.path}.20261122-${String(100000 + ++rotations)}`;
    renameSync(f.path, path);
    rotated.push({ path, stream, from: f.first, to: f.lines - 1, bytes: f.size });
    f.fd = openSync(f.path, 'a');
    f.first = f.lines;
    f.size = 0;
  };

  const deleteSome = (): void => {
    // From the middle: the oldest are being read, the newest may not have been seen yet.
    const from = rotated.length >> 1;
    for (const r of rotated.slice(from, from + options.deletions)) {
      rmSync(r.path);
      deleted.push(r);
    }
  };

  let next = 0;
  const timer = setInterval(() => {
    const due = Math.min(options.totalBytes, ((performance.now() - startedAt) * options.bytesPerSecond) / 1000);
    while (bytes < due) {
      append(next++ % files.length);
      if (deleted.length === 0 && options.deletions > 0 && bytes >= options.totalBytes / 2) deleteSome();
    }
    if (bytes < options.totalBytes) return;
    clearInterval(timer);
    const lines = files.map((f) => f.lines);
    process.send?.({ lines, bytes, rotations, deleted } satisfies OutageWritten);
  }, 20);
  process.on('disconnect', () => process.exit(0));
}

if (process.argv[2] === WRITER) write(JSON.parse(process.argv[3] ?? '{}') as OutageWriterOptions);
