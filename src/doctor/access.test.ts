import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

test('without any cluster it is said what would help', () => {
  const { isInside, access, accessProblem } = find({ env: { HOME: dir }, serviceAccountDir: join(dir, 'none') });
  assert.deepEqual([isInside, access], [false, undefined]);
  assert.match(accessProblem, /^KUBECONFIG is not set and .*\.kube\/config is not there; name one with --kubeconfig$/);
});
