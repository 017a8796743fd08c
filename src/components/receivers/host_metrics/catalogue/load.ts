/** Metrics of the scraper load. */
import type { MetricDeclaration } from '../../../../core/metrics/catalogue.ts';

export const LOAD: readonly MetricDeclaration[] = [
  {
    name: 'system.cpu.load_average.15m',
    description: 'Average CPU Load over 15 minutes.',
    unit: '{thread}',
    type: 'gauge',
    valueType: 'double',
    enabled: true,
  },
  {
    name: 'system.cpu.load_average.1m',
    description: 'Average CPU Load over 1 minute.',
    unit: '{thread}',
    type: 'gauge',
    valueType: 'double',
    enabled: true,
  },
  {
    name: 'system.cpu.load_average.5m',
    description: 'Average CPU Load over 5 minutes.',
    unit: '{thread}',
    type: 'gauge',
    valueType: 'double',
    enabled: true,
  },
];
