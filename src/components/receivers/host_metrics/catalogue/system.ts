/** Metrics of the scraper system. */
import type { MetricDeclaration } from '../../../../core/metrics/catalogue.ts';

export const SYSTEM: readonly MetricDeclaration[] = [
  {
    name: 'system.uptime',
    description: 'The time the system has been running',
    unit: 's',
    type: 'gauge',
    valueType: 'double',
    enabled: true,
  },
];
