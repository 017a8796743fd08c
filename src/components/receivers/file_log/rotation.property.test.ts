/** Random histories of a rotated file against a model: nothing is lost, nothing comes twice but after a kill. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from '../../../../test/helpers/property.ts';
import { SYSTEM_CLOCK } from '../../../core/clock.ts';
import { retryable } from '../../../core/errors.ts';
import { MemoryStore, type Rig, startRig, temporaryFolder } from './testing.ts';

type Action =
  | { readonly do: 'append'; readonly lines: number; readonly length: number }
  | {
      readonly do:
        | 'rename'
        | 'renameOut'
        | 'copytruncate'
        | 'gzip'
        | 'delete'
        | 'restart'
        | 'kill'
        | 'pause'
        | 'refuse'
        | 'accept'
        | 'hold'
        | 'settle';
    };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      lines: fc.integer({ min: 1, max: 40 }),
      length: fc.integer({ min: 0, max: 80 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pause' as const) }) },
  ...(
    [
      'rename',
      'renameOut',
      'copytruncate',
      'gzip',
      'delete',
      'restart',
      'kill',
      'refuse',
      'accept',
      'hold',
      'settle',
    ] as const
  ).map((name) => ({
    weight: 1,
    arbitrary: fc.record({ do: fc.constant(name) }),
  })),
);

async function play(actions: readonly Action[]): Promise<void> {
  const folder = temporaryFolder();
  const app = join(folder, 'app.log');
  const store = new MemoryStore();
  const all: string[] = [];
  const rotated: string[] = [];
  const out: string[] = [];
  /** Lines that a killed process had delivered: they may come again. */
  const again = new Set<string>();
  const before: string[] = [];
  let serial = 0;
  let refusing = false;
  let holding = false;
  let aheadMs = 0;
  let polls = 0;
  const clock = {
    ...SYSTEM_CLOCK,
    // Asked for in each poll.
    monotonicMs: () => {
      polls++;
      return performance.now() + aheadMs;
    },
  };
  const start = (): Promise<Rig> =>
    startRig(
      {
        include: [join(folder, 'app.log'), join(folder, 'app.log.*')],
        exclude: [join(folder, '*.out')],
        compression: 'auto',
        poll_interval: '10ms',
        retry_on_failure: { initial_interval: '5ms', max_interval: '10ms' },
      },
      {
        store,
        clock,
        start: (r) => {
          r.answer = () => (refusing ? retryable('busy') : undefined);
          r.settle = !holding;
        },
      },
    );
  let rig = await start();
  const balance = (): void => {
    const s = rig.ledger();
    assert.ok(s.inFlight.records >= 0 && s.inFlight.bytes >= 0, JSON.stringify(s.inFlight));
  };
  const release = (): void => {
    refusing = false;
    holding = false;
    rig.settle = true;
    rig.settleAll();
  };
  const arrived = (): Set<string> => new Set([...before, ...rig.bodies()]);
  const everything = async (): Promise<void> => {
    release();
    await rig.until(
      () => {
        const got = arrived();
        return all.every((l) => got.has(l));
      },
      `all of ${all.length} lines; missing ${all.filter((l) => !arrived().has(l)).slice(0, 5)}`,
    );
  };
  const even = (): Promise<void> =>
    rig.until(
      () => rig.ledger().inFlight.records === 0 && rig.ledger().inFlight.bytes === 0 && rig.receiver.isStored,
      'ledger to be even',
    );
  // A file that nobody had the time to see is nobody's fault: a rotation happens after the file was found.
  const seen = async (): Promise<void> => {
    if (existsSync(app)) {
      const at = rig.receiver.tracks(app);
      if (!at) await rig.until(() => rig.receiver.tracks(app), 'file to be found');
      await rig.until(() => rig.receiver.isStored, 'file to be stored');
    }
  };
  try {
    for (const a of actions) {
      switch (a.do) {
        case 'append': {
          let text = '';
          for (let i = 0; i < a.lines; i++) {
            const line = `line ${String(++serial).padStart(6, '0')} ${'x'.repeat(a.length)}`.trim();
            all.push(line);
            text += `${line}\n`;
          }
          appendFileSync(app, text);
          break;
        }
        case 'rename':
        case 'renameOut':
          if (existsSync(app)) {
            await seen();
            const to = `${app}.${++serial}${a.do === 'renameOut' ? '.out' : ''}`;
            renameSync(app, to);
            (a.do === 'rename' ? rotated : out).push(to);
          }
          break;
        case 'copytruncate':
          if (existsSync(app) && readFileSync(app).length > 0) {
            await seen();
            const to = `${app}.${++serial}`;
            copyFileSync(app, to);
            truncateSync(app, 0);
            rotated.push(to);
            // The copy is looked at before the original is filled again past the old size.
            await rig.until(() => rig.receiver.tracks(to), 'copy to be found');
          }
          break;
        case 'gzip': {
          const from = rotated.shift();
          if (from && readFileSync(from).length > 0) {
            await rig.until(() => rig.receiver.tracks(from), 'rotated file to be found');
            writeFileSync(`${from}.tmp.out`, gzipSync(readFileSync(from)));
            renameSync(`${from}.tmp.out`, `${from}.gz`);
            unlinkSync(from);
          }
          break;
        }
        case 'delete': {
          await everything();
          await even();
          const gone = rotated.shift() ?? out.shift();
          if (gone) unlinkSync(gone);
          break;
        }
        case 'restart':
          release();
          await rig.stop();
          balance();
          before.push(...rig.bodies());
          rig = await start();
          break;
        case 'kill':
          rig.abandon();
          for (const l of rig.bodies()) again.add(l);
          before.push(...rig.bodies());
          rig = await start();
          break;
        case 'pause':
          await new Promise((resolve) => setTimeout(resolve, 15));
          break;
        case 'refuse':
          refusing = true;
          break;
        case 'accept':
          refusing = false;
          break;
        case 'hold':
          holding = true;
          rig.settle = false;
          break;
        case 'settle':
          release();
          break;
      }
      balance();
    }
    await everything();
    await even();
    // Whatever was waited for, the wait is over.
    aheadMs = 60_000;
    const before60 = polls;
    await rig.until(() => polls > before60 + 40, 'polls');
    await rig.stop();
    assert.deepEqual(rig.ledger().lost, { records: 0, bytes: 0 });
    const count = new Map<string, number>();
    for (const l of [...before, ...rig.bodies()]) count.set(l, (count.get(l) ?? 0) + 1);
    const twice = [...count].filter(([l, n]) => n > 1 && !again.has(l)).map(([l, n]) => `${l} (${n})`);
    assert.deepEqual(twice, []);
    const known = new Set(all);
    assert.deepEqual(
      [...count.keys()].filter((l) => !known.has(l)),
      [],
    );
  } catch (error) {
    rig.abandon();
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('any history of rotations, restarts and refusals delivers every line, and twice only after a kill', async () => {
  await fc.assert(fc.asyncProperty(fc.array(action, { minLength: 3, maxLength: 25 }), play), {
    numRuns: 30,
    endOnFailure: false,
  });
});
