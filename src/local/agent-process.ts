/** The agent, or the gateway, as a process of its own: started, watched, started again when it dies, asked to stop. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { environment } from '../core/environment.ts';
import {
  type AgentMetrics,
  addLedgers,
  addPoints,
  EMPTY_LEDGER,
  type LedgerTotals,
  NO_POINTS,
  type PointTotals,
  parseMetrics,
} from './agent-metrics.ts';

const RESTART_MS = 1000;
/** Deaths in a row, none of which ever served its metrics, after which it is left alone. */
const MAX_FAILED_STARTS = 3;
const STOP_MS = 20_000;
const SCRAPE_MS = 2000;

export interface AgentProcessOptions {
  /** As messages call it: `agent`. */
  readonly name: string;
  /** Of its environment, besides our own. */
  readonly env?: Readonly<Record<string, string>>;
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly logPath: string;
  readonly metricsUrl: string;
  readonly clock: Clock;
  /** For the terminal. */
  readonly say: (text: string) => void;
  /** It cannot be started. */
  readonly onGivenUp: () => void;
}

export type AgentState = 'starting' | 'running' | 'stopped';

export class AgentProcess {
  restarts = 0;
  state: AgentState = 'starting';
  metrics: AgentMetrics | undefined;
  /** Share of one core since the last look. */
  cpuShare = 0;
  readonly #options: AgentProcessOptions;
  #child: ChildProcess | undefined;
  /** What processes before this one had told when they died. */
  #before: LedgerTotals = EMPTY_LEDGER;
  #pointsBefore: PointTotals = NO_POINTS;
  #failedStarts = 0;
  #isStopping = false;
  #lastLook: { atMs: number; cpuSeconds: number } | undefined;
  #restartTimer: NodeJS.Timeout | undefined;

  constructor(options: AgentProcessOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get ledger(): LedgerTotals {
    return this.metrics ? addLedgers(this.#before, this.metrics.ledger) : this.#before;
  }

  get points(): PointTotals {
    return this.metrics ? addPoints(this.#pointsBefore, this.metrics.points) : this.#pointsBefore;
  }

  start(): void {
    const { command, logPath, env } = this.#options;
    const log = openSync(logPath, 'a', 0o600);
    // A group of its own: Ctrl-C in the terminal must reach `up` only, which first lets the agent finish.
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', log, log],
      detached: true,
      ...(env ? { env: { ...environment(), ...env } } : {}),
    });
    closeSync(log);
    this.#child = child;
    this.state = 'starting';
    child.once('error', (error) => this.#died(child, error.message));
    child.once('exit', (code, signal) => this.#died(child, signal ?? `exit code ${code}`));
  }

  #died(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    const { name, say, onGivenUp } = this.#options;
    if (this.#isStopping) return;
    if (this.metrics === undefined) this.#failedStarts++;
    else {
      this.#failedStarts = 0;
      // What was in flight then is read again, and counted then.
      const told = addLedgers(this.#before, this.metrics.ledger);
      this.#pointsBefore = this.points;
      this.#before = { ...told, read: told.read - told.inFlight, inFlight: 0 };
    }
    this.metrics = undefined;
    this.#lastLook = undefined;
    if (this.#failedStarts >= MAX_FAILED_STARTS) {
      this.state = 'stopped';
      say(`the ${name} does not start (${how}); the end of its log:\n${this.#logTail()}`);
      onGivenUp();
      return;
    }
    this.state = 'starting';
    this.restarts++;
    say(`the ${name} died (${how}); starting it again`);
    this.#restartTimer = setTimeout(() => this.start(), RESTART_MS);
  }

  #logTail(): string {
    return readFileSync(this.#options.logPath, 'utf8').trimEnd().split('\n').slice(-12).join('\n');
  }

  /** Reads /metrics; keeps what it had when that fails. */
  async look(): Promise<void> {
    const child = this.#child;
    if (!child) return;
    try {
      const response = await fetch(this.#options.metricsUrl, { signal: AbortSignal.timeout(SCRAPE_MS) });
      const found = parseMetrics(await response.text());
      if (!response.ok || this.#child !== child) return;
      const atMs = this.#options.clock.monotonicMs();
      const last = this.#lastLook;
      if (last && atMs > last.atMs)
        this.cpuShare = Math.max(0, ((found.cpuSeconds - last.cpuSeconds) * 1000) / (atMs - last.atMs));
      this.#lastLook = { atMs, cpuSeconds: found.cpuSeconds };
      this.metrics = found;
      this.state = 'running';
    } catch {
      // Not up yet, or just gone; its exit is told elsewhere.
    }
  }

  /** Asks it to finish; true when it went by itself with exit code 0. */
  async stop(): Promise<boolean> {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (!child) return false;
    const exited = once(child, 'exit') as Promise<[number | null]>;
    child.kill('SIGTERM');
    const late = new AbortController();
    const killer = sleep(STOP_MS, undefined, { signal: late.signal }).then(
      () => child.kill('SIGKILL'),
      () => false,
    );
    const [code] = await exited;
    late.abort();
    await killer;
    this.state = 'stopped';
    return code === 0;
  }

  /** At once, when `up` itself is going down. */
  kill(): void {
    this.#isStopping = true;
    this.#child?.kill('SIGKILL');
  }
}
