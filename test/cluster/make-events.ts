/** Events that a test writes itself, one after the other, so that it knows which there have to be. */
import type { TestContext } from 'node:test';
import { defer } from '../helpers/agent.ts';
import type { Cluster } from './cluster.ts';

/** Makes events, one after the other, until it is told to stop; resolves with the names of those that were accepted. */
export function makeEvents(t: TestContext, cluster: Cluster, namespace: string, prefix: string) {
  let isStopping = false;
  defer(t, () => (isStopping = true));
  const made: string[] = [];
  const ended = (async () => {
    for (let n = 0; !isStopping; n++) {
      const names = Array.from({ length: 5 }, (_, i) => `${prefix}-${n}-${i}`);
      const items = names.map((name) => ({
        apiVersion: 'events.k8s.io/v1',
        kind: 'Event',
        metadata: { name, namespace },
        eventTime: new Date().toISOString().replace(/Z$/, '000Z'),
        type: 'Normal',
        reason: 'Made',
        action: 'Making',
        note: `event ${name}`,
        reportingController: 'sluice.test/events',
        reportingInstance: 'test',
        regarding: { apiVersion: 'v1', kind: 'Pod', name: 'some', namespace },
      }));
      // Those that the API server did not answer for may be there or not.
      const output = await cluster
        .kubectl(['create', '-f', '-', '-o', 'name'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
        .catch(() => '');
      if (output !== '') made.push(...names);
    }
  })();
  return {
    made,
    async stop() {
      isStopping = true;
      await ended;
    },
  };
}
