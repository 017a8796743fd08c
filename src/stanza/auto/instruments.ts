/** What auto_parser counts. */
import type { Instrument } from '../../core/telemetry.ts';

export const VERDICTS: Instrument = {
  name: 'sluice_auto_parser_verdicts',
  kind: 'counter',
  help: 'Number of records by the format that auto_parser found, for each workload.',
  unit: '{record}',
};
export const JOINED: Instrument = {
  name: 'sluice_auto_parser_joined_lines',
  kind: 'counter',
  help: 'Number of lines that auto_parser put behind others, as parts of stack traces.',
  unit: '{line}',
};
export const FORCED: Instrument = {
  name: 'sluice_auto_parser_forced_flushes',
  kind: 'counter',
  help: 'Number of stack traces that auto_parser gave out before their end was seen, because of a limit.',
  unit: '{flush}',
};
export const AUTO_PARSER_INSTRUMENTS: readonly Instrument[] = [VERDICTS, JOINED, FORCED];
