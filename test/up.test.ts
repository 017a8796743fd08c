import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SLUICE = fileURLToPath(new URL('../bin/sluice', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'up-test-'));
after(() => rmSync(root, { recursive: true, force: true }));

const run = (...args: string[]) => {
  const child = spawn(SLUICE, ['up', '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const started = { output: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      started.output += text;
    });
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  const until = async (pattern: RegExp): Promise<RegExpExecArray> => {
    const end = performance.now() + 90_000;
    for (;;) {
      const m = pattern.exec(started.output);
      if (m) return m;
      assert.ok(performance.now() < end && child.exitCode === null, `no ${pattern} in:\n${started.output}`);
      await sleep(50);
    }
  };
  return { child, started, code, until };
};

const number = (text: string | undefined): number => Number((text ?? '').replaceAll(',', ''));

test('sluice up: what the workload writes is what is delivered is what the store has', {
  timeout: 120_000,
}, async () => {
  const up = run('--for', '8s', '--rate', '400', '--state', join(root, 'whole'));
  const [, url] = await up.until(/page +(http:\S+)/);
  let found: Record<string, string>[] = [];
  const end = performance.now() + 60_000;
  while (found.length < 5 && performance.now() < end && up.child.exitCode === null) {
    await sleep(100);
    const answer = await fetch(`${url}select/logsql/query?query=namespace:=shop&limit=200`).catch(() => undefined);
    if (answer?.ok)
      found = (await answer.text())
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((l) => JSON.parse(l) as Record<string, string>)
        // Events of the namespace may come first.
        .filter((r) => r['k8s.pod.name'] !== undefined)
        .slice(0, 5);
  }
  assert.equal(found.length, 5, up.started.output);
  // Logs are enriched by what the simulated cluster says about their pods, from the first record on.
  for (const row of found) {
    assert.equal(row['k8s.node.name'], 'node-1', JSON.stringify(row));
    assert.equal(row['k8s.deployment.name'], (row['k8s.pod.name'] ?? '').split('-')[0]);
    assert.ok(row['container.image.tag'] && row['app.version'], JSON.stringify(row));
  }
  const ask = async (path: string): Promise<string> => (await fetch(`${url}${path}`)).text();
  const until = async <T>(what: string, get: () => Promise<T | undefined>): Promise<T> => {
    for (;;) {
      const got = await get().catch(() => undefined);
      if (got !== undefined) return got;
      assert.ok(performance.now() < end && up.child.exitCode === null, `no ${what}\n${up.started.output}`);
      await sleep(100);
    }
  };
  const value = (query: string) =>
    until(query, async () => {
      const { data } = JSON.parse(await ask(`api/v1/query?query=${encodeURIComponent(query)}`)) as {
        data: { result: { value: [number, string] }[] };
      };
      return data.result[0] && Number(data.result[0].value[1]);
    });
  // The kubelet measures pods whose names are those of the logs; the gateway tells of the whole cluster.
  const { 'k8s.pod.name': pod = '' } = found[0]!;
  assert.ok((await value(`sum(k8s_pod_memory_usage_bytes{k8s_pod_name="${pod}"})`)) > 1e6);
  const row = await until('event', async () => {
    const answer = await ask('select/logsql/query?query=Started&limit=1');
    return answer === '' ? undefined : (JSON.parse(answer) as Record<string, string>);
  });
  assert.match(row['_msg'] ?? '', /^Started container /);
  assert.equal(row['object.involvedObject.kind'], 'Pod');
  assert.equal(await value('count(k8s_node_condition_ready)'), 3);
  assert.equal(await value(`sum(k8s_pod_phase{k8s_pod_name="${pod}"})`), 2);
  // This machine is measured too, and what was sent as remote write can be asked for.
  let measured: { metric: Record<string, string>; value: [number, string] }[] = [];
  while (measured.length === 0 && performance.now() < end && up.child.exitCode === null) {
    await sleep(100);
    const answer = await fetch(`${url}api/v1/query?query=sum by (state, host_name) (system_memory_usage_bytes)`).catch(
      () => undefined,
    );
    if (answer?.ok) measured = ((await answer.json()) as { data: { result: typeof measured } }).data.result;
  }
  const used = measured.find((m) => m.metric['state'] === 'used');
  assert.equal(used?.metric['host_name'], hostname());
  assert.ok(Number(used?.value[1]) > 1e6, JSON.stringify(measured));
  for (const row of found) {
    assert.equal(row['k8s.namespace.name'], 'shop');
    assert.match(row['k8s.pod.name'] ?? '', /^(web|checkout|orders|recommender)-/);
    assert.ok(row['_msg']);
  }
  assert.equal(await up.code, 0, up.started.output);
  const [, written] = await up.until(/balanced delivered = written: ([\d,]+) lines, all in the store, none twice/);
  const [, read, delivered] = await up.until(
    /ledger +([\d,]+) read = ([\d,]+) delivered \+ 0 queued \+ 0 filtered \+ 0 in flight \+ 0 lost/,
  );
  const [, events] = await up.until(/events +([\d,]+) of the cluster, each delivered once/);
  assert.ok(number(events) > 20);
  const [, accepted, sent, stored] = await up.until(
    /metrics +([\d,]+) points accepted = ([\d,]+) delivered = ([\d,]+) samples stored, none twice/,
  );
  assert.ok(number(accepted) > 20);
  assert.deepEqual([accepted, sent], [sent, stored]);
  assert.ok(number(written) > 1000);
  assert.equal(number(read), number(written));
  assert.equal(number(delivered), number(written));
  for (const file of ['agent.yaml', 'gateway.yaml', 'kubeconfig'])
    assert.ok(readdirSync(join(root, 'whole')).includes(file), file);
});

test('sluice up: an agent that is killed is started again and loses nothing', { timeout: 180_000 }, async () => {
  const up = run('--rate', '400', '--state', join(root, 'killed'));
  const [, url] = await up.until(/page +(http:\S+)/);
  const status = async () =>
    (await (await fetch(`${url}api/status`)).json()) as {
      accepted: number;
      view?: { agent: { state: string; pid: number } };
    };
  const until = async (isTrue: (s: Awaited<ReturnType<typeof status>>) => boolean) => {
    const end = performance.now() + 60_000;
    for (;;) {
      const s = await status();
      if (isTrue(s)) return s;
      assert.ok(performance.now() < end, `${JSON.stringify(s)}\n${up.started.output}`);
      await sleep(100);
    }
  };
  const before = await until((s) => s.accepted > 500 && s.view?.agent.state === 'running');
  process.kill(before.view!.agent.pid, 'SIGKILL');
  await up.until(/the agent died \(SIGKILL\); starting it again/);
  const again = await until((s) => s.view?.agent.state === 'running' && s.view.agent.pid !== before.view!.agent.pid);
  await until((s) => s.accepted > again.accepted + 500);
  up.child.kill('SIGINT');
  assert.equal(await up.code, 0, up.started.output);
  await up.until(/complete [\d,]+ lines written, all in the store; [\d,]+ twice, because the agent died once/);
  await up.until(/metrics +[\d,]+ samples stored; an agent that dies takes the last ones along/);
});

test('sluice up: a wrong command line is told', async () => {
  const up = run('--rate', 'fast');
  assert.equal(await up.code, 2);
  assert.match(up.started.output, /--rate wants a whole number/);
});
