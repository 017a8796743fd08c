import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, type TestContext, test } from 'node:test';
import { CheckpointStore, type KnownFile } from '../../components/receivers/file_log/checkpoint.ts';
import { Store } from '../../core/sqlite-store.ts';
import type { CheckResult } from '../context.ts';
import { agentPod, type ContextOptions, contextFor, deploy, startCluster, told } from '../testing.ts';
import { storePath } from './offsets.ts';
import { why } from './why.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-why-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const UID = 'b1ffc2a1-0000-4000-8000-000000000001';
const root = join(folder, 'pods');
const file = (container: string, name = '0.log'): string => join(root, `shop_web-1_${UID}`, container, name);
const line = (text: string): string => `2026-11-22T10:00:00.000000000Z stdout F ${text}\n`;
const storage = join(folder, 'storage');

function write(container: string, lines: readonly string[], name = '0.log'): void {
  mkdirSync(join(file(container), '..'), { recursive: true });
  writeFileSync(file(container, name), lines.map(line).join(''));
}

interface Parts {
  readonly exclude?: string;
  readonly operators?: string;
  readonly processors?: string;
  readonly pipeline?: string;
  readonly storage?: boolean;
}
/** The container operator reads the place of a pod's logs out of the path, wherever it begins. */
const config = (p: Parts = {}): string => `
extensions: {file_storage: {directory: "${storage}", create_directory: true}}
receivers:
  file_log:
    include: ["${root}/*/*/*.log"]
    exclude: [${p.exclude ?? ''}]
    include_file_path: true
    operators: [${p.operators ?? '{type: container}'}]
    ${p.storage ? 'storage: file_storage' : ''}
processors:
  k8s_attributes: {pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.uid}]}], extract: {metadata: [k8s.node.name, k8s.deployment.name], labels: [{tag_name: team, key: team}]}}
  ${p.processors ?? ''}
exporters: {otlp_http/logs: {endpoint: "http://user:opensesame@vl:9428/insert/opentelemetry"}}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}}
  pipelines: {logs: {receivers: [file_log], processors: [${p.pipeline ?? 'k8s_attributes'}], exporters: [otlp_http/logs]}}
`;

