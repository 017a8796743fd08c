/** /proc/<pid>/stat: `42 (a name) S 1 42 …`. */
import type { Host } from './host.ts';
import { unexpectedLine } from './host.ts';
import { Lines } from './lines.ts';

/** Names may hold spaces and parentheses, so the last one closes it. */
const OPEN = 0x28;
const CLOSE = 0x29;

export const readStat = (host: Host, pid: number): Buffer => host.reader.readRecord(host.proc(String(pid), 'stat'));

export const stateOf = (stat: Buffer): string => String.fromCharCode(stat[stat.lastIndexOf(CLOSE) + 2] ?? 0x3f);

/** Numbered as in proc_pid_stat(5). */
const FIELD = {
  parentPid: 4,
  flags: 9,
  minorFaults: 10,
  majorFaults: 12,
  userTicks: 14,
  systemTicks: 15,
  threads: 20,
  startTicks: 22,
  startCode: 26,
  startStack: 28,
  waitTicks: 42,
  argumentsStart: 48,
} as const;
type Field = keyof typeof FIELD;
const NAMES = new Map<number, Field>(Object.entries(FIELD).map(([name, n]) => [n, name as Field]));
const LAST = Math.max(...NAMES.keys());
/** Kernels before 2.6.18 do not have the later ones. */
const NEEDED = FIELD.startTicks;
const KERNEL_THREAD = 0x200000;

/** One process's numbers; the object is used again for the next. */
export class ProcessStat implements Record<Field, number> {
  name = '';
  parentPid = 0;
  flags = 0;
  minorFaults = 0;
  majorFaults = 0;
  userTicks = 0;
  systemTicks = 0;
  threads = 0;
  startTicks = 0;
  startCode = 0;
  startStack = 0;
  waitTicks = 0;
  argumentsStart = 0;

  get isKernelThread(): boolean {
    return (this.flags & KERNEL_THREAD) !== 0;
  }

  read(host: Host, pid: number): void {
    const bytes = readStat(host, pid);
    const open = bytes.indexOf(OPEN);
    const close = bytes.lastIndexOf(CLOSE);
    const unexpected = (): Error =>
      new Error(unexpectedLine(host.proc(String(pid), 'stat'), bytes.toString('utf8').trimEnd()));
    if (open < 0 || close < open) throw unexpected();
    this.name = bytes.toString('utf8', open + 1, close);
    const line = new Lines(bytes.subarray(close + 1));
    line.next();
    line.skip();
    for (let n = 4; n <= LAST; n++) {
      const field = NAMES.get(n);
      if (field === undefined) {
        line.skip();
        continue;
      }
      const value = line.number();
      if (Number.isNaN(value) && n <= NEEDED) throw unexpected();
      this[field] = Number.isNaN(value) ? 0 : value;
    }
  }
}
