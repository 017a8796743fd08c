/** file: writes telemetry to files, as OTLP in JSON or protobuf. */
import * as z from 'zod';
import { defineExporter } from '../../../core/component.ts';
import { EXPORTER_INSTRUMENTS } from '../../../core/queue-telemetry.ts';
import { duration, section } from '../../../core/schema.ts';

const schema = z
  .strictObject({
    path: z.string().default('').describe('File to write; with group_by, one * in it stands for the attribute'),
    append: z.boolean().default(false).describe('Keep what is in the file; otherwise it is emptied at the start'),
    rotation: section(
      z.strictObject({
        max_megabytes: z
          .int()
          .min(0)
          .default(100)
          .transform((n) => n || 100)
          .describe('Begin a new file when this one would become larger, MiB'),
        max_days: z.int().min(0).default(0).describe('Delete older files after so many days; 0: never'),
        max_backups: z.int().min(0).default(100).describe('Keep at most so many older files; 0: all'),
        localtime: z.boolean().default(false).describe('Local time in the names of older files, not UTC'),
      }),
    )
      .optional()
      .describe('Begin new files as they grow; keeps what is in the file at the start'),
    format: z
      .enum(['json', 'proto'], { error: 'format type is not supported' })
      .default('json')
      .describe('json: a line per request; proto: each request after its length in 4 bytes, big-endian'),
    encoding: z
      .unknown()
      .refine((v) => v === undefined || v === null, { error: "'encoding' extensions are not supported; use format" })
      .optional()
      .describe('Not supported: must be absent'),
    compression: z
      .enum(['', 'zstd'], { error: 'compression is not supported' })
      .default('')
      .describe('zstd packs each request on its own, after its length in 4 bytes, big-endian'),
    compression_params: section(z.strictObject({ level: z.int().optional().describe('1 to 19; 3 without it') }))
      .prefault({})
      .describe('How hard requests are packed'),
    flush_interval: duration()
      .prefault('1s')
      .refine((ms) => ms >= 0, { error: 'flush_interval must be larger than zero' })
      .describe('Accepted without effect: every request is written at once'),
    create_directory: z.boolean().default(false).describe('Make the directory when it is not there'),
    directory_permissions: z
      .string()
      .default('0755')
      .refine((t) => /^0?[0-7]{3}$/.test(t), { error: 'directory_permissions must be octal, for example "0755"' })
      .describe('Mode of directories that are made, octal'),
    group_by: section(
      z.strictObject({
        enabled: z.boolean().default(false).describe('A file per value of a resource attribute'),
        resource_attribute: z
          .string()
          .default('fileexporter.path_segment')
          .describe('Attribute that stands for the * of path; resources without it are not written'),
        max_open_files: z.int().min(1).default(100).describe('Files that are kept open'),
      }),
    )
      .prefault({})
      .describe('A file per value of a resource attribute'),
  })
  .superRefine((c, ctx) => {
    const issue = (message: string, path: string[]) => ctx.addIssue({ code: 'custom', path, message });
    if (!c.path) issue('path must be non-empty', ['path']);
    if (c.append && c.compression)
      issue('append and compression enabled at the same time is not supported', ['append']);
    if (c.append && c.rotation) issue('append and rotation enabled at the same time is not supported', ['append']);
    if (!c.group_by.enabled) return;
    if (!c.group_by.resource_attribute)
      issue('resource_attribute must not be empty', ['group_by', 'resource_attribute']);
    if (c.path.startsWith('*')) issue('path must not start with * when group_by is enabled', ['path']);
    else if (c.path.split('*').length !== 2)
      issue('path must contain exactly one * when group_by is enabled', ['path']);
  });
export type FileConfig = z.output<typeof schema>;

export default defineExporter({
  id: 'file',
  summary: 'Writes logs, metrics and traces to files, as OTLP in JSON lines or protobuf.',
  stability: 'alpha',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: EXPORTER_INSTRUMENTS,
  create: async (config, ctx) => (await import('./exporter.ts')).createFileExporter(config, ctx),
});
