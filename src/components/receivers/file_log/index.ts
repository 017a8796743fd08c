/** file_log receiver: tails files. */
import { defineReceiver } from '../../../core/component.ts';
import { operatorsSchema } from '../../../stanza/compile.ts';
import { configSchema, type FileLogConfig } from './config.ts';
import { INSTRUMENTS } from './telemetry.ts';

export default defineReceiver({
  id: 'file_log',
  aliases: ['filelog'],
  summary: 'Reads records from files as they are written, through rotation, and stores how far it came.',
  stability: 'beta',
  signals: ['logs'],
  schema: configSchema(operatorsSchema),
  telemetry: INSTRUMENTS,
  create: async (config, ctx) => (await import('./create.ts')).createFileLog(config as FileLogConfig, ctx),
});
