/**
 * Protobuf on bare bytes: a growing writer with back-patched lengths, and a reader that walks fields in place.
 * Nothing here knows a message type. 64-bit values are two uint32 or a bigint, never a lossy number.
 */

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Bytes that `n` (0 ≤ n < 2^53) takes as a varint. */
export function varintSize(n: number): number {
  let size = 1;
  while (n > 127) {
    n = Math.floor(n / 128);
    size++;
  }
  return size;
}

/** Writes `n` (0 ≤ n < 2^32) at `at`; returns the next position. */
export function putVarint(buf: Uint8Array, at: number, n: number): number {
  while (n > 127) {
    buf[at++] = (n & 127) | 128;
    n >>>= 7;
  }
  buf[at++] = n;
  return at;
}

export class ProtoWriter {
  buf: Buffer;
  pos = 0;

  constructor(size = 256) {
    this.buf = Buffer.allocUnsafeSlow(size);
  }

  reserve(n: number): void {
    if (this.pos + n <= this.buf.length) return;
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.buf.length * 2, this.pos + n));
    this.buf.copy(bigger, 0, 0, this.pos);
    this.buf = bigger;
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.buf, 0, this.pos);
  }

  reset(): void {
    this.pos = 0;
  }

  varint(n: number): void {
    this.reserve(10);
    if (n < 0) {
      this.varint64(BigInt(n));
      return;
    }
    while (n > 127) {
      this.buf[this.pos++] = (n % 128) | 128;
      n = Math.floor(n / 128);
    }
    this.buf[this.pos++] = n;
  }

  varint64(n: bigint): void {
    this.reserve(10);
    let v = BigInt.asUintN(64, n);
    while (v > 127n) {
      this.buf[this.pos++] = Number(v & 127n) | 128;
      v >>= 7n;
    }
    this.buf[this.pos++] = Number(v);
  }

  tag(field: number, wire: number): void {
    this.varint(field * 8 + wire);
  }

  bytes(field: number, data: Uint8Array): void {
    this.tag(field, BYTES);
    this.varint(data.length);
    this.raw(data);
  }

  raw(data: Uint8Array): void {
    this.reserve(data.length);
    this.buf.set(data, this.pos);
    this.pos += data.length;
  }

  string(field: number, text: string): void {
    this.tag(field, BYTES);
    const worst = text.length * 3;
    this.reserve(worst + 5);
    if (text.length < 43) {
      // The length takes one byte, so the text can be written right behind it.
      const n = this.buf.write(text, this.pos + 1, 'utf8');
      this.buf[this.pos] = n;
      this.pos += n + 1;
      return;
    }
    this.varint(Buffer.byteLength(text));
    this.reserve(worst);
    this.pos += this.buf.write(text, this.pos, 'utf8');
  }

  double(field: number, v: number): void {
    this.tag(field, FIXED64);
    this.reserve(8);
    this.pos = this.buf.writeDoubleLE(v, this.pos);
  }

  fixed64(field: number, v: bigint): void {
    this.tag(field, FIXED64);
    this.reserve(8);
    this.pos = this.buf.writeBigUInt64LE(BigInt.asUintN(64, v), this.pos);
  }

  fixed32(field: number, v: number): void {
    this.tag(field, FIXED32);
    this.reserve(4);
    this.pos = this.buf.writeUInt32LE(v >>> 0, this.pos);
  }

  /** Opens a length-delimited field; pass the result to `close`. */
  open(field: number): number {
    this.tag(field, BYTES);
    this.reserve(1);
    this.pos++;
    return this.pos;
  }

  /** Patches the length of the field opened at `start`, moving the content when it needs more than one byte. */
  close(start: number): void {
    const size = this.pos - start;
    const extra = varintSize(size) - 1;
    if (extra > 0) {
      this.reserve(extra);
      this.buf.copyWithin(start + extra, start, this.pos);
      this.pos += extra;
    }
    putVarint(this.buf, start - 1, size);
  }
}

/** Thrown for bytes that are not a protobuf message. */
export class ProtoError extends Error {}

/** Walks the fields of a message: `while (r.next()) switch (r.field) …`, reading or skipping each value. */
export class ProtoReader {
  readonly buf: Uint8Array;
  pos: number;
  end: number;
  field = 0;
  wire = 0;

  constructor(buf: Uint8Array, pos = 0, end = buf.length) {
    this.buf = buf;
    this.pos = pos;
    this.end = end;
  }

  next(): boolean {
    if (this.pos >= this.end) return false;
    const tag = this.varint();
    this.field = tag >>> 3;
    this.wire = tag & 7;
    if (this.field === 0) throw new ProtoError('field number 0');
    return true;
  }

  /** As a number; exact below 2^53. Use varint64 for values that may be larger or negative. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      if (this.pos >= this.end) throw new ProtoError('truncated varint');
      const b = this.buf[this.pos++]!;
      value += (b & 127) * scale;
      if (b < 128) return value;
      scale *= 128;
    }
    throw new ProtoError('varint too long');
  }

  varint64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.pos >= this.end) throw new ProtoError('truncated varint');
      const b = this.buf[this.pos++]!;
      value |= BigInt(b & 127) << shift;
      if (b < 128) return BigInt.asUintN(64, value);
    }
    throw new ProtoError('varint too long');
  }

  /** Length-delimited content as a view. */
  bytes(): Uint8Array {
    const n = this.varint();
    if (n > this.end - this.pos) throw new ProtoError('truncated field');
    this.pos += n;
    return this.buf.subarray(this.pos - n, this.pos);
  }

  string(): string {
    return fromUtf8.decode(this.bytes());
  }

  /** A reader over the length-delimited content. */
  message(): ProtoReader {
    const n = this.varint();
    if (n > this.end - this.pos) throw new ProtoError('truncated field');
    this.pos += n;
    return new ProtoReader(this.buf, this.pos - n, this.pos);
  }

  private need(n: number): void {
    if (this.end - this.pos < n) throw new ProtoError('truncated field');
  }

  fixed64(): bigint {
    this.need(8);
    const v = new DataView(this.buf.buffer, this.buf.byteOffset + this.pos, 8).getBigUint64(0, true);
    this.pos += 8;
    return v;
  }

  double(): number {
    this.need(8);
    const v = new DataView(this.buf.buffer, this.buf.byteOffset + this.pos, 8).getFloat64(0, true);
    this.pos += 8;
    return v;
  }

  fixed32(): number {
    this.need(4);
    const v = new DataView(this.buf.buffer, this.buf.byteOffset + this.pos, 4).getUint32(0, true);
    this.pos += 4;
    return v;
  }

  skip(): void {
    if (this.wire === VARINT) this.varint64();
    else if (this.wire === FIXED64) {
      this.need(8);
      this.pos += 8;
    } else if (this.wire === FIXED32) {
      this.need(4);
      this.pos += 4;
    } else if (this.wire === BYTES) {
      const n = this.varint();
      if (n > this.end - this.pos) throw new ProtoError('truncated field');
      this.pos += n;
    } else throw new ProtoError(`wire type ${this.wire}`);
  }
}

export const encodeUtf8 = (text: string): Uint8Array => utf8.encode(text);
export const decodeUtf8 = (data: Uint8Array): string => fromUtf8.decode(data);
