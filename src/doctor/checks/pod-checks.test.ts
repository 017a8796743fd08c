import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { selfSigned } from '../../../test/helpers/certificate.ts';
import { type Answer, startFakeServer } from '../../../test/helpers/kubelet.ts';
import { agentDraft, deploy, findings, nodeDraft, startCluster, told } from '../testing.ts';
import { delivery } from './delivery.ts';
import { destinations } from './destinations.ts';
import { kubelet } from './kubelet.ts';
import { metadata } from './metadata.ts';
import { lookAtFiles, podLogs, rootOf } from './pod-logs.ts';
import { rotation } from './rotation.ts';
import { victoriaLogs } from './victoria-logs.ts';

const TLS = join(import.meta.dirname, '../../core/testdata/tls');
const pem = (name: string): string => readFileSync(join(TLS, name), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'sluice-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const account = join(folder, 'account');
mkdirSync(account);
copyFileSync(join(TLS, 'ca.pem'), join(account, 'ca.crt'));
writeFileSync(join(account, 'token'), 'token');

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const exporting = (exporter: string): string =>
  `receivers: {otlp: {protocols: {http: {}}}}\nexporters: {${exporter}}\nservice: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [otlp], exporters: [${exporter.split(':')[0]}]}}}`;

test('destinations: status, credentials and path by an empty request that stores nothing', async (t) => {
  const seen: string[] = [];
  let status = 204;
  const url = await serve(t, (req, res) => {
    let bytes = 0;
    req.on('data', (c: Buffer) => (bytes += c.length));
    req.on('end', () => {
      seen.push(`${req.method} ${req.url} ${req.headers['content-encoding'] ?? ''} ${bytes}`);
      res.writeHead(status).end('no such thing');
    });
  });
  const write = exporting(
    `prometheus_remote_write: {endpoint: "${url}/api/v1/write?token=opensesame", headers: {authorization: "Bearer opensesame"}}`,
  );
  const ask = async (config: string) => (await findings(destinations, undefined, { config }))[0]!;
  const fine = await ask(write);
  assert.equal(told([fine])[0], `ok: prometheus_remote_write of the collector reaches ${url}/api/v1/write`);
  assert.match(fine.how, /an empty remote write was answered with status 204 after \d+ ms/);
  assert.equal((await ask(exporting(`otlp_http: {endpoint: "${url}/base"}`))).state, 'ok');
  assert.deepEqual(seen, ['POST /api/v1/write?token=opensesame snappy 1', 'POST /base/v1/metrics  0']);
  const table: [number, string, RegExp][] = [
    [
      401,
      `failure: ${url}/api/v1/write does not accept the credentials of prometheus_remote_write of the collector`,
      /Authorization/,
    ],
    [
      404,
      `failure: nothing takes data at ${url}/api/v1/write (prometheus_remote_write of the collector)`,
      /insert\/0\/prometheus/,
    ],
    [
      429,
      `warning: ${url}/api/v1/write says that it gets too much (prometheus_remote_write of the collector)`,
      /limit/,
    ],
    [
      503,
      `failure: ${url}/api/v1/write answers prometheus_remote_write of the collector with status 503`,
      /log of the destination/,
    ],
    [400, `ok: prometheus_remote_write of the collector reaches ${url}/api/v1/write`, /^$/],
  ];
  for (const [answer, what, fix] of table) {
    status = answer;
    const found = await ask(write);
    assert.equal(told([found])[0], what);
    assert.match(found.fix ?? '', fix);
    assert.doesNotMatch(JSON.stringify(found), /opensesame/, 'secrets are not shown');
  }
});

test('destinations: nobody there, unknown names and certificates', async (t) => {
  const { key, cert } = selfSigned('elsewhere');
  const server = await startFakeServer(() => ({ json: {} }), { key, cert });
  t.after(() => server.close());
  const table: [string, RegExp, RegExp][] = [
    [
      'http://127.0.0.1:1',
      /^failure: otlp_http of the collector cannot reach http:\/\/127\.0\.0\.1:1\/v1\/metrics$/,
      /start the destination/,
    ],
    [server.url, /cannot reach https:/, /tls\.ca_file/],
  ];
  for (const [endpoint, what, fix] of table) {
    const [found] = await findings(destinations, undefined, {
      config: exporting(`otlp_http: {endpoint: "${endpoint}"}`),
    });
    assert.match(told([found!])[0]!, what);
    assert.match(found!.fix!, fix);
  }
});

test('destinations: outside, the Service behind the name and its endpoints', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  const ask = async () => (await findings(destinations, cluster.url))[0]!;
  const missing = await ask();
  assert.equal(
    told([missing])[0],
    'failure: there is no Service vl in namespace logs, where otlp_http/logs of otel-agent sends to',
  );
  const service = (port: number) => ({ metadata: { name: 'vl', namespace: 'logs' }, spec: { ports: [{ port }] } });
  cluster.population.put('services', service(80));
  assert.equal(
    told([await ask()])[0],
    'failure: Service logs/vl has no port 9428, which otlp_http/logs of otel-agent sends to',
  );
  cluster.population.put('services', service(9428));
  assert.equal(
    told([await ask()])[0],
    'failure: Service logs/vl, where otlp_http/logs of otel-agent sends to, has no ready pod',
  );
  cluster.population.put('endpointslices.discovery.k8s.io', {
    metadata: { name: 'vl-1', namespace: 'logs', labels: { 'kubernetes.io/service-name': 'vl' } },
    endpoints: [{ addresses: ['10.0.0.1'], conditions: { ready: true } }],
  });
  const there = await ask();
  assert.equal(there.state, 'unknown');
  assert.equal(there.fix, 'kubectl exec -n opentelemetry daemonset/otel-agent -- sluice doctor');
});

