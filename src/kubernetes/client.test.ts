import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { type LogLine, ManualClock, recordingLog } from '../../test/helpers/component.ts';
import { type Answer, startFakeServer, summaryOf } from '../../test/helpers/kubelet.ts';
import { SILENT } from '../core/log.ts';
import type { GetOptions, KubernetesClient } from './client.ts';
import { StatusError } from './client.ts';
import { type KubeletSettings, kubeletClient, kubeletUrl } from './kubelet.ts';

const TESTDATA = join(import.meta.dirname, '../core/testdata/tls');
const file = (name: string): string => join(TESTDATA, name);
const pem = (name: string): string => readFileSync(file(name), 'utf8');
const CA = file('ca.pem');
const OTHER_CA = join(import.meta.dirname, '../../test/testdata/wrong-host.crt');
const server = (name: string): ServerOptions => ({ key: pem(`${name}-key.pem`), cert: pem(`${name}.pem`) });

const dir = mkdtempSync(join(tmpdir(), 'sluice-kubelet-'));
after(() => rmSync(dir, { recursive: true }));
/** A service account whose ca.crt is the CA of the test certificates. */
copyFileSync(CA, join(dir, 'ca.crt'));
writeFileSync(join(dir, 'token'), 'first\n');

const SETTINGS: KubeletSettings = {
  endpoint: '',
  authType: 'none',
  context: '',
  ca: undefined,
  cert: undefined,
  key: undefined,
  serverName: '',
  isVerified: true,
  parameters: {},
};

async function rig(t: TestContext, answer: (path: string) => Answer, tls?: ServerOptions) {
  const kubelet = await startFakeServer(answer, tls);
  const clock = new ManualClock();
  const clients: KubernetesClient[] = [];
  t.after(async () => {
    for (const c of clients) c.close();
    await kubelet.close();
  });
  const client = (settings: Partial<KubeletSettings> = {}, serviceAccountDir = dir): KubernetesClient => {
    const made = kubeletClient(
      { ...SETTINGS, endpoint: kubelet.url, ...settings },
      { env: {}, clock, log: SILENT, serviceAccountDir },
    );
    clients.push(made);
    return made;
  };
  return { kubelet, clock, client };
}

/** The message of the error of a GET; fails without one. */
async function errorOf(client: KubernetesClient, path = '/stats/summary', options: GetOptions = {}): Promise<string> {
  const error = await client.getJson(path, options).then(
    () => undefined,
    (e: Error) => e,
  );
  assert.ok(error, 'the request should have failed');
  return error.message;
}

describe('requests to the kubelet', () => {
  it('are made over one connection, with the token as it is at that moment', async (t) => {
    const { kubelet, clock, client } = await rig(t, () => ({ json: summaryOf({ pods: 3 }) }), server('server'));
    writeFileSync(join(dir, 'token'), 'first\n');
    const c = client({ authType: 'serviceAccount' });
    assert.deepEqual(await c.getJson('/stats/summary'), summaryOf({ pods: 3 }));
    writeFileSync(join(dir, 'token'), 'second, and longer\n');
    clock.ms += 60_000;
    await c.getJson('/stats/summary');
    assert.deepEqual(
      kubelet.requests.map((r) => r.authorization),
      ['Bearer first', 'Bearer second, and longer'],
    );
    assert.equal(kubelet.connections, 1);
  });

  it('go on over a new connection when the kubelet has closed the old one', async (t) => {
    const { kubelet, client } = await rig(t, () => ({ json: {} }));
    const c = client();
    for (let i = 0; i < 3; i++) {
      await c.getJson('/pods');
      kubelet.hangUp();
    }
    assert.equal(kubelet.requests.length, 3);
  });

  it('present a certificate that was renewed, and keep the old pair while only half of it is there', async (t) => {
    const { kubelet, clock, client } = await rig(t, () => ({ json: {} }), {
      ...server('server'),
      requestCert: true,
      rejectUnauthorized: false,
    });
    const [cert, key] = [join(dir, 'client.pem'), join(dir, 'client-key.pem')];
    copyFileSync(file('client.pem'), cert);
    copyFileSync(file('client-key.pem'), key);
    const c = client({ authType: 'tls', ca: { file: CA }, cert: { file: cert }, key: { file: key } });
    await c.getJson('/pods');
    copyFileSync(file('other.pem'), cert);
    clock.ms += 2000;
    await c.getJson('/pods');
    copyFileSync(file('other-key.pem'), key);
    clock.ms += 2000;
    await c.getJson('/pods');
    assert.deepEqual(
      kubelet.requests.map((r) => r.clientName),
      ['client', 'client', 'other.test'],
    );
  });

  it('stream: an answer is handed on as it comes and ends with the signal', async (t) => {
    const { client } = await rig(t, () => 'endless');
    const stop = new AbortController();
    const answer = await client().open('/api/v1/pods?watch=1', { signal: stop.signal });
    let bytes = 0;
    const ended = new Promise<Error | undefined>((resolve) => {
      answer.on('error', resolve);
      answer.on('end', () => resolve(undefined));
    });
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > 200_000) stop.abort();
    });
    assert.match(String(await ended), /canceled/);
  });
});

