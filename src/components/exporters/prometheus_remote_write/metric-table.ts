/** Metrics by the bytes of their name, unit and description: what they are called in Prometheus is found out once. */
import { decodeUtf8 } from '../../../wire/proto.ts';
import { hashBytes, sameBytes } from './byte-table.ts';
import type { MetricHeader, MetricInfo } from './metric-info.ts';

/** More than any cluster has; beyond it the table begins anew, and what refers to its numbers with it. */
const MAX_METRICS = 100_000;

interface Known {
  readonly flags: number;
  /** Name, unit and description behind each other. */
  readonly key: DataView;
  readonly nameLength: number;
  readonly unitLength: number;
  readonly info: MetricInfo;
  /** The metric that came after it the last time. */
  next: Known | undefined;
}

export class MetricTable {
  readonly #withHelp: boolean;
  readonly #make: (header: MetricHeader) => MetricInfo;
  #byHash = new Map<number, Known[]>();
  #infos: MetricInfo[] = [];
  #last: Known | undefined;

  constructor(withHelp: boolean, make: (header: MetricHeader) => MetricInfo) {
    this.#withHelp = withHelp;
    this.#make = make;
  }

  reset(): void {
    this.#byHash = new Map();
    this.#infos = [];
    this.#last = undefined;
  }

  get isFull(): boolean {
    return this.#infos.length > MAX_METRICS;
  }

  info(id: number): MetricInfo | undefined {
    return this.#infos[id];
  }

  /** `flags`: kind in the lowest four bits, temporality in three, then whether it is monotonic. */
  find(
    b: Uint8Array,
    view: DataView,
    flags: number,
    nameFrom: number,
    nameTo: number,
    unitFrom: number,
    unitTo: number,
    helpFrom: number,
    helpTo: number,
  ): MetricInfo {
    if (!this.#withHelp) helpTo = helpFrom;
    const nameLength = nameTo - nameFrom;
    const unitLength = unitTo - unitFrom;
    const helpLength = helpTo - helpFrom;
    const before = this.#last;
    const guess = before?.next;
    if (
      guess !== undefined &&
      isSame(guess, flags, view, nameFrom, nameLength, unitFrom, unitLength, helpFrom, helpLength)
    ) {
      this.#last = guess;
      return guess.info;
    }
    const known = this.#known(b, view, flags, nameFrom, nameTo, unitFrom, unitTo, helpFrom, helpTo);
    if (before) before.next = known;
    this.#last = known;
    return known.info;
  }

  // Apart from `find`, whose variables a closure would move to the heap at every call.
  #known(
    b: Uint8Array,
    view: DataView,
    flags: number,
    nameFrom: number,
    nameTo: number,
    unitFrom: number,
    unitTo: number,
    helpFrom: number,
    helpTo: number,
  ): Known {
    const nameLength = nameTo - nameFrom;
    const unitLength = unitTo - unitFrom;
    const helpLength = helpTo - helpFrom;
    let hash = hashBytes(view, nameFrom, nameTo, flags);
    if (unitLength > 0) hash = hashBytes(view, unitFrom, unitTo, hash);
    if (helpLength > 0) hash = hashBytes(view, helpFrom, helpTo, hash);
    const bucket = this.#byHash.get(hash);
    const known = bucket?.find((k) =>
      isSame(k, flags, view, nameFrom, nameLength, unitFrom, unitLength, helpFrom, helpLength),
    );
    if (known) return known;
    const text = (from: number, to: number) => decodeUtf8(b.subarray(from, to));
    const info = this.#make({
      id: this.#infos.length,
      kind: flags & 15,
      temporality: (flags >> 4) & 7,
      isMonotonic: (flags & 128) !== 0,
      otelName: text(nameFrom, nameTo),
      unit: text(unitFrom, unitTo),
      help: text(helpFrom, helpTo),
    });
    const key = Buffer.concat([
      b.subarray(nameFrom, nameTo),
      b.subarray(unitFrom, unitTo),
      b.subarray(helpFrom, helpTo),
    ]);
    this.#infos.push(info);
    const made: Known = {
      flags,
      key: new DataView(key.buffer, key.byteOffset, key.length),
      nameLength,
      unitLength,
      info,
      next: undefined,
    };
    if (bucket) bucket.push(made);
    else this.#byHash.set(hash, [made]);
    return made;
  }
}

function isSame(
  k: Known,
  flags: number,
  view: DataView,
  nameFrom: number,
  nameLength: number,
  unitFrom: number,
  unitLength: number,
  helpFrom: number,
  helpLength: number,
): boolean {
  return (
    k.flags === flags &&
    k.nameLength === nameLength &&
    k.unitLength === unitLength &&
    k.key.byteLength === nameLength + unitLength + helpLength &&
    sameBytes(k.key, 0, view, nameFrom, nameLength) &&
    sameBytes(k.key, nameLength, view, unitFrom, unitLength) &&
    sameBytes(k.key, nameLength + unitLength, view, helpFrom, helpLength)
  );
}
