/** Counts the samples of a remote write request. On purpose it shares nothing with src/wire. */

/** Snappy's block format. */
export function unsnappy(packed: Uint8Array): Buffer {
  let at = 0;
  let size = 0;
  for (let scale = 1; ; scale *= 128) {
    const b = packed[at++]!;
    size += (b & 127) * scale;
    if (b < 128) break;
  }
  const out = Buffer.allocUnsafe(size);
  let to = 0;
  while (at < packed.length) {
    const tag = packed[at++]!;
    const kind = tag & 3;
    if (kind === 0) {
      let length = (tag >> 2) + 1;
      if (length > 60) {
        const bytes = length - 60;
        length = 1;
        for (let i = 0; i < bytes; i++) length += packed[at++]! * 256 ** i;
      }
      out.set(packed.subarray(at, at + length), to);
      at += length;
      to += length;
      continue;
    }
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1;
    let offset = kind === 1 ? ((tag >> 5) << 8) | packed[at++]! : packed[at++]! | (packed[at++]! << 8);
    if (kind === 3) offset += (packed[at++]! | (packed[at++]! << 8)) * 65_536;
    for (let i = 0; i < length; i++, to++) out[to] = out[to - offset]!;
  }
  return out;
}

/** Samples in a version 1 WriteRequest. */
export function countSamples(body: Uint8Array): number {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const b = body[at++];
      if (b === undefined) throw new Error('truncated varint');
      value += (b & 127) * scale;
      if (b < 128) return value;
    }
  };
  let samples = 0;
  while (at < body.length) {
    const field = varint();
    const size = varint();
    const end = at + size;
    if (field !== 0x0a) {
      at = end;
      continue;
    }
    while (at < end) {
      if (varint() === 0x12) samples++;
      const size = varint();
      at += size;
    }
  }
  return samples;
}
