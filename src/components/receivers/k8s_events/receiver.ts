/** Watches events, in all namespaces or in some, and sends them on. */
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { Ledger } from '../../../core/ledger.ts';
import { receiverCounters } from '../../../core/receiver-telemetry.ts';
import { scopeOf } from '../../../core/resource.ts';
import { type ApiServer, openApiServer } from '../../../kubernetes/api-server.ts';
import type { BackoffOptions } from '../../../kubernetes/backoff.ts';
import { whileLeading } from '../../../kubernetes/leader.ts';
import type { Position } from '../../../kubernetes/position.ts';
import { openPositionStore, type PositionStore, positionKey } from '../../../kubernetes/position-store.ts';
import { RecordDelivery } from '../../../kubernetes/record-delivery.ts';
import { streamRecords } from '../../../kubernetes/record-stream.ts';
import type { K8sEventsConfig } from './index.ts';
import { encodeEvent } from './record.ts';

const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/receiver/k8seventsreceiver';
const EVENTS = { group: '', version: 'v1', resource: 'events' };

export const createK8sEvents = (config: K8sEventsConfig, ctx: ReceiverContext): Receiver =>
  k8sEventsReceiver(config, ctx, openApiServer(config, ctx));

export function k8sEventsReceiver(
  config: K8sEventsConfig,
  ctx: ReceiverContext,
  api: ApiServer,
  backoff?: BackoffOptions,
): Receiver {
  const next = ctx.outputs.logs;
  if (!next) throw new Error('k8s_events: no pipeline of logs');
  const { clock } = ctx;
  const ledger = new Ledger();
  ctx.host.addLedger(ctx.id, ledger);
  const counters = receiverCounters(ctx.telemetry, ctx.id, '', 'logs');
  const scope = scopeOf(SCOPE, ctx.build.version);
  const stopping = new AbortController();
  const monotonicMs = () => clock.monotonicMs();
  const ended = new Map<string, Position>();
  let store: PositionStore | undefined;
  let end: (() => Promise<void>) | undefined;

  function stream(namespace: string, signal: AbortSignal): Promise<void> {
    const log = namespace === '' ? ctx.log : ctx.log.with({ namespace });
    const delivery = new RecordDelivery({
      next: next!,
      scope,
      log,
      counters,
      stopping: signal,
      monotonicMs,
      ...(backoff ? { backoff } : {}),
    });
    return streamRecords(
      {
        client: api.client,
        type: EVENTS,
        selection: { namespace },
        clock,
        log,
        ledger,
        delivery,
        store,
        ended,
        key: positionKey('events', namespace),
        version: undefined,
        withInitialState: false,
        // Events are deleted when they are an hour old, which says nothing.
        isExcluded: ({ type }) => type === 'DELETED' || (type === 'MODIFIED' && config.dedup_interval < 0),
        foldMs: Math.max(0, config.dedup_interval),
        encode: ({ object }) => encodeEvent(object, clock.nowUnixNano()),
        backoff,
      },
      signal,
    );
  }

  return {
    async start() {
      const { storage, k8s_leader_elector: elector, namespaces } = config;
      store = await openPositionStore({ storage, elector }, ctx.id, ctx);
      const wanted = namespaces.length > 0 ? [...new Set(namespaces)] : [''];
      end = whileLeading(ctx.host, elector, async (leading) => {
        const signal = AbortSignal.any([leading, stopping.signal]);
        await Promise.all(wanted.map((n) => stream(n, signal)));
      });
    },
    async stop(deadline) {
      stopping.abort();
      const late = new Promise<void>((resolve) => {
        if (deadline.aborted) resolve();
        else deadline.addEventListener('abort', () => resolve(), { once: true });
      });
      await Promise.race([end?.(), late]);
      // What is settled behind us while the pipeline stops is stored too.
      store?.finish();
      api.closeIdle();
    },
  };
}
