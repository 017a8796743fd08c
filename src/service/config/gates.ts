/** Feature gates that configurations in the field name, with the stage that decides whether they are on. */
import { ConfigError } from '../../core/errors.ts';
import { didYouMean } from '../../core/suggest.ts';

export type GateStage = 'alpha' | 'beta' | 'stable' | 'deprecated';

export interface Gate {
  readonly id: string;
  readonly stage: GateStage;
  readonly description: string;
}

const gate = (id: string, stage: GateStage, description: string): Gate => ({ id, stage, description });

export const gates: readonly Gate[] = [
  gate(
    'confmap.enableMergeAppendOption',
    'alpha',
    'Later sources add to lists of extensions, receivers and exporters instead of replacing them',
  ),
  gate(
    'exporter.prometheusremotewritexporter.EnableMultipleWorkers',
    'alpha',
    'Several queue consumers send at the same time',
  ),
  gate('exporter.prometheusremotewritexporter.RetryOn429', 'alpha', 'Try again after status 429'),
  gate(
    'exporter.prometheusremotewritexporter.enableSendingRW2',
    'alpha',
    'Allows protobuf_message io.prometheus.write.v2.Request',
  ),
  gate('exporter.prometheusremotewritexporter.removeTopLevelHTTPSettings', 'alpha', 'HTTP settings only below http'),
  gate('extension.healthcheck.useComponentStatus', 'alpha', 'Version 2 of health_check; not supported'),
  gate('filelog.allowFileDeletion', 'beta', 'Allows delete_after_read'),
  gate('filelog.allowHeaderMetadataParsing', 'beta', 'Allows header'),
  gate('filelog.mtimeSortType', 'beta', 'Allows sort_type mtime'),
  gate('filelog.protobufCheckpointEncoding', 'stable', 'Encoding of checkpoints; ours is its own'),
  gate('filelog.requireExplicitTopN', 'alpha', 'sort_by needs top_n'),
  gate('filelog.windows.caseInsensitive', 'beta', 'Windows only'),
  gate('hostmetrics.process.bootTimeCache', 'beta', 'The time of boot is read once'),
  gate('logs.assignKeys', 'beta', 'Allows the operator assign_keys'),
  gate('logs.jsonParserArray', 'beta', 'Allows the operator json_array_parser'),
  gate('parser.uri.ecscompliant', 'alpha', 'uri_parser writes url.* keys'),
  gate('pkg.exporterhelper.queueBatchEnabled', 'alpha', 'sending_queue.batch is on unless configured'),
  gate('processor.k8sattributes.DontEmitV0K8sConventions', 'alpha', 'No names of the old conventions'),
  gate('processor.k8sattributes.EmitV1K8sConventions', 'alpha', 'Names of the new conventions'),
  gate('processor.k8sattributes.EnableKubeletPodSource', 'alpha', 'Allows kubelet as source of pods'),
  gate(
    'processor.k8sattributes.ShareProcessorBetweenPipelines',
    'alpha',
    'Instances with equal configuration share one watch',
  ),
  gate('processor.k8sattributes.telemetry.disableOldFormatMetrics', 'beta', 'No self metrics under old names'),
  gate('processor.k8sattributes.telemetry.enableNewFormatMetrics', 'beta', 'Self metrics under new names'),
  gate('receiver.hostmetrics.DontEmitV0SystemConventions', 'alpha', 'Process metrics: no names of the old conventions'),
  gate('receiver.hostmetrics.EmitV1SystemConventions', 'alpha', 'Process metrics: names of the new conventions'),
  gate('receiver.hostmetricsreceiver.UseLinuxMemAvailable', 'beta', 'Used memory is total less available'),
  gate('receiver.k8sobjects.useInformerObserver', 'alpha', 'Informers instead of plain watches'),
  gate(
    'receiver.kubeletstats.cpuUsageScrapeBased',
    'alpha',
    'CPU usage is computed from two samples of the counter instead of taken from the kubelet',
  ),
  gate('receiverhelper.newReceiverMetrics', 'alpha', 'Counts failed apart from refused'),
  gate('scraper.process.DontEmitV0SystemConventions', 'alpha', 'Process metrics: no names of the old conventions'),
  gate('scraper.process.EmitV1SystemConventions', 'alpha', 'Process metrics: names of the new conventions'),
  gate('service.AllowNoPipelines', 'alpha', 'A service without pipelines may run'),
  gate('service.partialReload', 'alpha', 'A reload restarts only what changed; ours always does'),
  gate('service.partialReloadReceivers', 'beta', 'A reload restarts only changed receivers; ours always does'),
  gate('service.profilesSupport', 'alpha', 'Pipelines for profiles; not supported'),
  gate('stanza.synchronousLogEmitter', 'alpha', 'No buffer between operators and pipeline'),
];

const isOnByDefault = (stage: GateStage): boolean => stage === 'beta' || stage === 'stable';

export interface GateSelection {
  readonly enabled: ReadonlyMap<string, boolean>;
  readonly notices: readonly string[];
}

/** `flags` as given to --feature-gates, each a comma list of `id`, `+id`, `-id`; the last word on a gate counts. */
export function selectGates(flags: readonly string[], known: readonly Gate[] = gates): GateSelection {
  const enabled = new Map(known.map((g) => [g.id, isOnByDefault(g.stage)]));
  const notices: string[] = [];
  for (const word of flags.flatMap((flag) => flag.split(','))) {
    const text = word.trim();
    if (text === '') continue;
    const on = !text.startsWith('-');
    const id = text.replace(/^[+-]/, '');
    const found = known.find((g) => g.id === id);
    const invalid = (message: string, hint?: string): ConfigError =>
      new ConfigError([
        {
          path: [],
          message: `invalid argument ${JSON.stringify(text)} for "--feature-gates" flag: ${message}`,
          ...(hint === undefined ? {} : { hint }),
        },
      ]);
    if (!found) {
      const ids = known.map((g) => g.id);
      throw invalid(`no such feature gate ${JSON.stringify(id)}. valid gates: [${ids.join(' ')}]`, didYouMean(id, ids));
    }
    if (found.stage === 'stable') {
      if (!on) throw invalid(`feature gate ${JSON.stringify(id)} is stable, can not be disabled`);
      notices.push(
        `Feature gate ${JSON.stringify(id)} is stable and already enabled. It will be removed in a later version.`,
      );
      continue;
    }
    if (found.stage === 'deprecated') {
      if (on) throw invalid(`feature gate ${JSON.stringify(id)} is deprecated, can not be enabled`);
      continue;
    }
    enabled.set(id, on);
  }
  return { enabled, notices };
}
