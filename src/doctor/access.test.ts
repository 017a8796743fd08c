import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ManualClock } from '../../test/helpers/component.ts';
import { SILENT } from '../core/log.ts';
import { type AccessOptions, findAccess } from './access.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-doctor-access-'));
after(() => rmSync(dir, { recursive: true }));
copyFileSync(join(import.meta.dirname, '../core/testdata/tls/ca.pem'), join(dir, 'ca.crt'));
writeFileSync(join(dir, 'token'), 'token\n');
writeFileSync(join(dir, 'namespace'), 'telemetry');

const POD = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
const find = (o: Partial<AccessOptions>) =>
  findAccess({
    kubeconfig: '',
    context: '',
    env: {},
    clock: new ManualClock(),
    log: SILENT,
    serviceAccountDir: dir,
    ...o,
  });

test('in a pod: its service account and its namespace', () => {
  const { isInside, access, ownNamespace } = find({ env: POD });
  assert.deepEqual([isInside, access?.url, ownNamespace], [true, 'https://10.96.0.1:443', 'telemetry']);
});

test('a kubeconfig that is named wins over the pod, and must be there', () => {
  const file = join(dir, 'kubeconfig');
  writeFileSync(
    file,
    'current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: "https://api:6443"}}]\n',
  );
  const { isInside, access, ownNamespace } = find({ env: POD, kubeconfig: file });
  assert.deepEqual([isInside, access?.url, ownNamespace], [false, 'https://api:6443', '']);
  assert.throws(
    () => find({ kubeconfig: join(dir, 'no') }),
    /^Error: --kubeconfig: KUBECONFIG names .*\/no, which is not there$/,
  );
});

test('a context that is named must be there', () => {
  const file = join(dir, 'kubeconfig-contexts');
  writeFileSync(
    file,
    'contexts: [{name: prod, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: "https://api:6443"}}]\n',
  );
  const env = { KUBECONFIG: file };
  const { contextName, access } = find({ env, context: 'prod', serviceAccountDir: join(dir, 'none') });
  assert.deepEqual([contextName, access?.url], ['prod', 'https://api:6443']);
  assert.throws(
    () => find({ env, context: 'prd', serviceAccountDir: join(dir, 'none') }),
    /^Error: --context: context "prd" is not in .*kubeconfig-contexts; it has: "prod"$/,
  );
});

test('without any cluster it is said what would help', () => {
  const { isInside, access, accessProblem } = find({ env: { HOME: dir }, serviceAccountDir: join(dir, 'none') });
  assert.deepEqual([isInside, access], [false, undefined]);
  assert.match(accessProblem, /^KUBECONFIG is not set and .*\.kube\/config is not there; name one with --kubeconfig$/);
});

const withProgram = (script: string, more = '', command = './credentials'): string => {
  const program = join(dir, 'credentials');
  writeFileSync(program, `#!/bin/sh\n${script}\n`);
  chmodSync(program, 0o755);
  const file = join(dir, 'kubeconfig-exec');
  writeFileSync(
    file,
    `current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "https://api:6443"}}]\n` +
      `users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ${command}${more}}}}]\n`,
  );
  return file;
};

test('credentials of managed clusters come from the program that the kubeconfig names', async () => {
  const kubeconfig = withProgram(
    `printf '{"kind":"ExecCredential","status":{"token":"%s-%s-%s"}}' "$1" "$REGION" "$(printf %s "$KUBERNETES_EXEC_INFO" | grep -c client.authentication.k8s.io/v1)"`,
    ', args: [get-token], env: [{name: REGION, value: north}]',
  );
  const { access } = find({ kubeconfig, env: { PATH: process.env['PATH'] } });
  assert.deepEqual(await access!.headers(), { authorization: 'Bearer get-token-north-1' });
});

test('a program that fails, says nothing or is not there is told by its name, without what it said to us', () => {
  assert.throws(
    () => find({ kubeconfig: withProgram('echo "please log in" >&2; exit 3') }),
    /^Error: --kubeconfig: exec: \.\/credentials ended with 3: please log in$/,
  );
  assert.throws(
    () => find({ kubeconfig: withProgram('echo opensesame') }),
    /^Error: --kubeconfig: exec: \.\/credentials did not answer with an ExecCredential$/,
  );
  assert.throws(() => find({ kubeconfig: withProgram(`echo '{"status":{}}'`) }), /gave neither token nor certificate$/);
  assert.throws(() => find({ kubeconfig: withProgram('', '', 'no-such-program') }), /no-such-program is not installed/);
});
