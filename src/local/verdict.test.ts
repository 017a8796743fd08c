import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addLedgers, EMPTY_LEDGER, parseMetrics } from './agent-metrics.ts';
import { type Account, verdict } from './verdict.ts';

const BALANCED: Account = {
  written: 1000,
  ledger: { ...EMPTY_LEDGER, read: 1000, delivered: 1000 },
  restarts: 0,
  store: { accepted: 1000, kept: 1000, repeated: 0 },
};

const GATEWAY = { ledger: { ...EMPTY_LEDGER, read: 30, delivered: 30 }, restarts: 0, events: 30 };
const WITH_EVENTS: Account = { ...BALANCED, gateway: GATEWAY, store: { accepted: 1030, kept: 1030, repeated: 0 } };

test('a run is balanced only when nothing is missing, lost or doubled', () => {
  const table: [string, Account, boolean, RegExp][] = [
    ['all delivered', BALANCED, true, /delivered = written: 1,000 lines/],
    [
      'with filtered ones',
      {
        ...BALANCED,
        ledger: { ...BALANCED.ledger, delivered: 900, filtered: 100 },
        store: { accepted: 900, kept: 900, repeated: 0 },
      },
      true,
      /balanced/,
    ],
    [
      'old rows gone from the store',
      { ...BALANCED, store: { accepted: 1000, kept: 500, repeated: 0 } },
      true,
      /balanced/,
    ],
    ['real logs', { ...BALANCED, written: undefined }, true, /everything that was read is in the store: 1,000/],
    ['one not read', { ...BALANCED, written: 1001 }, false, /1,001 lines were written, 1,000 delivered/],
    [
      'still in flight',
      { ...BALANCED, ledger: { ...BALANCED.ledger, delivered: 990, inFlight: 10 } },
      false,
      /10 were still in flight/,
    ],
    [
      'told but not stored',
      { ...BALANCED, store: { accepted: 999, kept: 999, repeated: 0 } },
      false,
      /the store took 999/,
    ],
    [
      'delivered twice without a reason',
      { ...BALANCED, store: { accepted: 1001, kept: 1001, repeated: 1 } },
      false,
      /the store took 1,001/,
    ],
    [
      'lost',
      {
        ...BALANCED,
        ledger: { ...BALANCED.ledger, delivered: 997, lost: 3, lostBy: new Map([['rotated', 3]]) },
        store: { accepted: 997, kept: 997, repeated: 0 },
      },
      false,
      /3 lost: rotated/,
    ],
    [
      'restarted, some twice',
      { ...BALANCED, restarts: 1, store: { accepted: 1010, kept: 1010, repeated: 10 } },
      true,
      /1,000 lines written, all in the store; 10 twice, because the agent died once/,
    ],
    ['with events', WITH_EVENTS, true, /events {3}30 of the cluster, each delivered once/],
    [
      'an event that was not delivered',
      { ...WITH_EVENTS, gateway: { ...GATEWAY, events: 31 } },
      false,
      /the cluster had 31 events, 30 were delivered/,
    ],
    [
      'a record more than both tiers delivered',
      { ...WITH_EVENTS, store: { accepted: 1031, kept: 1031, repeated: 0 } },
      false,
      /1,000 delivered, but the store took 1,001/,
    ],
    [
      'an event that was lost',
      {
        ...WITH_EVENTS,
        gateway: {
          ...GATEWAY,
          ledger: { ...GATEWAY.ledger, delivered: 29, lost: 1, lostBy: new Map([['refused', 1]]) },
        },
        store: { accepted: 1029, kept: 1029, repeated: 0 },
      },
      false,
      /1 lost: refused/,
    ],
    [
      'the gateway restarted, an event twice',
      { ...WITH_EVENTS, gateway: { ...GATEWAY, restarts: 1 }, store: { accepted: 1031, kept: 1031, repeated: 1 } },
      true,
      /1 twice, because the gateway died once/,
    ],
    [
      'restarted, one missing',
      { ...BALANCED, restarts: 2, store: { accepted: 1010, kept: 1010, repeated: 11 } },
      false,
      /1,000 lines were written, 999 different/,
    ],
    [
      'restarted, more than the store keeps, too few',
      { ...BALANCED, restarts: 2, store: { accepted: 990, kept: 500, repeated: 0 } },
      false,
      /10 of 1,000 lines are missing/,
    ],
    [
      'metrics all stored',
      { ...BALANCED, metrics: { points: { accepted: 96, sent: 96, failed: 0 }, stored: 96, repeated: 0 } },
      true,
      /96 points accepted = 96 delivered = 96 samples stored, none twice/,
    ],
    [
      'metrics still on their way',
      { ...BALANCED, metrics: { points: { accepted: 96, sent: 48, failed: 0 }, stored: 48, repeated: 0 } },
      false,
      /96 data points were accepted, 48 delivered/,
    ],
    [
      'metrics told but not stored',
      { ...BALANCED, metrics: { points: { accepted: 96, sent: 96, failed: 0 }, stored: 95, repeated: 0 } },
      false,
      /96 data points were delivered, but the store took 95/,
    ],
    [
      'metrics twice',
      { ...BALANCED, metrics: { points: { accepted: 96, sent: 96, failed: 0 }, stored: 96, repeated: 2 } },
      false,
      /2 samples came twice/,
    ],
    [
      'metrics refused',
      { ...BALANCED, metrics: { points: { accepted: 96, sent: 90, failed: 6 }, stored: 90, repeated: 0 } },
      false,
      /6 data points were refused or not delivered/,
    ],
    [
      'no metrics at all',
      { ...BALANCED, metrics: { points: { accepted: 0, sent: 0, failed: 0 }, stored: 0, repeated: 0 } },
      false,
      /no data point was delivered/,
    ],
    [
      'restarted, metrics that nobody told of',
      {
        ...BALANCED,
        restarts: 1,
        metrics: { points: { accepted: 96, sent: 90, failed: 0 }, stored: 110, repeated: 0 },
      },
      true,
      /110 samples stored/,
    ],
    [
      'restarted, fewer metrics than were told',
      {
        ...BALANCED,
        restarts: 1,
        metrics: { points: { accepted: 96, sent: 90, failed: 0 }, stored: 80, repeated: 0 },
      },
      false,
      /90 data points were delivered, but the store took 80/,
    ],
  ];
  for (const [name, account, isBalanced, words] of table) {
    const v = verdict(account);
    assert.equal(v.isBalanced, isBalanced, name);
    assert.match(v.lines.join('\n'), words, name);
    assert.equal(
      v.lines.some((l) => l.startsWith('PROBLEM')),
      !isBalanced,
      name,
    );
  }
});

