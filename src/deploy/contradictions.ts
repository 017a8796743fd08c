/** Options that cannot stand together, or that the chosen engine does not have. */
import type { Diagnostic } from '../core/errors.ts';
import { helmProblems } from './compat-helm.ts';
import type { NormalSpec, Spec } from './spec.ts';

type Path = (string | number)[];

export function contradictions(spec: NormalSpec, written: Spec): Diagnostic[] {
  const out: Diagnostic[] = [];
  const say = (path: Path, message: string, hint: string): void => {
    out.push({ path, message, hint });
  };
  if (!spec.agent && !spec.gateway)
    say(['agent'], 'neither agent nor gateway: there is nothing to run', 'leave out agent: false or gateway: false');
  agentProblems(spec, say);
  if (spec.agent?.presets.talos && written.platform !== undefined && spec.platform !== 'talos')
    say(
      ['agent', 'presets', 'talos'],
      `talos reads the logs of Talos' services, but the platform is ${spec.platform}`,
      'set platform: talos, or leave the preset out',
    );
  if (spec.engine === 'otelcol-contrib') contribProblems(spec, written, say);
  else sluiceProblems(spec, say);
  if (spec.compat === 'helm') out.push(...helmProblems(spec, written));
  for (const tier of ['agent', 'gateway'] as const) {
    const { limitPercentage = 80, spikeLimitPercentage = 25 } = spec[tier]?.memoryLimiter ?? {};
    if (spikeLimitPercentage >= limitPercentage)
      say(
        [tier, 'memoryLimiter', 'spikeLimitPercentage'],
        `spikeLimitPercentage ${spikeLimitPercentage} is not below limitPercentage ${limitPercentage}`,
        'the soft limit is their difference',
      );
  }
  return out;
}

type Say = (path: Path, message: string, hint: string) => void;

function agentProblems({ agent }: NormalSpec, say: Say): void {
  if (!agent) return;
  const { logsCollection: logs, hostMetrics: host, kubernetesAttributes, falco } = agent.presets;
  const at = (...path: Path): Path => ['agent', 'presets', ...path];
  if (falco && !logs)
    say(at('falco'), 'falco reads the logs that logsCollection collects', 'leave out logsCollection: false');
  for (const key of ['include', 'exclude'] as const)
    if (logs?.[key]?.labels && !kubernetesAttributes)
      say(
        at('logsCollection', key, 'labels'),
        'labels of pods are known by the preset kubernetesAttributes only',
        'leave out kubernetesAttributes: false',
      );
  if (logs?.byAnnotation && !kubernetesAttributes)
    say(
      at('logsCollection', 'byAnnotation'),
      'annotations of pods and namespaces are known by the preset kubernetesAttributes only',
      'leave out kubernetesAttributes: false',
    );
  const names = new Set<string>(['falco', 'talos', 'talos-audit']);
  (logs?.rules ?? []).forEach((rule, i) => {
    if (names.has(rule.name))
      say(
        at('logsCollection', 'rules', i, 'name'),
        `there is a receiver file_log/${rule.name} already`,
        'choose another name',
      );
    names.add(rule.name);
  });
  const measured = Object.entries(host?.metrics ?? {}).find(
    ([name, on]) => on && name.startsWith('system.filesystem.'),
  );
  if (host?.mount === 'proc' && host.scrapers?.filesystem)
    say(
      at('hostMetrics', 'scrapers', 'filesystem'),
      'mount: proc does not mount file systems',
      "name them, mount: ['/var'], or leave the scraper out",
    );
  if (host?.mount === 'proc' && measured)
    say(
      at('hostMetrics', 'metrics', measured[0]),
      'mount: proc does not mount file systems',
      "name them, mount: ['/var'], or leave the metric out",
    );
  if (Array.isArray(host?.mount) && host.scrapers?.filesystem === false)
    say(
      at('hostMetrics', 'mount'),
      'mount points are named, but the filesystem scraper, which measures them, is off',
      'mount: proc mounts none',
    );
}

function contribProblems({ agent, gateway, destinations }: NormalSpec, written: Spec, say: Say): void {
  const own = (path: Path, what: string): void =>
    say(path, `${what} needs engine: sluice`, 'otelcol-contrib has nothing like it');
  const logs = agent?.presets.logsCollection;
  const at = (...path: Path): Path => ['agent', 'presets', ...path];
  if (logs?.autoParse) own(at('logsCollection', 'autoParse'), 'autoParse');
  if (logs?.redaction?.detectors?.length) own(at('logsCollection', 'redaction', 'detectors'), 'a detector');
  for (const [name, tier] of [
    ['agent', agent],
    ['gateway', gateway],
  ] as const)
    if (tier?.presets.kubernetesAttributes?.podSource === 'kubelet')
      own([name, 'presets', 'kubernetesAttributes', 'podSource'], 'podSource: kubelet');
  const events = gateway?.presets.kubernetesEvents;
  if (events?.details) own(['gateway', 'presets', 'kubernetesEvents', 'details'], 'details');
  if (events?.foldInterval !== undefined)
    own(['gateway', 'presets', 'kubernetesEvents', 'foldInterval'], 'foldInterval');
  if (destinations.metrics.compression === 'zstd')
    own(['destinations', 'metrics', 'compression'], 'zstd of remote write');
  if (destinations.metrics.persistentQueue)
    own(['destinations', 'metrics', 'persistentQueue'], 'a persistent queue of metrics');
  if (written.destinations?.metrics?.labels) own(['destinations', 'metrics', 'labels'], 'a choice of labels');
}

function sluiceProblems({ agent, gateway }: NormalSpec, say: Say): void {
  if (agent?.presets.talos?.from === 'tcp')
    say(
      ['agent', 'presets', 'talos', 'from'],
      'from: tcp needs engine: otelcol-contrib: sluice has no receiver for logs over TCP (tcplog)',
      'from: files, the default, reads the same logs from /var/log of the node',
    );
  if (gateway?.presets.kubernetesAttributes?.podSource === 'kubelet')
    say(
      ['gateway', 'presets', 'kubernetesAttributes', 'podSource'],
      'the gateway needs the pods of all nodes, which no kubelet has',
      'leave podSource out',
    );
}
