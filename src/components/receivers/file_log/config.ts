/** Keys of file_log, with upstream's defaults and messages. */
import * as z from 'zod';
import { compileGlob, GlobError } from '../../../core/glob.ts';
import { byteSize, duration, retryOnFailure, section, stringList } from '../../../core/schema.ts';
import { isKnownEncoding } from './encoding.ts';

const issue = (ctx: z.RefinementCtx, path: (string | number)[], message: string): void =>
  ctx.addIssue({ code: 'custom', path, message });

function checkGlobs(ctx: z.RefinementCtx, key: string, globs: readonly string[]): void {
  globs.forEach((glob, i) => {
    try {
      compileGlob(glob);
    } catch (error) {
      if (!(error instanceof GlobError)) throw error;
      issue(ctx, [key, i], `parse ${key} glob ${JSON.stringify(glob)}: ${error.message}`);
    }
  });
}

const multiline = section(
  z
    .strictObject({
      line_start_pattern: z.string().default('').describe('Regular expression that a record starts with'),
      line_end_pattern: z.string().default('').describe('Regular expression that a record ends with'),
      omit_pattern: z.boolean().default(false).describe('Leave the matched text out of the record'),
    })
    .superRefine((m, ctx) => {
      if (m.line_start_pattern !== '' && m.line_end_pattern !== '')
        issue(ctx, [], 'only one of line_start_pattern or line_end_pattern can be set');
    }),
);

const sortRule = z
  .strictObject({
    sort_type: z.enum(['numeric', 'alphabetical', 'timestamp', 'mtime']).describe('How values are compared'),
    regex_key: z.string().default('').describe('Named group of ordering_criteria.regex that holds the value'),
    ascending: z.boolean().default(false).describe('Lowest first'),
    layout: z.string().default('').describe('strptime layout of a timestamp'),
    format: z.string().default('').describe('Other name of layout'),
    location: z.string().default('UTC').describe('Time zone of a timestamp'),
  })
  .superRefine((s, ctx) => {
    if (s.sort_type !== 'mtime' && s.regex_key === '') issue(ctx, ['regex_key'], "'regex_key' must be specified");
    if (s.sort_type === 'timestamp' && s.layout === '' && s.format === '')
      issue(ctx, ['layout'], "'layout' must be specified for 'timestamp' sort type");
  });

const ordering = section(
  z
    .strictObject({
      regex: z.string().default('').describe('Takes values out of the path with named groups'),
      group_by: z.string().default('').describe('Files whose first group is equal are filtered together'),
      top_n: z.int().default(0).describe('Files kept per group; 1 when sort_by is set'),
      sort_by: z.array(sortRule).default([]).describe('Order of the files of a group'),
    })
    .superRefine((o, ctx) => {
      if (o.top_n < 0) issue(ctx, ['top_n'], "'top_n' must be a positive integer");
      if (o.sort_by.some((s) => s.sort_type !== 'mtime') && o.regex === '')
        issue(ctx, ['regex'], "'regex' must be specified when 'sort_by' is specified");
    }),
);

