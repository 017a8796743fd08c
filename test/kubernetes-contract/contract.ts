/**
 * What this project relies on of an API server, as one suite for the simulated server and for real ones: where both pass,
 * what is tested against the simulation holds for the other. It makes objects in a namespace of its own and nothing else.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type KubernetesClient, StatusError } from '../../src/kubernetes/client.ts';
import { discover } from '../../src/kubernetes/discovery.ts';
import { LineScanner } from '../../src/kubernetes/json-stream.ts';
import { FutureVersionError, GoneError, list } from '../../src/kubernetes/list.ts';
import {
  type KubernetesObject,
  METADATA_ONLY,
  pathOf,
  type ResourceType,
  type Selection,
  withQuery,
} from '../../src/kubernetes/object.ts';
import { NoInitialEventsError, type WatchEvent, watch } from '../../src/kubernetes/watch.ts';

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** A server, and how to come to it. */
export interface ContractServer {
  /** May do anything. */
  readonly admin: KubernetesClient;
  /** Empty at the begin. */
  readonly namespace: string;
  /** With a token that nobody gave out. */
  readonly stranger: KubernetesClient;
  /** As service account `name` of the namespace, which may do no more than this, in the namespace. */
  limited(name: string, rules: readonly Rule[]): Promise<KubernetesClient>;
  /** Whether watches with initial events are answered; undefined: nobody knows before. */
  readonly hasInitialEvents?: boolean;
  /** Forgets the history; without it the server may be too young to have forgotten any. */
  readonly forget?: () => void;
  close(): Promise<void>;
}

const LEASES: ResourceType = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };
const EVENTS: ResourceType = { group: '', version: 'v1', resource: 'events' };
const CONFIG_MAPS: ResourceType = { group: '', version: 'v1', resource: 'configmaps' };
const REVIEWS: ResourceType = { group: 'authorization.k8s.io', version: 'v1', resource: 'selfsubjectaccessreviews' };
const LIMIT_MS = 20_000;

interface Status {
  readonly kind: string;
  readonly apiVersion: string;
  readonly status: string;
  readonly message: string;
  readonly reason: string;
  readonly code: number;
  readonly details?: { readonly name?: string; readonly group?: string; readonly kind?: string };
}

interface Told {
  readonly type: string;
  readonly object: KubernetesObject & Partial<Status>;
}

const versionOf = (o: KubernetesObject): number => Number(o.metadata.resourceVersion);