test('destinations: what only the pod knows is neither read here nor held against it', async (t) => {
  writeFileSync(join(folder, 'private'), 'opensesame');
  const seen: string[] = [];
  const url = await serve(t, (req, res) => {
    seen.push(`${req.url} ${req.headers.authorization}`);
    res.writeHead(401).end();
  });
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  const env = [
    { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 's', key: 'token' } } },
    { name: 'SCHEME', value: 'file' },
    { name: 'INDIRECT', value: `\${file:${folder}/private}` },
  ];
  const config = (path: string, more = '') =>
    `receivers: {otlp: {protocols: {http: {}}}}\nexporters: {otlp_http: {endpoint: "${url}/${path}", headers: {authorization: "Bearer \${env:TOKEN}"}${more}}}\nservice: {pipelines: {logs: {receivers: [otlp], exporters: [otlp_http]}}}`;
  for (const path of [`\${file:${folder}/private}`, `\${\${env:SCHEME}:${folder}/private}`, '${env:INDIRECT}']) {
    deploy(cluster, agentDraft({}, { env }), config(path));
    const found = await findings(destinations, cluster.url);
    assert.doesNotMatch(JSON.stringify([found, seen]), /opensesame/, path);
    for (const f of found) {
      assert.equal(f.state, 'unknown');
      assert.match(f.what, /its credentials are not known here and were not tried$/);
    }
  }
  assert.equal(seen[0], '/not-read-by-doctor/v1/logs Bearer not-read-by-doctor');
  deploy(cluster, agentDraft({}, { env }), config('', ', tls: {ca_file: /certificates/of/the/pod.crt}'));
  const [elsewhere] = await findings(destinations, cluster.url);
  assert.equal(
    told([elsewhere!])[0],
    'unknown: otlp_http of otel-agent cannot be tried from here: its certificates are in the pod',
  );
  assert.equal(elsewhere!.fix, 'kubectl exec -n opentelemetry daemonset/otel-agent -- sluice doctor');
});

test('victoria logs: stream fields and messages, by the headers', async () => {
  const ask = async (headers: string, receivers = 'otlp', endpoint = 'http://vl:9428/insert/opentelemetry') =>
    findings(victoriaLogs, undefined, {
      config:
        'receivers: {otlp: {protocols: {http: {}}}, k8s_objects: {objects: [{name: events}]}}\n' +
        `exporters: {otlp_http: {endpoint: "${endpoint}", headers: {${headers}}}}\n` +
        `service: {pipelines: {logs: {receivers: [${receivers}], exporters: [otlp_http]}}}`,
    });
  const [none] = await ask('');
  assert.match(
    told([none!])[0]!,
    /^warning: otlp_http of the collector: every resource attribute becomes a stream field/,
  );
  assert.equal(
    none!.fix,
    'headers of the exporter: {VL-Stream-Fields: "k8s.namespace.name,k8s.pod.name,k8s.container.name"}',
  );
  assert.deepEqual(told(await ask('vl-stream-fields: "k8s.namespace.name, k8s.pod.name"')), [
    'ok: otlp_http of the collector makes few streams',
  ]);
  assert.deepEqual(told(await ask('VL-Stream-Fields: "k8s.namespace.name,k8s.pod.uid"')), [
    'warning: otlp_http of the collector: k8s.pod.uid among the stream fields makes a new stream with every pod or restart',
  ]);
  assert.deepEqual(told(await ask('VL-Stream-Fields: a', 'k8s_objects')), [
    'warning: otlp_http of the collector: events of Kubernetes arrive without a message',
  ]);
  assert.deepEqual(told(await ask('VL-Stream-Fields: a, VL-Msg-Field: "object.note,msg"', 'k8s_objects')), [
    'ok: otlp_http of the collector makes few streams',
  ]);
  assert.deepEqual(await ask('', 'otlp', 'http://other:4318'), []);
});

