/** Metrics of the scraper filesystem. */
import type { MetricDeclaration } from '../../../../core/metrics/catalogue.ts';

export const FILESYSTEM: readonly MetricDeclaration[] = [
  {
    name: 'system.filesystem.inodes.usage',
    description: 'FileSystem inodes used.',
    unit: '{inodes}',
    type: 'sum',
    valueType: 'int',
    attributes: [{ name: 'device' }, { name: 'mode' }, { name: 'mountpoint' }, { name: 'type' }, { name: 'state' }],
    enabled: true,
  },
  {
    name: 'system.filesystem.usage',
    description: 'Filesystem bytes used.',
    unit: 'By',
    type: 'sum',
    valueType: 'int',
    attributes: [{ name: 'device' }, { name: 'mode' }, { name: 'mountpoint' }, { name: 'type' }, { name: 'state' }],
    enabled: true,
  },
  {
    name: 'system.filesystem.utilization',
    description: 'Fraction of filesystem bytes used.',
    unit: '1',
    type: 'gauge',
    valueType: 'double',
    attributes: [{ name: 'device' }, { name: 'mode' }, { name: 'mountpoint' }, { name: 'type' }],
    enabled: false,
  },
];
