/** One container's log directory, written as a container runtime does and rotated as the kubelet does. */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Line } from './apps.ts';

/** Runtimes cut lines into pieces of this many bytes. */
const PIECE_BYTES = 16 << 10;

/** The CRI lines of one printed line: pieces tagged P, the last one F. `time` is RFC 3339 with nanoseconds. */
export function criLines(time: string, line: Line): Buffer[] {
  const body = Buffer.from(line.text);
  const pieces: Buffer[] = [];
  let at = 0;
  do {
    const end = Math.min(at + PIECE_BYTES, body.length);
    pieces.push(
      Buffer.concat([
        Buffer.from(`${time} ${line.stream} ${end < body.length ? 'P' : 'F'} `),
        body.subarray(at, end),
        Buffer.from('\n'),
      ]),
    );
    at = end;
  } while (at < body.length);
  return pieces;
}

export interface Written {
  /** Printed lines: what a collector delivers, after putting pieces together. */
  records: number;
  bytes: number;
  rotations: number;
}

export interface Rotation {
  readonly maxBytes: number;
  /** Files per container, the live one included (kubelet: containerLogMaxFiles). */
  readonly maxFiles: number;
}

export class ContainerLog {
  readonly #directory: string;
  readonly #rotation: Rotation;
  readonly #written: Written;
  #fd: number;
  #sizeBytes = 0;
  #lastNs = 0n;
  /** The compression of an older file, which goes on beside the writing. */
  #compressing: Promise<void> = Promise.resolve();

  constructor(directory: string, rotation: Rotation, written: Written) {
    this.#directory = directory;
    this.#rotation = rotation;
    this.#written = written;
    mkdirSync(directory, { recursive: true });
    this.#fd = openSync(this.#live, 'a', 0o640);
  }

  get #live(): string {
    return join(this.#directory, '0.log');
  }

  write(lines: readonly Line[], nowMs: number): void {
    const pieces: Buffer[] = [];
    for (const line of lines) pieces.push(...criLines(this.#stamp(nowMs), line));
    const data = Buffer.concat(pieces);
    writeSync(this.#fd, data);
    this.#sizeBytes += data.length;
    this.#written.records += lines.length;
    this.#written.bytes += data.length;
    if (this.#sizeBytes >= this.#rotation.maxBytes) this.#rotate(nowMs);
  }

  /** Each record of a container has a time of its own, as real clocks give it. */
  #stamp(nowMs: number): string {
    const ns = BigInt(nowMs) * 1_000_000n;
    this.#lastNs = ns > this.#lastNs ? ns : this.#lastNs + 1_237n;
    const fraction = String(this.#lastNs % 1_000_000_000n).padStart(9, '0');
    return `${new Date(Number(this.#lastNs / 1_000_000n)).toISOString().slice(0, 19)}.${fraction}Z`;
  }

  /**
   * The live file is renamed and a new one begun; the file rotated before it is compressed; the oldest go. So a reader
   * has a whole turn to finish a renamed file before only its compressed form is left.
   */
  #rotate(nowMs: number): void {
    const stamp = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    const name = `0.log.${stamp}`;
    // Two rotations in one second would need the same name: the second one waits.
    if (this.#rotated().some((f) => f.startsWith(name))) return;
    closeSync(this.#fd);
    renameSync(this.#live, join(this.#directory, name));
    this.#fd = openSync(this.#live, 'a', 0o640);
    this.#sizeBytes = 0;
    this.#written.rotations++;
    this.#compressing = this.#compressing.then(async () => {
      for (const file of this.#rotated()) if (file < name && !file.endsWith('.gz')) await this.#compress(file);
      const all = this.#rotated();
      const surplus = Math.max(0, all.length - (this.#rotation.maxFiles - 1));
      for (const file of all.slice(0, surplus)) rmSync(join(this.#directory, file), { force: true });
    });
  }

  #rotated(): string[] {
    return readdirSync(this.#directory)
      .filter((f) => f.startsWith('0.log.') && !f.endsWith('.tmp'))
      .sort();
  }

  async #compress(file: string): Promise<void> {
    const path = join(this.#directory, file);
    await pipeline(createReadStream(path), createGzip({ level: 1 }), createWriteStream(`${path}.tmp`, { mode: 0o640 }));
    renameSync(`${path}.tmp`, `${path}.gz`);
    rmSync(path);
  }

  async close(): Promise<void> {
    closeSync(this.#fd);
    await this.#compressing;
  }
}
