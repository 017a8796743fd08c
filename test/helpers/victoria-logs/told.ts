/** Lines and events that are told apart by a number: through agent and gateway into the real VictoriaLogs, and counted there. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { defer, until } from '../agent.ts';
import { startFakeServer } from '../kubelet.ts';
import { appOf, type ObservedTiers, startObservedTiers } from '../observed-tiers.ts';
import type { Client } from './client.ts';

/** Agent and gateway as the presets configure them; only their logs go anywhere. */
export async function startLogTiers(t: TestContext, logsUrl: string): Promise<ObservedTiers> {
  const sink = await startFakeServer(() => ({ status: 204, text: '' }));
  defer(t, () => sink.close());
  return startObservedTiers(t, {
    metricsUrl: `${sink.url}/write`,
    logs: { url: `${logsUrl}/insert/opentelemetry` },
  });
}

/** From three containers and the API server. */
export class Told {
  readonly #tiers: ObservedTiers;
  /** By message, the time of the record's origin. */
  readonly times = new Map<string, string>();

  constructor(tiers: ObservedTiers) {
    this.#tiers = tiers;
  }

  one(): void {
    const n = this.times.size;
    const text = `told ${n}`;
    this.times.set(
      text,
      n % 10 === 0 ? this.#tiers.event(`told.${n}`, text) : this.#tiers.log(appOf([0, 1, 3][n % 3]!), text),
    );
  }

  async many(n: number): Promise<void> {
    for (let i = 0; i < n; i++) {
      this.one();
      if (i % 5 === 0) await delay(5);
    }
  }

  /** How often each is stored. */
  async #copies(logs: Client): Promise<Map<string, number>> {
    const copies = new Map<string, number>();
    for (const { _msg } of await logs.query('told')) copies.set(_msg!, (copies.get(_msg!) ?? 0) + 1);
    return copies;
  }

  /** Waits until none is missing, and returns the messages that are stored more than once, one for each further copy. */
  async allArrived(logs: Client): Promise<string[]> {
    let copies = new Map<string, number>();
    const missing = () => [...this.times.keys()].filter((text) => !copies.has(text));
    await until(async () => {
      copies = await this.#copies(logs);
      return missing().length === 0;
    }, 'all that was told').catch(() => assert.fail(`missing: ${missing()}`));
    for (const text of copies.keys()) assert.ok(this.times.has(text), text);
    return [...copies].flatMap(([text, n]) => Array<string>(n - 1).fill(text)).sort();
  }
}
