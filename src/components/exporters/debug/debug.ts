/** The exporter: counts, samples and prints. */
import { closeSync, openSync } from 'node:fs';
import { type Batch, DELIVERED, settleBatch } from '../../../core/batch.ts';
import type { Exporter, ExporterContext } from '../../../core/component.ts';
import { messageOf, permanent } from '../../../core/errors.ts';
import type { LogFields } from '../../../core/log.ts';
import type { Counter } from '../../../core/telemetry.ts';
import { writeLine } from '../../../core/write-line.ts';
import { detailedText } from './detailed.ts';
import type { DebugConfig } from './index.ts';
import { SENT } from './instruments.ts';
import { nest } from './nest.ts';
import { normalText } from './normal.ts';

const NAMES = {
  logs: { message: 'Logs', resources: 'resource logs', items: 'log records' },
  metrics: { message: 'Metrics', resources: 'resource metrics', items: 'data points' },
  traces: { message: 'Traces', resources: 'resource spans', items: 'spans' },
} as const;
const SAMPLING_MS = 1000;

export class DebugExporter implements Exporter {
  readonly #config: DebugConfig;
  readonly #ctx: ExporterContext;
  readonly #sent: Counter;
  readonly #print: (message: string, fields?: LogFields) => void;
  readonly #fds = new Map<string, number>();
  #counts = new Map<string, number>();
  #windowEndsMs = Number.NEGATIVE_INFINITY;

  constructor(config: DebugConfig, ctx: ExporterContext) {
    this.#config = config;
    this.#ctx = ctx;
    this.#sent = ctx.telemetry.counter(SENT[ctx.signal], { exporter: ctx.id });
    this.#print = config.use_internal_logger
      ? (message, fields) => ctx.log.info(message, fields)
      : (message, fields) => {
          const line = fields ? `${message}\t${fieldsText(fields)}\n` : `${message}\n`;
          for (const fd of this.#fds.values()) writeLine(fd, line);
        };
  }

  async start(): Promise<void> {
    if (this.#config.use_internal_logger) return;
    for (const path of this.#config.output_paths ?? ['stdout'])
      this.#fds.set(path, path === 'stdout' ? 1 : path === 'stderr' ? 2 : openSync(path, 'a', 0o644));
  }

  async stop(): Promise<void> {
    for (const fd of this.#fds.values()) if (fd > 2) closeSync(fd);
    this.#fds.clear();
  }

  async consume(batch: Batch): Promise<void> {
    const names = NAMES[batch.signal];
    const { verbosity } = this.#config;
    const nested = nest(batch);
    const fields: Record<string, number> = { [names.resources]: nested.length };
    if (batch.signal === 'metrics') fields['metrics'] = batch.groups.reduce((n, g) => n + g.messages, 0);
    fields[names.items] = batch.count;
    let text = '';
    try {
      if (verbosity === 'detailed') text = detailedText(batch.signal, nested);
      else if (verbosity === 'normal') text = normalText(batch.signal, nested);
    } catch (error) {
      throw permanent(`${batch.signal} cannot be decoded: ${messageOf(error)}`, { cause: error });
    }
    if (this.#passes(names.message)) this.#print(names.message, fields);
    if (text !== '' && this.#passes(text)) this.#print(text);
    this.#sent.add(batch.count);
    settleBatch(batch, DELIVERED);
  }

  /** Per second and text: the first ones, then every n-th. */
  #passes(text: string): boolean {
    const now = this.#ctx.clock.monotonicMs();
    if (now >= this.#windowEndsMs) {
      this.#counts = new Map();
      this.#windowEndsMs = now + SAMPLING_MS;
    }
    const { sampling_initial: initial, sampling_thereafter: thereafter } = this.#config;
    if (thereafter === 1) return true;
    const n = (this.#counts.get(text) ?? 0) + 1;
    this.#counts.set(text, n);
    return n <= initial || (thereafter > 0 && (n - initial) % thereafter === 0);
  }
}

const fieldsText = (fields: LogFields): string =>
  `{${Object.entries(fields)
    .map(([k, v]) => `${JSON.stringify(k)}: ${v}`)
    .join(', ')}}`;
