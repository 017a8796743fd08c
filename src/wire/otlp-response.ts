/** Answers to OTLP requests: which part the destination did not keep. */
import { BYTES, ProtoReader, VARINT } from './proto.ts';

export interface PartialSuccess {
  readonly rejected: number;
  readonly message: string;
}

/** partial_success of an ExportXxxServiceResponse, which all signals number alike. Throws a ProtoError. */
export function readPartialSuccess(response: Uint8Array): PartialSuccess {
  let rejected = 0;
  let message = '';
  const r = new ProtoReader(response);
  while (r.next()) {
    if (r.field !== 1 || r.wire !== BYTES) {
      r.skip();
      continue;
    }
    const p = r.message();
    while (p.next()) {
      if (p.field === 1 && p.wire === VARINT) rejected = Number(BigInt.asIntN(64, p.varint64()));
      else if (p.field === 2 && p.wire === BYTES) message = p.string();
      else p.skip();
    }
  }
  return { rejected: Math.max(0, rejected), message };
}