export function kubernetesContract(name: string, open: () => Promise<ContractServer>): void {
  describe(`an API server as it is relied on: ${name}`, { timeout: 120_000 }, () => {
    let server: ContractServer;
    before(async () => {
      server = await open();
    });
    after(() => server.close());

    const signal = (): AbortSignal => AbortSignal.timeout(LIMIT_MS);
    const write = async (method: 'POST' | 'PUT', type: ResourceType, body: object, name = '') =>
      (await server.admin.write(pathOf(type, server.namespace, name), { method, body })) as KubernetesObject;
    const lease = (name: string, labels: Readonly<Record<string, string>> = {}, holder = 'a') => ({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace: server.namespace, labels },
      spec: { holderIdentity: holder, leaseDurationSeconds: 15 },
    });
    const create = (name: string, labels: Readonly<Record<string, string>> = {}) =>
      write('POST', LEASES, lease(name, labels));
    const remove = (type: ResourceType, name: string) =>
      server.admin.write(pathOf(type, server.namespace, name), { method: 'DELETE', body: {} });

    async function refusal(call: Promise<unknown>): Promise<{ error: StatusError; body: Status }> {
      const error = await call.then(
        () => undefined,
        (e: unknown) => e,
      );
      assert.ok(error instanceof StatusError, `${error}`);
      return { error, body: JSON.parse(error.body) as Status };
    }

    async function namesOf(selection: Selection, type = LEASES, pageSize?: number): Promise<string[]> {
      const names: string[] = [];
      await list(
        server.admin,
        type,
        { namespace: server.namespace, ...selection },
        { signal: signal(), ...(pageSize === undefined ? {} : { pageSize }) },
        (item) => names.push((JSON.parse(item.toString()) as KubernetesObject).metadata.name),
      );
      return names;
    }

    /** Events of a watch with this query until `isEnough` or the server ends it. */
    async function raw(
      query: Readonly<Record<string, string>>,
      isEnough: (told: readonly Told[]) => boolean = () => false,
      accept?: string,
    ): Promise<{ told: Told[]; isEnded: boolean }> {
      const path = withQuery(pathOf(LEASES, server.namespace), { watch: '1', ...query });
      const answer = await server.admin.open(path, { signal: signal(), ...(accept ? { accept } : {}) });
      const lines = new LineScanner();
      const told: Told[] = [];
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        lines.push(chunk);
        for (let line = lines.next(); line; line = lines.next()) told.push(JSON.parse(line.toString()) as Told);
        if (isEnough(told)) {
          answer.destroy();
          return { told, isEnded: false };
        }
      }
      return { told, isEnded: true };
    }

    const currentVersion = async (): Promise<string> =>
      (await list(server.admin, LEASES, { namespace: server.namespace }, { signal: signal() }, () => {}))
        .resourceVersion;

    test('a list comes in pages of one version, also while objects come and go', async () => {
      const labels = { set: 'pages' };
      for (const n of [1, 2, 3, 4, 5]) await create(`page-${n}`, labels);
      const query = { labelSelector: 'set=pages', limit: '2' };
      type Page = {
        kind: string;
        apiVersion: string;
        metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number };
        items: KubernetesObject[];
      };
      const page = async (more: Readonly<Record<string, string>>) =>
        (await server.admin.getJson(withQuery(pathOf(LEASES, server.namespace), { ...query, ...more }))) as Page;
      const first = await page({});
      assert.deepEqual([first.kind, first.apiVersion], ['LeaseList', 'coordination.k8s.io/v1']);
      assert.deepEqual(
        first.items.map((o) => [o.metadata.name, o.kind]),
        [
          ['page-1', undefined],
          ['page-2', undefined],
        ],
        'items do not say what they are',
      );
      assert.ok(first.metadata.continue);
      assert.equal(first.metadata.remainingItemCount, undefined, 'with a selector nobody counts');
      await create('page-35', labels);
      await remove(LEASES, 'page-5');
      const second = await page({ continue: first.metadata.continue });
      const third = await page({ continue: second.metadata.continue! });
      assert.deepEqual(
        [...second.items, ...third.items].map((o) => o.metadata.name),
        ['page-3', 'page-4', 'page-5'],
      );
      assert.equal(third.metadata.continue ?? '', '');
      assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion);
      assert.equal(third.metadata.resourceVersion, first.metadata.resourceVersion);
      assert.deepEqual(await namesOf({ labelSelector: 'set=pages' }, LEASES, 2), [
        'page-1',
        'page-2',
        'page-3',
        'page-35',
        'page-4',
      ]);
      const counted = (await server.admin.getJson(`${pathOf(LEASES, server.namespace)}?limit=1`)) as Page;
      assert.ok(counted.metadata.remainingItemCount! >= 4, 'without one they do');
    });

    test('labels select objects by value, by set and by existence', async () => {
      await create('label-a', { set: 'labels', app: 'web', tier: 'front' });
      await create('label-b', { set: 'labels', app: 'db' });
      await create('label-c', { set: 'labels' });
      const cases: readonly [string, readonly string[]][] = [
        ['app=web', ['label-a']],
        ['app==db', ['label-b']],
        ['app!=web', ['label-b', 'label-c']],
        ['app in (web,db)', ['label-a', 'label-b']],
        ['app notin (web)', ['label-b', 'label-c']],
        ['tier', ['label-a']],
        ['!app', ['label-c']],
        ['app,tier!=front', ['label-b']],
      ];
      for (const [selector, expected] of cases)
        assert.deepEqual(await namesOf({ labelSelector: `set=labels,${selector}` }), expected, selector);
    });

    test('fields select objects; a field that nobody indexes is refused', async () => {
      const event = (name: string, type: string) => ({
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace: server.namespace },
        involvedObject: { kind: 'Pod', namespace: server.namespace, name: `pod-of-${name}` },
        reason: 'Started',
        type,
        firstTimestamp: '2026-11-22T12:00:00Z',
        lastTimestamp: '2026-11-22T12:00:00Z',
      });
      await write('POST', EVENTS, event('field-a', 'Normal'));
      await write('POST', EVENTS, event('field-b', 'Warning'));
      const cases: readonly [string, readonly string[]][] = [
        ['metadata.name=field-b', ['field-b']],
        ['type=Warning', ['field-b']],
        ['type!=Warning', ['field-a']],
        ['involvedObject.name=pod-of-field-a,reason=Started', ['field-a']],
      ];
      for (const [selector, expected] of cases)
        assert.deepEqual(await namesOf({ fieldSelector: selector }, EVENTS), expected, selector);
      const { error, body } = await refusal(namesOf({ fieldSelector: 'spec.holderIdentity=a' }));
      assert.deepEqual([error.status, body.reason], [400, 'BadRequest']);
      assert.match(body.message, /spec\.holderIdentity/);
    });

    test('a watch tells of changes after its version, also of those that selectors let in and out', async () => {
      const since = await currentVersion();
      const a = await create('watch-a', { set: 'watch', tier: 'x' });
      await create('watch-other', { set: 'other' });
      const changed = await write('PUT', LEASES, { ...a, spec: { holderIdentity: 'b' } }, 'watch-a');
      const out = { ...changed, metadata: { ...changed.metadata, labels: { set: 'gone' } } };
      const left = await write('PUT', LEASES, out, 'watch-a');
      const back = { ...left, metadata: { ...left.metadata, labels: { set: 'watch' } } };
      const returned = await write('PUT', LEASES, back, 'watch-a');
      await remove(LEASES, 'watch-a');
      const query = { labelSelector: 'set=watch', resourceVersion: since, timeoutSeconds: '10' };
      const { told } = await raw(query, (t) => t.length === 5);
      assert.deepEqual(
        told.map((e) => [e.type, e.object.metadata.name, e.object.kind, e.object.apiVersion]),
        ['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED'].map((t) => [
          t,
          'watch-a',
          'Lease',
          'coordination.k8s.io/v1',
        ]),
      );
      assert.equal(new Set(told.map((e) => e.object.metadata.uid)).size, 1);
      const versions = told.map((e) => versionOf(e.object));
      assert.deepEqual(versions.slice(0, 2), [versionOf(a), versionOf(changed)]);
      assert.equal(versions[2], versionOf(left), 'what leaves the selection carries the version of the change');
      assert.equal(versions[3], versionOf(returned));
      assert.ok(versions[4]! > versions[3]!, 'a deletion has a version of its own');
      const before = told[2]!.object.metadata.labels;
      assert.deepEqual(before, { set: 'watch', tier: 'x' }, 'what leaves is told as it was when it was in');
      // From the middle: what was seen does not come again.
      const rest = await raw({ ...query, resourceVersion: String(versions[1]) }, (t) => t.length === 3);
      assert.deepEqual(
        rest.told.map((e) => e.type),
        ['DELETED', 'ADDED', 'DELETED'],
      );
    });

    test('a watch has bookmarks, and the server ends it at its time', async () => {
      const since = await currentVersion();
      await create('unseen', { set: 'unseen' });
      const { told, isEnded } = await raw({
        labelSelector: 'set=nothing',
        resourceVersion: since,
        allowWatchBookmarks: 'true',
        // It comes two seconds before the end, or a minute after the begin.
        timeoutSeconds: '8',
      });
      assert.ok(isEnded);
      assert.ok(told.length > 0 && told.every((e) => e.type === 'BOOKMARK'), JSON.stringify(told));
      const last = told.at(-1)!.object;
      assert.deepEqual([last.kind, last.apiVersion], ['Lease', 'coordination.k8s.io/v1']);
      assert.ok(versionOf(last) >= Number(since));
    });

    test('a watch begins with what is there, or says that it cannot', async () => {
      await create('initial-b', { set: 'initial' });
      await create('initial-a', { set: 'initial' });
      const seen: WatchEvent[] = [];
      const enough = new AbortController();
      const refused = await watch(
        server.admin,
        LEASES,
        { namespace: server.namespace, labelSelector: 'set=initial' },
        { signal: AbortSignal.any([enough.signal, signal()]), resourceVersion: '', withInitialEvents: true },
        (event) => {
          seen.push(event);
          if (event.isInitialEnd) enough.abort();
        },
      ).catch((e: unknown) => e);
      if (refused !== undefined) {
        assert.ok(refused instanceof NoInitialEventsError, `${refused}`);
        assert.notEqual(server.hasInitialEvents, true);
        return;
      }
      assert.notEqual(server.hasInitialEvents, false);
      assert.deepEqual(
        seen.map((e) => e.type),
        ['ADDED', 'ADDED', 'BOOKMARK'],
      );
      assert.deepEqual(
        seen
          .slice(0, 2)
          .map((e) => e.object.metadata.name)
          .sort(),
        ['initial-a', 'initial-b'],
      );
      const end = versionOf(seen[2]!.object);
      assert.ok(seen.slice(0, 2).every((e) => versionOf(e.object) <= end));
    });

    test('a version that is forgotten is refused inside of the stream', async (t) => {
      server.forget?.();
      const isRefused = await watch(
        server.admin,
        LEASES,
        { namespace: server.namespace },
        { signal: AbortSignal.timeout(server.forget ? LIMIT_MS : 3000), resourceVersion: '1' },
        () => {},
      ).then(
        () => false,
        (e: unknown) => {
          assert.ok(e instanceof GoneError && !(e instanceof FutureVersionError), `${e}`);
          assert.match(e.message, /too old resource version: 1 \(\d+\)/);
          return true;
        },
      );
      if (server.forget) assert.ok(isRefused);
      else if (!isRefused) t.skip('the server is so young that it knows its whole history');
    });

    test('a list of a version that is not there yet is refused', async () => {
      const future = String(Number(await currentVersion()) + 1_000_000);
      const path = withQuery(pathOf(LEASES, server.namespace), {
        resourceVersion: future,
        resourceVersionMatch: 'NotOlderThan',
      });
      const { error, body } = await refusal(server.admin.getJson(path));
      assert.equal(error.status, 504);
      assert.match(body.message, /Too large resource version: \d+, current: \d+/);
      assert.equal(body.reason, 'Timeout');
    });

    test('metadata alone: lists and watches without spec and status', async () => {
      const since = await currentVersion();
      const made = await create('partial', { set: 'partial' });
      const path = withQuery(pathOf(LEASES, server.namespace), { labelSelector: 'set=partial' });
      const listed = (await server.admin.getJson(path, { accept: METADATA_ONLY.list })) as {
        kind: string;
        apiVersion: string;
        items: KubernetesObject[];
      };
      assert.deepEqual([listed.kind, listed.apiVersion], ['PartialObjectMetadataList', 'meta.k8s.io/v1']);
      assert.deepEqual(listed.items[0]!.metadata.uid, made.metadata.uid);
      assert.deepEqual(listed.items[0]!.metadata.labels, { set: 'partial' });
      assert.equal(listed.items[0]!['spec'], undefined);
      const { told } = await raw(
        { labelSelector: 'set=partial', resourceVersion: since, timeoutSeconds: '10' },
        (t) => t.length === 1,
        METADATA_ONLY.watch,
      );
      const [event] = told;
      assert.deepEqual(
        [event!.type, event!.object.kind, event!.object.apiVersion, event!.object.metadata.resourceVersion],
        ['ADDED', 'PartialObjectMetadata', 'meta.k8s.io/v1', made.metadata.resourceVersion],
      );
      assert.equal(event!.object['spec'], undefined);
    });

    test('a Lease is made, renewed, and refused to who has an old version of it', async () => {
      const made = await create('elected');
      const renewed = await write(
        'PUT',
        LEASES,
        { ...made, spec: { ...(made['spec'] as object), holderIdentity: 'b' } },
        'elected',
      );
      assert.ok(versionOf(renewed) > versionOf(made));
      assert.equal(renewed.metadata.uid, made.metadata.uid);
      const conflict = await refusal(write('PUT', LEASES, { ...made, spec: {} }, 'elected'));
      assert.deepEqual([conflict.error.status, conflict.body.reason], [409, 'Conflict']);
      assert.equal(
        conflict.body.message,
        'Operation cannot be fulfilled on leases.coordination.k8s.io "elected": ' +
          'the object has been modified; please apply your changes to the latest version and try again',
      );
      assert.deepEqual(conflict.body.details, { name: 'elected', group: 'coordination.k8s.io', kind: 'leases' });
      const again = await refusal(create('elected'));
      assert.deepEqual([again.error.status, again.body.reason], [409, 'AlreadyExists']);
      assert.equal(again.body.message, 'leases.coordination.k8s.io "elected" already exists');
      const found = (await server.admin.getJson(pathOf(LEASES, server.namespace, 'elected'))) as KubernetesObject;
      assert.deepEqual(found, renewed);
    });

    test('what is not there is 404: an object, a kind, a group', async () => {
      const object = await refusal(server.admin.getJson(pathOf(CONFIG_MAPS, server.namespace, 'none')));
      assert.deepEqual(
        [object.error.status, object.body],
        [
          404,
          {
            kind: 'Status',
            apiVersion: 'v1',
            metadata: {},
            status: 'Failure',
            message: 'configmaps "none" not found',
            reason: 'NotFound',
            details: { name: 'none', kind: 'configmaps' },
            code: 404,
          },
        ],
      );
      const none = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'none', namespace: server.namespace } };
      const put = await refusal(write('PUT', CONFIG_MAPS, none, 'none'));
      const deleted = await refusal(remove(CONFIG_MAPS, 'none'));
      assert.deepEqual([put.body, deleted.body], [object.body, object.body]);
      const kind = await refusal(server.admin.getJson('/api/v1/nothings'));
      assert.deepEqual(
        [kind.error.status, kind.body.message, kind.body.reason],
        [404, 'the server could not find the requested resource', 'NotFound'],
      );
      for (const path of ['/apis/none.example.org/v1', '/apis/none.example.org/v1/things'])
        await assert.rejects(
          server.admin.getJson(path),
          (e) => e instanceof StatusError && e.status === 404 && e.body === '404 page not found\n',
          path,
        );
    });

    test('a token that nobody gave out is 401', async () => {
      const { error, body } = await refusal(server.stranger.getJson(pathOf(LEASES, server.namespace)));
      assert.equal(error.status, 401);
      assert.deepEqual(body, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: 'Unauthorized',
        reason: 'Unauthorized',
        code: 401,
      });
      assert.match(error.message, /The API server does not accept the credentials/);
    });

    test('what no rule allows is 403, and the error names the rule', async () => {
      const reader = await server.limited('reader', [
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'list'] },
      ]);
      await create('allowed');
      assert.ok(await reader.getJson(pathOf(LEASES, server.namespace, 'allowed')));
      const { error, body } = await refusal(reader.getJson(pathOf(CONFIG_MAPS, server.namespace)));
      const who = `User "system:serviceaccount:${server.namespace}:reader"`;
      assert.deepEqual(body, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message: `configmaps is forbidden: ${who} cannot list resource "configmaps" in API group "" in the namespace "${server.namespace}"`,
        reason: 'Forbidden',
        details: { kind: 'configmaps' },
        code: 403,
      });
      assert.ok(
        error.message.endsWith(
          `Service account ${server.namespace}/reader needs this rule in a Role of namespace ${server.namespace}, ` +
            'or a ClusterRole: {apiGroups: [""], resources: [configmaps], verbs: [list]}',
        ),
        error.message,
      );
      const everywhere = await refusal(reader.getJson(pathOf(LEASES)));
      assert.equal(
        everywhere.body.message,
        `leases.coordination.k8s.io is forbidden: ${who} cannot list resource "leases" in API group "coordination.k8s.io" at the cluster scope`,
      );
      const watching = await refusal(reader.getJson(`${pathOf(LEASES, server.namespace)}?watch=1`));
      assert.match(watching.body.message, /cannot watch resource "leases"/);
      const writing = await refusal(
        reader.write(pathOf(LEASES, server.namespace), { method: 'POST', body: lease('forbidden') }),
      );
      assert.match(writing.body.message, /cannot create resource "leases"/);
    });

    test('an account may ask what it may do', async () => {
      const curious = await server.limited('curious', [
        { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['list'] },
      ]);
      const ask = async (verb: string, namespace = server.namespace) => {
        const body = {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: { namespace, verb, group: 'coordination.k8s.io', resource: 'leases' } },
        };
        const answer = await curious.write(pathOf(REVIEWS), { method: 'POST', body });
        return (answer as { status: { allowed: boolean } }).status.allowed;
      };
      assert.deepEqual([await ask('list'), await ask('watch'), await ask('list', '')], [true, false, false]);
    });

    test('discovery knows the kinds, in the version that is preferred', async () => {
      const { resources, failed } = await discover(server.admin, signal());
      assert.deepEqual(failed, []);
      const events = resources.filter((r) => r.resource === 'events');
      assert.deepEqual(
        events.map((r) => [r.group, r.version, r.kind, r.isNamespaced]),
        [
          ['', 'v1', 'Event', true],
          ['events.k8s.io', 'v1', 'Event', true],
        ],
      );
      const nodes = resources.find((r) => r.resource === 'nodes');
      assert.deepEqual([nodes?.group, nodes?.isNamespaced], ['', false]);
      assert.ok(['get', 'list', 'watch'].every((v) => nodes?.verbs.includes(v)));
    });
  });
}
