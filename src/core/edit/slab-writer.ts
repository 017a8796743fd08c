/** A writer whose results stand in slabs that are used again. */
import { ProtoWriter } from '../../wire/proto.ts';
import type { Ack, Part } from '../batch.ts';
import { Slabs } from '../slabs.ts';

export class SlabWriter extends ProtoWriter {
  readonly #slabs = new Slabs();

  /**
   * What was written, and the parts that belong to it from now on: when all their records are settled, the bytes are
   * written over. Without records nobody would tell, so then it is a copy.
   */
  take(parts: readonly Part[]): { readonly items: Uint8Array; readonly parts: readonly Part[] } {
    let records = 0;
    for (const p of parts) records += p.records;
    const lease = records > 0 ? this.#slabs.take(this.pos) : undefined;
    if (!lease) return { items: this.finish(), parts };
    this.buf.copy(lease.bytes, 0, 0, this.pos);
    const ackOf = (ack: Ack): Ack => ({
      patient: ack.patient,
      isMemory: ack.isMemory,
      settle: (n, bytes, outcome) => {
        records -= n;
        if (records === 0) lease.release();
        ack.settle(n, bytes, outcome);
      },
    });
    return {
      items: lease.bytes,
      parts: parts.map((p) => ({ ack: ackOf(p.ack), records: p.records, bytes: p.bytes })),
    };
  }
}