/** @param operators schema of one list of operators */
export const configSchema = <O extends z.ZodType>(operators: O) =>
  section(
    z
      .strictObject({
        include: stringList().default([]).describe('Globs of the files to read'),
        exclude: stringList().default([]).describe('Globs of files to leave out'),
        exclude_older_than: duration().prefault(0).describe('Leave out files not modified for so long; 0: none'),
        start_at: z
          .string()
          .default('end')
          .refine((s) => s === 'beginning' || s === 'end', {
            error: (i) => `invalid start_at location '${String(i.input)}'`,
          })
          .describe('Where to begin in files found at the first start: beginning or end'),
        poll_interval: duration().prefault('200ms').describe('How often to look for new data'),
        poll_mode: z
          .enum(['auto', 'poll'])
          .default('auto')
          .describe(
            'auto: let the kernel tell which files changed, where it can; poll: look at every file each time (own key)',
          ),
        fingerprint_size: byteSize().prefault(1000).describe('Bytes at the start of a file that tell it from others'),
        initial_buffer_size: byteSize().prefault('16KiB').describe('Accepted; the read buffer is shared by all files'),
        max_log_size: byteSize().prefault('1MiB').describe('Longest record'),
        max_log_size_behavior: z
          .enum(['split', 'truncate'])
          .default('split')
          .describe('What happens to longer ones: split into several, or cut and the rest dropped'),
        max_concurrent_files: z.int().default(1024).describe('Most files kept open'),
        max_batches: z
          .int()
          .default(0)
          .describe('Read only the first max_batches * max_concurrent_files / 2 files; 0: all'),
        unsettled_window: byteSize()
          .prefault('8MiB')
          .describe('Encoded bytes given out whose delivery is not known; reading waits beyond it (own key)'),
        delete_after_read: z.boolean().default(false).describe('Delete a file when all of it is delivered'),
        acquire_fs_lock: z.boolean().default(false).describe('Not supported'),
        file_cache_advise: z.boolean().default(false).describe('Accepted, no effect'),
        skip_unmodified_files: z.boolean().default(false).describe('Accepted; unmodified files are never opened again'),
        encoding: z
          .string()
          .default('utf-8')
          .refine(isKnownEncoding, { error: (i) => `unsupported encoding '${String(i.input)}'` })
          .describe('Of the files: utf-8, utf-16le, utf-16be, ascii, big5, …; nop: bytes, not split into lines'),
        multiline: multiline.prefault({}).describe('How records are told apart, when not by line'),
        force_flush_period: duration()
          .prefault('500ms')
          .describe('Emit an unfinished last line after this long; 0: never'),
        preserve_leading_whitespaces: z.boolean().default(false).describe('Keep blanks at the start of a record'),
        preserve_trailing_whitespaces: z.boolean().default(false).describe('Keep blanks at the end of a record'),
        include_file_name: z.boolean().default(true).describe('Attribute log.file.name'),
        include_file_path: z.boolean().default(false).describe('Attribute log.file.path'),
        include_file_name_resolved: z
          .boolean()
          .default(false)
          .describe('Attribute log.file.name_resolved: links followed'),
        include_file_path_resolved: z
          .boolean()
          .default(false)
          .describe('Attribute log.file.path_resolved: links followed'),
        include_file_owner_name: z.boolean().default(false).describe('Attribute log.file.owner.name'),
        include_file_owner_group_name: z.boolean().default(false).describe('Attribute log.file.owner.group.name'),
        include_file_permissions: z.boolean().default(false).describe('Attribute log.file.permissions'),
        include_file_record_number: z.boolean().default(false).describe('Attribute log.file.record_number, from 1'),
        include_file_record_offset: z.boolean().default(false).describe('Attribute log.file.record_offset, in bytes'),
        header: section(
          z.strictObject({
            pattern: z.string().describe('Lines at the start of a file that match are its header'),
            metadata_operators: operators.describe('What makes attributes of the header lines'),
          }),
        )
          .optional()
          .describe('Header lines whose values every record of the file gets'),
        ordering_criteria: ordering.prefault({}).describe('Read only the first files by some order'),
        compression: z
          .enum(['', 'gzip', 'auto'])
          .default('')
          .describe('Of the files; auto: gzip when the name ends in .gz'),
        polls_to_archive: z
          .int()
          .default(0)
          .describe('How many polls longer the offsets of vanished files are remembered'),
        on_truncate: z
          .enum(['ignore', 'read_whole_file', 'read_new'])
          .default('ignore')
          .describe('When a file is shorter than what was read of it and begins as before'),
        storage: z.string().optional().describe('Id of the storage extension that offsets are kept in'),
        retry_on_failure: retryOnFailure('1s', false).describe(
          'Waits between attempts; data is never dropped, whatever it says',
        ),
        attributes: z.record(z.string(), z.string()).default({}).describe('Attributes of every record'),
        resource: z.record(z.string(), z.string()).default({}).describe('Resource attributes of every record'),
        operators: operators.describe('What records pass through, in order'),
        id: z.string().default('file_input').describe('Name of the input among the operators'),
        type: z.string().default('').describe('Accepted, no effect'),
        output: stringList().optional().describe('Operators that get the records; the first one when not set'),
      })
      .superRefine((c, ctx) => {
        if (c.include.length === 0) issue(ctx, ['include'], "'include' must be specified");
        checkGlobs(ctx, 'include', c.include);
        checkGlobs(ctx, 'exclude', c.exclude);
        if (c.fingerprint_size < 16) issue(ctx, ['fingerprint_size'], "'fingerprint_size' must be at least 16 bytes");
        if (c.max_log_size <= 0) issue(ctx, ['max_log_size'], "'max_log_size' must be positive");
        if (c.max_concurrent_files < 1) issue(ctx, ['max_concurrent_files'], "'max_concurrent_files' must be positive");
        if (c.max_batches < 0) issue(ctx, ['max_batches'], "'max_batches' must not be negative");
        if (c.poll_interval <= 0) issue(ctx, ['poll_interval'], "'poll_interval' must be positive");
        if (c.delete_after_read && c.start_at === 'end')
          issue(ctx, ['delete_after_read'], "'delete_after_read' cannot be used with 'start_at: end'");
        if (c.header && c.start_at === 'end')
          issue(ctx, ['header'], "'header' cannot be specified with 'start_at: end'");
        if (c.acquire_fs_lock)
          issue(ctx, ['acquire_fs_lock'], "'acquire_fs_lock' is not supported: there is no flock here; leave it out");
      }),
  );

export type FileLogConfig = z.output<ReturnType<typeof configSchema<z.ZodType<unknown[]>>>>;
