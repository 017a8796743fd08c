/** Prometheus remote write 1 requests as the series and samples that the embedded store keeps. */

import { BYTES, FIXED64, ProtoReader, VARINT } from '../../wire/proto.ts';
import { decodeLabels, type Label, STALE_BITS } from '../../wire/remote-write.ts';

export interface Sample {
  readonly timeMs: number;
  /** undefined marks the end of the series. */
  readonly value: number | undefined;
}

export interface Series {
  readonly name: string;
  /** Of all labels, the name too: JSON list of pairs, sorted. */
  readonly labels: string;
  readonly samples: readonly Sample[];
}

/** Well-formed, but not to be kept. */
export class RemoteWriteError extends Error {}

const MAX_LABEL_CHARS = 8192;

/** Throws for bytes that are not a WriteRequest, and for one with native histograms, which have no place here. */
export function decodeWriteRequest(body: Uint8Array): Series[] {
  const found: Series[] = [];
  const request = new ProtoReader(body);
  while (request.next()) {
    // The other field is metadata.
    if (request.field !== 1 || request.wire !== BYTES) {
      request.skip();
      continue;
    }
    const encoded = request.bytes();
    const samples = decodeSamples(encoded);
    const labels = sortedLabels(decodeLabels(encoded));
    if (samples.length === 0) continue;
    found.push({ ...labels, samples });
  }
  return found;
}

function decodeSamples(series: Uint8Array): Sample[] {
  const samples: Sample[] = [];
  const r = new ProtoReader(series);
  while (r.next()) {
    if (r.field === 4) throw new RemoteWriteError('native histograms are not supported by the embedded store');
    if (r.field === 2 && r.wire === BYTES) samples.push(decodeSample(r.message()));
    else r.skip();
  }
  return samples;
}

function decodeSample(r: ProtoReader): Sample {
  let bits = 0n;
  let timeMs = 0;
  while (r.next()) {
    if (r.field === 1 && r.wire === FIXED64) bits = r.fixed64();
    else if (r.field === 2 && r.wire === VARINT) timeMs = Number(BigInt.asIntN(64, r.varint64()));
    else r.skip();
  }
  return { timeMs, value: bits === STALE_BITS ? undefined : toDouble(bits) };
}

const scratch = new DataView(new ArrayBuffer(8));
function toDouble(bits: bigint): number {
  scratch.setBigUint64(0, bits);
  return scratch.getFloat64(0);
}

function sortedLabels(labels: readonly Label[]): { name: string; labels: string } {
  // An empty value is the same as no such label.
  const sorted = labels.filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  let chars = 0;
  for (const [i, [name, value]] of sorted.entries()) {
    chars += name.length + value.length;
    if (name === '') throw new RemoteWriteError('a label has no name');
    if (name === sorted[i + 1]?.[0])
      throw new RemoteWriteError(`label ${JSON.stringify(name.slice(0, 100))} is there twice`);
  }
  if (chars > MAX_LABEL_CHARS) throw new RemoteWriteError(`labels of a series are longer than ${MAX_LABEL_CHARS}`);
  const name = sorted.find(([n]) => n === '__name__')?.[1];
  if (name === undefined) throw new RemoteWriteError('a series has no __name__');
  return { name, labels: JSON.stringify(sorted) };
}
