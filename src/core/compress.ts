/**
 * Packing of request bodies, and unpacking with a bound. Packing is synchronous up to several MB: measured, zlib's
 * asynchronous form costs 40 % more CPU per byte, and 3 MB of log lines take some 10 ms.
 */
import { promisify } from 'node:util';
import zlib, { constants } from 'node:zlib';
import { SnappyError, snappyDecode, snappyEncode, snappySize } from '../wire/snappy.ts';
import type { HttpClientConfig } from './schema.ts';

export type Compression = HttpClientConfig['compression'];

/** Bodies above this would hold up everything else too long, so a thread packs them. */
const ASYNC_BYTES = 8 * 1024 * 1024;
/**
 * A piece of output. Log lines pack to a tenth, so a sixth of the body takes it in one piece without another copy
 * (measured: 7 % of zlib's time against pieces of 16 KiB).
 */
const chunkSize = (body: Uint8Array): number => Math.min(1 << 20, Math.max(16 << 10, (body.length / 6) & ~4095));

export type Compressor = (body: Uint8Array) => Buffer | Promise<Buffer>;

/** undefined: bodies go as they are. The result of a compressor never shares memory with its input. */
export function compressor(compression: Compression, level: number | undefined): Compressor | undefined {
  switch (compression) {
    case 'gzip':
    case 'zlib':
    case 'deflate': {
      // Level 1 by default: 5 times cheaper than 6 for 10 % more bytes on container logs. -2 is Go's Huffman only.
      const options: zlib.ZlibOptions =
        level === -2 ? { strategy: constants.Z_HUFFMAN_ONLY } : { level: level ?? constants.Z_BEST_SPEED };
      options.memLevel = 9;
      const [sync, async] = compression === 'gzip' ? [zlib.gzipSync, gzip] : [zlib.deflateSync, deflate];
      let kept: Kept | undefined;
      return (body) => {
        if (body.length >= KEPT_BYTES && body.length <= ASYNC_BYTES) {
          kept ??= keptEngine(compression === 'gzip' ? zlib.createGzip : zlib.createDeflate, options);
          if (kept.pack) return kept.pack(body);
        }
        const o = { ...options, chunkSize: chunkSize(body) };
        return body.length > ASYNC_BYTES ? async(body, o) : sync(body, o);
      };
    }
    case 'zstd': {
      const params = { [constants.ZSTD_c_compressionLevel]: Math.min(Math.max(level ?? 3, 1), 19) };
      return (body) => {
        const o = { params, chunkSize: chunkSize(body) };
        return body.length > ASYNC_BYTES ? zstd(body, o) : zlib.zstdCompressSync(body, o);
      };
    }
    case 'snappy':
      return (body) => Buffer.from(snappyEncode(body));
    default:
      return undefined;
  }
}

/** From this size on an engine is kept between bodies. */
const KEPT_BYTES = 64 * 1024;

/** `pack` is undefined when this runtime does not have what it takes. */
interface Kept {
  readonly pack?: (body: Uint8Array) => Buffer;
}

/** The parts of zlib's stream object that a synchronous call on a living engine needs; not documented. */
interface Engine {
  readonly _handle?: {
    writeSync(
      flush: number,
      from: Uint8Array,
      at: number,
      size: number,
      to: Uint8Array,
      toAt: number,
      toSize: number,
    ): void;
    reset(): void;
  };
  /** After a write: room left in the output, input left. */
  readonly _writeState?: Uint32Array;
}

/**
 * perf: gzipSync makes and frees an engine (270 KB) and an output buffer for every body, which wakes the garbage
 * collector ten times a second under load: 9 % of all CPU time, 10 MB of RSS (bench `logs`). An engine that is reset
 * has neither. What it packs is checked once; when anything is not as expected, the documented way is taken.
 */
function keptEngine(create: (options: zlib.ZlibOptions) => unknown, options: zlib.ZlibOptions): Kept {
  try {
    const { _handle: handle, _writeState: state } = create({ ...options, chunkSize: 64 }) as Engine;
    if (!handle || !(state instanceof Uint32Array)) return {};
    let out = Buffer.allocUnsafeSlow(KEPT_BYTES);
    const pack = (body: Uint8Array): Buffer => {
      let at = 0;
      let used = 0;
      for (;;) {
        handle.writeSync(constants.Z_FINISH, body, at, body.length - at, out, used, out.length - used);
        const [roomLeft, inputLeft] = state as unknown as [number, number];
        used = out.length - roomLeft;
        at = body.length - inputLeft;
        if (roomLeft > 0) break;
        const larger = Buffer.allocUnsafeSlow(out.length * 2);
        out.copy(larger, 0, 0, used);
        out = larger;
      }
      handle.reset();
      const packed = Buffer.allocUnsafeSlow(used);
      out.copy(packed, 0, 0, used);
      return packed;
    };
    const sample = Buffer.alloc(KEPT_BYTES * 2, 'a sample that is packed twice ');
    for (let i = 0; i < 2; i++) if (!zlib.unzipSync(pack(sample)).equals(sample)) return {};
    return { pack };
  } catch {
    return {};
  }
}

const gzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip);
const deflate = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.deflate);
const zstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const gunzip = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gunzip);
const inflate = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.inflate);
const unzstd = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

/** What `decompress` can read. lz4 is not among them. */
export const DECODABLE: readonly string[] = ['', 'gzip', 'zstd', 'zlib', 'deflate', 'snappy', 'x-snappy-framed'];

/** Body that cannot be unpacked, or is larger than allowed. */
export class DecompressError extends Error {}

/** The most memory that a frame of zstd may ask for beside its content: 32 MiB. */
const ZSTD_WINDOW_LOG = 25;

/** Threads unpack so many large bodies at a time: each holds what it has so far, and bombs come in numbers. */
const MAX_UNPACKING = 2;
/** What packed bodies may take that wait for that. */
const MAX_WAITING_BYTES = 128 * 1024 * 1024;
let unpacking = 0;
let waitingBytes = 0;
const waiting: (() => void)[] = [];

/** Too many large bodies wait to be unpacked; another try may succeed. */
export class UnpackBusyError extends Error {}

async function inTurn(data: Buffer, unpack: () => Promise<Buffer>): Promise<Buffer> {
  if (unpacking < MAX_UNPACKING) unpacking++;
  else {
    if (waitingBytes + data.length > MAX_WAITING_BYTES) throw new UnpackBusyError('too much data to unpack at once');
    waitingBytes += data.length;
    await new Promise<void>((resolve) => waiting.push(resolve));
    waitingBytes -= data.length;
  }
  try {
    return await unpack();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else unpacking--;
  }
}

/** `deflate` means the zlib format, as it does in HTTP. */
export async function decompress(encoding: string, data: Buffer, maxBytes: number): Promise<Buffer> {
  const options = { maxOutputLength: maxBytes, chunkSize: chunkSize(data) };
  const large = data.length > 256 * 1024;
  try {
    switch (encoding) {
      case '':
      case 'identity':
        return data;
      case 'gzip':
        return large ? await inTurn(data, () => gunzip(data, options)) : zlib.gunzipSync(data, options);
      case 'zlib':
      case 'deflate':
        return large ? await inTurn(data, () => inflate(data, options)) : zlib.inflateSync(data, options);
      case 'zstd': {
        const o = { ...options, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG } };
        return large ? await inTurn(data, () => unzstd(data, o)) : zlib.zstdDecompressSync(data, o);
      }
      case 'x-snappy-framed':
        return snappyFrames(data, maxBytes);
      case 'snappy':
        return data.subarray(0, MAGIC.length).equals(MAGIC)
          ? snappyFrames(data, maxBytes)
          : snappyDecode(data, maxBytes);
      default:
        throw new DecompressError(`unsupported Content-Encoding: ${encoding}`);
    }
  } catch (e) {
    if (e instanceof DecompressError || e instanceof UnpackBusyError) throw e;
    if ((e as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' || /too large/.test((e as Error).message))
      throw new DecompressError('http: request body too large', { cause: e });
    throw new DecompressError(`${encoding}: ${(e as Error).message}`, { cause: e });
  }
}

const MAGIC = Buffer.from([0xff, 6, 0, 0, ...Buffer.from('sNaPpY')]);

/** The most that a chunk of framed snappy may hold. */
const MAX_CHUNK_BYTES = 65_536;

/** Walks the chunks that hold data. Checksums are not looked at: TCP has its own, and the content is validated anyway. */
function eachFrame(data: Buffer, visit: (chunk: Buffer, isPacked: boolean) => void): void {
  for (let at = 0; at < data.length; ) {
    if (at + 4 > data.length) throw new SnappyError('snappy: corrupt input');
    const kind = data[at]!;
    const end = at + 4 + data.readUIntLE(at + 1, 3);
    if (end > data.length) throw new SnappyError('snappy: corrupt input');
    if (kind === 0 || kind === 1) {
      if (end - at < 8) throw new SnappyError('snappy: corrupt input');
      visit(data.subarray(at + 8, end), kind === 0);
    } else if (kind < 0x80) throw new SnappyError('snappy: unsupported input');
    at = end;
  }
}

/** Snappy's framing format. The size is summed up first, so that a million small chunks are one buffer too. */
function snappyFrames(data: Buffer, maxBytes: number): Buffer {
  let size = 0;
  eachFrame(data, (chunk, isPacked) => {
    const own = isPacked ? snappySize(chunk).size : chunk.length;
    if (own > MAX_CHUNK_BYTES) throw new SnappyError('snappy: corrupt input');
    size += own;
    if (size > maxBytes) throw new SnappyError('snappy: decoded stream is too large');
  });
  const out = Buffer.allocUnsafeSlow(size);
  let at = 0;
  eachFrame(data, (chunk, isPacked) => {
    at += (isPacked ? snappyDecode(chunk, MAX_CHUNK_BYTES) : chunk).copy(out, at);
  });
  return out;
}
