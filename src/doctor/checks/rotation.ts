/** Lines that were rotated away before they were read, and other losses that the ledger knows. */
import type { Check } from '../context.ts';
import { type Finding, failure, ok } from '../finding.ts';
import { LOGS_LINE, selfMetrics, sums } from './self-metrics.ts';

const ROTATED = 'deleted before it was read';

export const rotation: Check = {
  id: 'rotation',
  title: 'Losses: rotation faster than reading',
  async run(ctx) {
    const all = await selfMetrics(ctx);
    return all.read.flatMap(({ source, samples, logs = LOGS_LINE }): Finding[] => {
      const ledger = (name: string) => samples.filter((s) => s.name === name);
      const lost = ledger('sluice_ledger_bytes').filter((s) => s.labels['outcome'] === 'lost' && s.value > 0);
      const records = ledger('sluice_ledger_records').filter((s) => s.labels['outcome'] === 'lost');
      const out: Finding[] = [];
      for (const [reason, bytes] of sums(lost, 'sluice_ledger_bytes', 'reason')) {
        const n = sums(records, 'sluice_ledger_records', 'reason').get(reason) ?? 0;
        const how = `${source}: sluice_ledger_bytes{outcome="lost", reason="${reason}"} ${bytes}${n > 0 ? `, ${n} records` : ''}`;
        out.push(
          reason === ROTATED
            ? failure(
                `${bytes} bytes were rotated away before they were read`,
                how,
                'kubelet: containerLogMaxSize: 50Mi, containerLogMaxFiles: 10; and find out what slows reading: "Delivery" and "Destinations"',
              )
            : failure(`records were lost: ${reason}`, how, logs),
        );
      }
      if (out.length > 0) return out;
      const read = sums(ledger('sluice_ledger_records'), 'sluice_ledger_records', 'outcome').get('read');
      return read === undefined
        ? []
        : [ok('nothing was lost', `${source}: the ledger has ${read} records read, none lost`)];
    });
  },
};
