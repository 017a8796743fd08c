/** How many CPUs the host has, and their frequencies. */
import type { Host } from './host.ts';
import { isMissing } from './proc-reader.ts';

/** Logical CPUs that are online. */
export function countCpus(host: Host): number {
  const line = host.reader.lines(host.proc('stat'));
  let count = 0;
  while (line.next()) {
    if (!line.take('cpu')) break;
    // The first line, `cpu  1 2 …`, is the sum of all.
    const digit = (line.pos < line.end ? line.buf[line.pos]! : 0) - 48;
    if (digit >= 0 && digit <= 9) count++;
  }
  return count;
}

interface Processor {
  readonly number: number;
  mhz: number;
  /** Chip and core on it; undefined where the kernel does not tell. */
  socket: string | undefined;
  core: string | undefined;
}

export function processors(host: Host): readonly Processor[] {
  const line = host.reader.lines(host.proc('cpuinfo'));
  const found: Processor[] = [];
  while (line.next()) {
    const text = line.rest();
    const colon = text.indexOf(':');
    if (colon < 0) continue;
    const value = text.slice(colon + 1).trim();
    const last = found.at(-1);
    switch (text.slice(0, colon).trim()) {
      case 'processor':
        if (/^\d+$/.test(value))
          found.push({ number: Number(value), mhz: Number.NaN, socket: undefined, core: undefined });
        break;
      case 'cpu MHz':
        if (last) last.mhz = Number.parseFloat(value);
        break;
      case 'physical id':
        if (last) last.socket = value;
        break;
      case 'core id':
        if (last) last.core = value;
        break;
    }
  }
  return found;
}

/** Cores: sets of CPUs that share one, as /sys tells them, or else pairs of chip and core of /proc/cpuinfo. */
export function countCores(host: Host, logical: number): number {
  const siblings = new Set<string>();
  for (const cpu of processors(host)) {
    for (const file of ['core_cpus_list', 'thread_siblings_list']) {
      try {
        siblings.add(
          host.reader.text(host.path('sys/devices/system/cpu', `cpu${cpu.number}`, 'topology', file)).trim(),
        );
        break;
      } catch (error) {
        if (!isMissing(error)) throw error;
      }
    }
  }
  if (siblings.size > 0) return siblings.size;
  const cores = new Set(processors(host).flatMap((p) => (p.core === undefined ? [] : [`${p.socket ?? ''}/${p.core}`])));
  return cores.size > 0 ? cores.size : logical;
}
