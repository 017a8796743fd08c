/** Reads the CPU profile that Node writes with --cpu-prof: which functions the time was spent in. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface SelfTime {
  readonly name: string;
  readonly share: number;
}

/** The `top` functions by self time over all profiles in `dir`; idle time is left out. */
export function selfTimes(dir: string, top: number): SelfTime[] {
  const times = new Map<string, number>();
  let total = 0;
  for (const file of readdirSync(dir).filter((f) => f.endsWith('.cpuprofile'))) {
    const profile = JSON.parse(readFileSync(join(dir, file), 'utf8')) as Profile;
    const names = new Map(profile.nodes.map((n) => [n.id, nameOf(n)]));
    profile.samples.forEach((id, i) => {
      const name = names.get(id) ?? '?';
      if (name === '(idle)') return;
      const us = profile.timeDeltas[i] ?? 0;
      times.set(name, (times.get(name) ?? 0) + us);
      total += us;
    });
  }
  return [...times]
    .sort((a, b) => b[1] - a[1])
    .slice(0, top)
    .map(([name, us]) => ({ name, share: us / total }));
}

function nameOf({ callFrame: f }: ProfileNode): string {
  const name = f.functionName || '(anonymous)';
  return f.url ? `${name} ${basename(f.url)}:${f.lineNumber + 1}` : name;
}