const kubeletConfig = (endpoint: string, more = ''): string =>
  `receivers: {kubelet_stats: {endpoint: "${endpoint}", auth_type: serviceAccount${more}}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {level: none}}, pipelines: {metrics: {receivers: [kubelet_stats], exporters: [debug]}}}`;

test('kubelet: inside, certificate, credentials and rights as the collector meets them', async (t) => {
  let answer: Answer = { json: {} };
  const start = async (key: string, cert: string) => {
    const server = await startFakeServer(() => answer, { key, cert });
    t.after(() => server.close());
    return server.url;
  };
  const url = await start(pem('server-key.pem'), pem('server.pem'));
  const ask = async (endpoint: string, more = '') =>
    (
      await findings(kubelet, undefined, {
        isInside: true,
        config: kubeletConfig(endpoint, more),
        serviceAccountDir: account,
      })
    )[0]!;
  assert.equal(
    told([await ask(url)])[0],
    'ok: the kubelet answers kubelet_stats of the collector, and its certificate verifies',
  );
  const loose = await ask(url, ', insecure_skip_verify: true');
  assert.equal(
    told([loose])[0],
    "warning: kubelet_stats of the collector does not check the kubelet's certificate, although it would verify",
  );
  assert.match(loose.fix!, /^remove insecure_skip_verify: true/);
  answer = {
    status: 403,
    text: 'Forbidden (user=system:serviceaccount:o:a, verb=get, resource=nodes, subresource=stats)',
  };
  const forbidden = await ask(url);
  assert.equal(forbidden.state, 'failure');
  assert.equal(forbidden.fix, 'add {apiGroups: [""], resources: ["nodes/stats"], verbs: ["get"]} to its ClusterRole');
  answer = { json: {} };
  const own = selfSigned('node-1');
  const strange = await start(own.key, own.cert);
  const unknown = await ask(strange);
  assert.equal(told([unknown])[0], 'failure: the kubelet does not answer kubelet_stats of the collector');
  assert.match(unknown.how, /unknown authority/);
  assert.match(
    unknown.fix!,
    /^Let the cluster sign it \(kubelet: serverTLSBootstrap: true.*or insecure_skip_verify: true/,
  );
  const misnamed = await ask(await start(pem('other-key.pem'), pem('other.pem')));
  assert.equal(misnamed.state, 'failure');
  assert.match(misnamed.fix!, /^Use one of these as endpoint, or server_name_override: /);
  assert.match(
    (await ask(await start(pem('expired-key.pem'), pem('expired.pem')))).fix!,
    /^renew it, or look at the clock/,
  );
  const skipped = await ask(strange, ', insecure_skip_verify: true');
  assert.equal(skipped.state, 'ok');
  assert.match(skipped.how, /it would not verify/);
  assert.match((await ask('https://127.0.0.1:1')).how, /connection refused/);
});

test('kubelet: outside, the certificate of the nodes against the CA of the cluster', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  const node = async (key: string, cert: string) => {
    const server = await startFakeServer(() => ({ status: 401, text: 'Unauthorized' }), { key, cert });
    t.after(() => server.close());
    const draft = nodeDraft('worker-1') as { status: object; metadata: { name: string } };
    cluster.population.put('nodes', {
      ...draft,
      status: { ...draft.status, daemonEndpoints: { kubeletEndpoint: { Port: Number(new URL(server.url).port) } } },
    });
    return (await findings(kubelet, cluster.url, { ca: pem('ca.pem') }))[0]!;
  };
  assert.equal(
    told([await node(pem('server-key.pem'), pem('server.pem'))])[0],
    'ok: the certificate of the kubelet of worker-1 verifies',
  );
  const own = selfSigned('worker-1');
  const bad = await node(own.key, own.cert);
  assert.match(
    told([bad])[0]!,
    /^failure: the certificate of the kubelet of worker-1 does not verify, and kubelet_stats of otel-agent checks it$/,
  );
  assert.match(bad.fix!, /insecure_skip_verify: true/);
});

