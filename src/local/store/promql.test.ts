import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../../test/helpers/property.ts';
import { metricStoreWith } from './metric-testing.ts';
import { PromqlSyntaxError, parsePromql, promDurationMs, UnsupportedError } from './promql.ts';
import { ExecutionError, evaluate } from './promql-evaluate.ts';

const NOW = Date.UTC(2026, 10, 1, 12);
/** Every 10 s, the last one at NOW. */
const every10s = (values: readonly (number | 'end')[]) =>
  values.map((v, i) => [NOW - (values.length - 1 - i) * 10_000, v] as const);

const store = metricStoreWith(
  [
    { name: 'up', labels: { job: 'a', host: 'h1' }, samples: every10s([1, 1, 1]) },
    { name: 'up', labels: { job: 'a', host: 'h2' }, samples: every10s([0, 0, 0]) },
    { name: 'up', labels: { job: 'b.x' }, samples: every10s([1, 1, 1]) },
    { name: 'gone', samples: every10s([1, 1, 'end']) },
    { name: 'stays', samples: every10s([1, 1, 1]) },
    { name: 'old', samples: [[NOW - 300_000, 1]] },
    {
      name: 'io_total',
      labels: { device: 'a', direction: 'in' },
      samples: every10s([1000, 1100, 1200, 1300, 1400, 1500, 1600]),
    },
    {
      name: 'io_total',
      labels: { device: 'b', direction: 'in' },
      samples: every10s([100, 200, 300, 50, 150, 250, 350]),
    },
    { name: 'io_total', labels: { device: 'a', direction: 'out' }, samples: every10s([7]) },
    { name: 'odd', labels: { n: '1' }, samples: every10s([Number.NaN]) },
    { name: 'odd', labels: { n: '2' }, samples: every10s([4]) },
  ],
  NOW,
);

/** What stands at NOW, as `{labels} value`. */
const at = (query: string, count = 1, stepMs = 10_000): string[] =>
  evaluate(store, parsePromql(query), {
    startMs: NOW - (count - 1) * stepMs,
    stepMs,
    count,
    lookbackMs: 300_000,
  }).map(
    (l) =>
      `${l.labels.map(([n, v]) => `${n}=${v}`).join(',')} ${l.values.map((v) => (v === undefined ? '-' : Number(v.toFixed(6)))).join(' ')}`,
  );

test('selectors choose series by name and matchers', () => {
  const [h1, h2, b] = ['__name__=up,host=h1,job=a 1', '__name__=up,host=h2,job=a 0', '__name__=up,job=b.x 1'];
  const table: [string, string[]][] = [
    ['up', [h1, h2, b]],
    [' up { } ', [h1, h2, b]],
    ['up{job="a"}', [h1, h2]],
    ["up{job='a',host!=`h1`,}", [h2]],
    ['up{host=""}', [b]],
    ['up{host!=""}', [h1, h2]],
    ['up{job=~"b.*"}', [b]],
    ['up{job=~"b"}', []],
    ['up{job=~"b\\\\.x|c"}', [b]],
    ['up{host!~"h[1]"}', [h2, b]],
    ['{__name__="up",host="h1"}', [h1]],
    ['{"up","host"="h1"}', [h1]],
    ['{__name__=~"u.",host="h1"}', [h1]],
    ['(up{host="h1"})', [h1]],
    ['nothing', []],
    ['gone', []],
    ['old', []],
    ['odd', ['__name__=odd,n=1 NaN', '__name__=odd,n=2 4']],
  ];
  for (const [query, expected] of table) assert.deepEqual(at(query), expected, query);
});

test('a value stands until it is too old or the series ends', () => {
  assert.deepEqual(at('gone', 4), ['__name__=gone - 1 1 -']);
  assert.deepEqual(at('io_total{direction="out"}', 3), ['__name__=io_total,device=a,direction=out - - 7']);
  assert.deepEqual(at('old', 3, 1000), ['__name__=old 1 1 -']);
});

