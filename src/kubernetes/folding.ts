/**
 * Events that repeat: the first is sent, then at most one per interval, the newest, which stands for those between. What
 * is held back keeps the stored version where it was, so a restart repeats it rather than losing it.
 */
import { filtered } from '../core/batch.ts';
import type { KubernetesObject } from './object.ts';
import type { Range } from './position.ts';
import type { ChangeType } from './watch.ts';

export interface HeldEvent {
  readonly object: KubernetesObject;
  /** `{"type":…,"object":…}`, a copy. */
  readonly bytes: Buffer;
  readonly range: Range;
  readonly type: ChangeType;
}

interface Known {
  sentAtMs: number;
  held: HeldEvent | undefined;
  folded: number;
}

const FOLDED = filtered('repeated event');
/** Events that are remembered; the one that was sent longest ago is forgotten first. */
const MAX_KNOWN = 10_000;

export class Folding {
  readonly #intervalMs: number;
  readonly #send: (event: HeldEvent, folded: number) => void;
  readonly #known = new Map<string, Known>();

  constructor(intervalMs: number, send: (event: HeldEvent, folded: number) => void) {
    this.#intervalMs = intervalMs;
    this.#send = send;
  }

  /** Whether the event may be sent now; otherwise it is held. */
  take(event: HeldEvent, nowMs: number): void {
    const { uid } = event.object.metadata;
    const known = this.#known.get(uid);
    if (!known) {
      this.#remember(uid, nowMs);
      this.#send(event, 0);
      return;
    }
    if (known.held) {
      known.held.range.settle(1, known.held.bytes.length, FOLDED);
      known.folded++;
    }
    known.held = event;
    if (nowMs - known.sentAtMs >= this.#intervalMs) this.#release(uid, known, nowMs);
  }

  /** Sends what has been held for the interval; with `all`, everything. */
  due(nowMs: number, all = false): void {
    for (const [uid, known] of [...this.#known]) {
      if (!all && nowMs - known.sentAtMs < this.#intervalMs) continue;
      if (known.held) this.#release(uid, known, nowMs);
      else this.#known.delete(uid);
    }
  }

  get isEmpty(): boolean {
    return this.#known.size === 0;
  }

  #release(uid: string, known: Known, nowMs: number): void {
    const { held, folded } = known;
    known.held = undefined;
    known.folded = 0;
    this.#known.delete(uid);
    known.sentAtMs = nowMs;
    this.#known.set(uid, known);
    if (held) this.#send(held, folded);
  }

  #remember(uid: string, nowMs: number): void {
    if (this.#known.size >= MAX_KNOWN) {
      const [oldest, known] = this.#known.entries().next().value!;
      if (known.held) this.#send(known.held, known.folded);
      this.#known.delete(oldest);
    }
    this.#known.set(uid, { sentAtMs: nowMs, held: undefined, folded: 0 });
  }
}
