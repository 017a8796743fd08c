/** Metrics of the scraper cpu. */
import type { MetricDeclaration } from '../../../../core/metrics/catalogue.ts';

export const CPU: readonly MetricDeclaration[] = [
  {
    name: 'system.cpu.frequency',
    description: 'Current frequency of the CPU core in Hz.',
    unit: 'Hz',
    type: 'gauge',
    valueType: 'double',
    attributes: [{ name: 'cpu' }],
    enabled: false,
  },
  {
    name: 'system.cpu.logical.count',
    description: 'Number of available logical CPUs.',
    unit: '{cpu}',
    type: 'sum',
    valueType: 'int',
    enabled: false,
  },
  {
    name: 'system.cpu.physical.count',
    description: 'Number of available physical CPUs.',
    unit: '{cpu}',
    type: 'sum',
    valueType: 'int',
    enabled: false,
  },
  {
    name: 'system.cpu.time',
    description: 'Total seconds each logical CPU spent on each mode.',
    unit: 's',
    type: 'sum',
    valueType: 'double',
    isMonotonic: true,
    attributes: [{ name: 'cpu' }, { name: 'state' }],
    enabled: true,
  },
  {
    name: 'system.cpu.utilization',
    description:
      'Difference in system.cpu.time since the last measurement per logical CPU, divided by the elapsed time (value in interval [0,1]).',
    unit: '1',
    type: 'gauge',
    valueType: 'double',
    attributes: [{ name: 'cpu' }, { name: 'state' }],
    enabled: false,
  },
];