test('rates follow counters over resets and to the ends of the window, as in Prometheus', () => {
  const table: [string, string[]][] = [
    ['rate(io_total{device="a"}[1m])', ['device=a,direction=in 10']],
    ['increase(io_total{device="a"}[1m])', ['device=a,direction=in 600']],
    ['irate(io_total{device="a"}[1m])', ['device=a,direction=in 10']],
    // The window holds 200 300 50 150 250 350: growth 100+50+100+100+100 in 50 s, and before it not below zero.
    ['increase(io_total{device="b"}[1m])', ['device=b,direction=in 540']],
    ['irate(io_total{device="b"}[35s])', ['device=b,direction=in 10']],
    ['rate(io_total{direction="out"}[1m])', []],
    ['sum(rate(io_total[1m]))', [' 19']],
    ['sum by (direction) (rate(io_total[1m]))', ['direction=in 19']],
    ['rate(gone[1m])', [' 0']],
  ];
  for (const [query, expected] of table) assert.deepEqual(at(query), expected, query);
  // A counter that begins inside the window is taken to begin at zero, half an interval before at most.
  const young = metricStoreWith([{ name: 'c', samples: every10s([2, 102, 202]) }], NOW);
  const [line] = evaluate(young, parsePromql('increase(c[1m])'), { startMs: NOW, stepMs: 1, count: 1, lookbackMs: 1 });
  assert.ok(Math.abs(line!.values[0]! - 202) < 1e-9);
  assert.throws(() => at('rate({__name__=~"gone|stays"}[1m])'), ExecutionError);
});

test('aggregations group by labels', () => {
  const table: [string, string[]][] = [
    ['sum(up)', [' 2']],
    ['count(up) by (job)', ['job=a 2', 'job=b.x 1']],
    ['avg by (job) (up)', ['job=a 0.5', 'job=b.x 1']],
    ['min without (host) (up)', ['job=a 0', 'job=b.x 1']],
    ['max by (job, nothing,) (up)', ['job=a 1', 'job=b.x 1']],
    ['sum by () (up)', [' 2']],
    ['count(sum by (job) (up))', [' 2']],
    ['max(odd)', [' 4']],
    ['sum(odd)', [' NaN']],
    ['sum(nothing)', []],
  ];
  for (const [query, expected] of table) assert.deepEqual(at(query), expected, query);
});

test('what is no PromQL and what is only not supported are told apart', () => {
  const syntax: [string, RegExp][] = [
    ['up{', /^1:4: parse error: unexpected end of input in label matching/],
    ['up{job}', /expected one of/],
    ['up{job="a"', /unexpected end of input/],
    ['up)', /1:3: parse error: unexpected "\)" behind the expression/],
    ['(up', /in parenthesis/],
    ['{}', /at least one non-empty matcher/],
    ['{job=~".*"}', /at least one non-empty matcher/],
    ['up{job=~"("}', /parse error/],
    ['up[5x]', /unexpected|parse error/],
    ['up[0s]', /in range/],
    ['rate(up)', /expected type range vector in call to function "rate", got instant vector/],
    ['sum(up[5m])', /expected type instant vector in aggregation expression, got range vector/],
    ['sum by up', /in grouping opts/],
    ['up ! up', /parse error/],
    ['up"', /parse error/],
    ['', /unexpected end of input/],
    ['('.repeat(30), /nested too deep/],
    ['x'.repeat(10_000), /too long/],
  ];
  for (const [query, words] of syntax)
    assert.throws(
      () => at(query),
      (e: Error) => e instanceof PromqlSyntaxError && words.test(e.message),
      query,
    );
  for (const [query, what] of [
    ['up * 100', 'operator *'],
    ['up and up', 'operator and'],
    ['up offset 5m', 'operator offset'],
    ['up @ 1', 'operator @'],
    ['-up', 'operator -'],
    ['1', 'literal 1'],
    ['histogram_quantile(0.9, up)', 'function histogram_quantile'],
    ['topk(3, up)', 'function topk'],
    ['rate(up[5m:1m])', 'a subquery'],
    ['sum(rate(up[5m])) / 2', 'operator /'],
    ['up[5m]', 'a range vector'],
  ] as const)
    assert.throws(
      () => at(query),
      (e: Error) => e instanceof UnsupportedError && e.message.startsWith(what),
      query,
    );
});

test('any text is answered or refused', () => {
  const piece = fc.oneof(
    fc.constantFrom('up', 'rate', 'sum', 'by', '(', ')', '{', '}', '[1m]', '[', '"a"', '=', '=~', ',', 'job', '1', ' '),
    fc.string({ maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      try {
        at(pieces.join(''));
      } catch (e) {
        assert.ok(
          e instanceof PromqlSyntaxError || e instanceof UnsupportedError || e instanceof ExecutionError,
          `${pieces.join('')}: ${e}`,
        );
      }
    }),
    { numRuns: 1000 },
  );
});

test('durations are Prometheus’ own', () => {
  for (const [text, ms] of [
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['1d', 86_400_000],
    ['5', undefined],
    ['1.5m', undefined],
    ['', undefined],
  ] as const)
    assert.equal(promDurationMs(text), ms, text);
});