describe('what a kubelet that refuses or breaks looks like', () => {
  const forbidden = (subresource: string) => ({
    status: 403,
    text: `Forbidden (user=system:serviceaccount:obs:agent, verb=get, resource=nodes, ${subresource})\n`,
  });
  const rows: readonly [what: string, path: string, answer: Answer, message: RegExp][] = [
    [
      '401',
      '/stats/summary',
      { status: 401, text: 'Unauthorized' },
      /^kubelet request GET http:\/\/127.*\/stats\/summary failed - "401 Unauthorized", response: "Unauthorized"\. The kubelet does not accept the credentials: with serviceAccount it needs --authentication-token-webhook/,
    ],
    [
      '403 on the summary',
      '/stats/summary',
      forbidden('subresource=stats'),
      /"403 Forbidden".*Service account obs\/agent needs the verb get on nodes\/stats in a ClusterRole$/,
    ],
    [
      '403 on pods, a kubelet with nodes/pods',
      '/pods',
      forbidden('subresource(s)=[pods proxy]'),
      /Service account obs\/agent needs the verb get on nodes\/pods in a ClusterRole$/,
    ],
    [
      '403 on pods, a kubelet without',
      '/pods',
      forbidden('subresource=proxy'),
      /needs the verb get on nodes\/proxy \(this kubelet does not know nodes\/pods; Kubernetes 1\.33 and later do\)/,
    ],
    [
      '403 on pods, without a reason',
      '/pods',
      { status: 403, text: '' },
      /response: ""\. The account needs the verb get on nodes\/pods \(Kubernetes 1\.33 and later\) or nodes\/proxy \(before\)/,
    ],
    [
      '500',
      '/stats/summary',
      { status: 500, text: 'Internal Error: failed to list pod stats' },
      /"500 Internal Server Error", response: "Internal Error: failed to list pod stats"$/,
    ],
    [
      'a Status object',
      '/pods',
      { status: 404, text: '{"kind":"Status","message":"nodes \\"x\\" not found"}' },
      /"404 Not Found", response: "nodes \\"x\\" not found"$/,
    ],
    [
      'a refusal of a megabyte',
      '/pods',
      { status: 503, text: 'x'.repeat(1 << 20) },
      /"503 Service Unavailable", response: "x{1024}…"$/,
    ],
    [
      'half of the JSON',
      '/stats/summary',
      { status: 200, text: '{"node": {"nodeName":' },
      /: the answer is not JSON: 21 bytes, .*JSON/,
    ],
    ['an empty answer', '/stats/summary', { status: 200, text: '' }, /: the answer is not JSON: it is empty$/],
    ['an answer that is cut off', '/stats/summary', 'cut', /^Get "http:\/\/127.*\/stats\/summary": unexpected EOF$/],
  ];
  for (const [what, path, answer, message] of rows)
    it(what, async (t) => {
      const { client } = await rig(t, () => answer);
      assert.match(await errorOf(client(), path), message);
    });

  it('no answer: the time is over', async (t) => {
    const { client } = await rig(t, () => 'silence');
    assert.match(await errorOf(client(), '/pods', { timeoutMs: 50 }), /context deadline exceeded/);
    assert.match(await errorOf(client(), '/pods', { signal: AbortSignal.timeout(50) }), /context deadline exceeded/);
    assert.match(await errorOf(client(), '/pods', { signal: AbortSignal.abort() }), /context canceled/);
  });

  it('an answer that never ends: cut where it is too long, or when the time is over', async (t) => {
    const { client } = await rig(t, () => 'endless');
    assert.match(await errorOf(client(), '/pods', { maxBytes: 1 << 20 }), /the answer is longer than 1048576 bytes$/);
    assert.match(await errorOf(client(), '/pods', { timeoutMs: 50, maxBytes: 2 ** 40 }), /context deadline exceeded/);
  });

  it('nobody listens', async (t) => {
    const { kubelet, client } = await rig(t, () => 'silence');
    await kubelet.close();
    assert.match(await errorOf(client()), /dial tcp 127\.0\.0\.1:\d+: connect: connection refused/);
  });

  it('a refusal carries its status', async (t) => {
    const { client } = await rig(t, () => ({ status: 410, text: 'gone' }));
    await assert.rejects(client().get('/x'), (e) => e instanceof StatusError && e.status === 410 && e.body === 'gone');
  });
});

