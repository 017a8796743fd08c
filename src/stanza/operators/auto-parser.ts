/**
 * Own addition: recognises the format of each line and parses it, and joins stack traces. A record that is of no known
 * format passes as it is; nothing is an error here.
 */
import * as z from 'zod';
import { byteSize, duration } from '../../core/schema.ts';
import type { Counter } from '../../core/telemetry.ts';
import { applyFields, TELLING } from '../auto/fields.ts';
import { FORCED, JOINED, VERDICTS } from '../auto/instruments.ts';
import { applyKlog } from '../auto/klog.ts';
import { parseLogfmt } from '../auto/logfmt.ts';
import { TraceJoiner } from '../auto/trace-joiner.ts';
import type { Entry } from '../entry.ts';
import { JsonParser } from '../json.ts';
import { defineOperator, operatorConfig } from '../operator.ts';
import type { Source } from '../source.ts';

const FORMATS = ['json', 'logfmt', 'klog'] as const;
type Format = (typeof FORMATS)[number] | 'plain';

/** Streams whose state is kept; beyond that, those that hold nothing are forgotten. */
const MAX_STREAMS = 10_000;
/** Workloads with series of their own. */
const MAX_WORKLOADS = 500;
/** Pairs without a telling key that a line needs before a stream is known to write pairs. */
const SURE_PAIRS = 5;

const PROBLEM = 17;

/** One stream (stdout or stderr) of one file. */
interface Stream {
  source: Source;
  /** Format of the last line that was not plain. */
  verdict: Format;
  readonly joiner: TraceJoiner;
  readonly counters: Map<Format, Counter>;
  readonly workload: string;
}

export const autoParser = defineOperator({
  type: 'auto_parser',
  summary:
    'Recognises JSON, logfmt and klog line by line, takes over level, time, message and trace id, and joins stack traces.',
  schema: operatorConfig({
    formats: z
      .array(
        z.enum(FORMATS, {
          error: (i) => `unknown format ${JSON.stringify(i.input)}; known are ${FORMATS.join(', ')}`,
        }),
      )
      .default([...FORMATS])
      .describe('Formats that are recognised; everything else is plain text'),
    multiline: z.boolean().default(true).describe('Join stack traces of Java, Python, Go, Node, .NET and Ruby'),
    max_lines: z.int().min(2).default(500).describe('A longer stack trace becomes several records'),
    max_bytes: byteSize().prefault('256KiB').describe('A larger stack trace becomes several records'),
    flush_after: duration().prefault('1s').describe('A stack trace that has no end by then is given out'),
  }),
  compile(config, ctx) {
    const { next, clock, telemetry } = ctx;
    const json = config.formats.includes('json') ? new JsonParser(true) : undefined;
    const hasLogfmt = config.formats.includes('logfmt');
    const hasKlog = config.formats.includes('klog');
    const labels = { receiver: ctx.receiver, operator: ctx.id };
    const forced = (reason: string): Counter => telemetry.counter(FORCED, { ...labels, reason });
    const joinerOptions = {
      clock,
      next,
      maxLines: config.max_lines,
      maxBytes: config.max_bytes,
      flushAfterMs: config.flush_after,
      joined: telemetry.counter(JOINED, labels),
      forced: { lines: forced('lines'), bytes: forced('bytes'), time: forced('time') },
    };
    const streams = new Map<string, Stream>();
    const workloads = new Set<string>();

    const workloadOf = (entry: Entry): string => {
      const namespace = entry.resource.get('k8s.namespace.name');
      const container = entry.resource.get('k8s.container.name');
      if (typeof namespace !== 'string' || typeof container !== 'string') return '';
      const workload = `${namespace}/${container}`;
      if (!workloads.has(workload) && workloads.size >= MAX_WORKLOADS) return 'other';
      workloads.add(workload);
      return workload;
    };

    const streamOf = (entry: Entry): Stream => {
      const { source } = entry;
      const io = entry.attributes.get('log.iostream');
      const key = `${typeof io === 'string' ? io : ''}:${source.path}`;
      let stream = streams.get(key);
      if (!stream) {
        if (streams.size >= MAX_STREAMS) for (const [k, s] of streams) if (!s.joiner.isOpen) streams.delete(k);
        const joiner = new TraceJoiner(joinerOptions);
        stream = { source, verdict: 'plain', joiner, counters: new Map(), workload: workloadOf(entry) };
        streams.set(key, stream);
      }
      stream.source = source;
      return stream;
    };

    const count = (stream: Stream, format: Format): void => {
      let counter = stream.counters.get(format);
      if (!counter) {
        counter = telemetry.counter(VERDICTS, { ...labels, workload: stream.workload, format });
        stream.counters.set(format, counter);
      }
      counter.add(1);
    };

    const parse = (entry: Entry, text: string, stream: Stream): Format => {
      const first = text.charCodeAt(0);
      if (json && first === 123 && text.charCodeAt(text.length - 1) === 125) {
        const fields = json.parse(text);
        if (fields instanceof Map && fields.size > 0) {
          applyFields(entry, fields);
          return 'json';
        }
      }
      if (hasKlog && (first === 73 || first === 87 || first === 69 || first === 70))
        if (applyKlog(entry, text, clock.nowMs())) return 'klog';
      if (hasLogfmt && text.includes('=')) {
        const fields = parseLogfmt(text);
        const isSure =
          fields &&
          (stream.verdict === 'logfmt' || fields.size >= SURE_PAIRS || [...fields.keys()].some((k) => TELLING.has(k)));
        if (isSure) {
          applyFields(entry, fields);
          return 'logfmt';
        }
      }
      return 'plain';
    };

    ctx.hold({
      tick() {
        for (const { joiner } of streams.values()) joiner.tick();
      },
      flush() {
        for (const { joiner } of streams.values()) joiner.release();
      },
      forget(source) {
        for (const [key, stream] of streams) {
          if (stream.joiner.has(source)) stream.joiner.release();
          if (stream.source === source) streams.delete(key);
        }
      },
    });

    return (entry) => {
      const text = entry.body;
      if (typeof text !== 'string') return next(entry);
      const stream = streamOf(entry);
      const { joiner } = stream;
      // A line of a trace is not looked at: what stands in it may have any form.
      if (joiner.isOpen && joiner.continues(entry, text)) return;
      joiner.release();
      const format = parse(entry, text, stream);
      if (format !== 'plain') stream.verdict = format;
      count(stream, format);
      if (config.multiline) {
        if (format === 'plain') {
          if (joiner.begins(entry, text)) return;
        } else if (format === 'klog' && entry.severityNumber >= PROBLEM && typeof entry.body === 'string')
          return joiner.hold(entry, entry.body, 'head');
      }
      next(entry);
    };
  },
});
