/** The little that the image needs to know of ELF programs: which libraries they load, and how to leave out debug data. */

const SHF_ALLOC = 2;
const SHT_STRTAB = 3;
const SHT_NOBITS = 8;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_NEEDED = 1;
const DT_STRTAB = 5;
/** Sizes of the headers of 64-bit ELF. */
const EHDR = 64;
const PHDR = 56;
const SHDR = 64;

export type Machine = 'amd64' | 'arm64';
const MACHINES: Readonly<Record<number, Machine>> = { 62: 'amd64', 183: 'arm64' };

/** Which machine it runs on; undefined when it is no 64-bit little-endian ELF of these. */
export function machineOf(data: Buffer): Machine | undefined {
  const isElf = data.length >= EHDR && data.readUInt32BE(0) === 0x7f454c46 && data[4] === 2 && data[5] === 1;
  return isElf ? MACHINES[data.readUInt16LE(18)] : undefined;
}

const u64 = (data: Buffer, at: number): number => Number(data.readBigUInt64LE(at));

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly sizeBytes: number;
}

function segmentsOf(data: Buffer): Segment[] {
  const start = u64(data, 32);
  return Array.from({ length: data.readUInt16LE(56) }, (_, i) => {
    const at = start + i * PHDR;
    return {
      type: data.readUInt32LE(at),
      offset: u64(data, at + 8),
      address: u64(data, at + 16),
      sizeBytes: u64(data, at + 32),
    };
  });
}

/** Names of the libraries that the loader looks for: `libc.so.6`. */
export function neededOf(data: Buffer): string[] {
  const segments = segmentsOf(data);
  const dynamic = segments.find((s) => s.type === PT_DYNAMIC);
  if (!dynamic) return [];
  const entries = Array.from({ length: dynamic.sizeBytes / 16 }, (_, i) => {
    const at = dynamic.offset + i * 16;
    return { tag: u64(data, at), value: u64(data, at + 8) };
  });
  const table = entries.find((e) => e.tag === DT_STRTAB);
  const segment = segments.find(
    (s) => s.type === PT_LOAD && table && s.address <= table.value && table.value < s.address + s.sizeBytes,
  );
  if (!table || !segment) return [];
  const names = table.value - segment.address + segment.offset;
  return entries
    .filter((e) => e.tag === DT_NEEDED)
    .map((e) => data.toString('latin1', names + e.value, data.indexOf(0, names + e.value)));
}

/**
 * Without symbol table and debug sections, as `strip` does it: nothing that is loaded moves. Names of native frames
 * still come from the dynamic symbols. An own one, because the machine's `strip` knows its own architecture only.
 */
export function stripped(data: Buffer): Buffer {
  const start = u64(data, 40);
  const sections = Array.from({ length: data.readUInt16LE(60) }, (_, i) => {
    const h = data.subarray(start + i * SHDR, start + (i + 1) * SHDR);
    const isLoaded = (u64(h, 8) & SHF_ALLOC) !== 0;
    return { h, isLoaded, type: h.readUInt32LE(4), offset: u64(h, 24), sizeBytes: u64(h, 32) };
  });
  const names = sections[data.readUInt16LE(62)];
  const firstDropped = sections.findIndex((s, i) => i > 0 && !s.isLoaded);
  // Links between sections are their numbers; they stay right only while the dropped ones come last.
  if (names?.type !== SHT_STRTAB || firstDropped < 0 || sections.slice(firstDropped).some((s) => s.isLoaded))
    throw new Error('an ELF file with unusual sections cannot be stripped');
  const loaded = sections.slice(0, firstDropped);
  const end = Math.max(
    ...loaded.map((s) => (s.type === SHT_NOBITS ? 0 : s.offset + s.sizeBytes)),
    ...segmentsOf(data).map((s) => s.offset + s.sizeBytes),
    EHDR,
  );
  const align8 = (n: number): number => (n + 7) & ~7;
  const tableAt = align8(end + names.sizeBytes);
  const out = Buffer.alloc(tableAt + (loaded.length + 1) * SHDR);
  data.copy(out, 0, 0, end);
  data.copy(out, end, names.offset, names.offset + names.sizeBytes);
  for (const [i, s] of loaded.entries()) s.h.copy(out, tableAt + i * SHDR);
  const last = tableAt + loaded.length * SHDR;
  names.h.copy(out, last);
  out.writeBigUInt64LE(BigInt(end), last + 24);
  out.writeBigUInt64LE(BigInt(tableAt), 40);
  out.writeUInt16LE(loaded.length + 1, 60);
  out.writeUInt16LE(loaded.length, 62);
  return out;
}
