/** A short, seeded version of `npm run chaos -- kubernetes`, and proof that its checks notice what they are there for. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { KubernetesObject } from '../src/kubernetes/object.ts';
import { SimulatedCluster } from '../src/kubernetes/simulated/cluster.ts';
import { Population } from '../src/kubernetes/simulated/population.ts';
import {
  eventProblems,
  expectedPoints,
  isCurrent,
  lineProblems,
  pointProblems,
  REPEATED_MS,
} from './chaos/kubernetes/judge.ts';
import { FAULTS, type KubernetesPlan, planKubernetes } from './chaos/kubernetes/plan.ts';
import { Requests } from './chaos/kubernetes/requests.ts';
import { runKubernetesRound } from './chaos/kubernetes/round.ts';
import type { SentEvent, SentPoint } from './chaos/kubernetes/sink.ts';
import { SLUICE } from './helpers/paths.ts';

/** A bit of everything, in seconds. */
const PLAN: KubernetesPlan = {
  seed: 2026,
  round: 0,
  durationMs: 4500,
  faults: [
    { atMs: 200, kind: 'cut-watch', forMs: 300 },
    { atMs: 500, kind: 'gone', forMs: 700 },
    { atMs: 800, kind: 'kill', forMs: 0 },
    { atMs: 1700, kind: 'short-list', forMs: 300 },
    { atMs: 2000, kind: 'token', forMs: 0 },
    { atMs: 2100, kind: 'certificate', forMs: 300 },
    { atMs: 2500, kind: 'garbled-watch', forMs: 300 },
    { atMs: 2900, kind: 'throttled', forMs: 300 },
    { atMs: 3300, kind: 'away', forMs: 700 },
  ],
  skewMs: -3_600_000,
  initialEvents: 'yes',
  maxPageSize: 10,
  hasElector: false,
  queue: 'none',
  latencyMs: 20,
};

describe('an API server in trouble', () => {
  test('crashes nothing, loses no event, doubles none, and metadata and metrics catch up', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-chaos-kubernetes-'));
    const result = await runKubernetesRound(PLAN, [SLUICE, 'run'], dir);
    assert.deepEqual(result.problems, [], `evidence in ${dir}`);
    assert.ok(
      result.events > 20 && result.lines > 30 && result.gones > 0 && result.kills === 1,
      JSON.stringify(result),
    );
    rmSync(dir, { recursive: true });
  });

  test('every kind of trouble comes up in the rounds, each derived from its seed alone', () => {
    const rounds = Array.from({ length: 20 }, (_, round) => planKubernetes(7, round));
    const kinds = new Set(rounds.flatMap((p) => p.faults.map((f) => f.kind)));
    assert.deepEqual([...kinds].sort(), [...FAULTS].sort());
    assert.ok(rounds.some((p) => p.faults.some((f) => f.kind === 'away' && f.forMs >= 20_000)));
    assert.deepEqual(planKubernetes(7, 3), rounds[3]);
  });
});

