/** The host that is measured: where its files are, when it was booted, and what all scrapers of a receiver share. */
import { existsSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import type { ReceiverContext } from '../../../core/component.ts';
import { MetricsBuilder } from '../../../core/metrics/builder.ts';
import { type MetricDeclaration, type MetricSwitches, metricSettings } from '../../../core/metrics/catalogue.ts';
import { type Resource, resourceOf, type Scope, scopeOf } from '../../../core/resource.ts';
import type { ScrapeError, Scraper } from '../../../core/scrape.ts';
import { ProcReader } from './proc-reader.ts';

const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/hostmetricsreceiver/internal/scraper';
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.9.0';
const NO_RESOURCE: Resource = resourceOf(new Map(), SCHEMA_URL);

const NANOS = 1_000_000_000n;
/** Nanoseconds since 1970 have 64 bits. */
const LATEST_SECONDS = 9_000_000_000;
/** Types of entries of the auxiliary vector. */
const AT_PAGESZ = 6n;
const AT_CLKTCK = 17n;

/** Errors of a scrape and the points they cost. */
export class Problems {
  readonly errors: ScrapeError[] = [];
  failedPoints = 0;

  add(text: string, points = 0, key = text): void {
    this.errors.push({ text, key });
    this.failedPoints += points;
  }

  /** Runs a part of a scrape whose failure leaves the other parts alone. */
  try(points: number, part: () => void): void {
    try {
      part();
    } catch (error) {
      this.add((error as Error).message, points);
    }
  }
}

export class Host {
  /** '' when it is our own root. */
  readonly rootPath: string;
  readonly ctx: ReceiverContext;
  readonly reader = new ProcReader();
  readonly pageSize: number;
  readonly ticksPerSecond: number;
  #bootTime: bigint | undefined;

  constructor(rootPath: string, ctx: ReceiverContext) {
    this.rootPath = rootPath.replace(/\/+$/, '');
    this.ctx = ctx;
    const constants = this.#kernelConstants();
    this.pageSize = constants.get(AT_PAGESZ) ?? 4096;
    this.ticksPerSecond = constants.get(AT_CLKTCK) ?? 100;
  }

  /** Of our own process, whatever the root is: it is the same kernel. */
  #kernelConstants(): Map<bigint, number> {
    const found = new Map<bigint, number>();
    try {
      const bytes = this.reader.readRecord('/proc/self/auxv');
      const word = (at: number): bigint =>
        endianness() === 'LE' ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
      for (let at = 0; at + 16 <= bytes.length; at += 16) found.set(word(at), Number(word(at + 8)));
    } catch {
      // The usual values hold.
    }
    return found;
  }

  path(...parts: string[]): string {
    return join(this.rootPath || '/', ...parts);
  }
  proc(...parts: string[]): string {
    return this.path('proc', ...parts);
  }
  /**
   * A file of /proc/net. Below another root that is the network of the host's first process: `net` itself would lead to
   * the network of who reads it, which for a pod is its own.
   */
  net(...parts: string[]): string {
    const ofHost = this.proc('1/net', ...parts);
    return this.rootPath !== '' && existsSync(ofHost) ? ofHost : this.proc('net', ...parts);
  }

  isOn(gate: string, otherwise: boolean): boolean {
    return this.ctx.gates?.get(gate) ?? otherwise;
  }

  /** Nanoseconds since 1970, in whole seconds; read once, so that the start of all points stays the same. */
  bootTime(): bigint {
    if (this.#bootTime !== undefined) return this.#bootTime;
    const seconds = this.#bootSeconds();
    if (!(seconds >= 0 && seconds <= LATEST_SECONDS)) return 0n;
    return (this.#bootTime = BigInt(seconds) * NANOS);
  }

  #bootSeconds(): number {
    try {
      const line = this.reader.lines(this.proc('stat'));
      while (line.next())
        if (line.take('btime ')) {
          const seconds = line.number();
          if (!Number.isNaN(seconds)) return seconds;
        }
    } catch {
      // What misses the file tells it.
    }
    try {
      const uptime = Number.parseFloat(this.reader.read(this.proc('uptime')).toString('latin1'));
      return Math.floor(this.ctx.clock.nowMs() / 1000 - uptime);
    } catch {
      return Number.NaN;
    }
  }

  builder(catalogue: readonly MetricDeclaration[], switches: MetricSwitches): MetricsBuilder {
    return new MetricsBuilder(catalogue, metricSettings(catalogue, switches));
  }

  scope(scraper: string): Scope {
    return scopeOf(`${SCOPE}/${scraper}scraper`, this.ctx.build.version);
  }

  /** A scraper that has one resource, without attributes. */
  scraper(
    name: string,
    builder: MetricsBuilder,
    measure: (problems: Problems, signal: AbortSignal) => void | Promise<void>,
  ): Scraper {
    const scope = this.scope(name);
    return {
      name,
      scrape: async (signal) => {
        const problems = new Problems();
        builder.at(this.bootTime(), this.ctx.clock.nowUnixNano());
        try {
          await measure(problems, signal);
        } catch (error) {
          problems.add((error as Error).message, 1);
        }
        const group = builder.group(NO_RESOURCE, scope);
        return { groups: group ? [group] : [], errors: problems.errors, failedPoints: problems.failedPoints };
      },
    };
  }
}

/** What was made for the things of the last scrape (devices, processes), by name; the others are forgotten. */
export class Remembered<K, V> {
  #last = new Map<K, V>();
  #now = new Map<K, V>();

  /** Kept for the next scrape as well. */
  get(key: K, make: () => V): V {
    let value = this.#now.get(key) ?? this.#last.get(key);
    if (value === undefined) value = make();
    this.#now.set(key, value);
    return value;
  }

  /** At the end of a scrape. */
  forgetOthers(): void {
    this.#last.clear();
    [this.#last, this.#now] = [this.#now, this.#last];
  }
}

/** A line of a file that does not look as it should, as an error tells it. */
export const unexpectedLine = (path: string, text: string): string =>
  `unexpected line in ${path}: ${JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)}`;