const metricsOf = (lines: readonly string[]): string => `# HELP x y\n# TYPE x counter\n${lines.join('\n')}\n`;

async function withMetrics(t: TestContext, lines: readonly string[]) {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  cluster.texts.set('/api/v1/namespaces/opentelemetry/pods/otel-agent-worker-1:8888/proxy/metrics', metricsOf(lines));
  return cluster.url;
}

test('delivery: by the counters of the collectors, with and without suffixes', async (t) => {
  const table: [string[], string][] = [
    [['otelcol_exporter_sent_log_records{exporter="a"} 100'], 'ok: what is collected is delivered'],
    [
      [
        'otelcol_exporter_sent_log_records_total{exporter="a"} 100',
        'otelcol_exporter_send_failed_log_records_total{exporter="a"} 100',
      ],
      'failure: a fails often',
    ],
    [
      [
        'otelcol_exporter_sent_log_records{exporter="a"} 1000',
        'otelcol_exporter_send_failed_log_records{exporter="a"} 1',
      ],
      'warning: a has failed at times',
    ],
    [['otelcol_exporter_send_failed_metric_points{exporter="rw"} 7'], 'failure: rw has delivered nothing'],
    [
      [
        'otelcol_exporter_queue_size{exporter="a",data_type="logs"} 900',
        'otelcol_exporter_queue_capacity{exporter="a",data_type="logs"} 1000',
      ],
      'failure: the queue of a is nearly full',
    ],
    [
      ['otelcol_exporter_enqueue_failed_log_records{exporter="a"} 3'],
      'failure: records found no room in the queue of a',
    ],
    [['otelcol_receiver_refused_log_records{receiver="otlp"} 3'], 'warning: otlp was refused records by what follows'],
    [
      ['otelcol_scraper_errored_metric_points{receiver="hostmetrics",scraper="disk"} 2'],
      'warning: hostmetrics cannot read some of its metrics',
    ],
    [['otelcol_process_uptime 3'], 'ok: nothing was sent yet, and nothing failed'],
    [['otelcol_process_uptime_seconds_total 300'], 'warning: nothing was sent yet'],
    [
      ['otelcol_process_uptime 300', 'otelcol_receiver_accepted_log_records{receiver="file_log"} 3'],
      'warning: records were taken in, and none was sent',
    ],
  ];
  for (const [lines, what] of table)
    assert.deepEqual(told(await findings(delivery, await withMetrics(t, lines))), [what], lines.join());
});

test('rotation and losses: by the ledger', async (t) => {
  const ledger = [
    'sluice_ledger_records{component="file_log",outcome="read"} 1000',
    'sluice_ledger_records{component="file_log",outcome="lost",reason="rejected: 400"} 5',
    'sluice_ledger_bytes{component="file_log",outcome="lost",reason="rejected: 400"} 500',
    'sluice_ledger_bytes{component="file_log",outcome="lost",reason="deleted before it was read"} 123',
  ];
  const found = await findings(rotation, await withMetrics(t, ledger));
  assert.deepEqual(told(found), [
    'failure: records were lost: rejected: 400',
    'failure: 123 bytes were rotated away before they were read',
  ]);
  assert.match(found[1]!.fix!, /containerLogMaxSize/);
  assert.deepEqual(told(await findings(rotation, await withMetrics(t, ledger.slice(0, 1)))), ['ok: nothing was lost']);
});

test('metadata: records without a pod, by reason', async (t) => {
  const unmatched = (reason: string, n: number) =>
    `sluice_processor_k8s_attributes_unmatched_records{otelcol_signal="logs",reason="${reason}"} ${n}`;
  const accepted = 'otelcol_receiver_accepted_log_records{receiver="file_log"} 1000';
  const table: [string[], string[]][] = [
    [[accepted, unmatched('unknown pod', 500)], ['failure: records have no metadata of their pod (unknown pod)']],
    [[accepted, unmatched('no association', 2)], ['warning: records have no metadata of their pod (no association)']],
    [
      [accepted, unmatched('excluded pod', 900), 'otelcol_k8s_pod_association{status="success"} 3'],
      ['ok: records have the metadata of their pods'],
    ],
    [['otelcol_k8s_pod_association{status="error"} 3'], ['warning: some resources found no pod']],
    [[accepted, unmatched('no association', 900).replace('logs', 'metrics')], []],
    [[accepted], []],
  ];
  for (const [lines, what] of table)
    assert.deepEqual(told(await findings(metadata, await withMetrics(t, lines))), what, lines.join());
});

