/** The fields of /proc/meminfo that are measured; those that the kernel does not have are 0. */
import { type Host, unexpectedLine } from './host.ts';

const FIELDS = [
  'MemTotal',
  'MemFree',
  'MemAvailable',
  'Buffers',
  'Cached',
  'Dirty',
  'Shmem',
  'SReclaimable',
  'SUnreclaim',
  'HugePages_Total',
  'HugePages_Free',
  'HugePages_Rsvd',
  'HugePages_Surp',
  'Hugepagesize',
] as const;
export type Meminfo = Record<(typeof FIELDS)[number], number>;

/** Bytes; numbers of huge pages. */
export function readMeminfo(host: Host): Meminfo {
  const path = host.proc('meminfo');
  const line = host.reader.lines(path);
  const found = Object.fromEntries(FIELDS.map((f) => [f, 0])) as Meminfo;
  let next = 0;
  while (line.next()) {
    // They come in this order, nearly: usually the first comparison is the one.
    for (let tried = 0; tried < FIELDS.length; tried++) {
      const i = (next + tried) % FIELDS.length;
      const field = FIELDS[i]!;
      const start = line.pos;
      if (!line.take(field)) continue;
      if (!line.take(':')) {
        line.pos = start;
        continue;
      }
      const value = line.number();
      if (Number.isNaN(value)) {
        line.pos = start;
        throw new Error(unexpectedLine(path, line.rest()));
      }
      found[field] = line.more() && line.take('kB') ? value * 1024 : value;
      next = i + 1;
      break;
    }
  }
  if (found.MemTotal <= 0) throw new Error(`no MemTotal in ${path}`);
  return found;
}
