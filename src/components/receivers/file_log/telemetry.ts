/** What the receiver serves on /metrics. */
import type { Instrument } from '../../../core/telemetry.ts';
import { AUTO_PARSER_INSTRUMENTS } from '../../../stanza/auto/instruments.ts';

export const OPEN_FILES: Instrument = {
  name: 'otelcol_fileconsumer_open_files',
  kind: 'gauge',
  help: 'Number of open files',
  unit: '1',
  upDown: true,
};
export const READING_FILES: Instrument = {
  name: 'otelcol_fileconsumer_reading_files',
  kind: 'gauge',
  help: 'Number of open files that are being read',
  unit: '1',
  upDown: true,
};
export const ACCEPTED: Instrument = {
  name: 'otelcol_receiver_accepted_log_records',
  kind: 'counter',
  help: 'Number of log records successfully pushed into the pipeline.',
  unit: '{record}',
};
export const REFUSED: Instrument = {
  name: 'otelcol_receiver_refused_log_records',
  kind: 'counter',
  help: 'Number of log records that could not be pushed into the pipeline.',
  unit: '{record}',
};

export const INSTRUMENTS: readonly Instrument[] = [
  OPEN_FILES,
  READING_FILES,
  ACCEPTED,
  REFUSED,
  ...AUTO_PARSER_INSTRUMENTS,
];
