import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLine } from './line.ts';
import { findingsOf, LogReading, withoutSecrets } from './read-log.ts';

const NOW = Date.UTC(2026, 0, 2, 12);
const refused = (time: string, port = 1234) =>
  `${time}\tinfo\tinternal/retry_sender.go:133\tExporting failed. Will retry the request after interval.\t{"otelcol.component.id": "otlphttp", "otelcol.component.kind": "Exporter", "error": "failed to make an HTTP request: Post \\"http://vl:9428/v1/logs\\": dial tcp 10.0.0.${port % 9}:9428: connect: connection refused", "interval": "${port}ms"}`;

function read(...lines: string[]) {
  const reading = new LogReading(NOW);
  for (const line of lines) reading.line(line);
  return findingsOf(reading.summary, 'log');
}

test('lines of one trouble are one finding with count, first and last time, in whatever order', () => {
  const findings = read(
    refused('2026-01-02T10:00:05.000Z', 2),
    refused('2026-01-02T10:00:00.000Z', 1),
    refused('2026-01-02T10:00:09.000Z', 3),
  );
  assert.equal(findings.length, 1);
  assert.equal(findings[0]!.state, 'failure');
  assert.equal(
    findings[0]!.what,
    'exporter otlphttp: nobody listens at the address (connection refused) (http://vl:9428)',
  );
  assert.match(
    findings[0]!.how,
    /^log: 3 ×, first 2026-01-02T10:00:00Z, last 2026-01-02T10:00:09Z; Exporting failed\. Will retry .* connection refused$/,
  );
});

test('failures come before warnings, the most frequent first, and errors that nobody knows last', () => {
  const findings = read(
    '2026-01-02T10:00:00.000Z\terror\tx.go:1\tSomething quite new\t{"a": 1}',
    '2026-01-02T10:00:00.000Z\twarn\tservice\t"filelog" alias is deprecated; use "file_log" instead\t{}',
    '2026-01-02T10:00:00.000Z\terror\tx.go:1\tx\t{"error": "sending queue is full"}',
    refused('2026-01-02T10:00:00.000Z'),
    refused('2026-01-02T10:00:01.000Z'),
  );
  assert.deepEqual(
    findings.map((f) => [f.state, f.what.slice(0, 40)]),
    [
      ['failure', 'exporter otlphttp: nobody listens at the'],
      ['failure', 'an exporter: its queue is full, the dest'],
      ['warning', 'filelog is the former name of file_log'],
      ['unknown', 'an error that is not known here: Somethi'],
    ],
  );
});

test('a log without trouble, an empty one, and something that is no log', () => {
  assert.equal(
    read('2026-01-02T10:00:00.000Z\tinfo\tservice\tEverything is ready. Begin running and processing data.')[0]!.state,
    'ok',
  );
  assert.equal(read('', '  ')[0]!.what, 'the log is empty');
  assert.equal(read('some', 'text')[0]!.what, 'this does not look like the log of a collector');
});

