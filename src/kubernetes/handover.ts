/**
 * What one leader leaves to the next: how far streams have got. It travels in the Lease, with each renewal and with the
 * end of a leadership, so that a rollout neither repeats nor misses anything, and no volume has to be shared.
 */
import type { KubernetesObject } from './object.ts';

export const HANDOVER_ANNOTATION = 'sluice/positions';
/** Of all together; Kubernetes takes 256 KiB of annotations. */
const MAX_CHARS = 64 * 1024;
/** Of changes behind a position, per stream: what happens in a minute, at most. */
const MAX_BEYOND = 4000;
/** Behind the key of a stream: its settled changes behind its position. */
const BEYOND = ' beyond';

export class Handover {
  readonly #versions = new Map<string, string>();
  readonly #beyond = new Map<string, (most: number) => readonly string[]>();
  readonly #known = new Map<string, Set<string>>();

  /** Something that is held back keeps a position where it is; what is settled behind it need not come again. */
  follow(key: string, beyond: (most: number) => readonly string[]): void {
    this.#beyond.set(key, beyond);
  }

  /** Changes behind the position that the leader before has settled. */
  known(key: string): Set<string> {
    const known = this.#known.get(key) ?? new Set();
    this.#known.delete(key);
    return known;
  }

  get(key: string): string | undefined {
    return this.#versions.get(key);
  }

  /** undefined: forgets it. */
  set(key: string, version: string | undefined): void {
    if (version === undefined) this.#versions.delete(key);
    else this.#versions.set(key, version);
  }

  /** Takes over what the leader before has left, where it is further than what is known. */
  take({ metadata }: KubernetesObject): void {
    let left: unknown;
    try {
      left = JSON.parse(metadata.annotations?.[HANDOVER_ANNOTATION] ?? '{}');
    } catch {
      return;
    }
    if (typeof left !== 'object' || left === null) return;
    for (const [key, version] of Object.entries(left)) {
      if (!isVersion(version)) continue;
      this.#versions.set(key, furthest(version, this.#versions.get(key))!);
      this.#known.set(key, decoded(version, (left as Record<string, unknown>)[key + BEYOND]));
    }
  }

  /** The object with what is to be left; as it is when that is nothing. */
  into<T extends KubernetesObject>(lease: T): T {
    if (this.#versions.size === 0) return lease;
    const behind = [...this.#versions].flatMap(([key, version]): [string, string][] => {
      const settled = this.#beyond.get(key)?.(MAX_BEYOND) ?? [];
      return settled.length === 0 ? [] : [[key + BEYOND, encoded(version, settled)]];
    });
    const all = JSON.stringify(Object.fromEntries([...this.#versions, ...behind]));
    const text = all.length > MAX_CHARS ? JSON.stringify(Object.fromEntries(this.#versions)) : all;
    if (text.length > MAX_CHARS) return lease;
    const { metadata } = lease;
    return {
      ...lease,
      metadata: { ...metadata, annotations: { ...metadata.annotations, [HANDOVER_ANNOTATION]: text } },
    };
  }
}

/** Each by its distance from the one before. */
function encoded(from: string, versions: readonly string[]): string {
  let last = Number(from);
  return versions
    .map((version) => {
      const step = Number(version) - last;
      last = Number(version);
      return step.toString(36);
    })
    .join(' ');
}

function decoded(from: string, text: unknown): Set<string> {
  let last = Number(from);
  if (typeof text !== 'string' || !/^[0-9a-z]+( [0-9a-z]+)*$/.test(text)) return new Set();
  return new Set(text.split(' ').map((step) => String((last += Number.parseInt(step, 36)))));
}

export const isVersion = (value: unknown): value is string => typeof value === 'string' && /^[1-9]\d*$/.test(value);

export const furthest = (a: string | undefined, b: string | undefined): string | undefined =>
  a === undefined || (b !== undefined && Number(b) > Number(a)) ? b : a;
