/**
 * `npm run conformance`: runs the recorded cases whose components exist and lists the rest as waiting.
 *
 *     node test/conformance/run.ts [--dist] [--collector CMD] [--filter RE] [--jobs N]
 */
import { parseArgs } from 'node:util';
import { DIST, hasDist, SLUICE } from '../helpers/paths.ts';
import { readCases, runCases } from './cases.ts';

const { values } = parseArgs({
  options: {
    dist: { type: 'boolean', default: false },
    collector: { type: 'string' },
    filter: { type: 'string', default: '' },
    jobs: { type: 'string', default: '2' },
  },
});
if (values.dist && !hasDist()) {
  console.error('no dist/: run `npm run build` first');
  process.exit(2);
}
const collector = values.collector ?? `"${values.dist ? DIST : SLUICE}"`;
const cases = await readCases(new RegExp(values.filter));
// Another collector is not measured by what we have.
const waiting = values.collector ? [] : cases.filter((c) => !c.pending && c.missing.length > 0);
const ready = cases.filter((c) => !c.pending && !waiting.includes(c));
const faults = new Map(cases.map((c) => [c.name, c.fault]));

const results = await runCases(
  ready.map((c) => c.name),
  {
    collector,
    jobs: Number(values.jobs),
    onResult: (r) => {
      const note = r.secondTry ? ' (only when run again, alone)' : '';
      console.log(`${r.ok ? 'ok  ' : 'FAIL'} ${r.name}${note}${r.ok ? '' : ` ${r.detail}`}`);
    },
  },
);

const differing = results.filter((r) => r.ok && faults.get(r.name) !== undefined && r.detail !== '');
if (differing.length > 0) {
  console.log('\nDiffers on purpose, the recording is at fault:');
  for (const r of differing) console.log(`  ${r.name}: ${faults.get(r.name)}`);
}
const pending = cases.filter((c) => c.pending);
if (pending.length > 0) console.log(`\nRecorded without a result: ${pending.map((c) => c.name).join(', ')}`);
if (waiting.length > 0) {
  const groups = Map.groupBy(waiting, (c) => c.missing.join(', '));
  console.log('\nWaiting for a component:');
  for (const [missing, list] of [...groups].sort((a, b) => b[1].length - a[1].length || (a[0] < b[0] ? -1 : 1)))
    console.log(`  ${missing}: ${list.length} (${list.map((c) => c.name).join(' ')})`);
}
const failed = results.filter((r) => !r.ok).length;
console.log(`\n${results.length - failed} passed, ${failed} failed, ${waiting.length + pending.length} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
