/** A short, seeded version of `npm run chaos`, and proof that its checks notice what they are there for. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ledgerLines, ledgerProblems } from './chaos/ledger.ts';
import { filePieces, lineBody } from './chaos/lines.ts';
import { planRound } from './chaos/plan.ts';
import { runRound } from './chaos/round.ts';
import { Tally } from './chaos/tally.ts';

const SEED = 2026;
/** Chosen so that each rotation, queue and line format comes up; none is one of the long ones. */
const ROUNDS = [0, 1, 2, 3, 4];

describe('kill -9, rotation and a failing destination', () => {
  for (const round of ROUNDS) {
    const plan = planRound(SEED, round);
    const title = `${plan.format} lines, ${plan.rotations.join('+')}, queue ${plan.queue}`;
    test(`lose nothing, double nothing without a kill, and the ledger adds up: ${title}`, async () => {
      const program = join(import.meta.dirname, '..', 'bin', 'sluice');
      const collector = { command: [program, 'run'], hasLedger: true, patienceMs: 30_000 };
      const dir = mkdtempSync(join(tmpdir(), 'sluice-chaos-test-'));
      const result = await runRound(plan, collector, dir);
      assert.deepEqual(result.problems, [], `evidence in ${dir}`);
      assert.ok(result.written > 500 && result.rotations > 5, 'the round did something');
      rmSync(dir, { recursive: true });
    });
  }
});

describe('the checks of a chaos round', () => {
  const deliver = (tally: Tally, body: string, life: number): void => {
    const bytes = Buffer.from(`before${body}after`);
    tally.add(bytes, 6, bytes.length - 5, life);
  };

  test('every line that did not arrive is named', () => {
    const tally = new Tally();
    for (const seq of [0, 1, 4, 5]) deliver(tally, lineBody(1, seq), 0);
    assert.deepEqual(tally.missing([2, 8]), [
      { stream: 0, from: 0, to: 1 },
      { stream: 1, from: 2, to: 3 },
      { stream: 1, from: 6, to: 7 },
    ]);
    assert.deepEqual(tally.complete(), [0, 2]);
  });

  test('a line that comes twice is excused only by a kill in between', () => {
    const tally = new Tally();
    deliver(tally, lineBody(0, 7), 0);
    deliver(tally, lineBody(0, 7), 1);
    assert.deepEqual([tally.distinct, tally.duplicates, tally.sameLifeDuplicates], [1, 1, 0]);
    deliver(tally, lineBody(0, 7), 1);
    assert.deepEqual([tally.distinct, tally.duplicates, tally.sameLifeDuplicates], [1, 2, 1]);
  });

  test('a queue that survives a kill excuses one more delivery after it, and none before', () => {
    const tally = new Tally(true);
    deliver(tally, lineBody(0, 7), 1);
    deliver(tally, lineBody(0, 7), 1);
    assert.equal(tally.sameLifeDuplicates, 0);
    deliver(tally, lineBody(0, 7), 1);
    assert.equal(tally.sameLifeDuplicates, 1);
    deliver(tally, lineBody(0, 8), 0);
    deliver(tally, lineBody(0, 8), 0);
    assert.equal(tally.sameLifeDuplicates, 2);
  });

  test('a line that was changed, cut or glued to another is damaged', () => {
    const body = lineBody(0, 3);
    for (const wrong of [body.slice(0, -1), body.slice(1), body.replace('✓', '?'), body + lineBody(0, 4), '', 'w0-']) {
      const tally = new Tally();
      deliver(tally, wrong, 0);
      assert.deepEqual([tally.distinct, tally.damagedCount], [0, 1], wrong);
    }
  });

  test('what the writer writes is what the destination expects, also in two pieces', () => {
    for (let seq = 0; seq < 2000; seq++) {
      const pieces = filePieces('cri', 2, seq, 1_800_000_000_000);
      const bodies = pieces.map((p) => p.replace(/^\S+Z stdout [PF] (.*)\n$/s, '$1'));
      for (const b of bodies) assert.equal(b, b.trim(), 'nothing that trimming would change');
      const tally = new Tally();
      deliver(tally, bodies.join(''), 0);
      assert.deepEqual(tally.missing([0, 0, seq + 1]), seq ? [{ stream: 2, from: 0, to: seq - 1 }] : []);
    }
  });

  test('a ledger that does not add up is a problem', () => {
    const account = { read: 10, delivered: 7, filtered: 1, queued: 1, in_flight: 1, lost: 0 };
    const log = (records: object): string =>
      `2026-11-22T10:00:00.000Z\tinfo\tservice\tLedger\t${JSON.stringify({ 'otelcol.component.id': 'filelog', records, bytes: account })}\n`;
    assert.deepEqual(ledgerLines(log(account)).flatMap(ledgerProblems), []);
    const [line] = ledgerLines(log({ ...account, delivered: 6 }));
    assert.deepEqual(ledgerProblems(line!), ['ledger of filelog: records read 10, accounted for 9']);
  });
});
