import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { selfSigned } from '../../../test/helpers/certificate.ts';
import { type Answer, startFakeServer } from '../../../test/helpers/kubelet.ts';
import { deploy, findings, nodeDraft, startCluster, told } from '../testing.ts';
import { kubelet } from './kubelet.ts';

const TLS = join(import.meta.dirname, '../../core/testdata/tls');
const pem = (name: string): string => readFileSync(join(TLS, name), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'sluice-doctor-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const account = join(folder, 'account');
mkdirSync(account);
copyFileSync(join(TLS, 'ca.pem'), join(account, 'ca.crt'));
writeFileSync(join(account, 'token'), 'token');

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
