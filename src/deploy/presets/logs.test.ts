/** Logs of containers and of Talos, through the configurations that the presets make, in the real collector. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAgent, startingWith } from './testing.ts';

const UID = '0f4ab8f2-76a5-4a4e-9d39-0a0a0a0a0a0a';
const pod = (namespace: string, name: string, container: string): string =>
  `/var/log/pods/${namespace}_${name}_${UID}/${container}/0.log`;
const lines = (...texts: string[]): string => texts.map((t, i) => `2026-11-23T04:00:0${i}Z stdout F ${t}\n`).join('');

test('rules join lines and parse JSON for their containers; what is excluded stays away', async (t) => {
  const seen = await runAgent(
    t,
    {
      logsCollection: {
        include: { namespaces: ['shop', 'team-*'] },
        exclude: { pods: ['noisy-*'] },
        rules: [
          { name: 'java', match: { container: 'api' }, multiline: { firstLine: '^\\d{4}-', flushAfter: '100ms' } },
          { name: 'json', match: { namespace: 'team-a' }, json: { time: 'ts' } },
        ],
      },
    },
    {
      [pod('shop', 'checkout-1', 'api')]: lines('2026-11-23 boom', '  at A.b', '  at C.d', '2026-11-23 fine'),
      [pod('team-a', 'web-1', 'web')]: lines(
        '{"level":"error","msg":"no","ts":"2026-11-23T03:00:00.5Z"}',
        'plain {text}',
        '{"msg":"without level"}',
      ),
      [pod('team-b', 'web-1', 'web')]: lines('{"level":"error"}'),
      [pod('shop', 'noisy-1', 'api')]: lines('noise'),
      [pod('other', 'x', 'y')]: lines('other'),
      [pod('opentelemetry', 'otel-agent-x', 'otel-agent')]: lines('own'),
    },
    6,
  );
  assert.deepEqual(seen.map((s) => [s.resource['k8s.namespace.name'], s.body, s.severity]).sort(), [
    ['shop', '2026-11-23 boom\n  at A.b\n  at C.d', 0],
    ['shop', '2026-11-23 fine', 0],
    ['team-a', 'plain {text}', 0],
    ['team-a', '{"level":"error","msg":"no","ts":"2026-11-23T03:00:00.5Z"}', 17],
    ['team-a', '{"msg":"without level"}', 0],

    ['team-b', '{"level":"error"}', 0],
  ]);
  const parsed = startingWith(seen, '{"level":"error","msg"');
  assert.equal(parsed.attributes['msg'], 'no');
  assert.equal(parsed.time, String(Date.parse('2026-11-23T03:00:00.5Z') * 1e6));
});

test('services of Talos are told by the names of their files', async (t) => {
  const seen = await runAgent(
    t,
    { logsCollection: false, talos: { excludeServices: ['etcd'], audit: true } },
    {
      '/var/log/machined.log': 'booting\n',
      '/var/log/kubelet.log': 'I1123 started\n',
      '/var/log/etcd.log': 'raft\n',
      '/var/log/audit/kube/kube-apiserver.log': '{"verb":"get","stageTimestamp":"2026-11-23T03:00:00.000001Z"}\n',
    },
    3,
  );
  assert.deepEqual(
    seen.map((s) => [s.body, s.resource]).sort(),
    [
      ['I1123 started', 'kubelet'],
      ['booting', 'machined'],
      ['{"verb":"get","stageTimestamp":"2026-11-23T03:00:00.000001Z"}', 'kube-apiserver-audit'],
    ].map(([body, service]) => [
      body,
      { 'k8s.node.name': 'node-1', 'service.namespace': 'talos', 'service.name': service },
    ]),
  );
  assert.equal(startingWith(seen, '{').time, `${Date.parse('2026-11-23T03:00:00Z')}001000`);
});
