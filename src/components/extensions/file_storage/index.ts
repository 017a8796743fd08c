/** file_storage: one small durable key-value file per component, for offsets and sending queues. */
import * as z from 'zod';
import { defineExtension } from '../../../core/component.ts';
import { byteSize, duration, section } from '../../../core/schema.ts';
import { directoryProblem } from './directory.ts';

const DEFAULT_DIRECTORY = '/var/lib/otelcol/file_storage';

const compaction = z.strictObject({
  directory: z
    .string()
    .default(DEFAULT_DIRECTORY)
    .describe(
      'Accepted; compaction works inside the store itself. Must exist with on_start, and cleanup_on_start cleans it',
    ),
  on_start: z.boolean().default(false).describe('Give free space back to the file system when a store is opened'),
  on_rebound: z
    .boolean()
    .default(false)
    .describe('Give free space back once a store that had grown is nearly empty again'),
  rebound_needed_threshold_mib: z.int().default(100).describe('Rebound: the file must be at least this big, MiB'),
  rebound_trigger_threshold_mib: z.int().default(10).describe('Rebound: its live data must be at most this big, MiB'),
  max_transaction_size: z
    .int()
    .min(0, 'max transaction size for compaction cannot be less than 0')
    .default(65_536)
    .describe('Accepted without effect: compaction is one transaction, which keeps no items in memory'),
  check_interval: duration().prefault('5s').describe('How often rebound is looked for'),
  cleanup_on_start: z
    .boolean()
    .default(false)
    .describe('Remove tempdb* that a former otelcol left in compaction.directory'),
});

const schema = z
  .strictObject({
    directory: z.string().default(DEFAULT_DIRECTORY).describe('Where the files lie; one directory per collector'),
    timeout: duration().prefault('1s').describe('How long to wait for a file that another process holds; 0: for ever'),
    max_size: byteSize()
      .prefault(0)
      .describe(
        'Largest size of one file, 0: no limit. Up to 16 MiB of journal come on top. Over it, writes fail, and nothing stored is harmed',
      ),
    fsync: z
      .boolean()
      .default(false)
      .describe(
        'Every write reaches the disk before it counts. Without it a kill -9 loses nothing, a power cut may lose the last writes but never damages the file',
      ),
    create_directory: z.boolean().default(false).describe('Make the directory when it is not there'),
    directory_permissions: z.string().default('0750').describe('Of a directory that is made, octal'),
    recreate: z
      .boolean()
      .default(false)
      .describe(
        'Set a damaged file aside as <name>.<UTC time>.backup and begin an empty one, instead of refusing to start',
      ),
    compaction: section(compaction).prefault({}).describe('Gives space that deleted data took back to the file system'),
  })
  .superRefine((c, ctx) => {
    if (!/^[0-7]{1,4}$/.test(c.directory_permissions) || Number.parseInt(c.directory_permissions, 8) > 0o777)
      ctx.addIssue({
        code: 'custom',
        path: ['directory_permissions'],
        message: 'directory_permissions value must be a valid octal representation of permission bits',
      });
    if (c.compaction.on_rebound && c.compaction.check_interval <= 0)
      ctx.addIssue({
        code: 'custom',
        path: ['compaction', 'check_interval'],
        message: 'compaction check interval must be positive when rebound compaction is set',
      });
    if (c.max_size < 0) ctx.addIssue({ code: 'custom', path: ['max_size'], message: 'max_size must not be negative' });
    const wanted: [string, string[]][] = [[c.directory, ['directory']]];
    if (c.compaction.on_start) wanted.push([c.compaction.directory, ['compaction', 'directory']]);
    for (const [directory, path] of wanted) {
      const problem = directoryProblem(directory, c.create_directory);
      if (problem) ctx.addIssue({ code: 'custom', path, message: problem });
    }
  });

export type FileStorageConfig = z.output<typeof schema>;

export default defineExtension({
  id: 'file_storage',
  summary: 'Keeps offsets and sending queues in files, so that a restart goes on where it stopped.',
  stability: 'beta',
  schema,
  create: async (config, ctx) => new (await import('./extension.ts')).FileStorage(config, ctx),
});
