/** What a running Node process holds after a collection of garbage, asked through its inspector. */
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { waitFor } from './process.ts';

/** The process needs NODE_OPTIONS=--inspect-port=0, and its stderr in the file. */
async function inspectorOf(pid: number, logPath: string): Promise<string> {
  const find = (): string | undefined =>
    existsSync(logPath) ? /Debugger listening on (ws:\S+)/.exec(readFileSync(logPath, 'utf8'))?.[1] : undefined;
  if (find() === undefined) process.kill(pid, 'SIGUSR1');
  if (!(await waitFor(() => find() !== undefined, 10_000))) throw new Error('the inspector did not open');
  return find()!;
}

type Call = (method: string, params?: object) => Promise<Record<string, unknown>>;

async function inspect<T>(
  url: string,
  use: (call: Call, on: (method: string, f: (p: unknown) => void) => void) => Promise<T>,
) {
  const socket = new WebSocket(url);
  const waiting = new Map<number, { resolve: (r: Record<string, unknown>) => void; reject: (e: Error) => void }>();
  const listeners = new Map<string, (params: unknown) => void>();
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error(`no inspector at ${url}`));
  });
  socket.onmessage = (m) => {
    const { id, method, params, result, error } = JSON.parse(String(m.data)) as {
      id?: number;
      method?: string;
      params?: unknown;
      result?: Record<string, unknown>;
      error?: { message: string };
    };
    if (id === undefined) return listeners.get(method ?? '')?.(params);
    const call = waiting.get(id);
    waiting.delete(id);
    if (error) call?.reject(new Error(error.message));
    else call?.resolve(result ?? {});
  };
  socket.onclose = () => {
    for (const { reject } of waiting.values()) reject(new Error('the inspector hung up'));
  };
  let next = 0;
  const call: Call = (method, params = {}) =>
    new Promise((resolve, reject) => {
      waiting.set(++next, { resolve, reject });
      socket.send(JSON.stringify({ id: next, method, params }));
    });
  try {
    return await use(call, (method, f) => listeners.set(method, f));
  } finally {
    socket.close();
  }
}

export interface LiveBytes {
  /** Objects on V8's heap. */
  readonly heap: number;
  /** Memory of the buffers that they hold. */
  readonly buffers: number;
}

/** What is left after collections of garbage. */
export async function liveBytes(pid: number, logPath: string): Promise<LiveBytes> {
  return inspect(await inspectorOf(pid, logPath), async (call) => {
    for (let i = 0; i < 3; i++) await call('HeapProfiler.collectGarbage');
    const usage = await call('Runtime.getHeapUsage');
    return { heap: Number(usage['usedSize']), buffers: Number(usage['backingStorageSize'] ?? 0) };
  });
}

/** Writes a snapshot that Chrome's developer tools open. */
export async function heapSnapshot(pid: number, logPath: string, path: string): Promise<void> {
  await inspect(await inspectorOf(pid, logPath), async (call, on) => {
    // In pieces: a large one is more than a string can hold.
    const file = openSync(path, 'w');
    on('HeapProfiler.addHeapSnapshotChunk', (p) => writeSync(file, (p as { chunk: string }).chunk));
    await call('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
    closeSync(file);
  });
}
