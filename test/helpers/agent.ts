/** Starts bin/sluice as a user does and watches what it prints. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { SLUICE } from './paths.ts';

/** Longest wait for anything; generous, because it only ends a test that fails. */
const LIMIT_MS = 60_000;

export async function until(condition: () => unknown, what: string, limitMs = LIMIT_MS): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited ${limitMs / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const deferred = new WeakMap<TestContext, (() => unknown)[]>();

/** Like t.after, but last in, first out: what was made last may depend on what was made before. All are undone, whatever fails. */
export function defer(t: TestContext, undo: () => unknown): void {
  const list = deferred.get(t);
  if (list) {
    list.push(undo);
    return;
  }
  const made = [undo];
  deferred.set(t, made);
  t.after(async () => {
    const errors: unknown[] = [];
    for (const u of made.reverse())
      try {
        await u();
      } catch (e) {
        errors.push(e);
      }
    if (errors.length > 0) throw errors[0];
  });
}

/** A fresh directory, removed when the test ends. */
export function tempDir(t: TestContext): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'sluice-test-')));
  defer(t, () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Agent {
  readonly pid: number;
  /** stdout and stderr so far. */
  readonly output: string;
  readonly stderr: string;
  readonly running: boolean;
  readonly exited: Promise<Exit>;
  /** Waits until the output (from `from` on) contains the text; fails with the output when the process ends first. */
  says(text: string | RegExp, from?: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, and the exit. */
  stop(): Promise<Exit>;
}

export interface AgentOptions {
  readonly command?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

/** Runs `sluice ...args`; killed when the test ends. */
export function startAgent(t: TestContext, args: readonly string[], options: AgentOptions = {}): Agent {
  const child: ChildProcess = spawn(options.command ?? SLUICE, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd && { cwd: options.cwd }),
    ...(options.uid !== undefined && { uid: options.uid }),
    ...(options.gid !== undefined && { gid: options.gid }),
  });
  let output = '';
  let stderr = '';
  let running = true;
  child.stdout!.on('data', (d) => {
    output += d;
  });
  child.stderr!.on('data', (d) => {
    output += d;
    stderr += d;
  });
  const exited = new Promise<Exit>((resolve) => {
    child.on('error', (e) => {
      output += e.message;
      running = false;
      resolve({ code: null, signal: null });
    });
    child.on('close', (code, signal) => {
      running = false;
      resolve({ code, signal });
    });
  });
  defer(t, async () => {
    if (running) child.kill('SIGKILL');
    await exited;
  });
  const agent: Agent = {
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    get stderr() {
      return stderr;
    },
    get running() {
      return running;
    },
    exited,
    async says(text, from = 0) {
      const found = () => (typeof text === 'string' ? output.indexOf(text, from) >= 0 : text.test(output.slice(from)));
      try {
        await until(() => found() || !running, `the output to contain ${text}`);
      } catch (e) {
        throw new Error(`${(e as Error).message}; output: ${output.slice(-3000)}`);
      }
      if (!found()) throw new Error(`ended without saying ${text}; output: ${output.slice(-3000)}`);
    },
    signal: (name) => void child.kill(name),
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
  };
  return agent;
}

/** Writes a configuration file and starts the collector on it. */
export function startWith(t: TestContext, dir: string, config: string, options: AgentOptions = {}): Agent {
  const file = join(dir, 'agent.yaml');
  writeFileSync(file, config);
  return startAgent(t, ['--config', file], options);
}

export const READY = 'Everything is ready. Begin running and processing data.';

/** The `Ledger` line of the last stop: what was read and what became of it. */
export function lastLedger(output: string): Record<string, Record<string, number>> | undefined {
  const line = output.split('\n').findLast((l) => l.includes('Ledger') && l.includes('{'));
  return line && JSON.parse(line.slice(line.indexOf('{')));
}
