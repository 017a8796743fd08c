/**
 * The workload of a round, as its own process: appends lines to several files and rotates them. Writing and rotating
 * happen in one thread, so a rotation never loses a line itself, not even copytruncate: what the collector misses was
 * there to be read. Rotated files are deleted only after the harness has confirmed that all their lines were delivered.
 */
import { type ChildProcess, fork } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { seededRandom } from '../../bench/generate.ts';
import { filePieces, type LineFormat } from './lines.ts';

export type Rotation = 'rename' | 'gzip' | 'copytruncate';

export interface WriterOptions {
  readonly dir: string;
  readonly seed: number;
  readonly files: number;
  readonly format: LineFormat;
  readonly rotations: readonly Rotation[];
  /** `numbered`: x.log.1 is the newest and the others move on; `stamped`: each keeps its name. */
  readonly naming: 'numbered' | 'stamped';
  readonly rotateEveryMs: number;
  readonly linesPerTick: number;
}

/** What one rotated file holds. */
export interface Segment {
  readonly stream: number;
  readonly from: number;
  readonly to: number;
  readonly rotation: Rotation;
  readonly atMs: number;
}

export interface Written {
  /** Lines written to each stream. */
  readonly lines: readonly number[];
  readonly segments: readonly Segment[];
  readonly deletedFiles: number;
  /** Content of the deleted files, not packed. */
  readonly deletedBytes: number;
}

/** The harness's end. */
export interface Writer {
  /** Tells how many first lines of each stream nobody needs any more. */
  confirm(complete: readonly number[]): void;
  /** Stops writing; resolves to everything that was written. */
  stop(): Promise<Written>;
}

const WRITER = 'sluice-chaos-writer';
const TICK_MS = 2;
const KEEP_AT_LEAST_MS = 4000;

export function startWriter(options: WriterOptions): Writer {
  const child: ChildProcess = fork(import.meta.filename, [WRITER, JSON.stringify(options)], { execArgv: [] });
  const finished = new Promise<Written>((resolve, reject) => {
    child.on('message', (m: Written) => resolve(m));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the writer ended with ${code}`)));
  });
  finished.catch(() => {});
  return {
    confirm: (complete) => void (child.connected && child.send({ complete })),
    async stop() {
      child.send({ stop: true });
      const written = await finished;
      child.disconnect();
      return written;
    },
  };
}

interface RotatedFile {
  name: string;
  readonly stream: number;
  readonly to: number;
  readonly atMs: number;
  /** Of its content, not packed. */
  readonly bytes: number;
  /** When the plain file is to be replaced by a compressed one. */
  gzipAtMs: number;
}

interface LogFile {
  readonly name: string;
  fd: number;
  lines: number;
  /** First line of the file as it is now. */
  first: number;
}

function write(options: WriterOptions): void {
  const random = seededRandom(options.seed);
  const path = (name: string): string => join(options.dir, name);
  const open = (name: string): number => openSync(path(name), 'a');
  const files: LogFile[] = Array.from({ length: options.files }, (_, i) => {
    const name = `app-${i}.log`;
    return { name, fd: open(name), lines: 0, first: 0 };
  });
  const rotated: RotatedFile[] = [];
  const segments: Segment[] = [];
  let confirmed: readonly number[] = [];
  let deletedFiles = 0;
  let deletedBytes = 0;
  let stamp = 0;
  let nextRotationMs = Date.now() + options.rotateEveryMs;

  const append = (stream: number, file: LogFile): void => {
    const count = 1 + random(options.linesPerTick);
    let text = '';
    for (let i = 0; i < count; i++) {
      const pieces = filePieces(options.format, stream, file.lines++, Date.now());
      text += pieces[0];
      // The second piece of a line is a write of its own, so that a reader sees the first alone at times.
      for (const piece of pieces.slice(1)) {
        writeSync(file.fd, text);
        text = piece;
      }
    }
    writeSync(file.fd, text);
  };

  /** The name for the file that is rotated now; makes room for it. */
  const rotatedName = (file: LogFile, stream: number): string => {
    if (options.naming === 'stamped') return `${file.name}.20261122-${String(100000 + ++stamp)}`;
    const own = rotated.filter((r) => r.stream === stream);
    own.forEach((r, i) => {
      const next = `${file.name}.${own.length - i + 1}${r.name.endsWith('.gz') ? '.gz' : ''}`;
      if (next === r.name) return;
      renameSync(path(r.name), path(next));
      r.name = next;
    });
    return `${file.name}.1`;
  };

  const compress = (r: RotatedFile): void => {
    r.gzipAtMs = Number.POSITIVE_INFINITY;
    // As the kubelet does: under another name first, then renamed, then the plain file is removed.
    writeFileSync(path('compressing.tmp'), gzipSync(readFileSync(path(r.name))));
    renameSync(path('compressing.tmp'), path(`${r.name}.gz`));
    rmSync(path(r.name));
    r.name += '.gz';
  };

  const rotate = (): void => {
    const stream = random(files.length);
    const file = files[stream]!;
    const rotation = options.rotations[random(options.rotations.length)]!;
    const late = random(2) === 0 ? 100 + random(500) : 0;
    if (file.lines === file.first) return;
    const name = rotatedName(file, stream);
    const bytes = fstatSync(file.fd).size;
    if (rotation === 'copytruncate') {
      copyFileSync(path(file.name), path(name));
      ftruncateSync(file.fd, 0);
    } else {
      renameSync(path(file.name), path(name));
      closeSync(file.fd);
      file.fd = open(file.name);
    }
    const now = Date.now();
    const gzipAtMs = rotation === 'gzip' ? now + late : Number.POSITIVE_INFINITY;
    const to = file.lines - 1;
    rotated.push({ name, stream, to, bytes, atMs: now, gzipAtMs });
    segments.push({ stream, from: file.first, to, rotation, atMs: now });
    file.first = file.lines;
  };

  const tick = (): void => {
    const now = Date.now();
    append(...pick());
    if (now >= nextRotationMs) {
      nextRotationMs = now + (options.rotateEveryMs >> 1) + random(options.rotateEveryMs);
      rotate();
    }
    for (const r of rotated) if (now >= r.gzipAtMs) compress(r);
    for (let i = 0; i < rotated.length; i++) {
      const r = rotated[i]!;
      // Numbered files go oldest first, so that the numbers stay without gaps.
      if (now - r.atMs < KEEP_AT_LEAST_MS) break;
      if (r.to >= (confirmed[r.stream] ?? 0)) continue;
      if (options.naming === 'numbered' && rotated.some((o, j) => j < i && o.stream === r.stream)) continue;
      rmSync(path(r.name));
      rotated.splice(i--, 1);
      deletedFiles++;
      deletedBytes += r.bytes;
    }
  };
  const pick = (): [number, LogFile] => {
    const stream = random(files.length);
    return [stream, files[stream]!];
  };

  const timer = setInterval(tick, TICK_MS);
  process.on('message', (m: { complete?: number[]; stop?: true }) => {
    if (m.complete) confirmed = m.complete;
    if (!m.stop) return;
    clearInterval(timer);
    process.send?.({ lines: files.map((f) => f.lines), segments, deletedFiles, deletedBytes } satisfies Written);
  });
  process.on('disconnect', () => process.exit(0));
}

if (process.argv[2] === WRITER) write(JSON.parse(process.argv[3] ?? '{}') as WriterOptions);
