/** The demo workload: the apps' containers, written to at a steady rate under a directory laid out like /var/log/pods. */
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { APPS, type App, type Random, seeded } from './apps.ts';
import { ContainerLog, type Rotation, type Written } from './container-log.ts';

const TICK_MS = 100;
const MAX_FILES = 5;
/**
 * Logs grow to this many bytes for each line per second of the whole rate, so that the busiest container (about 70 B/s
 * for each) rotates every ten seconds or so, however fast. Between two rotations a collector must have read the older
 * file: what is rotated away before anybody could see it is lost on every collector.
 */
const ROTATION_BYTES_PER_RATE = 700;
const MIN_ROTATION_BYTES = 256 << 10;

export interface WorkloadOptions {
  readonly directory: string;
  readonly linesPerSecond: number;
  readonly clock: Clock;
  readonly seed: number;
  readonly rotation?: Rotation;
  /** A container log that could not be written; the workload stops then. */
  readonly onError: (error: unknown) => void;
}

/** As its log directory says. */
export interface WorkloadPod {
  readonly name: string;
  readonly uid: string;
}

interface Running {
  readonly app: App;
  readonly log: ContainerLog;
  events: number;
}

export class Workload {
  readonly written: Written = { records: 0, bytes: 0, rotations: 0 };
  readonly containers: number;
  /** The apps with their pods, of which each has one container. */
  readonly apps: readonly { readonly app: App; readonly pods: readonly WorkloadPod[] }[];
  readonly #options: WorkloadOptions;
  readonly #random: Random;
  readonly #apps: { app: App; running: Running[] }[];
  readonly #weight: number;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;
  #due = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
    const rotation = options.rotation ?? {
      maxBytes: Math.max(MIN_ROTATION_BYTES, options.linesPerSecond * ROTATION_BYTES_PER_RATE),
      maxFiles: MAX_FILES,
    };
    this.apps = APPS.map((app) => {
      const owner = app.kind === 'Deployment' ? `${app.name}-${this.#id(10)}` : app.name;
      const pods = Array.from({ length: app.replicas }, () => ({ name: `${owner}-${this.#id(5)}`, uid: this.#uid() }));
      return { app, pods };
    });
    this.#apps = this.apps.map(({ app, pods }) => ({
      app,
      running: pods.map(({ name, uid }) => {
        const directory = join(options.directory, `${app.namespace}_${name}_${uid}`, app.container);
        return { app, log: new ContainerLog(directory, rotation, this.written), events: 0 };
      }),
    }));
    this.#weight = APPS.reduce((sum, a) => sum + a.weight, 0);
    this.containers = this.#apps.reduce((sum, a) => sum + a.running.length, 0);
  }

  #id(length: number): string {
    const letters = 'bcdfghjklmnpqrstvwxz2456789';
    return Array.from({ length }, () => letters[Math.floor(this.#random() * letters.length)]).join('');
  }

  #uid(): string {
    const hex = Array.from({ length: 32 }, () => Math.floor(this.#random() * 16).toString(16)).join('');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  start(): void {
    this.#lastMs = this.#options.clock.monotonicMs();
    this.#timer = setInterval(() => {
      try {
        this.tick();
      } catch (error) {
        clearInterval(this.#timer);
        this.#options.onError(error);
      }
    }, TICK_MS);
  }

  /** Writes what is due since the last tick; never more than one second's worth, if the machine was asleep. */
  tick(): void {
    const now = this.#options.clock.monotonicMs();
    this.#due += (Math.min(now - this.#lastMs, 1000) / 1000) * this.#options.linesPerSecond;
    this.#lastMs = now;
    while (this.#due >= 1) this.#due -= this.#event();
  }

  #event(): number {
    let roll = this.#random() * this.#weight;
    let chosen = this.#apps[0]!;
    for (chosen of this.#apps) {
      roll -= chosen.app.weight;
      if (roll < 0) break;
    }
    const one = chosen.running[Math.floor(this.#random() * chosen.running.length)]!;
    const nowMs = this.#options.clock.nowMs();
    const lines = one.app.next(this.#random, nowMs, one.events++);
    one.log.write(lines, nowMs);
    return lines.length;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#apps.flatMap((a) => a.running.map((r) => r.log.close())));
  }
}