describe('the checks of a round', () => {
  const history = () => {
    const population = new Population({ nowMs: () => 0 });
    const changes: Parameters<Parameters<Population['onChange']>[0]>[0][] = [];
    population.onChange((c) => changes.push(c));
    const put = (name: string, count = 1) => population.put('events', { metadata: { name, namespace: 'shop' }, count });
    return { population, changes, put };
  };
  const sent = (o: KubernetesObject, more: Partial<SentEvent> = {}): SentEvent => ({
    type: 'ADDED',
    uid: o.metadata.uid,
    version: Number(o.metadata.resourceVersion),
    life: 0,
    atMs: 1000,
    ...more,
  });

  test('an event that did not arrive is named; one that a gap swallowed is excused', () => {
    const { population, changes, put } = history();
    const [a, b] = [put('a'), put('b')];
    const b2 = put('b', 2);
    population.remove('events', 'shop', 'a');
    const base = { changes, from: 1000, kills: [] };
    assert.deepEqual(eventProblems({ ...base, gaps: [] }, [sent(b2)]), [
      'event a (version 1001) never arrived',
      'event b (version 1002) never arrived',
    ]);
    assert.deepEqual(eventProblems({ ...base, gaps: [{ after: 1000, upTo: 1004 }] }, [sent(b2)]), []);
    assert.deepEqual(eventProblems({ ...base, gaps: [{ after: 1000, upTo: 1003 }] }, [sent(b2)]).length, 1);
    assert.deepEqual(eventProblems({ ...base, gaps: [{ after: 1000, upTo: 1004 }] }, [sent(a), sent(b)]), [
      'event b (version 1003) never arrived',
    ]);
    assert.deepEqual(eventProblems({ ...base, from: 1004, gaps: [] }, []), []);
  });

  test('an event that comes twice is excused only when it was delivered just before a kill', () => {
    const { changes, put } = history();
    const a = put('a');
    const kills = [{ life: 0, atMs: 1000 + REPEATED_MS }];
    const of = (kills: readonly { life: number; atMs: number }[], ...more: Partial<SentEvent>[]) =>
      eventProblems({ changes, from: 0, gaps: [], kills }, [sent(a), ...more.map((m) => sent(a, m))]);
    assert.deepEqual(of(kills, { life: 1 }), []);
    assert.match(of(kills, {})[0]!, /came twice without a kill/);
    assert.match(of([], { life: 1 })[0]!, /came again after a clean stop/);
    assert.match(of([{ life: 0, atMs: 1001 + REPEATED_MS }], { life: 1 })[0]!, /ms after it was delivered/);
    assert.match(of([], { version: 77 })[0]!, /which the server never had/);
  });

  const cluster = () => {
    const made = new SimulatedCluster({ nowMs: () => 0, random: () => 0.3, nodes: ['n'] });
    made.deploy({
      namespace: 'shop',
      name: 'web',
      kind: 'Deployment',
      replicas: 1,
      containers: [{ name: 'app', image: 'a:1' }],
    });
    return made.population;
  };

  test('a metric that is missing, wrong or of what is gone is named, and a label that is old', () => {
    const population = cluster();
    const uidOf: Record<string, string> = { pod: 'k8s.pod.uid', container: 'k8s.pod.uid' };
    const points: SentPoint[] = [...expectedPoints(population)].map(([id, value]) => {
      const [metric, uid] = id.split(' ') as [string, string];
      const kind = metric.split('.')[1]!;
      return { metric, value, attributes: {}, resource: { [uidOf[kind] ?? `k8s.${kind}.uid`]: uid } };
    });
    assert.ok(points.length >= 7);
    assert.deepEqual(pointProblems(population, points), []);
    assert.match(pointProblems(population, points.slice(1))[0]!, /is missing$/);
    const at = points.findIndex((p) => p.metric === 'k8s.pod.phase');
    const changed = (change: Partial<SentPoint>) => points.with(at, { ...points[at]!, ...change });
    assert.match(pointProblems(population, changed({ value: 9 }))[0]!, /is 9, and 2 at the server/);
    assert.match(pointProblems(population, changed({ resource: { 'k8s.pod.uid': 'x' } }))[0]!, /of what is gone/);
    const { resource } = points[at]!;
    assert.match(pointProblems(population, changed({ resource: { ...resource, rev: 'r1' } }))[0]!, /has the label r1/);
    assert.match(pointProblems(population, [...points, points[at]!])[0]!, /is there twice/);
  });

  test('a line that is lost, doubled or of another pod is named, and a label that the pod never had', () => {
    const [pod] = cluster().list('pods') as [KubernetesObject];
    const { uid, name } = pod.metadata;
    const resource = { 'k8s.pod.uid': uid, 'k8s.pod.name': name };
    const revisions = new Map([[uid, new Set(['', 'r1'])]]);
    const problems = (...lines: { body?: string; resource?: Record<string, string> }[]) =>
      lineProblems(
        [{ pod, body: 'line-1' }],
        lines.map((l) => ({ body: 'line-1', path: '', resource, ...l })),
        revisions,
      );
    assert.deepEqual(problems({}), []);
    assert.deepEqual(problems({ resource: { ...resource, rev: 'r1' } }), []);
    assert.deepEqual(problems(), ['line line-1 never arrived']);
    assert.deepEqual(problems({}, {}), ['line line-1 came twice']);
    assert.match(problems({ resource: { ...resource, rev: 'r2' } })[0]!, /r2, which the pod never had/);
    assert.match(problems({ resource: { ...resource, 'k8s.pod.name': 'x' } })[0]!, /came as of x/);
    const whole = {
      ...resource,
      'k8s.node.name': 'n',
      'k8s.deployment.name': 'web',
      'k8s.deployment.uid': 'u',
      team: 't',
    };
    const line = { body: '', path: '', resource: whole };
    assert.ok(isCurrent(pod, 't', line));
    assert.ok(!isCurrent(pod, 't', undefined));
    for (const key of ['k8s.node.name', 'k8s.deployment.name', 'team'])
      assert.ok(!isCurrent(pod, 't', { ...line, resource: { ...whole, [key]: 'other' } }), key);
  });

  test('a list without a reason is named, and a watch that was given up', () => {
    const requests = new Requests();
    const get = (url: string) => {
      const closing: (() => void)[] = [];
      const res = { statusCode: 200, writableFinished: false, on: (_: string, f: () => void) => closing.push(f) };
      const watch = requests.begin(
        'agent',
        new URL(url, 'http://x'),
        () => 7,
        { method: 'GET' } as IncomingMessage,
        res as unknown as ServerResponse,
      );
      const close = (): void => {
        for (const f of closing) f();
      };
      return { watch, res, close };
    };
    const list = () => {
      const { res, close } = get('/api/v1/pods?limit=500');
      res.writableFinished = true;
      close();
    };
    list();
    assert.deepEqual(requests.problems, []);
    list();
    assert.match(requests.problems.pop()!, /read again without a reason: agent \/api\/v1\/pods/);
    const gone = get('/api/v1/pods?watch=1&resourceVersion=3');
    requests.wrote(gone.watch!, '{"type":"ERROR","object":{"code":410}}');
    gone.close();
    list();
    requests.started('agent');
    list();
    assert.deepEqual(requests.problems, []);
    get('/api/v1/pods?watch=1&resourceVersion=3').close();
    assert.match(requests.problems.pop()!, /a healthy watch was given up/);
    const ended = get('/api/v1/pods?watch=1&resourceVersion=3');
    requests.broken();
    ended.close();
    assert.deepEqual(requests.problems, []);
  });
});