test('the ledger is summed over components, whatever else stands on the page', () => {
  const found = parseMetrics(
    [
      '# HELP sluice_ledger_records x',
      'sluice_ledger_records{component="filelog",outcome="read"} 100',
      'sluice_ledger_records{outcome="read",component="filelog/b"} 11',
      'sluice_ledger_records{component="filelog",outcome="delivered"} 90',
      'sluice_ledger_records{component="filelog",outcome="in_flight"} 4',
      'sluice_ledger_records{component="filelog",outcome="lost",reason="rotated"} 2',
      'sluice_ledger_records{component="filelog",outcome="lost",reason="a \\"b\\""} 1',
      'sluice_ledger_records{component="filelog",outcome="filtered",reason="filter"} 14',
      'sluice_ledger_bytes{component="filelog",outcome="read"} 12345',
      'otelcol_process_memory_rss_bytes{x="y"} 6.4e+07',
      'otelcol_receiver_accepted_metric_points_total{receiver="host_metrics",transport=""} 96',
      'otelcol_receiver_refused_metric_points_total{receiver="host_metrics",transport=""} 5',
      'otelcol_exporter_sent_metric_points{exporter="x"} 90',
      'otelcol_exporter_send_failed_metric_points_total{exporter="x"} 4',
      'otelcol_exporter_enqueue_failed_metric_points_total{exporter="x"} 2',
      'otelcol_receiver_accepted_log_records_total{receiver="y"} 7',
      'otelcol_process_cpu_seconds_total 1.5',
      'nonsense',
      '',
    ].join('\n'),
  );
  const lostBy = new Map([
    ['rotated', 2],
    ['a \\"b\\"', 1],
  ]);
  assert.deepEqual(found, {
    ledger: { read: 111, delivered: 90, queued: 0, filtered: 14, inFlight: 4, lost: 3, lostBy, readBytes: 12_345 },
    points: { accepted: 96, sent: 90, failed: 11 },
    rssBytes: 6.4e7,
    cpuSeconds: 1.5,
  });
  const twice = addLedgers(found.ledger, found.ledger);
  assert.equal(twice.read, 222);
  assert.equal(twice.lostBy.get('rotated'), 4);
  assert.deepEqual(parseMetrics('').ledger, EMPTY_LEDGER);
});
