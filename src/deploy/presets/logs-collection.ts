/**
 * logsCollection: container logs of the node. Rules, and Falco's pods, get receivers of their own: what their operators cost
 * is then paid for their lines only, and all others keep the fast path.
 */
import { ConfigError } from '../../core/errors.ts';
import type { Json, JsonMap } from '../config.ts';
import { type Draft, escapeDollar } from '../draft.ts';
import { ANY, allOf, anyOf, globText, intersect, type PodGlob } from '../pod-globs.ts';
import { falcoGlobs, falcoOperators } from './falco.ts';
import type { JsonParsing, LogRule, LogsCollectionOptions, Multiline } from './options.ts';

const PATH = ['agent', 'presets', 'logsCollection'] as const;
export const CONTAINER_PARSER = 'container-parser';

export function logsCollection(draft: Draft, options: LogsCollectionOptions): void {
  const { spec } = draft;
  const checkpoints = options.checkpoints ?? true;
  const included = options.include ? allOf(options.include) : [ANY];
  const taken: PodGlob[] = [...excluded(draft, options), ...anyOf(options.exclude ?? {})];
  const common = commonKeys(draft, options, checkpoints);
  const container: JsonMap = {
    type: 'container',
    id: CONTAINER_PARSER,
    ...(options.maxRecordSize === undefined ? {} : { max_log_size: options.maxRecordSize }),
  };
  const last = (options.operators ?? []) as Json[];
  const receiver = (globs: readonly PodGlob[], operators: Json[]): JsonMap => {
    const made = {
      include: globs.map(globText),
      exclude: taken.map(globText),
      ...structuredClone(common),
      operators: [structuredClone(container), ...operators, ...structuredClone(last)],
    };
    // The first that fits a container has it.
    taken.push(...globs);
    return made;
  };

  const falco = spec.agent?.presets.falco;
  const rules = options.rules ?? [];
  const special: [string, PodGlob[], Json[]][] = falco
    ? [['file_log/falco', falcoGlobs(falco), falcoOperators(falco)]]
    : [];
  rules.forEach((rule, i) => {
    const globs = intersect(included, allOf(listed(rule)), [...PATH, 'rules', i, 'match']);
    if (globs.length === 0)
      throw new ConfigError(
        [{ path: [...PATH, 'rules', i, 'match'], message: `no container of include fits the rule ${rule.name}` }],
        { headline: 'invalid spec' },
      );
    special.push([`file_log/${rule.name}`, globs, ruleOperators(rule)]);
  });
  const made = special.map(([id, globs, operators]) => [id, receiver(globs, operators)] as const);
  const rest: Json[] = [
    ...(falco?.anywhere ? falcoOperators({ ...falco, alertsOnly: false }) : []),
    ...(options.autoParse ? [{ type: 'auto_parser', id: 'auto-parser' }] : []),
  ];
  draft.receiver('logs', 'file_log', receiver(included, rest));
  for (const [id, config] of made) draft.receiver('logs', id, config);
}

const listed = ({ match: { namespace, pod, container } }: LogRule) => ({
  namespaces: namespace === undefined ? undefined : [namespace],
  pods: pod === undefined ? undefined : [pod],
  containers: container === undefined ? undefined : [container],
});

function excluded({ spec }: Draft, options: LogsCollectionOptions): PodGlob[] {
  if (options.includeCollectorLogs) return [];
  return [
    { ...ANY, namespace: spec.namespace, pod: 'otel-agent-*' },
    { ...ANY, namespace: spec.gateway?.namespace ?? spec.namespace, pod: 'otel-gateway-*' },
  ];
}

function commonKeys(draft: Draft, options: LogsCollectionOptions, checkpoints: boolean): JsonMap {
  const { pollInterval, excludeOlderThan } = options;
  return {
    include_file_path: true,
    include_file_name: false,
    start_at: options.startAt ?? (checkpoints ? 'beginning' : 'end'),
    ...(pollInterval === undefined ? {} : { poll_interval: pollInterval }),
    ...(excludeOlderThan === undefined ? {} : { exclude_older_than: excludeOlderThan }),
    ...(checkpoints ? { storage: draft.storage() } : {}),
    // 0: a destination that is away for long must not cost lines; the files wait.
    retry_on_failure: { enabled: true, max_elapsed_time: '0s' },
  };
}

function ruleOperators(rule: LogRule): Json[] {
  const json = rule.json === true ? {} : rule.json || undefined;
  return [
    ...(rule.multiline ? [recombine(rule.multiline)] : []),
    ...(json ? [jsonParser(json)] : []),
    ...(structuredClone(rule.operators ?? []) as Json[]),
  ];
}

function recombine({ firstLine, lastLine, flushAfter, maxSize }: Multiline): Json {
  const matches = (regex: string): string => escapeDollar(`body matches ${JSON.stringify(regex)}`);
  return {
    type: 'recombine',
    id: 'multiline',
    combine_field: 'body',
    ...(firstLine === undefined ? {} : { is_first_entry: matches(firstLine) }),
    ...(lastLine === undefined ? {} : { is_last_entry: matches(lastLine) }),
    source_identifier: 'attributes["log.file.path"]',
    ...(flushAfter === undefined ? {} : { force_flush_period: flushAfter }),
    ...(maxSize === undefined ? {} : { max_log_size: maxSize }),
  };
}

function jsonParser({ to = 'attributes', level = 'level', time, timeLayout }: JsonParsing): Json {
  const member = (key: string): string => (/^[A-Za-z_]\w*$/.test(key) ? `${to}.${key}` : `${to}["${key}"]`);
  const layout =
    timeLayout === undefined
      ? { layout_type: 'gotime', layout: '2006-01-02T15:04:05.999999999Z07:00' }
      : { layout_type: 'strptime', layout: escapeDollar(timeLayout) };
  return {
    type: 'json_parser',
    id: 'json',
    ...(to === 'attributes' ? {} : { parse_to: to }),
    // Text among the JSON stays as it is.
    on_error: 'send_quiet',
    ...(time === undefined ? {} : { timestamp: { parse_from: member(time), ...layout } }),
    severity: { parse_from: member(level) },
  };
}