test('what kubectl and the runtime put before lines is taken off, and their time counts where the line has none', () => {
  const line = 'Error: listen tcp 0.0.0.0:4317: bind: address already in use';
  const inner = refused('2026-01-02T10:00:00.000Z');
  const table: [string, number | undefined, RegExp][] = [
    [`[pod/otel-agent-x/agent] ${inner}`, Date.UTC(2026, 0, 2, 10), /connection refused/],
    [`2026-01-02T11:00:00.123456789Z ${inner}`, Date.UTC(2026, 0, 2, 10), /connection refused/],
    [`[pod/otel-agent-x/agent] 2026-01-02T11:00:00.000000000Z ${line}`, Date.UTC(2026, 0, 2, 11), /^Error: listen/],
    [`2026-01-02T11:00:00.000000000Z stderr F ${line}`, Date.UTC(2026, 0, 2, 11), /^Error: listen/],
    [inner.replaceAll('\t', '    '), Date.UTC(2026, 0, 2, 10), /^Exporting failed\. Will retry/],
    [inner.replaceAll('\t', ' '), Date.UTC(2026, 0, 2, 10), /^Exporting failed\. Will retry/],
    [
      'E0102 10:00:00.395926       1 reflector.go:147] pods is forbidden',
      Date.UTC(2026, 0, 2, 10),
      /^pods is forbidden$/,
    ],
    ['E1231 10:00:00.395926       1 reflector.go:147] of last year', Date.UTC(2025, 11, 31, 10), /^of last year$/],
    ['{"level":"error","ts":1767348000.5,"msg":"m","error":"e"}', 1767348000500, /^m\ne$/],
    ['{"level":"error","ts":"2026-01-02T11:00:00.000+0100","msg":"m"}', Date.UTC(2026, 0, 2, 10), /^m$/],
    [
      '2026/01/02 10:00:00 failed to upload metrics: Post "http://localhost:4444": connect: connection refused',
      Date.UTC(2026, 0, 2, 10),
      /^failed to upload metrics/,
    ],
    ['{"no":"log line"}', undefined, /^\{"no"/],
  ];
  for (const [text, timeMs, pattern] of table) {
    const entry = readLine(text, NOW)!;
    assert.equal(entry.timeMs, timeMs, text);
    assert.match(entry.text, pattern, text);
  }
});

test('secrets of a log do not get into the report', () => {
  const line =
    refused('2026-01-02T10:00:00.000Z').replace('http://vl', 'http://user:opensesame@vl') +
    ' Bearer opensesame123 ?token=opensesame';
  assert.doesNotMatch(JSON.stringify(read(line)), /opensesame/);
  assert.equal(withoutSecrets('a Basic dXNlcjpwYXNz b'), 'a Basic *** b');
});

test('what a debug exporter prints of others is not the collector’s trouble', () => {
  const findings = read(
    '2026-01-02T10:00:00.000Z\tinfo\tservice\tEverything is ready. Begin running and processing data.',
    'Body: Str(panic: dial tcp 10.0.0.1:80: connect: connection refused)',
    '     -> error: Str(invalid configuration: x)',
    'GET /x 404 context deadline exceeded',
  );
  assert.deepEqual(
    findings.map((f) => f.state),
    ['ok'],
  );
});

test('a log with ever new troubles takes bounded memory', () => {
  const reading = new LogReading(NOW);
  for (let i = 0; i < 5000; i++) {
    reading.line(`2026-01-02T10:00:00.000Z\terror\tx.go:1\tx\t{"error": "dial tcp: lookup host-${i}: no such host"}`);
    reading.line(`2026-01-02T10:00:00.000Z\terror\tx.go:1\tnew ${i}`);
  }
  assert.equal(reading.summary.groups.length, 200);
  assert.equal(reading.summary.others.size, 20);
  assert.equal(reading.summary.lines, 10_000);
});

test('a receiver that found no file at its start, and then one, is well', () => {
  const none =
    '2026-01-02T10:00:00.000Z\twarn\tfileconsumer/file.go:49\tno files match the configured criteria\t{"otelcol.component.id": "filelog"}';
  const started = (id: string) =>
    `2026-01-02T10:00:20.000Z\tinfo\tfileconsumer/file.go:261\tStarted watching file\t{"otelcol.component.id": "${id}", "path": "/var/log/pods/a_b_c/d/0.log"}`;
  const states = (...lines: string[]) => read(...lines).map((f) => f.state);
  assert.deepEqual(states(none), ['warning']);
  assert.deepEqual(states(none, started('filelog')), ['ok']);
  // Another receiver's file, and a start after that.
  assert.deepEqual(states(none, started('filelog/2')), ['warning']);
  assert.deepEqual(states(none, started('filelog'), none), ['warning']);
});

test('a file that one pod found is no file of another', () => {
  const line = (message: string) =>
    `2026-01-02T10:00:00.000Z\tinfo\tx.go:1\t${message}\t{"otelcol.component.id": "filelog"}`;
  const states = (...logs: string[][]) => {
    const reading = new LogReading(NOW);
    for (const log of logs) {
      reading.nextLog();
      for (const message of log) reading.line(line(message));
    }
    return findingsOf(reading.summary, 'log').map((f) => f.state);
  };
  const [none, found] = ['no files match the configured criteria', 'Started watching file'];
  assert.deepEqual(states([none, found], [none, found]), ['ok']);
  assert.deepEqual(states([none], [none, found]), ['warning']);
  assert.deepEqual(states([none, found], [none]), ['warning']);
});

test('in a log that goes on, what it has not told for ten minutes is over, and losses are not', () => {
  const lost =
    '2026-01-02T10:00:00.000Z\terror\tx.go:1\tExporting failed. Dropping data.\t{"otelcol.component.id": "otlphttp", "error": "no more retries left"}';
  const reading = new LogReading(NOW);
  reading.line(refused('2026-01-02T10:00:00.000Z'));
  const at = (minute: number) => findingsOf(reading.summary, 'log', Date.UTC(2026, 0, 2, 10, minute));
  assert.deepEqual(
    at(9).map((f) => f.state),
    ['failure'],
  );
  const [past, ...more] = at(11);
  assert.deepEqual([past!.state, past!.what, more], ['ok', 'the log has no trouble that lasts', []]);
  assert.match(
    past!.how,
    /; over since ten minutes and more: exporter otlphttp: nobody listens at the address .*\(1 ×, /,
  );
  reading.line(lost);
  assert.deepEqual(
    at(30).map((f) => f.state),
    ['failure'],
  );
});

test('of a long line, the evidence is what went wrong', () => {
  const text = `2026-01-02T10:00:00.000Z\terror\tinternal/queue_sender.go:49\tExporting failed. Dropping data.\t{"resource": {"service.name": "otelcol-contrib"}, "otelcol.component.id": "prw", "otelcol.component.kind": "exporter", "otelcol.signal": "metrics", "filler": "${'x'.repeat(200)}", "error": "Permanent error: remote write returned HTTP status 400 Bad Request; err = cannot parse it"}`;
  assert.equal(
    read(text)[0]!.how,
    'log: 1 ×, 2026-01-02T10:00:00Z; Exporting failed. Dropping data.: Permanent error: remote write returned HTTP status 400 Bad Request; err = cannot parse it',
  );
});

test('a log of otelcol-contrib tells the same in both encodings', () => {
  const resource = { 'service.instance.id': '3c4d', 'service.name': 'otelcol-contrib', 'service.version': '0.149.0' };
  const of = (id: string, kind: string, signal: string) => ({
    'otelcol.component.id': id,
    'otelcol.component.kind': kind,
    'otelcol.signal': signal,
  });
  const entries: [level: string, caller: string, message: string, fields: object][] = [
    ['info', 'service@v0.149.0/service.go:274', 'Starting otelcol-contrib...', { Version: '0.149.0', NumCPU: 8 }],
    [
      'error',
      'scraperhelper@v0.149.0/obs_metrics.go:61',
      'Error scraping metrics',
      {
        ...of('kubeletstats', 'receiver', 'metrics'),
        error: `kubelet request GET https://192.0.2.7:10250/pods failed - "403 Forbidden", response: "{\\"message\\":\\"forbidden: User \\\\\\"system:serviceaccount:o:c\\\\\\" cannot get path \\\\\\"/pods\\\\\\"\\"}"`,
      },
    ],
    [
      'error',
      'internal/queue_sender.go:49',
      'Exporting failed. Dropping data.',
      {
        ...of('prometheusremotewrite', 'exporter', 'metrics'),
        error:
          'Permanent error: remote write returned HTTP status 400 Bad Request; err = %!w(<nil>): cannot parse it\n',
        dropped_items: 1500,
      },
    ],
    [
      'error',
      'helper/transformer.go:154',
      'Failed to process entry',
      { ...of('filelog', 'receiver', 'logs'), operator_id: 'json_parser', error: 'expected { character for map value' },
    ],
  ];
  const stack = 'go.opentelemetry.io/collector/x.func1\n\tgo.opentelemetry.io/collector/x@v0.149.0/x.go:61';
  const time = '2026-01-02T10:00:00.000Z';
  const console_ = entries.flatMap(([level, caller, message, fields]) => [
    [time, level, caller, message, JSON.stringify({ resource, ...fields })].join('\t'),
    ...(level === 'error' ? stack.split('\n') : []),
  ]);
  const json = entries.map(([level, caller, msg, fields]) =>
    JSON.stringify({ level, ts: time, caller, msg, resource, ...fields, stacktrace: stack }),
  );
  const told = (lines: string[]) =>
    read(...lines).map(({ state, what, how, fix }) => [state, what, how.split(';')[0], fix]);
  assert.deepEqual(told(json), told(console_));
  assert.deepEqual(
    read(...console_).map((f) => f.what),
    [
      'service account o/c may not read /pods of the kubelet',
      'exporter prometheusremotewrite: the destination rejects requests with status 400',
      'receiver filelog: an operator cannot parse lines',
    ],
  );
});
