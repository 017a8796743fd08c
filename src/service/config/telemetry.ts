/** `service.telemetry`: the collector's own logs and metrics. Keys that other collectors know and we do not serve are refused by name. */
import * as z from 'zod';
import { duration, section, stringList } from '../../core/schema.ts';

const unsupported = (why: string) =>
  z
    .unknown()
    .optional()
    .refine((v) => v === undefined || v === null || (Array.isArray(v) && v.length === 0), {
      message: `is not supported: ${why}`,
    })
    .describe(`Not supported: ${why}`)
    .transform((): undefined => undefined);

const LEVELS = ['debug', 'info', 'warn', 'error', 'dpanic', 'panic', 'fatal'] as const;

const level = () =>
  z
    .string()
    .default('info')
    .transform((v, ctx): (typeof LEVELS)[number] => {
      const known = LEVELS.find((l) => l === v.toLowerCase());
      if (known !== undefined) return known;
      if (v === '') return 'info';
      ctx.addIssue({
        code: 'custom',
        message: `unrecognized level: ${JSON.stringify(v)} (valid values: ${LEVELS.join(', ')})`,
      });
      return z.NEVER;
    })
    .describe('Lowest level that is written: debug, info, warn, error');

const lowerCase = (v: unknown): unknown => (typeof v === 'string' ? v.toLowerCase() : v);

const logs = () =>
  z.strictObject({
    level: level(),
    development: z.boolean().default(false).describe('Accepted; has no effect'),
    encoding: z.enum(['console', 'json']).default('console').describe('Lines for people, or one JSON object per line'),
    disable_caller: z.boolean().default(false).describe('Leave out the caller'),
    disable_stacktrace: z.boolean().default(false).describe('No stack below errors that nobody expected'),
    disable_zap_resource: z.boolean().default(false).describe('Leave out the resource attributes'),
    sampling: section(
      z.strictObject({
        enabled: z.boolean().default(true).describe('Drop repetitions of a message'),
        tick: duration().prefault('10s').describe('Window of the count'),
        initial: z.int().default(10).describe('Lines per level, message and window that pass'),
        thereafter: z.int().default(100).describe('Of the rest, every so-manieth passes; 0: none'),
      }),
    ).prefault({}),
    output_paths: stringList().default(['stderr']).describe('Files, `stderr` or `stdout`'),
    error_output_paths: stringList().default(['stderr']).describe("Where the logger's own errors go"),
    initial_fields: z.record(z.string(), z.unknown()).default({}).describe('Fields of every line'),
    processors: unsupported('own logs go to output_paths; collect that file to export them'),
  });

const labelFilter = () =>
  z.strictObject({
    included: stringList().default([]).describe('Resource attributes to put on every metric; `*` matches any text'),
    excluded: stringList().default([]).describe('Of these, the ones to leave out'),
  });

const prometheus = () =>
  z.strictObject({
    host: z.string().default('localhost').describe('Address to listen on'),
    port: z.int().min(0).max(65535).default(8888).describe('Port to listen on'),
    without_scope_info: z.boolean().default(true).describe('No otel_scope_* labels'),
    without_type_suffix: z.boolean().default(false).describe('No _total; true for the default reader'),
    without_units: z.boolean().default(false).describe('No unit suffix; true for the default reader'),
    with_resource_constant_labels: section(labelFilter()).optional().describe('Resource attributes as labels'),
    translation_strategy: unsupported('names follow without_type_suffix and without_units'),
  });

const reader = () =>
  z.strictObject({
    pull: section(
      z.strictObject({
        exporter: section(z.strictObject({ prometheus: section(prometheus()).prefault({}) })).prefault({}),
        producers: unsupported('nothing produces further metrics'),
        cardinality_limits: unsupported('the number of series is bounded'),
      }),
    ).optional(),
    periodic: unsupported('own metrics are pulled from /metrics; scrape it to export them'),
  });

const nameAndValue = () =>
  z.strictObject({
    name: z.string(),
    value: z.string(),
    type: z.string().optional(),
  });

/** Attributes as a list of {name, value} under `attributes`, or written right into the section; null takes a default away. */
const resource = () =>
  z
    .record(z.string(), z.unknown())
    .default({})
    .transform((v, ctx): Readonly<Record<string, string | null>> => {
      const out: Record<string, string | null> = {};
      const refuse = (path: (string | number)[], message: string): void => {
        ctx.addIssue({ code: 'custom', path, message });
      };
      for (const [key, value] of Object.entries(v)) {
        if (key === 'attributes' && Array.isArray(value)) {
          value.forEach((item, i) => {
            const parsed = nameAndValue().safeParse(item);
            if (parsed.success) out[parsed.data.name] = parsed.data.value;
            else refuse(['attributes', i], 'an attribute is {name, value}, both text');
          });
        } else if (key === 'schema_url' && typeof value === 'string') {
          // Names a schema only; nothing we serve carries it.
        } else if (key === 'detection/development') refuse([key], 'is not supported: set the attributes here');
        else if (value === null || typeof value === 'string') out[key] = value;
        else refuse([key], `resource attributes must be text, got ${typeof value}`);
      }
      return out;
    })
    .describe('Attributes of this collector on its own logs and metrics');

const metrics = () =>
  z
    .strictObject({
      level: z
        .preprocess(lowerCase, z.enum(['none', 'basic', 'normal', 'detailed']))
        .default('normal')
        .describe('How much is served'),
      readers: z
        .array(reader())
        .default([
          {
            pull: { exporter: { prometheus: prometheus().parse({ without_type_suffix: true, without_units: true }) } },
          } as z.output<ReturnType<typeof reader>>,
        ])
        .describe('Where /metrics is served; a list replaces the default reader'),
      views: unsupported('all metrics of the level are served'),
    })
    .superRefine((c, ctx) => {
      if (c.level !== 'none' && c.readers.length === 0)
        ctx.addIssue({
          code: 'custom',
          message: 'collector telemetry metrics reader should exist when metric level is not none',
        });
    });

const traces = () =>
  z.strictObject({
    level: z
      .preprocess(lowerCase, z.enum(['none', 'basic', 'normal', 'detailed']))
      .default('none')
      .describe('Accepted; we record no traces of ourselves'),
    propagators: unsupported('we record no traces of ourselves'),
    processors: unsupported('we record no traces of ourselves'),
    sampler: unsupported('we record no traces of ourselves'),
  });

export const telemetrySchema = z.strictObject({
  logs: section(logs()).prefault({}),
  metrics: section(metrics()).prefault({}),
  traces: section(traces()).prefault({}),
  resource: resource(),
});
export type TelemetryConfig = z.output<typeof telemetrySchema>;
