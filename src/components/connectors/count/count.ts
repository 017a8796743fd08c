/** The connector: counts a batch, hands the counts on, and answers for the batch once they are accepted. */
import { type Batch, DELIVERED, type Group, makeBatch, settleBatch } from '../../../core/batch.ts';
import type { Connector, ConnectorContext } from '../../../core/component.ts';
import { type Resource, scopeOf } from '../../../core/resource.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { Counter } from './counter.ts';
import type { CountConfig } from './index.ts';
import { eachLog, eachPoint, eachSpan } from './items.ts';

/** As upstream names the scope of these metrics. */
const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/connector/countconnector';

/** Two counters per resource; the second is for what stands inside of the items of the first. */
type Counters = readonly [Counter, Counter];

export function makeCount(config: CountConfig, ctx: ConnectorContext): Connector {
  const next = ctx.outputs.metrics;
  if (!next) throw new Error(`no pipeline of metrics takes data from ${ctx.id}`);
  const scope = scopeOf(SCOPE);
  const { fresh, count } = RULES[ctx.signal](config);

  return {
    async consume(batch: Batch) {
      const counters = new Map<Resource, Counters>();
      for (const group of batch.groups) {
        let own = counters.get(group.resource);
        if (!own) counters.set(group.resource, (own = fresh()));
        count(group, own);
      }
      const now = ctx.clock.nowUnixNano();
      const groups: Group[] = [];
      for (const [resource, own] of counters) {
        const w = new ProtoWriter();
        let messages = 0;
        let points = 0;
        for (const c of own) {
          const written = c.write(w, now);
          messages += written.messages;
          points += written.points;
        }
        // No parts: the counts are new data, nobody waits for them.
        if (messages > 0) groups.push({ resource, scope, items: w.finish(), messages, count: points, parts: [] });
      }
      if (groups.length > 0) await next.consume(makeBatch('metrics', groups, batch.metadata));
      settleBatch(batch, DELIVERED);
    },
  };
}

interface Rules {
  fresh(): Counters;
  count(group: Group, counters: Counters): void;
}

const RULES: Readonly<Record<Batch['signal'], (config: CountConfig) => Rules>> = {
  logs(config) {
    const wanted = Counter.grouped(config.logs);
    return {
      fresh: () => [new Counter(config.logs), new Counter({})],
      count: (group, [logs]) => eachLog(group.items, wanted, (seen) => logs.see(seen, group)),
    };
  },
  metrics(config) {
    const wanted = Counter.grouped(config.datapoints);
    return {
      fresh: () => [new Counter(config.metrics), new Counter(config.datapoints)],
      count(group, [metrics, points]) {
        metrics.add(group.messages);
        eachPoint(group.items, wanted, (seen) => points.see(seen, group));
      },
    };
  },
  traces(config) {
    const wanted = Counter.grouped(config.spans);
    const wantedEvents = Counter.grouped(config.spanevents);
    return {
      fresh: () => [new Counter(config.spans), new Counter(config.spanevents)],
      count: (group, [spans, events]) =>
        eachSpan(
          group.items,
          wanted,
          (seen) => spans.see(seen, group),
          wantedEvents,
          (seen) => events.see(seen, group),
        ),
    };
  },
};
