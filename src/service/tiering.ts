/**
 * V8's optimizing compilers are off when the process starts (bin/sluice) and brought in when there is work for them.
 * An agent on a quiet node never needs them, and touching them costs 10 to 15 MB of RSS (docs/decisions/006).
 */

/** While there may be a burst: long enough that the reading of a quiet node's files at start is not one. */
const SHORT_MS = 25;
const SHORT_SHARE = 0.8;
const SHORT_RUNS = 5;
/** Steady light work, such as scrapes: this share of a core over this time. */
const LONG_MS = 60_000;
const LONG_SHARE = 0.03;
/** Time between two looks when nothing happens. */
const IDLE_MS = 500;

export interface LoadProbe {
  /** CPU time of the process, user and system, milliseconds. */
  cpuMs(): number;
  /** Monotonic, milliseconds. */
  nowMs(): number;
}

/** Says when the process is busy. `look` returns the time to the next look in milliseconds, or `busy`. */
export class LoadWatch {
  readonly #probe: LoadProbe;
  #cpuMs: number;
  #atMs: number;
  #longCpuMs: number;
  #longAtMs: number;
  #runs = 0;

  constructor(probe: LoadProbe) {
    this.#probe = probe;
    this.#cpuMs = this.#longCpuMs = probe.cpuMs();
    this.#atMs = this.#longAtMs = probe.nowMs();
  }

  look(): number | 'busy' {
    const cpuMs = this.#probe.cpuMs();
    const nowMs = this.#probe.nowMs();
    const share = (cpuMs - this.#cpuMs) / Math.max(1, nowMs - this.#atMs);
    this.#cpuMs = cpuMs;
    this.#atMs = nowMs;
    this.#runs = share >= SHORT_SHARE ? this.#runs + 1 : 0;
    if (this.#runs >= SHORT_RUNS) return 'busy';
    if (nowMs - this.#longAtMs >= LONG_MS) {
      if (cpuMs - this.#longCpuMs >= LONG_SHARE * (nowMs - this.#longAtMs)) return 'busy';
      this.#longCpuMs = cpuMs;
      this.#longAtMs = nowMs;
    }
    return share > 0.2 ? SHORT_MS : IDLE_MS;
  }
}

/** Lets V8 optimize from now on; it can be said any time, and again. */
export function optimize(): void {
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--turbofan');
  setFlagsFromString('--maglev');
}

/** Brings the compilers in as soon as the process is busy. Keeps no process alive; the returned function ends it. */
export function optimizeWhenBusy(): () => void {
  const watch = new LoadWatch({
    cpuMs: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    nowMs: () => performance.now(),
  });
  let timer: NodeJS.Timeout;
  const plan = (ms: number): void => {
    timer = setTimeout(() => {
      const next = watch.look();
      if (next === 'busy') optimize();
      else plan(next);
    }, ms).unref();
  };
  plan(SHORT_MS);
  return () => clearTimeout(timer);
}
