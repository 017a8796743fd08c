/** Finds what a file was renamed to: `0.log` → `0.log.20260102-030405`, in the same directory, whatever the globs say. */
import { readdirSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

export function findRotated(path: string, is: (s: Stats) => boolean): string | undefined {
  const directory = dirname(path);
  const start = `${basename(path)}.`;
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return undefined;
  }
  for (const name of names) {
    if (!name.startsWith(start)) continue;
    const candidate = join(directory, name);
    try {
      const s = statSync(candidate);
      if (s.isFile() && is(s)) return candidate;
    } catch {
      // Gone again.
    }
  }
  return undefined;
}