const pod = (uid = UID) => ({
  metadata: {
    name: 'web-1',
    namespace: 'shop',
    uid,
    labels: { team: 'red', 'pod-template-hash': 'abc' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-abc', uid: 'r', controller: true }],
  },
  spec: { nodeName: 'worker-1', containers: [{ name: 'app', image: 'web:1' }] },
  status: { phase: 'Running', containerStatuses: [{ name: 'app', restartCount: 2, ready: true }] },
});

async function ask(t: TestContext, options: ContextOptions & { url?: string; container?: string; pod?: string } = {}) {
  const ctx = await contextFor(options.url, options);
  t.after(() => ctx.close());
  return why(ctx, { pod: options.pod ?? 'web-1', namespace: 'shop', container: options.container ?? '', root });
}
const section = (results: readonly CheckResult[], id: string) => results.find((r) => r.id === id)?.findings ?? [];

async function withPod(t: TestContext): Promise<string> {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  cluster.population.put('pods', pod());
  return cluster.url;
}

test('the whole way of a pod that is well', async (t) => {
  write('app', ['hello', 'world']);
  const url = await withPod(t);
  const { head, results } = await ask(t, { url, config: config() });
  assert.equal(head, 'sluice why shop/web-1: its files are here');
  assert.deepEqual(told(section(results, 'pod')), ['ok: shop/web-1 is Running on node worker-1']);
  assert.deepEqual(told(section(results, 'files')), [`ok: ${file('app')} is read`]);
  assert.equal(section(results, 'files')[0]!.how, `file_log of the collector: include ${root}/*/*/*.log`);
  assert.deepEqual(told(section(results, 'parsing')), ['ok: 2 lines of app become 2 records']);
  assert.deepEqual(told(section(results, 'enrichment')), [
    'ok: k8s_attributes attaches k8s.deployment.name=web, k8s.node.name=worker-1, team=red',
  ]);
  assert.equal(section(results, 'enrichment')[0]!.how, 'associated by resource_attribute/k8s.pod.uid');
  assert.deepEqual(told(section(results, 'destination')), [
    'ok: logs → otlp_http/logs (http://vl:9428/insert/opentelemetry): all 2 records go there',
  ]);
  assert.match(
    section(results, 'destination')[0]!.how,
    /^k8s_attributes; the last: "world", attributes log\.file\.name/,
  );
  assert.doesNotMatch(JSON.stringify(results), /opensesame/);
});

test('an exclude rule, no rule, and two receivers are told by the rule', async (t) => {
  write('app', ['hello']);
  const excluded = await ask(t, { config: config({ exclude: `"${root}/shop_*/*/*.log"` }) });
  const [found] = section(excluded.results, 'files');
  assert.equal(told([found!])[0], `warning: ${file('app')} is left out by a rule`);
  assert.match(found!.how, /include .*\/\*\/\*\/\*\.log matches, and so does exclude .*shop_\*/);
  assert.match(found!.fix!, /exclude/);
  const none = await ask(t, {
    config: config().replace(`include: ["${root}/*/*/*.log"]`, 'include: [/elsewhere/*.log]'),
  });
  assert.equal(told(section(none.results, 'files'))[0], `failure: ${file('app')} is not read`);
  assert.match(section(none.results, 'files')[0]!.how, /no include matches/);
  const twice = config()
    .replace('  file_log:', `  file_log/two: {include: ["${root}/**/*.log"]}\n  file_log:`)
    .replace('receivers: [file_log]', 'receivers: [file_log, file_log/two]');
  assert.match(told(section((await ask(t, { config: twice })).results, 'files'))[0]!, /^warning: .* is read 2 times/);
  const nothing = await ask(t, {
    config:
      'receivers: {otlp: {protocols: {http: {}}}}\nexporters: {debug: }\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}',
  });
  assert.deepEqual(told(section(nothing.results, 'files')), ['failure: no pipeline reads files']);
});

test('operators that complain, and operators that drop', async (t) => {
  write('app', ['{"level": "warn", "msg": "a"}', 'not json']);
  const complaining = await ask(t, { config: config({ operators: '{type: container}, {type: json_parser}' }) });
  const [found] = section(complaining.results, 'parsing');
  assert.equal(told([found!])[0], 'warning: 2 lines of app become 2 records, and operators complain');
  assert.match(found!.how, /file_log: container → json_parser; json_parser: Failed to process entry: /);
  const dropping = await ask(t, {
    config: config({ operators: `{type: container}, {type: filter, expr: 'body matches "json"'}` }),
  });
  const [dropped] = section(dropping.results, 'parsing');
  assert.equal(told([dropped!])[0], 'ok: 2 lines of app become 1 record');
  assert.match(dropped!.how, /dropped: 1 filter/);
});

test('lines that belong together are joined as the receiver and its operators join them', async (t) => {
  const trace = ['2026-11-22 boom', '  at a', '  at b', '2026-11-22 fine'];
  const recombine = `{type: container}, {type: recombine, combine_field: body, is_first_entry: 'body matches "^[0-9]"'}`;
  const ways: [string, readonly string[], (lines: readonly string[]) => void, string][] = [
    [recombine, trace, (lines) => write('app', lines), 'file_log: container → recombine'],
    [
      '',
      trace,
      (lines) => writeFileSync(file('app'), lines.map((l) => `${l}\n`).join('')),
      'file_log: multiline line_start_pattern ^\\d{4}-',
    ],
    [
      '',
      trace.map((l) => (l.startsWith(' ') ? l : `${l};`)).toReversed(),
      (lines) => writeFileSync(file('app'), lines.map((l) => `${l}\n`).join('')),
      'file_log: multiline line_end_pattern ;\\n',
    ],
  ];
  for (const [operators, lines, put, how] of ways) {
    put(lines);
    const [, key, pattern] = / multiline (\w+) (.*)$/.exec(how) ?? [];
    const multiline = key === undefined ? '' : `multiline: {${key}: '${pattern}'}\n    `;
    const text = config({ operators }).replace('    include:', `    ${multiline}include:`);
    const { results } = await ask(t, { config: text });
    const [found, ...more] = section(results, 'parsing');
    assert.deepEqual([told([found!])[0], more], ['ok: 4 lines of app become 2 records', []], how);
    assert.equal(found!.how, how);
    assert.match(section(results, 'destination')[0]!.how, /the last: "(?:2026-11-22 fine|at b.*2026-11-22 boom;)"/);
  }
});

test('the records that are shown begin where a group of lines begins', async (t) => {
  const recombine = `{type: container}, {type: recombine, combine_field: body, is_last_entry: 'body == "}"', combine_with: ""}, {type: json_parser}`;
  const record = ['{', '"a": 1,', '"b": 2', '}'];
  // 50 lines from the end is in the middle of one, and what begins before it is joined all the same.
  write('app', Array.from({ length: 40 }, () => record).flat());
  const { results } = await ask(t, { config: config({ operators: recombine }) });
  assert.deepEqual(told(section(results, 'parsing')), ['ok: 50 lines of app become 13 records']);
  assert.match(section(results, 'destination')[0]!.how, /attributes .*\ba, b\b/);
});

test('multiline where the runtime puts something before each line is told', async (t) => {
  write('app', ['2026 boom', '  at a', '2026 fine']);
  const text = config().replace('    include:', `    multiline: {line_start_pattern: '^\\d{4} '}\n    include:`);
  const [found] = section((await ask(t, { config: text })).results, 'parsing');
  assert.match(told([found!])[0]!, /^warning: 3 lines of app become 1 record: multiline sees lines with what the/);
  assert.match(found!.fix!, /type: recombine/);
});

test('filters behind the receiver are run, and what they drop is told', async (t) => {
  write('app', ['keep me', 'GET /healthz', 'GET /healthz']);
  const processors = `filter/health: {logs: {log_record: ['IsMatch(body, "healthz")']}}`;
  const some = await ask(t, { config: config({ processors, pipeline: 'filter/health' }) });
  const [found] = section(some.results, 'destination');
  assert.match(told([found!])[0]!, /^warning: logs → .*: 1 of 3 records get there$/);
  assert.match(found!.how, /filter\/health drops 2 of 3; the last: "keep me"/);
  assert.match(found!.fix!, /filter\/health/);
  assert.deepEqual(told(section(some.results, 'enrichment')), ['warning: nothing adds metadata of the pod in logs']);
  write('app', ['GET /healthz']);
  const none = await ask(t, { config: config({ processors, pipeline: 'filter/health' }) });
  assert.match(told(section(none.results, 'destination'))[0]!, /^failure: .*: none of 1 records gets there$/);
});

test('metadata that cannot be attached: other association, other pod, excluded', async (t) => {
  write('app', ['hello']);
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  cluster.population.put('pods', pod('ffffffff-0000-4000-8000-000000000002'));
  const { url } = cluster;
  const first = async (text: string) => section((await ask(t, { url, config: text })).results, 'enrichment')[0]!;
  const former = await first(config());
  assert.equal(told([former])[0], 'failure: k8s_attributes finds no pod for these records');
  assert.match(former.fix!, /former pod/);
  const association = await first(config().replace('name: k8s.pod.uid', 'name: my.pod'));
  assert.equal(
    told([association])[0],
    'failure: k8s_attributes finds no pod for these records: no association applies',
  );
  assert.match(association.how, /it looks for my\.pod; the resource has .*k8s\.pod\.uid/);
  assert.match(
    told([
      await first(config().replace('k8s_attributes: {', 'k8s_attributes: {exclude: {pods: [{name: web-.*}]}, ')),
    ])[0]!,
    /^warning: k8s_attributes leaves this pod alone/,
  );
  assert.match(
    told([await first(config().replace('k8s_attributes: {', 'k8s_attributes: {filter: {namespace: other}, '))])[0]!,
    /^failure: k8s_attributes does not know this pod: it looks at namespace other only/,
  );
});

test('outside: paths as the kubelet names them, and the line to type on the right node', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  cluster.population.put('pods', { ...pod(), metadata: { ...pod().metadata, name: 'web-2' } });
  cluster.population.put('pods', agentPod('worker-1'));
  const { head, results } = await ask(t, { url: cluster.url, pod: 'shop/web-2' });
  assert.equal(head, 'sluice why shop/web-2: from outside');
  assert.deepEqual(told(section(results, 'files')), [`ok: /var/log/pods/shop_web-2_${UID}/app/2.log is read`]);
  const [parsing] = section(results, 'parsing');
  assert.equal(told([parsing!])[0], 'unknown: the lines of app can only be read on its node');
  assert.equal(parsing!.fix, 'kubectl exec -n opentelemetry otel-agent-worker-1 -- sluice why web-2 -n shop');
  assert.match(
    told(section(results, 'delivery'))[0]!,
    /^unknown: how far its files are delivered only the agent on its node knows/,
  );
});

