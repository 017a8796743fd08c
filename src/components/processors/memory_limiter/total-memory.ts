/** How much memory the container or machine has: what percentages are of. */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';

/** Bytes. `root` stands for `/` in tests. */
export function totalMemory(root = '/', physicalBytes = totalmem()): number {
  const limit = cgroupLimit(root);
  // cgroup v1 says "no limit" with a huge number.
  return limit !== undefined && limit > 0 && limit < physicalBytes ? limit : physicalBytes;
}

function cgroupLimit(root: string): number | undefined {
  const own = read(join(root, 'proc/self/cgroup')) ?? '';
  const unified = /^0::(.*)$/m.exec(own)?.[1];
  const memory = /^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(.*)$/m.exec(own)?.[1];
  // Inside a container the own cgroup is usually mounted as the root of the tree; its path may be that of the host.
  const candidates = [
    ...(unified !== undefined ? ancestors(unified).map((p) => join(root, 'sys/fs/cgroup', p, 'memory.max')) : []),
    join(root, 'sys/fs/cgroup/memory.max'),
    ...(memory !== undefined ? [join(root, 'sys/fs/cgroup/memory', memory, 'memory.limit_in_bytes')] : []),
    join(root, 'sys/fs/cgroup/memory/memory.limit_in_bytes'),
  ];
  let lowest: number | undefined;
  for (const path of candidates) {
    const text = read(path)?.trim();
    if (!text || !/^\d+$/.test(text)) continue;
    const bytes = Number(text);
    if (lowest === undefined || bytes < lowest) lowest = bytes;
  }
  return lowest;
}

/** `/a/b` → `/a/b`, `/a`: a limit of any of them holds. */
function ancestors(path: string): string[] {
  const parts = path.split('/').filter((p) => p !== '' && p !== '..');
  return parts.map((_, i) => `/${parts.slice(0, parts.length - i).join('/')}`);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
