/** Metrics of the scraper paging. */
import type { MetricDeclaration } from '../../../../core/metrics/catalogue.ts';

export const PAGING: readonly MetricDeclaration[] = [
  {
    name: 'system.paging.faults',
    description: 'The number of page faults.',
    unit: '{faults}',
    type: 'sum',
    valueType: 'int',
    isMonotonic: true,
    attributes: [{ name: 'type' }],
    enabled: true,
  },
  {
    name: 'system.paging.operations',
    description: 'The number of paging operations.',
    unit: '{operations}',
    type: 'sum',
    valueType: 'int',
    isMonotonic: true,
    attributes: [{ name: 'direction' }, { name: 'type' }],
    enabled: true,
  },
  {
    name: 'system.paging.usage',
    description: 'Swap (unix) or pagefile (windows) usage.',
    unit: 'By',
    type: 'sum',
    valueType: 'int',
    attributes: [{ name: 'device' }, { name: 'state' }],
    enabled: true,
  },
  {
    name: 'system.paging.utilization',
    description: 'Swap (unix) or pagefile (windows) utilization.',
    unit: '1',
    type: 'gauge',
    valueType: 'double',
    attributes: [{ name: 'device' }, { name: 'state' }],
    enabled: false,
  },
];