test('a pod that nobody knows', async (t) => {
  const url = await withPod(t);
  const { results } = await ask(t, { url, config: config(), pod: 'shop/gone' });
  assert.deepEqual(told(section(results, 'pod')), ['unknown: there is no pod shop/gone']);
  // The name of its workload, and another namespace.
  for (const name of ['shop/web', 'default/web-1']) {
    const [found] = section((await ask(t, { url, config: config(), pod: name })).results, 'pod');
    assert.deepEqual([found!.how, found!.fix], ['the API server has shop/web-1', 'sluice why shop/web-1']);
  }
  assert.deepEqual(told(section(results, 'files')), ['unknown: no log file of shop/gone is known']);
});

test('a cluster that is away, and collectors that are elsewhere', async (t) => {
  const away = await ask(t, { url: 'http://127.0.0.1:1', pod: 'shop/web-2' });
  assert.deepEqual(told(section(away.results, 'pod')), ['unknown: the pod shop/web-2 cannot be looked up']);
  assert.deepEqual(told(section(away.results, 'files')), [
    'unknown: which rule decides is not known without a configuration',
  ]);
  assert.match(section(away.results, 'files')[0]!.how, /connection refused/);
  const elsewhere = await ask(t, { url: await withPod(t), pod: 'shop/web-1' });
  assert.equal(section(elsewhere.results, 'files')[0]!.how, 'no collector runs in namespace opentelemetry');
  assert.match(section(elsewhere.results, 'files')[0]!.fix!, /--collectors NAMESPACE/);
});

