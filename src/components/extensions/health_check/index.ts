/** health_check extension: an HTTP page that says whether the pipelines run. */
import * as z from 'zod';
import { defineExtension } from '../../../core/component.ts';
import { duration, httpServerShape, section } from '../../../core/schema.ts';

const v2 = (key: string) =>
  z
    .unknown()
    .refine((v) => v === undefined, {
      error: `'${key}' belongs to version 2 of the health check, which is not supported`,
    })
    .optional()
    .describe('Not supported');

const schema = z.preprocess(
  (v) => v ?? {},
  z.strictObject({
    ...httpServerShape('localhost:13133'),
    path: z
      .string()
      .startsWith('/', 'path must start with /')
      .default('/')
      .describe('Where it answers; / answers everywhere'),
    response_body: section(
      z.strictObject({
        healthy: z.string().default('').describe('Text to answer instead of JSON when ready'),
        unhealthy: z.string().default('').describe('Text to answer instead of JSON when not ready'),
      }),
    )
      .optional()
      .describe('Text to answer instead of JSON'),
    check_collector_pipeline: section(
      z.strictObject({
        enabled: z.boolean().default(false).describe('Accepted; has no effect'),
        interval: duration().prefault('5m').describe('Accepted; has no effect'),
        exporter_failure_threshold: z.int().default(5).describe('Accepted; has no effect'),
      }),
    )
      .optional()
      .describe('Accepted; has no effect, as upstream'),
    use_v2: z
      .literal(false, { error: 'version 2 of the health check is not supported' })
      .default(false)
      .describe('Only false is supported'),
    http: v2('http'),
    grpc: v2('grpc'),
    component_health: v2('component_health'),
  }),
);
export type HealthCheckConfig = z.output<typeof schema>;

export default defineExtension({
  id: 'health_check',
  summary: 'Answers HTTP probes: 200 while all pipelines run, 503 before and after.',
  stability: 'beta',
  schema,
  create: async (config, ctx) => {
    const { HealthCheck } = await import('./health-check.ts');
    return new HealthCheck(config, ctx);
  },
});
