import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentDraft, agentPod, deploy, startCluster, told } from '../testing.ts';
import { ask, config, file, line, pod, root, section, UID, withPod, write } from './testing.ts';

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

test('outside, where the image of the agent has no sluice', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster, agentDraft({}, { image: 'otel/opentelemetry-collector-contrib:0.149.0' }));
  cluster.population.put('pods', { ...pod(), metadata: { ...pod().metadata, name: 'web-2' } });
  const { results } = await ask(t, { url: cluster.url, pod: 'shop/web-2' });
  assert.equal(
    section(results, 'parsing')[0]!.fix,
    'on node worker-1 itself, with its configuration: `sluice why shop/web-2 --config FILE` (the image of otel-agent has no sluice)',
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