test('metrics that cannot be had are unknown, with what would make them visible', async (t) => {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  const [found, ...more] = await findings(delivery, cluster.url);
  assert.deepEqual(
    [told([found!]), more],
    [['unknown: what was delivered, lost or sent without metadata cannot be looked at'], []],
  );
  assert.match(found!.how, /otel-agent-worker-1/);
  assert.equal(found!.fix, 'kubectl exec -n opentelemetry daemonset/otel-agent -- sluice doctor');
  // It is said once.
  for (const check of [rotation, metadata]) assert.deepEqual(await findings(check, cluster.url), []);
});

test('metrics: inside, from the address of the configuration', async (t) => {
  const url = await serve(t, (req, res) =>
    res.end(req.url === '/metrics' ? metricsOf(['otelcol_exporter_sent_log_records{exporter="a"} 5']) : ''),
  );
  const config = `receivers: {otlp: {protocols: {http: {}}}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: ${new URL(url).port}}}}}]}}, pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}`;
  assert.deepEqual(told(await findings(delivery, undefined, { isInside: true, config })), [
    'ok: what is collected is delivered',
  ]);
  const [none] = await findings(delivery, undefined, {
    isInside: true,
    config: config.replace(/port: \d+/, 'port: 1'),
  });
  assert.match(none!.how, /GET http:\/\/localhost:1\/metrics: .*does the collector run\?/);
});

test('pod logs: inside, by reading them', async () => {
  const root = join(folder, 'pods');
  const file = join(root, 'shop_web-1_u', 'app', '0.log');
  mkdirSync(join(file, '..'), { recursive: true });
  const config = (glob: string): string =>
    `receivers: {file_log: {include: ["${glob}"]}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [file_log], exporters: [debug]}}}`;
  const ask = async (glob = `${root}/*/*/*.log`) =>
    (await findings(podLogs, undefined, { isInside: true, config: config(glob) }))[0]!;
  assert.equal(told([await ask()])[0], 'ok: there is no file yet that file_log could read');
  writeFileSync(file, 'a line\n');
  assert.equal(told([await ask()])[0], 'ok: file_log can read 1 file');
  const none = await ask(`${root}/other_*/*/*.log`);
  assert.equal(told([none])[0], 'warning: file_log finds no file');
  assert.match(none.how, /^1 log file below .*shop_web-1_u\/app\/0\.log; include .*other_\*\/\*\/\*\.log takes none$/);
  const left = await ask(`${root}/*/*/*.log"], exclude: ["${root}/shop_*/*/*.log`);
  assert.equal(told([left])[0], 'warning: file_log finds no file');
  assert.match(left.how, /exclude .*shop_\*\/\*\/\*\.log leaves them out$/);
  symlinkSync('/var/lib/docker/containers/none/none-json.log', join(file, '../1.log'));
  const dangling = await ask();
  assert.equal(told([dangling])[0], 'failure: 1 log file of file_log is a link to what is not mounted');
  assert.match(dangling.how, /1\.log → \/var\/lib\/docker/);
  const missing = await ask('/no/such/directory/*/*.log');
  assert.equal(told([missing])[0], 'failure: /no/such/directory, where file_log is to read, is not there');
  assert.match(missing.fix!, /hostPath: \{path: \/no\/such\/directory\}/);
});

test('pod logs: what may not be read is told with the user', async () => {
  const closed = join(folder, 'closed');
  mkdirSync(closed);
  writeFileSync(join(closed, '0.log'), 'x');
  chmodSync(closed, 0);
  chmodSync(folder, 0o755);
  // Root reads everything, so for a moment it is nobody.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid!(65534);
  try {
    assert.deepEqual(lookAtFiles([`${closed}/*.log`], []).denied, [closed]);
    const config = `receivers: {file_log: {include: ["${closed}/*.log"]}}\nexporters: {debug: }\nservice: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [file_log], exporters: [debug]}}}`;
    const [found] = await findings(podLogs, undefined, { isInside: true, config });
    assert.match(told([found!])[0]!, /^failure: file_log may not read 1 file or directory below /);
    assert.match(found!.fix!, /runAsUser: 0/);
  } finally {
    if (isRoot) process.seteuid!(0);
    chmodSync(closed, 0o755);
  }
});

test('the root of a glob', () => {
  const table: [string, string][] = [
    ['/var/log/pods/*/*/*.log', '/var/log/pods'],
    ['/var/log/pods/a-*/*.log', '/var/log/pods'],
    ['/var/log/messages', '/var/log/messages'],
    ['/*.log', '/'],
  ];
  for (const [glob, root] of table) assert.equal(rootOf(glob), root);
});
