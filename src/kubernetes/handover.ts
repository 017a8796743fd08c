/**
 * What one leader leaves to the next: how far streams have got. It travels in the Lease, with each renewal and with the
 * end of a leadership, so that a rollout neither repeats nor misses anything, and no volume has to be shared.
 */
import type { KubernetesObject } from './object.ts';

export const HANDOVER_ANNOTATION = 'sluice/positions';
/** Of all together; Kubernetes takes 256 KiB of annotations. */
const MAX_CHARS = 64 * 1024;

export class Handover {
  readonly #versions = new Map<string, string>();

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
    for (const [key, version] of Object.entries(left))
      if (isVersion(version)) this.#versions.set(key, furthest(version, this.#versions.get(key))!);
  }

  /** The object with what is to be left; as it is when that is nothing. */
  into<T extends KubernetesObject>(lease: T): T {
    const text = JSON.stringify(Object.fromEntries(this.#versions));
    if (this.#versions.size === 0 || text.length > MAX_CHARS) return lease;
    const { metadata } = lease;
    return {
      ...lease,
      metadata: { ...metadata, annotations: { ...metadata.annotations, [HANDOVER_ANNOTATION]: text } },
    };
  }
}

export const isVersion = (value: unknown): value is string => typeof value === 'string' && /^[1-9]\d*$/.test(value);

export const furthest = (a: string | undefined, b: string | undefined): string | undefined =>
  a === undefined || (b !== undefined && Number(b) > Number(a)) ? b : a;