describe('a certificate that is not accepted: the message names the setting that works, and it does', () => {
  const ok: Answer = { json: { node: {} } };
  const tls = { authType: 'tls', cert: { file: file('client.pem') }, key: { file: file('client-key.pem') } } as const;

  it("wrong CA: the cluster's would do", async (t) => {
    const { client } = await rig(t, () => ok, server('server'));
    const message = await errorOf(client({ ...tls, ca: { file: OTHER_CA } }));
    const ca = join(dir, 'ca.crt');
    assert.match(message, /x509: certificate signed by unknown authority\. It was tried: ca_file: .* verifies it$/);
    assert.ok(message.includes(`ca_file: ${ca} verifies`), message);
    assert.deepEqual(await client({ ...tls, ca: { file: ca } }).getJson('/'), { node: {} });
  });

  it('wrong CA, and no other that is known', async (t) => {
    const { client } = await rig(t, () => ok, server('server'));
    const settings = { ...tls, ca: { file: OTHER_CA } };
    const message = await errorOf(client(settings, join(dir, 'nowhere')));
    assert.match(
      message,
      /does not verify a certificate of issuer Sluice test CA, nor does .*nowhere\/ca\.crt\. Point ca_file to that issuer's certificate, or insecure_skip_verify: true/,
    );
    assert.deepEqual(await client({ ...settings, isVerified: false }).getJson('/'), { node: {} });
  });

  it('wrong name: one that the certificate has', async (t) => {
    const { client } = await rig(t, () => ok, server('other'));
    const message = await errorOf(client({ ...tls, ca: { file: CA } }));
    assert.match(
      message,
      /certificate is valid for other\.test, not 127\.0\.0\.1\. The CA is right, the name is not: the certificate is for other\.test\. Use one of these as endpoint, or server_name_override: other\.test$/,
    );
    const name = /server_name_override: (\S+)$/.exec(message)![1]!;
    assert.deepEqual(await client({ ...tls, ca: { file: CA }, serverName: name }).getJson('/'), { node: {} });
  });

  it('wrong CA and wrong name: both settings', async (t) => {
    const { client } = await rig(t, () => ok, server('other'));
    const message = await errorOf(client({ ...tls, ca: { file: OTHER_CA } }));
    assert.match(
      message,
      /It was tried: ca_file: .*ca\.crt verifies it, with server_name_override: other\.test as the certificate is for other\.test, not 127\.0\.0\.1$/,
    );
  });

  it('a name that is an address', async (t) => {
    const { client } = await rig(t, () => ok, server('server'));
    const wrong = client({ ...tls, ca: { file: CA }, serverName: '10.9.9.9' });
    assert.match(await errorOf(wrong), /not 10\.9\.9\.9.*server_name_override: localhost/);
    assert.deepEqual(await client({ ...tls, ca: { file: CA }, serverName: '127.0.0.1' }).getJson('/'), { node: {} });
  });

  it('a kubelet that signed its certificate itself', async (t) => {
    const cert = join(import.meta.dirname, '../../test/testdata/wrong-host');
    const { client } = await rig(t, () => ok, {
      cert: readFileSync(`${cert}.crt`),
      key: readFileSync(`${cert}.key`),
    });
    const message = await errorOf(client({ authType: 'serviceAccount' }));
    assert.match(
      message,
      /The kubelet signed its certificate itself \(issuer .*\); no CA of the cluster verifies it\..*serverTLSBootstrap: true.*insecure_skip_verify: true/,
    );
  });

  it('an expired certificate', async (t) => {
    const { client } = await rig(t, () => ok, server('expired'));
    const message = await errorOf(client({ authType: 'serviceAccount' }));
    assert.match(
      message,
      /has expired.* The certificate is valid from Jan .* to Feb .*2020 GMT: renew it, or look at the clock/,
    );
  });

  it('a port that does not speak TLS', async (t) => {
    const { kubelet, client } = await rig(t, () => ok);
    const endpoint = kubelet.url.replace('http:', 'https:');
    assert.match(
      await errorOf(client({ authType: 'serviceAccount', endpoint })),
      /server gave HTTP response to HTTPS client\. The port speaks plain HTTP: write http:\/\/ in front of the endpoint/,
    );
  });

  it('the kubelet is not asked again and again: the certificate is looked at once per error', async (t) => {
    const { kubelet, client } = await rig(t, () => ok, server('other'));
    const c = client({ ...tls, ca: { file: CA } });
    const first = await errorOf(c);
    const connections = kubelet.connections;
    assert.equal(await errorOf(c), first);
    assert.ok(kubelet.connections <= connections + 1, `${connections} and then ${kubelet.connections} connections`);
  });
});

