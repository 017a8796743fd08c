/** The record as operators see it, until it is encoded. */
import type { Value, ValueMap } from '../wire/otlp.ts';
import type { Source } from './source.ts';

export interface Entry {
  /** Nanoseconds since 1970; 0n: no parser set it. */
  time: bigint;
  observedTime: bigint;
  /** 0…24 */
  severityNumber: number;
  severityText: string;
  /** null is "no body". */
  body: Value;
  attributes: ValueMap;
  resource: ValueMap;
  scopeName: string;
  traceId: Uint8Array | undefined;
  spanId: Uint8Array | undefined;
  /** First byte only, as upstream. */
  flags: number;

  readonly source: Source;
  /** Where its first byte stands in the source. */
  readonly offset: number;
  /** Bytes of the source that it stands for, line ends included; grows when operators join entries. */
  bytes: number;
}
