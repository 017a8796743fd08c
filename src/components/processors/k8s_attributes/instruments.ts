/** What the k8s_attributes processor counts. */
import type { Instrument } from '../../../core/telemetry.ts';

export const INSTRUMENTS = {
  association: {
    name: 'otelcol_k8s_pod_association',
    kind: 'counter',
    help: 'Resources whose pod was looked for, by result.',
    unit: '{resources}',
  },
  unmatched: {
    name: 'sluice_processor_k8s_attributes_unmatched_records',
    kind: 'counter',
    help: 'Records, spans and data points that went on without a pod, by reason.',
    unit: '{record}',
  },
  waiting: {
    name: 'sluice_processor_k8s_attributes_waiting_bytes',
    kind: 'gauge',
    help: 'Bytes that wait for a pod to become known.',
    unit: 'By',
  },
  waited: {
    name: 'sluice_processor_k8s_attributes_waited_records',
    kind: 'counter',
    help: 'Records that waited for their pod, by whether it became known.',
    unit: '{record}',
  },
  dropped: {
    name: 'sluice_processor_k8s_attributes_dropped_records',
    kind: 'counter',
    help: 'Records that had waited and were then refused by what follows, without a source that could send them again.',
    unit: '{record}',
  },
  pods: {
    name: 'sluice_processor_k8s_attributes_deleted_pods',
    kind: 'gauge',
    help: 'Deleted pods that are still known for late records.',
    unit: '{pod}',
  },
} as const satisfies Record<string, Instrument>;
