/** Metrics of the scraper processes. */
import type { MetricDeclaration } from '../../../../core/metrics/catalogue.ts';

export const PROCESSES: readonly MetricDeclaration[] = [
  {
    name: 'system.processes.count',
    description: 'Total number of processes in each state.',
    unit: '{processes}',
    type: 'sum',
    valueType: 'int',
    attributes: [{ name: 'status' }],
    enabled: true,
  },
  {
    name: 'system.processes.created',
    description: 'Total number of created processes. Supported on Linux and OpenBSD.',
    unit: '{processes}',
    type: 'sum',
    valueType: 'int',
    isMonotonic: true,
    enabled: true,
  },
];
