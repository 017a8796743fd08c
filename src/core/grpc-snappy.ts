/** Snappy's framing format, as gRPC peers expect it: chunks of at most 64 KiB, each with a masked CRC-32C. */
import { snappyEncode } from '../wire/snappy.ts';

const IDENTIFIER = Buffer.from([0xff, 6, 0, 0, ...Buffer.from('sNaPpY')]);
const CHUNK_BYTES = 65_536;
const POLYNOMIAL = 0x82f63b78;

let table: Int32Array | undefined;

function crcTable(): Int32Array {
  const t = new Int32Array(256);
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    t[i] = c;
  }
  return t;
}

/** CRC-32C (Castagnoli), which node:zlib does not have. */
export function crc32c(data: Uint8Array): number {
  const t = (table ??= crcTable());
  let c = -1;
  for (let i = 0; i < data.length; i++) c = t[(c ^ data[i]!) & 255]! ^ (c >>> 8);
  return ~c >>> 0;
}

export function snappyFramed(body: Uint8Array): Buffer {
  const out: Uint8Array[] = [IDENTIFIER];
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    const plain = body.subarray(at, at + CHUNK_BYTES);
    const packed = snappyEncode(plain);
    const smaller = packed.length < plain.length;
    const content = smaller ? packed : plain;
    const crc = crc32c(plain);
    const head = Buffer.allocUnsafe(8);
    head[0] = smaller ? 0 : 1;
    head.writeUIntLE(content.length + 4, 1, 3);
    head.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, 4);
    out.push(head, content);
  }
  return Buffer.concat(out);
}
