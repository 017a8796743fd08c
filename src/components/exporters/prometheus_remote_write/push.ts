/** The requests of one batch: sent in parallel, and what became of each is brought back to the points of the batch. */
import type { ExporterContext } from '../../../core/component.ts';
import { DeliveryError, messageOf } from '../../../core/errors.ts';
import { lossReason } from '../../../core/queue-sender.ts';
import { InterruptedError, type Sent } from '../../../core/retry.ts';
import type { Losses } from './losses.ts';
import type { PackedRequest, RequestSender } from './request-sender.ts';
import { distinctPoints } from './request-writer.ts';
import type { Turn } from './shards.ts';

export interface PushOptions {
  readonly ctx: ExporterContext;
  readonly sender: RequestSender;
  readonly parallelism: number;
  /** What translation left out. */
  readonly losses: Losses;
  readonly patient: boolean;
  /** What shutdown interrupts is read again, from its source or from the durable queue. */
  readonly keepsInterrupted: boolean;
}

export class Push {
  readonly #o: PushOptions;
  readonly #shards = new Map<number, PackedRequest[]>();
  #delivered = 0;
  #failure: unknown;
  #interruption: InterruptedError | undefined;
  #failed = 0;

  constructor(options: PushOptions) {
    this.#o = options;
  }

  add(shard: number, request: PackedRequest): void {
    const list = this.#shards.get(shard);
    if (list) list.push(request);
    else this.#shards.set(shard, [request]);
  }

  shards(): Iterable<number> {
    return this.#shards.keys();
  }

  /** Throws when nothing arrived; else says what did not. */
  async send(turns: ReadonlyMap<number, Turn> | undefined): Promise<Sent> {
    const { losses, keepsInterrupted } = this.#o;
    // Without shards the requests of a batch are independent: each series is in one of them.
    const lanes: (() => Promise<void>)[] = turns
      ? [...this.#shards].map(([shard, requests]) => async () => {
          const turn = turns.get(shard)!;
          try {
            await turn.comes;
            for (const r of requests) await this.#one(r);
          } finally {
            turn.end();
          }
        })
      : [...this.#shards.values()].flat().map((r) => () => this.#one(r));
    const width = turns ? lanes.length : Math.min(this.#o.parallelism, lanes.length);
    let next = 0;
    await Promise.all(
      Array.from({ length: width }, async () => {
        while (next < lanes.length) await lanes[next++]!();
      }),
    );
    if (this.#interruption && (keepsInterrupted || this.#delivered === 0)) throw this.#interruption;
    if (this.#failure !== undefined && this.#delivered === 0) throw this.#failure;
    return { rejected: losses.count, losses: losses.sorted(), failed: this.#failed };
  }

  async #one(request: PackedRequest): Promise<void> {
    const { sender, patient, losses } = this.#o;
    try {
      const lost = await sender.send(request, patient);
      // Metadata alone is worth nothing.
      if (request.points.length > 0) this.#delivered++;
      for (const l of lost) this.#failed += losses.addPoints(distinctPoints(l.points), l.reason);
    } catch (e) {
      if (e instanceof InterruptedError) this.#interruption = e;
      this.#failure ??= e;
      const points = losses.addPoints(distinctPoints(request.points), lossReason(e));
      this.#failed += points;
      if (points > 0)
        this.#o.ctx.log.debug('remote_write: a request was given up', {
          error: messageOf(e),
          status: e instanceof DeliveryError ? e.status : undefined,
          points,
        });
    }
  }
}
