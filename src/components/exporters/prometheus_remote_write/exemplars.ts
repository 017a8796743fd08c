/** Exemplars: the trace they point to, and attributes as long as they are short enough. */
import { valueText } from '../../../core/edit/values.ts';
import { type Exemplar, readExemplar } from '../../../wire/otlp-metrics.ts';
import { BYTES, ProtoReader } from '../../../wire/proto.ts';
import type { WireExemplar } from '../../../wire/remote-write.ts';
import { compareNames } from './labels.ts';

/** Of OpenMetrics: characters of all names and values. */
const MAX_CHARACTERS = 128;

const hex = (id: Uint8Array): string => Buffer.from(id.buffer, id.byteOffset, id.length).toString('hex');
const isSet = (id: Uint8Array): boolean => id.some((b) => b !== 0);
const characters = (text: string): number => [...text].length;

export function wireExemplar(e: Exemplar): WireExemplar {
  const labels: [string, string][] = [];
  if (isSet(e.traceId)) labels.push(['trace_id', hex(e.traceId)]);
  if (isSet(e.spanId)) labels.push(['span_id', hex(e.spanId)]);
  const attributes = [...e.filteredAttributes].map(([k, v]) => [k, valueText(v)] as [string, string]);
  let length = 0;
  for (const [k, v] of [...labels, ...attributes]) length += characters(k) + characters(v);
  if (length <= MAX_CHARACTERS) labels.push(...attributes);
  labels.sort(([a], [b]) => compareNames(a, b));
  return { labels, value: Number(e.value ?? 0), timeMs: Number(e.time / 1_000_000n) };
}

/** The exemplars of an encoded point that has them under `field`. */
export function exemplarsOf(bytes: Uint8Array, from: number, to: number, field: number): WireExemplar[] {
  const out: WireExemplar[] = [];
  const r = new ProtoReader(bytes, from, to);
  while (r.next()) {
    if (r.field === field && r.wire === BYTES) out.push(wireExemplar(readExemplar(r.message())));
    else r.skip();
  }
  return out;
}