test('the last delivery: stored offsets while another process holds the store', async (t) => {
  write('app', ['x'.repeat(100_000)]);
  const ctx = await contextFor(undefined, { config: config({ storage: true }) });
  const where = storePath(ctx.tiers[0]!.config!, ctx.tiers[0]!.config!.receivers.get('file_log')!);
  assert.ok('path' in where);
  mkdirSync(storage, { recursive: true });
  const store = new Store(where.path, new DatabaseSync(where.path), {
    fsync: false,
    maxSizeBytes: 0,
    onDamage: () => {},
  });
  t.after(() => store.close());
  const checkpoints = new CheckpointStore(store, 'file_input');
  const save = (offset: number): void => {
    const known: KnownFile = {
      id: 1,
      identity: undefined,
      path: file('app'),
      fingerprint: Buffer.from('2026'),
      tail: Buffer.alloc(0),
      offset,
      recordNumber: 0,
      sizeBytes: 0,
      headerDone: false,
      headerAttributes: '{}',
      skipping: false,
      packed: false,
      packedEndSize: -1,
      replaced: false,
    };
    checkpoints.saveAll([known]);
  };
  const size = line('x'.repeat(100_000)).length;
  const first = async (meanwhile?: () => void, nowMs = Date.now() + 3_600_000) =>
    section((await ask(t, { config: config({ storage: true }), meanwhile, nowMs })).results, 'delivery')[0]!;
  save(size);
  const done = await first();
  assert.equal(told([done])[0], 'ok: app is delivered up to its last byte');
  assert.match(done.how, new RegExp(`offset ${size} of ${size} bytes`));
  const queued = config({ storage: true }).replace(
    'otlp_http/logs: {',
    'otlp_http/logs: {sending_queue: {storage: file_storage}, ',
  );
  assert.match(
    told(section((await ask(t, { config: queued })).results, 'delivery'))[0]!,
    /^ok: app is delivered, or in the durable queue of otlp_http\/logs, up to its last byte$/,
  );
  save(10);
  assert.equal(told([await first()])[0], `warning: app is ${size - 10} bytes behind, and does not get on`);
  // Between two looks some is delivered, and more is written.
  const goesOn = await first(() => save(20_000));
  assert.equal(told([goesOn])[0], `ok: app is delivered up to ${size - 20_000} bytes before its end, and goes on`);
  assert.match(goesOn.how, /; 19990 bytes were delivered in 12 s$/);
  save(10);
  const grown = await first(() => {
    save(20);
    appendFileSync(file('app'), line('y'.repeat(100_000)));
  });
  assert.match(told([grown])[0]!, /^warning: app is \d+ bytes behind, and falls further behind$/);
  // The offset is of another file of that name.
  save(1e9);
  assert.equal(told([await first()])[0], 'warning: nothing of app is known as delivered yet');
  assert.match(
    told([await first(undefined, Date.now())])[0]!,
    /^unknown: app was rotated \d+ s ago, and nothing of the new/,
  );
  checkpoints.saveAll([]);
  assert.equal(told([await first()])[0], 'warning: nothing of app is known as delivered yet');
  assert.match(told([await first(undefined, Date.now())])[0]!, /^unknown: app began to write \d+ s ago, and nothing/);
  const without = section((await ask(t, { config: config() })).results, 'delivery')[0]!;
  assert.match(without.how, /file_log has no storage/);
});

