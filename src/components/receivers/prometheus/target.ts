/** One target: scrapes its page, knows its series from one scrape to the next, and tells of the scrape itself. */
import http, { type Agent } from 'node:http';
import https from 'node:https';
import type { Group } from '../../../core/batch.ts';
import type { Clock } from '../../../core/clock.ts';
import { messageOf } from '../../../core/errors.ts';
import { resourceOf, type Scope } from '../../../core/resource.ts';
import type { ScrapeResult, Scraper } from '../../../core/scrape.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { type EncodedPoint, type MetricHead, trimmed, unitOf, writeMetric } from './encode.ts';
import { fetchPage } from './page.ts';
import { type Point, type PointFamily, pointsOf } from './points.ts';
import { parsePage } from './text.ts';

/** More would be somebody's mistake, and take much memory. */
const MOST_SAMPLES = 500_000;

export interface TargetOptions {
  readonly job: string;
  /** host:port */
  readonly address: string;
  readonly url: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  readonly trimsSuffixes: boolean;
  readonly userAgent: string;
  readonly scope: Scope;
  readonly clock: Clock;
}

interface Series {
  readonly head: MetricHead;
  readonly labels: ReadonlyMap<string, string>;
  readonly startNs: bigint;
  readonly value: number;
}

export class Target implements Scraper {
  readonly name = 'prometheus';
  readonly #options: TargetOptions;
  readonly #own: ReadonlyMap<string, string>;
  readonly #agent: Agent;
  /** Of the last scrape. */
  #series = new Map<string, Series>();
  #info: ReadonlyMap<string, string> = new Map();

  constructor(options: TargetOptions) {
    this.#options = options;
    this.#own = new Map(Object.entries(options.labels));
    const { Agent } = options.url.startsWith('https:') ? https : http;
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
  }

  async scrape(signal: AbortSignal): Promise<ScrapeResult> {
    const { clock, url } = this.#options;
    const startedMs = clock.monotonicMs();
    const timeNs = clock.nowUnixNano();
    let families: PointFamily[] = [];
    let samples = 0;
    let problem: string | undefined;
    try {
      const page = parsePage(await fetchPage({ ...this.#options, agent: this.#agent }, signal), MOST_SAMPLES);
      samples = page.samples.length;
      families = pointsOf(page);
    } catch (error) {
      // Whoever stops us wants no word about it.
      if (signal.aborted) throw error;
      problem = `Failed to scrape ${url}: ${messageOf(error)}`;
    }
    const w = new ProtoWriter(64 * 1024);
    const written = this.#write(w, families, timeNs);
    const seconds = (clock.monotonicMs() - startedMs) / 1000;
    for (const [name, help, unit, value] of [
      ['up', 'The scraping was successful', '', problem === undefined ? 1 : 0],
      ['scrape_duration_seconds', 'Duration of the scrape', 's', seconds],
      ['scrape_samples_scraped', 'The number of samples the target exposed', '', samples],
      [
        'scrape_samples_post_metric_relabeling',
        'The number of samples remaining after metric relabeling was applied',
        '',
        samples,
      ],
      ['scrape_series_added', 'The approximate number of new series in this scrape', '', written.added],
    ] as const)
      writeMetric(w, { name, help, unit, type: 'gauge' }, [{ labels: this.#own, startNs: 0n, timeNs, value }]);
    const group: Group = {
      resource: this.#resource(),
      scope: this.#options.scope,
      items: Uint8Array.prototype.slice.call(w.finish()),
      messages: written.metrics + 5,
      count: written.points + 5,
      parts: [],
    };
    return { groups: [group], ...(problem === undefined ? {} : { errors: [{ text: problem, key: url }] }) };
  }

  /** Series that were in the last scrape and are not in this one are told to be gone. */
  #write(w: ProtoWriter, families: readonly PointFamily[], timeNs: bigint) {
    const before = this.#series;
    const now = new Map<string, Series>();
    const byMetric = new Map<string, { head: MetricHead; points: EncodedPoint[] }>();
    let added = 0;
    const listOf = (head: MetricHead): EncodedPoint[] => {
      let entry = byMetric.get(head.name);
      if (!entry) byMetric.set(head.name, (entry = { head, points: [] }));
      return entry.points;
    };
    for (const f of families) {
      if (f.name === 'target_info' && f.points.size === 1) {
        this.#info = [...f.points.values()][0]!.labels;
        continue;
      }
      const name = this.#options.trimsSuffixes ? trimmed(f) : f.name;
      const head: MetricHead = { name, type: f.type, help: f.help, unit: unitOf(f.unit) };
      const list = listOf(head);
      for (const p of f.points.values()) {
        const key = `${f.name} ${p.key}`;
        const last = before.get(key);
        if (!last) added++;
        const { value } = p;
        // A value that fell: the target began anew.
        const isReset = last !== undefined && value < last.value;
        const startNs = last && !isReset ? last.startNs : timeNs;
        const labels = last?.labels ?? this.#labelsOf(p);
        now.set(key, { head, labels, startNs, value });
        const ownNs =
          p.timeMs !== undefined && this.#options.honorTimestamps ? BigInt(p.timeMs) * 1_000_000n : undefined;
        list.push({ labels, startNs, timeNs: ownNs ?? timeNs, value, sum: p.sum, steps: p.steps });
      }
    }
    for (const [key, { head, labels, startNs }] of before)
      if (!now.has(key)) listOf(head).push({ labels, startNs, timeNs, value: undefined });
    this.#series = now;
    let metrics = 0;
    let points = 0;
    for (const { head, points: list } of byMetric.values()) {
      if (list.length === 0) continue;
      writeMetric(w, head, list);
      metrics++;
      points += list.length;
    }
    return { metrics, points, added };
  }

  /** Labels of the target stay what they are; those of the page that are called the same move aside, or win if they may. */
  #labelsOf({ labels }: Point): ReadonlyMap<string, string> {
    const all = new Map(this.#own);
    for (const [name, value] of labels) {
      if (value === '') continue;
      const isTaken = this.#own.has(name) || name === 'job' || name === 'instance';
      all.set(isTaken && !this.#options.honorLabels ? `exported_${name}` : name, value);
    }
    return all;
  }

  #resource() {
    const { job, address, url } = this.#options;
    const colon = address.lastIndexOf(':');
    const attributes = new Map<string, string>([
      ['service.name', job],
      ['service.instance.id', address],
      ['server.address', address.slice(0, colon).replace(/^\[|\]$/g, '')],
      ['server.port', address.slice(colon + 1)],
      ['url.scheme', url.slice(0, url.indexOf(':'))],
    ]);
    for (const [name, value] of this.#info) if (name !== 'job' && name !== 'instance') attributes.set(name, value);
    return resourceOf(attributes);
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
  }
}
