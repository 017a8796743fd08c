/** Names of users by id, from /etc/passwd of the host. */
import { readFileSync, statSync } from 'node:fs';
import type { Host } from './host.ts';

export class Users {
  readonly #paths: readonly string[];
  #version = '';
  #names = new Map<number, string>();

  constructor(host: Host) {
    // A host of which only /proc is mounted has no users of its own.
    this.#paths = [...new Set([host.path('etc/passwd'), '/etc/passwd'])];
  }

  /** Reads the file when it has changed; once per scrape is enough. */
  refresh(): void {
    for (const path of this.#paths) {
      try {
        const { mtimeMs, size, ino } = statSync(path);
        const version = `${path} ${mtimeMs} ${size} ${ino}`;
        if (version === this.#version) return;
        this.#names = parsePasswd(readFileSync(path, 'utf8'));
        this.#version = version;
        return;
      } catch {
        // The next one, or what is known already.
      }
    }
  }

  name(uid: number): string | undefined {
    return this.#names.get(uid);
  }
}

/** The first entry of an id counts, as for the system. Lines that are none are passed over. */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':');
    if (!name || uid === undefined || !/^\d+$/.test(uid) || names.has(Number(uid))) continue;
    names.set(Number(uid), name);
  }
  return names;
}
