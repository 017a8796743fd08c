import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { selfSigned } from '../../../test/helpers/certificate.ts';
import { startFakeServer } from '../../../test/helpers/kubelet.ts';
import { agentDraft, deploy, findings, serve, startCluster, told } from '../testing.ts';
import { destinations } from './destinations.ts';
import { victoriaLogs } from './victoria-logs.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));

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
