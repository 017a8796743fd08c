/**
 * V8's optimizing compilers are off when the process starts (bin/sluice) and brought in when there is work for them.
 * An agent on a quiet node never needs them, and touching them costs 10 to 15 MB of RSS (docs/decisions/006).
 */

/**
 * Busy is who used so much CPU time within so much time, milliseconds. A burst of logs; one on a
 * crowded machine, or the objects of a large cluster; what a container with a small CPU limit makes of a burst; steady
 * light work, such as scrapes. The first two are more than a quiet node's files take at
 * start, or the first scrape and export of an agent with 110 pods.
 */
const BUSY: readonly { readonly withinMs: number; readonly cpuMs: number }[] = [
  { withinMs: 500, cpuMs: 400 },
  { withinMs: 2_000, cpuMs: 600 },
  { withinMs: 10_000, cpuMs: 1_000 },
  { withinMs: 60_000, cpuMs: 3_000 },
];
/** Time between two looks while there is work, and when nothing happens. */
const BUSY_LOOK_MS = 25;
const IDLE_LOOK_MS = 500;

export interface LoadProbe {
  /** CPU time of the process, user and system, milliseconds. */
  cpuMs(): number;
  /** Monotonic, milliseconds. */
  nowMs(): number;
}

/** Says when the process is busy. `look` returns the time to the next look in milliseconds, or `busy`. */
export class LoadWatch {
  readonly #probe: LoadProbe;
  readonly #windows: { withinMs: number; limitMs: number; atMs: number; cpuMs: number }[];
  #last: { atMs: number; cpuMs: number };

  constructor(probe: LoadProbe) {
    this.#probe = probe;
    const now = { atMs: probe.nowMs(), cpuMs: probe.cpuMs() };
    this.#last = now;
    this.#windows = BUSY.map((b) => ({ withinMs: b.withinMs, limitMs: b.cpuMs, ...now }));
  }

  look(): number | 'busy' {
    const now = { atMs: this.#probe.nowMs(), cpuMs: this.#probe.cpuMs() };
    for (const w of this.#windows) {
      if (now.cpuMs - w.cpuMs >= w.limitMs && now.atMs - w.atMs <= w.withinMs + IDLE_LOOK_MS) return 'busy';
      if (now.atMs - w.atMs >= w.withinMs) Object.assign(w, now);
    }
    const share = (now.cpuMs - this.#last.cpuMs) / Math.max(1, now.atMs - this.#last.atMs);
    this.#last = now;
    return share > 0.05 ? BUSY_LOOK_MS : IDLE_LOOK_MS;
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
  plan(BUSY_LOOK_MS);
  return () => clearTimeout(timer);
}
