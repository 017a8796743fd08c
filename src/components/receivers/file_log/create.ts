/** Puts the receiver together from its configuration. */
import type { Clock } from '../../../core/clock.ts';
import type { ReceiverContext } from '../../../core/component.ts';
import { ConfigError } from '../../../core/errors.ts';
import { Ledger } from '../../../core/ledger.ts';
import { isStorageExtension } from '../../../core/storage.ts';
import { compileProgram } from '../../../stanza/compile.ts';
import type { Program } from '../../../stanza/program.ts';
import { LogsSink } from '../../../stanza/sink.ts';
import { CheckpointStore } from './checkpoint.ts';
import type { FileLogConfig } from './config.ts';
import { Delivery } from './delivery.ts';
import { encodingOf } from './encoding.ts';
import { type HeaderReader, makeHeader } from './header.ts';
import { makeOrder } from './ordering.ts';
import { FileReader, type ReaderOptions } from './reader.ts';
import { FileLogReceiver } from './receiver.ts';
import { makeSplitter, type Splitter } from './splitter.ts';
import { ACCEPTED, OPEN_FILES, READING_FILES, REFUSED } from './telemetry.ts';

export async function createFileLog(config: FileLogConfig, ctx: ReceiverContext): Promise<FileLogReceiver> {
  const next = ctx.outputs.logs;
  if (!next) throw new Error('file_log: no pipeline of logs');
  const sink = new LogsSink();
  const path = ['receivers', ctx.id];
  const common = { log: ctx.log, clock: ctx.clock, telemetry: ctx.telemetry };
  const program = await compileProgram(config, { ...common, sink, path });
  const header = config.header ? await makeHeader(config, { ...common, path: [...path, 'header'] }) : undefined;
  const reader = makeReader(config, { program, sink, header, clock: ctx.clock, path });
  const abort = new AbortController();
  const labels = { receiver: ctx.id, transport: '' };
  const counters = {
    accepted: ctx.telemetry.counter(ACCEPTED, labels),
    refused: ctx.telemetry.counter(REFUSED, labels),
  };
  const retry = config.retry_on_failure;
  const delivery = new Delivery(
    next,
    {
      initialMs: retry.initial_interval,
      maxMs: retry.max_interval,
      multiplier: retry.multiplier,
      jitter: retry.randomization_factor,
    },
    ctx.log,
    counters,
    abort.signal,
    () => ctx.clock.monotonicMs(),
  );
  const ledger = new Ledger();
  ctx.host.addLedger(ctx.id, ledger);
  const receiver = new FileLogReceiver({
    config,
    ctx,
    program,
    sink,
    reader,
    delivery,
    abort,
    ledger,
    openStore: config.storage === undefined ? undefined : () => openStore(config, ctx),
    order: makeOrder(config, ctx, path),
  });
  receiver.atStop(ctx.telemetry.observe(OPEN_FILES, {}, () => receiver.openFiles));
  receiver.atStop(ctx.telemetry.observe(READING_FILES, {}, () => receiver.readingFiles));
  return receiver;
}

/** How records of these files are told apart. Throws a ConfigError for a pattern that is none. */
export function splitterOf(config: FileLogConfig, path: readonly (string | number)[]): Splitter {
  try {
    return makeSplitter({
      encoding: encodingOf(config.encoding)!,
      lineStartPattern: config.multiline.line_start_pattern,
      lineEndPattern: config.multiline.line_end_pattern,
      omitPattern: config.multiline.omit_pattern,
    });
  } catch (error) {
    const key = config.multiline.line_start_pattern ? 'line_start_pattern' : 'line_end_pattern';
    throw new ConfigError([
      { path: [...path, 'multiline', key], message: `compile ${key}: ${(error as Error).message}` },
    ]);
  }
}

interface ReaderParts {
  readonly program: Program;
  readonly sink: LogsSink;
  readonly header: HeaderReader | undefined;
  readonly clock: Clock;
  readonly path: readonly (string | number)[];
}

/** What cuts files into records and gives them to the program; also for who only looks at a file. */
export function makeReader(config: FileLogConfig, { program, sink, header, clock, path }: ReaderParts): FileReader {
  const options: ReaderOptions = {
    encoding: encodingOf(config.encoding)!,
    maxLogSize: config.max_log_size,
    truncate: config.max_log_size_behavior === 'truncate',
    preserveLeading: config.preserve_leading_whitespaces,
    preserveTrailing: config.preserve_trailing_whitespaces,
    forceFlushMs: config.force_flush_period,
    recordNumber: config.include_file_record_number,
    recordOffset: config.include_file_record_offset,
    fingerprintSize: config.fingerprint_size,
    header,
  };
  return new FileReader(options, program, sink, splitterOf(config, path), clock);
}

async function openStore(config: FileLogConfig, ctx: ReceiverContext): Promise<CheckpointStore> {
  const extension = ctx.host.extension(config.storage!);
  if (extension === undefined) throw new Error(`storage client: storage extension '${config.storage}' not found`);
  if (!isStorageExtension(extension))
    throw new Error(`storage client: non-storage extension '${config.storage}' found`);
  return new CheckpointStore(
    await extension.client('receiver', ctx.id.replace(/^file_log(?=\/|$)/, 'filelog'), ''),
    config.id,
  );
}
