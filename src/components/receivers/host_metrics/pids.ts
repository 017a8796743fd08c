/** Goes over the processes of a host. */
import type { Host } from './host.ts';

/** Processes between two turns of other work. */
const AT_ONCE = 50;

export async function eachProcess(host: Host, signal: AbortSignal, visit: (pid: number) => void): Promise<void> {
  let visited = 0;
  for (const name of host.reader.names(host.proc())) {
    const first = name.charCodeAt(0);
    if (first < 0x31 || first > 0x39) continue;
    const pid = Number(name);
    if (!Number.isSafeInteger(pid)) continue;
    visit(pid);
    if (++visited % AT_ONCE !== 0) continue;
    await new Promise((resolve) => setImmediate(resolve));
    if (signal.aborted) throw new Error('scrape was ended');
  }
}
