import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ManualClock } from '../../test/helpers/component.ts';
import { SILENT } from '../core/log.ts';
import type { Access } from './access.ts';
import { kubeconfigAccess } from './kubeconfig.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-kubeconfig-'));
after(() => rmSync(dir, { recursive: true }));
const PEM = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
writeFileSync(join(dir, 'ca.pem'), PEM);
writeFileSync(join(dir, 'token'), 'from-a-file\n');

let files = 0;
function write(text: string): string {
  const path = join(dir, `config-${files++}`);
  writeFileSync(path, text);
  return path;
}
const read = (paths: string | undefined, context = ''): Access =>
  kubeconfigAccess({ ...(paths === undefined ? {} : { KUBECONFIG: paths }), HOME: join(dir, 'nobody') }, context, {
    clock: new ManualClock(),
    log: SILENT,
  });
const withUser = (user: string, cluster = ''): string =>
  write(`
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "https://api.example:6443/prefix/"${cluster}}}]
users: [{name: u, user: ${user}}]
`);

describe('kubeconfig', () => {
  it('gives the address, the CA and the token of the current context; paths are relative to the file', async () => {
    const access = read(withUser('{tokenFile: token}', ', certificate-authority: ca.pem, tls-server-name: api.inside'));
    assert.equal(access.url, 'https://api.example:6443/prefix');
    assert.equal(access.serverName, 'api.inside');
    assert.equal(access.isVerified, true);
    assert.deepEqual(await access.headers(), { authorization: 'Bearer from-a-file' });
    assert.equal((await access.tls()).ca, PEM);
  });

  it('takes certificates that are in it, and passwords', async () => {
    const data = Buffer.from(PEM).toString('base64');
    const access = read(
      withUser(
        `{client-certificate-data: ${data}, client-key-data: ${Buffer.from('KEY').toString('base64')}, username: a, password: b}`,
        ', insecure-skip-tls-verify: true',
      ),
    );
    assert.deepEqual(await access.tls(), { ca: undefined, cert: PEM, key: 'KEY' });
    assert.equal(access.isVerified, false);
    assert.deepEqual(await access.headers(), { authorization: `Basic ${Buffer.from('a:b').toString('base64')}` });
  });

  it('merges several files: the first that names a thing counts, and a missing file is left out', async () => {
    const first = write(
      'clusters: [{name: k, cluster: {server: "https://first"}}]\nusers: [{name: u, user: {token: t}}]',
    );
    const second = write(`
current-context: other
contexts: [{name: other, context: {cluster: k, user: nobody}}, {name: mine, context: {cluster: k, user: u}}]
clusters: [{name: k, cluster: {server: "https://second"}}]
`);
    const access = read(`${first}:${join(dir, 'missing')}:${second}`, 'mine');
    assert.equal(access.url, 'https://first');
    assert.deepEqual(await access.headers(), { authorization: 'Bearer t' });
  });

  const refused: readonly [string, () => Access, RegExp][] = [
    [
      'no file',
      () => read(undefined),
      /auth_type=kubeConfig: KUBECONFIG is not set and .*\.kube\/config is not there; in a pod, use auth_type: serviceAccount/,
    ],
    ['a file that is not there', () => read(join(dir, 'gone')), /KUBECONFIG names .*gone, which is not there/],
    ['not YAML', () => read(write('a: [')), /config-\d+ is not YAML/],
    ['no current context', () => read(write('contexts: []')), /has no current-context; name one with context:/],
    ['an unknown context', () => read(withUser('{token: t}'), 'x'), /context "x" is not in .*; it has: "c"/],
    [
      'an unknown user',
      () =>
        read(
          write(
            'current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\nclusters: [{name: k, cluster: {server: "https://x"}}]',
          ),
        ),
      /user "u" is not in .*; it has: none/,
    ],
    [
      'a cluster without server',
      () =>
        read(
          write('current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters: [{name: k, cluster: {}}]'),
        ),
      /the cluster of context "c" has no server/,
    ],
    [
      'a program for credentials',
      () => read(withUser('{exec: {command: aws}}')),
      /exec: credentials from a program are not supported; write a token/,
    ],
    [
      'an auth provider',
      () => read(withUser('{auth-provider: {name: gcp}}')),
      /auth-provider: it is not supported any more/,
    ],
    ['a proxy', () => read(withUser('{}', ', proxy-url: "http://p"')), /proxy-url: a proxy is not supported/],
    [
      'a CA file that is not there',
      () => read(withUser('{}', ', certificate-authority: no.pem')),
      /unable to read CA file .*no\.pem: no such file/,
    ],
    [
      'a CA file without a certificate',
      () => read(withUser('{}', ', certificate-authority: token')),
      /CA file .*token: no PEM certificate in it/,
    ],
    ['a list where a map belongs', () => read(write('[]')), /has no current-context/],
  ];
  for (const [what, act, message] of refused)
    it(`refuses ${what}`, () => {
      assert.throws(act, message);
    });
});