describe('what is wrong with the settings is said at the start', () => {
  const make = (settings: Partial<KubeletSettings>, serviceAccountDir = dir) =>
    kubeletClient({ ...SETTINGS, ...settings }, { env: {}, clock: new ManualClock(), log: SILENT, serviceAccountDir });
  const rows: readonly [string, () => unknown, RegExp][] = [
    [
      'tls without a certificate',
      () => make({ authType: 'tls', endpoint: 'n:1' }),
      /auth_type tls needs cert_file and key_file; in a pod, auth_type serviceAccount/,
    ],
    [
      'a CA file that is not there',
      () => make({ authType: 'serviceAccount', endpoint: 'n:1', ca: { file: '/no/ca' } }),
      /unable to read CA file \/no\/ca: no such file or directory/,
    ],
    [
      'no service account',
      () => make({ authType: 'serviceAccount', endpoint: 'n:1' }, join(dir, 'none')),
      /unable to read CA file .*none\/ca\.crt: no such file/,
    ],
    [
      'kubeConfig with an address',
      () => make({ authType: 'kubeConfig', endpoint: 'https://n:1' }),
      /auth_type kubeConfig needs the name of the node as endpoint/,
    ],
    [
      'an endpoint that is none',
      () => make({ endpoint: 'a b' }),
      /endpoint "a b" is not an address such as 10\.0\.0\.1:10250/,
    ],
  ];
  for (const [what, act, message] of rows)
    it(what, () => {
      assert.throws(act, message);
    });

  it('endpoints get their scheme, and an empty one is this host, with a warning', () => {
    const lines: LogLine[] = [];
    const ctx = { clock: new ManualClock(), log: recordingLog(lines) };
    assert.equal(kubeletUrl('n:10250', true, ctx), 'https://n:10250');
    assert.equal(kubeletUrl('n:10255', false, ctx), 'http://n:10255');
    assert.equal(kubeletUrl('http://n', true, ctx), 'http://n');
    assert.equal(kubeletUrl('fd00::1:10250', true, ctx), 'https://[fd00::1]:10250');
    assert.equal(lines.length, 0);
    assert.match(kubeletUrl('', true, ctx), /^https:\/\/.+:10250$/);
    assert.match(lines[0]!.message, /^Kubelet endpoint not defined, using default endpoint https:/);
  });
});
