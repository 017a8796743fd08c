/** What the include and exclude blocks drop. */
import type { Group, Signal } from '../../../core/batch.ts';
import { compileMatch, type MatchConfig, matchComplaint } from '../../../core/edit/match.ts';
import type { Message } from '../../../core/edit/message.ts';
import { ConfigError } from '../../../core/errors.ts';
import type { FilterConfig } from './index.ts';
import type { LegacyLogs, LegacyMetrics } from './legacy-schema.ts';

/** Whether a record, span or metric of the group goes. */
export type Drop = (message: Message, group: Group) => boolean;

const NOTHING: Omit<MatchConfig, 'match_type'> = {
  regexp: undefined,
  services: [],
  span_names: [],
  span_kinds: [],
  log_bodies: [],
  log_severity_texts: [],
  log_severity_number: undefined,
  metric_names: [],
  attributes: [],
  resources: [],
  libraries: [],
};

type Test = (message: Message, group: Group) => boolean;

function testOf(config: MatchConfig, signal: Signal): Test {
  const match = compileMatch(config, signal);
  return (message, { resource, scope }) =>
    match({ resource, scope, message, attributes: signal === 'metrics' ? undefined : message.attributes });
}

/** Every kind of condition must match; of attributes one is enough. */
function logTests(c: LegacyLogs): Test {
  const one = (part: Partial<MatchConfig>): Test => testOf({ ...NOTHING, match_type: c.match_type, ...part }, 'logs');
  const tests: Test[] = [];
  const anyOf = (list: readonly Test[]): void => {
    if (list.length > 0) tests.push((m, g) => list.some((t) => t(m, g)));
  };
  anyOf(c.resource_attributes.map((a) => one({ resources: [a] })));
  anyOf(c.record_attributes.map((a) => one({ attributes: [a] })));
  if (c.severity_texts.length > 0) tests.push(one({ log_severity_texts: c.severity_texts }));
  if (c.bodies.length > 0) tests.push(one({ log_bodies: c.bodies }));
  if (c.severity_number) tests.push(one({ log_severity_number: c.severity_number }));
  return (m, g) => tests.every((t) => t(m, g));
}

function metricTests(c: LegacyMetrics): Test {
  const { metric_names, resource_attributes } = c;
  return testOf(
    { ...NOTHING, match_type: c.match_type as 'strict' | 'regexp', metric_names, resources: resource_attributes },
    'metrics',
  );
}

/** Undefined when there are no such blocks for the signal. */
export function legacyDrop(config: FilterConfig, signal: Signal, id: string): Drop | undefined {
  let include: Test | undefined;
  let exclude: Test | undefined;
  if (signal === 'logs') {
    include = config.logs.include && logTests(config.logs.include);
    exclude = config.logs.exclude && logTests(config.logs.exclude);
  } else if (signal === 'metrics') {
    include = config.metrics.include && metricTests(config.metrics.include);
    exclude = config.metrics.exclude && metricTests(config.metrics.exclude);
  } else {
    for (const key of ['include', 'exclude'] as const) {
      const match = config.spans[key];
      const message = match && matchComplaint(match, 'traces');
      if (message) throw new ConfigError([{ path: ['processors', id, 'spans', key], message }]);
    }
    include = config.spans.include && testOf(config.spans.include, 'traces');
    exclude = config.spans.exclude && testOf(config.spans.exclude, 'traces');
  }
  if (!include && !exclude) return undefined;
  return (m, g) => (include !== undefined && !include(m, g)) || exclude?.(m, g) === true;
}
