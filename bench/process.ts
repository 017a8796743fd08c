/** Starts a collector as a child process and reads what Linux accounts for it: CPU time, memory, load of the machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Ticks of /proc/PID/stat: 100 a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface StartOptions {
  /** Program and its leading arguments; `--config FILE` is appended. */
  readonly command: readonly string[];
  readonly configPath: string;
  readonly env: Readonly<Record<string, string>>;
  /** Its stdout and stderr are appended here. */
  readonly logPath: string;
}

/** A running collector. `exited` resolves to its exit code, or the name of the signal that ended it. */
export interface CollectorProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  readonly exited: Promise<number | string>;
  alive(): boolean;
}

export function startCollector(options: StartOptions): CollectorProcess {
  const [program, ...args] = options.command;
  if (!program) throw new Error('no collector command');
  const log = openSync(options.logPath, 'a');
  const child = spawn(program, [...args, '--config', options.configPath], {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env },
  });
  closeSync(log);
  const exited = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1));
  });
  exited.catch(() => {});
  if (child.pid === undefined) throw new Error(`cannot start ${program}`);
  return { pid: child.pid, child, exited, alive: () => child.exitCode === null && child.signalCode === null };
}

/** SIGTERM, then SIGKILL after `graceMs`. Resolves to the exit code or signal. */
export async function stopCollector(collector: CollectorProcess, graceMs: number): Promise<number | string> {
  collector.child.kill('SIGTERM');
  const timer = setTimeout(() => collector.child.kill('SIGKILL'), graceMs);
  try {
    return await collector.exited;
  } finally {
    clearTimeout(timer);
  }
}

/** User and system time of all threads of the process, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in parentheses may hold spaces: fields are counted from behind it (state is the third).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

export interface Memory {
  readonly rssKb: number;
  readonly peakRssKb: number;
  readonly anonKb: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const kb = (key: string): number => Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { rssKb: kb('VmRSS'), peakRssKb: kb('VmHWM'), anonKb: kb('RssAnon') };
}

/** Path of the program that the process runs: after `exec` of a wrapper script it names the runtime. */
export const executableOf = (pid: number): string => readlinkSync(`/proc/${pid}/exe`);

export function loadAverage(): number {
  return Number(readFileSync('/proc/loadavg', 'latin1').split(' ')[0]);
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') return reject(new Error('no port'));
      server.close(() => resolve(address.port));
    });
  });
}

/** Polls `done` until it holds; false when `timeoutMs` went by first. */
export async function waitFor(
  done: () => boolean | Promise<boolean>,
  timeoutMs: number,
  everyMs = 20,
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    if (await done()) return true;
    if (performance.now() >= end) return false;
    await sleep(everyMs);
  }
}
