/** otlp_http: sends OTLP over HTTP, in protobuf or JSON. */
import * as z from 'zod';
import { defineExporter } from '../../../core/component.ts';
import { EXPORTER_INSTRUMENTS } from '../../../core/queue-telemetry.ts';
import { checkHttpClient, httpClientShape, retryOnFailure, sendingQueue } from '../../../core/schema.ts';

const schema = z
  .strictObject({
    ...httpClientShape('30s', 'gzip'),
    endpoint: z.string().default('').describe('Base URL; v1/logs, v1/metrics or v1/traces is appended'),
    traces_endpoint: z.string().default('').describe('URL for traces, taken as it is'),
    metrics_endpoint: z.string().default('').describe('URL for metrics, taken as it is'),
    logs_endpoint: z.string().default('').describe('URL for logs, taken as it is'),
    profiles_endpoint: z.string().default('').describe('Accepted without effect: there is no profiles signal'),
    encoding: z
      .enum(['proto', 'json'], { error: (issue) => `invalid encoding type: ${String(issue.input)}` })
      .default('proto')
      .describe('Format of the messages'),
    retry_on_failure: retryOnFailure().describe('What happens after errors that may pass'),
    sending_queue: sendingQueue().describe('Holds data until it is sent'),
  })
  .superRefine(checkHttpClient)
  .superRefine((c, ctx) => {
    if (!c.endpoint && !c.traces_endpoint && !c.metrics_endpoint && !c.logs_endpoint && !c.profiles_endpoint)
      ctx.addIssue({ code: 'custom', message: 'at least one endpoint must be specified' });
    for (const key of ['endpoint', 'traces_endpoint', 'metrics_endpoint', 'logs_endpoint'] as const)
      if (c[key] && !(/^https?:\/\/./i.test(c[key]) && URL.canParse(c[key])))
        ctx.addIssue({
          code: 'custom',
          path: [key],
          message: `${key} must be a valid URL that begins with http:// or https://`,
        });
  });
export type OtlpHttpConfig = z.output<typeof schema>;

export default defineExporter({
  id: 'otlp_http',
  aliases: ['otlphttp'],
  summary: 'Sends logs, metrics and traces as OTLP over HTTP, in protobuf or JSON.',
  stability: 'stable',
  signals: ['logs', 'metrics', 'traces'],
  schema,
  telemetry: EXPORTER_INSTRUMENTS,
  create: async (config, ctx) => (await import('./exporter.ts')).createOtlpHttpExporter(config, ctx),
});
