/** Header lines at the start of a file: run through operators of their own, whose attributes every record gets. */
import { DELIVERED, settleBatch } from '../../../core/batch.ts';
import { ConfigError, messageOf } from '../../../core/errors.ts';
import { Ledger } from '../../../core/ledger.ts';
import { compileRegex } from '../../../core/regex.ts';
import { compileProgram } from '../../../stanza/compile.ts';
import type { ProgramContext } from '../../../stanza/program.ts';
import { LogsSink } from '../../../stanza/sink.ts';
import { Holds, Range, type Source } from '../../../stanza/source.ts';
import { logRecords } from '../../../wire/otlp-logs.ts';
import type { FileLogConfig } from './config.ts';
import type { LogFile } from './file.ts';

/** Takes a line; false when it is not part of the header. */
export type HeaderReader = (file: LogFile, line: Buffer) => boolean;

export async function makeHeader(config: FileLogConfig, ctx: Omit<ProgramContext, 'sink'>): Promise<HeaderReader> {
  const { pattern, metadata_operators: operators } = config.header!;
  let regex: ReturnType<typeof compileRegex>;
  try {
    regex = compileRegex(pattern);
  } catch (error) {
    throw new ConfigError([{ path: [...ctx.path, 'pattern'], message: `compile header pattern: ${messageOf(error)}` }]);
  }
  const sink = new LogsSink();
  const program = await compileProgram({ operators, attributes: {}, resource: {} }, { ...ctx, sink });
  // The receiver accounts for header lines; what the operators count stays here.
  const ledger = new Ledger();
  const open = (): Range => new Range(0, ledger, () => {});
  return (file, line) => {
    const text = line.toString('utf8').replace(/^[\r\n]+|[\r\n]+$/g, '');
    if (!regex.test(text)) return false;
    const buf = Buffer.from(text, 'utf8');
    const source: Source = {
      path: file.path,
      attributes: file.attributes,
      resource: new Map(),
      ledger,
      holds: new Holds(),
      range: open(),
      memo: undefined,
    };
    program.token(source, {
      buf,
      start: 0,
      end: buf.length,
      offset: 0,
      bytes: 0,
      raw: false,
      extra: undefined,
    });
    program.flush();
    program.forget(source);
    sink.seal();
    const header = new Map(file.headerAttributes);
    for (const batch of sink.takeReady()) {
      for (const group of batch.groups)
        for (const record of logRecords(group.items))
          for (const [key, value] of record.attributes) if (file.attributes.get(key) !== value) header.set(key, value);
      settleBatch(batch, DELIVERED);
    }
    file.headerAttributes = header;
    file.attributes = new Map([...file.attributes, ...header]);
    return true;
  };
}
