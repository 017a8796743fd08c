/** The connector: counts a batch, hands the counts on, and answers for the batch once they are accepted. */
import { type Batch, DELIVERED, type Group, makeBatch, settleBatch } from '../../../core/batch.ts';
import type { Connector, ConnectorContext } from '../../../core/component.ts';
import { bufferOf } from '../../../core/edit/rewrite.ts';
import { onErrorOf } from '../../../core/ottl/errors.ts';
import { Env, type OnError } from '../../../core/ottl/ottl.ts';
import { type Resource, scopeOf } from '../../../core/resource.ts';
import { ProtoWriter } from '../../../wire/proto.ts';
import { Conditions } from './conditions.ts';
import { Counter } from './counter.ts';
import type { CountConfig } from './index.ts';
import { eachLog, eachPoint, eachSpan, NOTHING_SEEN, type Seen, type SpanVisitor } from './items.ts';

/** As upstream names the scope of these metrics. */
const SCOPE = 'github.com/open-telemetry/opentelemetry-collector-contrib/connector/countconnector';

/** Two counters per resource; the second is for what stands inside of the items of the first. */
type Counters = readonly [Counter, Counter];

export function makeCount(config: CountConfig, ctx: ConnectorContext): Connector {
  const next = ctx.outputs.metrics;
  if (!next) throw new Error(`no pipeline of metrics takes data from ${ctx.id}`);
  const scope = scopeOf(SCOPE);
  const env = new Env(ctx.clock);
  // A count must not cost the data: what a condition fails for is not counted, and that is told.
  const onError = onErrorOf('ignore', 'condition', ctx.log, ctx.clock);
  const { fresh, count } = RULES[ctx.signal](config, env, onError);

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

/** Points the cursors above records at the group; gives its bytes. */
function beginGroup(env: Env, group: Group): Buffer {
  env.beginResource(group.resource);
  env.beginScope(group.scope);
  return bufferOf(group.items);
}

const RULES: Readonly<Record<Batch['signal'], (config: CountConfig, env: Env, onError: OnError) => Rules>> = {
  logs(config, env, onError) {
    const wanted = Counter.grouped(config.logs);
    const conditions = new Conditions('log', config.logs, env, onError);
    return {
      fresh: () => [new Counter(config.logs, conditions), new Counter({})],
      count(group, [logs]) {
        const visit = (seen: Seen): void => logs.see(seen, group);
        if (conditions.isEmpty) return eachLog(group.items, wanted, visit);
        const buf = beginGroup(env, group);
        eachLog(buf, wanted, visit, (from, to) => env.log.bind(buf, from, to));
      },
    };
  },
  metrics(config, env, onError) {
    const wantAttributes = Counter.grouped(config.datapoints);
    const conditions = new Conditions('metric', config.metrics, env, onError);
    const pointConditions = new Conditions('datapoint', config.datapoints, env, onError);
    return {
      fresh: () => [new Counter(config.metrics, conditions), new Counter(config.datapoints, pointConditions)],
      count(group, [metrics, points]) {
        const visit = (seen: Seen): void => points.see(seen, group);
        if (conditions.isEmpty && pointConditions.isEmpty) {
          metrics.add(group.messages);
          eachPoint(group.items, { wantAttributes, visit });
          return;
        }
        const buf = beginGroup(env, group);
        eachPoint(buf, {
          wantAttributes,
          bindMetric: (from, to) => env.metrics.bind(buf, from, to),
          visitMetric: () => metrics.see(NOTHING_SEEN, group),
          bind: (from, to) => env.metrics.point.bind(buf, from, to),
          visit,
        });
      },
    };
  },
  traces(config, env, onError) {
    const wantAttributes = Counter.grouped(config.spans);
    const wantEventAttributes = Counter.grouped(config.spanevents);
    const conditions = new Conditions('span', config.spans, env, onError);
    const eventConditions = new Conditions('spanevent', config.spanevents, env, onError);
    return {
      fresh: () => [new Counter(config.spans, conditions), new Counter(config.spanevents, eventConditions)],
      count(group, [spans, events]) {
        const visitor: SpanVisitor = {
          wantAttributes,
          visit: (seen) => spans.see(seen, group),
          wantEventAttributes,
          visitEvent: (seen) => events.see(seen, group),
        };
        if (conditions.isEmpty && eventConditions.isEmpty) return eachSpan(group.items, visitor);
        const buf = beginGroup(env, group);
        eachSpan(buf, {
          ...visitor,
          bind(from, to) {
            env.span.bind(buf, from, to);
            env.eventIndex = -1;
          },
          bindEvent(from, to) {
            env.spanevent.bind(buf, from, to);
            env.eventIndex++;
          },
        });
      },
    };
  },
};