test('a pod that has just begun, and one whose name another had before', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  const made = (creationTimestamp: string, containerStatuses: object[]) =>
    cluster.population.put('pods', {
      ...pod(),
      metadata: { ...pod().metadata, name: 'web-3', creationTimestamp },
      status: { phase: 'Pending', containerStatuses },
    });
  const creating = { name: 'app', restartCount: 0, ready: false, state: { waiting: { reason: 'ContainerCreating' } } };
  const files = async () => section((await ask(t, { url: cluster.url, pod: 'shop/web-3' })).results, 'files');
  made('2026-11-22T11:59:50Z', [creating]);
  const [fresh, ...more] = await files();
  assert.deepEqual([told([fresh!])[0], more], ['unknown: shop/web-3 has just begun, and has no log file yet', []]);
  assert.equal(fresh!.how, 'it was made 10 s ago; app waits (ContainerCreating)');
  made('2026-11-22T11:00:00Z', [{ ...creating, state: { waiting: { reason: 'ImagePullBackOff' } } }]);
  const [old] = await files();
  assert.equal(told([old!])[0], 'unknown: no log file of shop/web-3 is known');
  assert.match(old!.how, /^app waits \(ImagePullBackOff\); /);
  made('2026-11-22T11:00:00Z', [creating, { name: 'proxy', restartCount: 0, ready: true }]);
  assert.deepEqual(told(await files()), [
    'unknown: app waits (ContainerCreating), and has no log file yet',
    `ok: /var/log/pods/shop_web-3_${UID}/proxy/0.log is read`,
  ]);
  // A StatefulSet gives a new pod the name of the former one, whose files stay for a while.
  write('app', ['hello']);
  const former = join(root, 'shop_web-1_aaaa', 'app', '0.log');
  mkdirSync(join(former, '..'), { recursive: true });
  t.after(() => rmSync(join(root, 'shop_web-1_aaaa'), { recursive: true }));
  writeFileSync(former, line('old'));
  cluster.population.put('pods', pod());
  const { results } = await ask(t, { url: cluster.url, config: config() });
  assert.deepEqual(told(section(results, 'files')).slice(0, 1), [
    'ok: 1 file of former pods of that name is here, too',
  ]);
  assert.ok(told(section(results, 'files')).includes(`ok: ${file('app')} is read`));
  assert.equal(
    section(results, 'files').some((f) => f.what.includes(former)),
    false,
  );
  assert.match(told(section(results, 'enrichment'))[0]!, /^ok: k8s_attributes attaches/);
});

test('only the end of a large file is read, from its first whole line on', async (t) => {
  write('big', [], '0.log');
  for (let i = 0; i < 100; i++) appendFileSync(file('big'), line(`${i} ${'y'.repeat(8000)}`));
  const { results } = await ask(t, { config: config(), container: 'big' });
  assert.match(told(section(results, 'parsing'))[0]!, /^ok: (?:2\d|3\d) lines of big become/);
  rmSync(join(file('big'), '..'), { recursive: true });
});
