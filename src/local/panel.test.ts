import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_LEDGER } from './agent-metrics.ts';
import { elapsed, panel, plainLine, Screen, thousands, type View } from './panel.ts';

const VIEW: View = {
  url: 'http://127.0.0.1:9428/',
  elapsedMs: 62_500,
  workload: { perSecond: 312.4, records: 18_720, containers: 11, rotations: 3 },
  agent: { state: 'running', restarts: 0, rssBytes: 61_400_000, cpuShare: 0.0123, bytesPerSecond: 54_321 },
  ledger: { ...EMPTY_LEDGER, read: 18_720, delivered: 18_650, inFlight: 70 },
  readPerSecond: 312,
  deliveredPerSecond: 310,
  stored: 18_650,
};

test('the panel tells rates and the ledger', () => {
  assert.deepEqual(panel(VIEW, { columns: 120, isColoured: false }), [
    'Sluice  http://127.0.0.1:9428/  1:02  Ctrl-C stops and checks',
    '  workload      312 lines/s  18,720 written  11 containers, 3 rotations',
    '  agent         312 lines/s  61 MB memory, 1.2 % of a core  54 kB/s',
    '  store         310 lines/s  18,650 records',
    '  ledger    18,720 read = 18,650 delivered + 0 filtered + 70 in flight + 0 lost',
  ]);
  const { workload: _, ...real } = VIEW;
  const dying = panel(
    { ...real, agent: { ...VIEW.agent, state: 'starting', restarts: 2 }, ledger: { ...VIEW.ledger, queued: 5 } },
    { columns: 120, isColoured: false },
  );
  assert.equal(dying.length, 4);
  assert.equal(dying[1], '  agent     starting, 2 restarts');
  assert.match(dying[3]!, /\+ 5 queued \+/);
});

test('the panel tells the data points of this machine', () => {
  const metrics = { points: { accepted: 1440, sent: 1440, failed: 0 }, stored: 1440, series: 96, perSecond: 19.2 };
  const style = { columns: 120, isColoured: false };
  assert.equal(
    panel({ ...VIEW, metrics }, style).at(-1),
    '  metrics        19 points/s  1,440 accepted, 1,440 stored, 0 failed  96 series',
  );
  assert.match(plainLine({ ...VIEW, metrics }), / {2}310 lines\/s {2}samples 1,440 {2}agent/);
});

test('no line is wider than the terminal, colours do not count', () => {
  for (const columns of [10, 40, 79, 200])
    for (const isColoured of [true, false])
      for (const text of panel(VIEW, { columns, isColoured })) {
        const plain = text.replace(/\x1b\[\d+m/g, '');
        assert.ok(plain.length < columns, `${columns}: ${plain}`);
        assert.equal(plain.length < text.length, isColoured && text.includes('\x1b'));
      }
  const lost = panel({ ...VIEW, ledger: { ...VIEW.ledger, lost: 2 } }, { columns: 120, isColoured: true });
  assert.ok(lost.at(-1)!.endsWith('\x1b[31m2 lost\x1b[0m'));
});

test('without a terminal there is one plain line', () => {
  assert.equal(
    plainLine(VIEW),
    '1:02  written 18,720  read 18,720  delivered 18,650  filtered 0  in flight 70  lost 0  310 lines/s  agent 61 MB',
  );
});

test('the panel is drawn over itself, and what is said stays above it', () => {
  let text = '';
  const screen = new Screen({ write: (s: string) => (text += s) });
  screen.draw(['a', 'b']);
  screen.draw(['c', 'd']);
  screen.say('hello');
  screen.draw(['e']);
  assert.equal(text, 'a\nb\n\x1b[2A\x1b[Jc\nd\n\x1b[2A\x1b[Jhello\ne\n');
});

test('numbers and times read well', () => {
  assert.deepEqual([0, 999, 1000, 1_234_567.6].map(thousands), ['0', '999', '1,000', '1,234,568']);
  assert.deepEqual([0, 59_999, 3_600_000].map(elapsed), ['0:00', '0:59', '1:00:00']);
});

test('the panel tells of the gateway, its cluster and its events', () => {
  const gateway = {
    state: 'running' as const,
    restarts: 1,
    rssBytes: 66e6,
    cpuShare: 0.012,
    ledger: { ...EMPTY_LEDGER, read: 40, delivered: 35 },
    cluster: { nodes: 3, pods: 27, events: 40 },
  };
  const style = { columns: 120, isColoured: false };
  const told = panel({ ...VIEW, gateway }, style).find((l) => l.includes('gateway'));
  assert.match(told ?? '', /35 of 40 events {2}66 MB memory, 1\.2 % of a core {2}3 nodes, 27 pods, 1 restart$/);
  assert.match(plainLine({ ...VIEW, gateway }), /gateway 66 MB {2}events 35$/);
});
