/**
 * Pods by identity. Several pods may share one (an address goes from a finished pod to a new one): the one that started
 * last has it, and when that is gone, the one before. Deleted pods stay while late records of them may come.
 */
import type { PodFacts } from './facts.ts';

/** Of deleted pods; the oldest go first. */
const MAX_DELETED = 10_000;

interface Deleted {
  readonly pod: PodFacts;
  usedMs: number;
}

export interface PodIndexOptions {
  readonly keysOf: (pod: PodFacts) => readonly string[];
  readonly graceMs: number;
  readonly nowMs: () => number;
  readonly maxDeleted?: number;
}

export class PodIndex {
  readonly #options: PodIndexOptions;
  readonly #pods = new Map<string, PodFacts | PodFacts[]>();
  /** In the order of their last use. */
  readonly #deleted = new Map<string, Deleted>();

  constructor(options: PodIndexOptions) {
    this.#options = options;
  }

  /** Identities that lead to a pod. */
  get size(): number {
    return this.#pods.size;
  }

  get deletedCount(): number {
    return this.#deleted.size;
  }

  get(key: string): PodFacts | undefined {
    const held = this.#pods.get(key);
    const pod = Array.isArray(held) ? newest(held) : held;
    if (pod && this.#deleted.size > 0) this.#use(pod);
    return pod;
  }

  /** Those that are there, and the deleted ones that are still known; some more than once. */
  *all(): Generator<PodFacts> {
    for (const held of this.#pods.values())
      if (Array.isArray(held)) yield* held;
      else yield held;
  }

  add(pod: PodFacts): void {
    const before = this.#deleted.get(pod.uid);
    if (before) {
      this.#deleted.delete(pod.uid);
      this.#removeKeys(before.pod);
    }
    for (const key of this.#options.keysOf(pod)) {
      const held = this.#pods.get(key);
      if (held === undefined) this.#pods.set(key, pod);
      else this.#pods.set(key, [...(Array.isArray(held) ? held : [held]), pod]);
    }
  }

  update(pod: PodFacts, before: PodFacts): void {
    this.#removeKeys(before);
    this.add(pod);
  }

  delete(pod: PodFacts): void {
    this.#deleted.set(pod.uid, { pod, usedMs: this.#options.nowMs() });
    for (const uid of this.#deleted.keys()) {
      if (this.#deleted.size <= (this.#options.maxDeleted ?? MAX_DELETED)) break;
      this.#forget(uid);
    }
  }

  /** Forgets deleted pods of which nothing came for the time of grace. */
  sweep(): void {
    const until = this.#options.nowMs() - this.#options.graceMs;
    for (const [uid, { usedMs }] of this.#deleted) {
      if (usedMs > until) break;
      this.#forget(uid);
    }
  }

  clear(): void {
    this.#pods.clear();
    this.#deleted.clear();
  }

  #use(pod: PodFacts): void {
    const deleted = this.#deleted.get(pod.uid);
    const now = this.#options.nowMs();
    if (!deleted || now - deleted.usedMs < 1000) return;
    deleted.usedMs = now;
    this.#deleted.delete(pod.uid);
    this.#deleted.set(pod.uid, deleted);
  }

  #forget(uid: string): void {
    const deleted = this.#deleted.get(uid);
    if (!deleted) return;
    this.#deleted.delete(uid);
    this.#removeKeys(deleted.pod);
  }

  #removeKeys(pod: PodFacts): void {
    for (const key of this.#options.keysOf(pod)) {
      const held = this.#pods.get(key);
      if (!Array.isArray(held)) {
        if (held?.uid === pod.uid) this.#pods.delete(key);
      } else {
        const rest = held.filter((p) => p.uid !== pod.uid);
        if (rest.length === 1) this.#pods.set(key, rest[0]!);
        else if (rest.length > 1) this.#pods.set(key, rest);
      }
    }
  }
}

function newest(pods: readonly PodFacts[]): PodFacts {
  let best = pods[0]!;
  for (const pod of pods) if (pod.startMs >= best.startMs) best = pod;
  return best;
}
