/** prometheus: scrapes pages in the text format of Prometheus from targets that the configuration names. */
import * as z from 'zod';
import { defineReceiver } from '../../../core/component.ts';
import { bracketed } from '../../../core/host-port.ts';
import { RECEIVER_INSTRUMENTS } from '../../../core/receiver-telemetry.ts';
import { duration, section } from '../../../core/schema.ts';
import { SCRAPER_INSTRUMENTS } from '../../../core/scrape.ts';

const interval = () => duration().pipe(z.number().positive({ error: 'must be greater than 0' }));

const refused = (message: string) =>
  z
    .unknown()
    .refine((v) => v === undefined || v === null || (Array.isArray(v) && v.length === 0), { error: message })
    .optional()
    .describe('Not supported: must be absent');
const RELABEL = 'is not supported: use the processors filter, transform and attributes';
const DISCOVERY = 'is not supported: there are only static_configs';
const CLIENT = 'is not supported: targets are asked without credentials';

const job = z.strictObject({
  job_name: z.string().min(1, { error: 'job_name is empty' }).describe('Becomes service.name, the label job'),
  scrape_interval: interval().optional().describe('Time between two scrapes; that of global when left out'),
  scrape_timeout: interval().optional().describe('Longest time of one scrape; that of global when left out'),
  metrics_path: z.string().default('/metrics').describe('Path that is asked for'),
  scheme: z.enum(['http', 'https']).default('http').describe('http or https'),
  params: z.record(z.string(), z.array(z.string())).default({}).describe('Query parameters'),
  honor_labels: z
    .boolean()
    .default(false)
    .describe('Labels of the page win over those of the target; else they are renamed to exported_<name>'),
  honor_timestamps: z.boolean().default(true).describe('Times that the page gives to samples count'),
  static_configs: z
    .array(
      z.strictObject({
        targets: z
          .array(
            z.string().refine((target) => /^(\[[^\]]+\]|[^/:\s]+)(:\d+)?$/.test(bracketed(target)), {
              error: (i) => `${JSON.stringify(i.input)} is not a valid hostname`,
            }),
          )
          .default([])
          .describe('host:port; becomes service.instance.id, the label instance'),
        labels: z.record(z.string(), z.string()).default({}).describe('Labels of every point of these targets'),
      }),
    )
    .default([])
    .describe('What is scraped'),
  relabel_configs: refused(`relabel_configs ${RELABEL}`),
  metric_relabel_configs: refused(`metric_relabel_configs ${RELABEL}`),
  kubernetes_sd_configs: refused(`kubernetes_sd_configs ${DISCOVERY}`),
  dns_sd_configs: refused(`dns_sd_configs ${DISCOVERY}`),
  file_sd_configs: refused(`file_sd_configs ${DISCOVERY}`),
  http_sd_configs: refused(`http_sd_configs ${DISCOVERY}`),
  basic_auth: refused(`basic_auth ${CLIENT}`),
  authorization: refused(`authorization ${CLIENT}`),
  tls_config: refused(`tls_config ${CLIENT}`),
});

const schema = section(
  z.strictObject({
    config: z
      .strictObject({
        global: section(
          z.strictObject({
            scrape_interval: interval().prefault('1m').describe('Time between two scrapes'),
            scrape_timeout: interval().prefault('10s').describe('Longest time of one scrape'),
          }),
        )
          .prefault({})
          .describe('Defaults of all jobs'),
        scrape_configs: z.array(job).default([]).describe('Jobs'),
      })
      .superRefine((c, ctx) => {
        const issue = (path: (string | number)[], message: string) =>
          ctx.addIssue({ code: 'custom', path: ['scrape_configs', ...path], message });
        if (c.scrape_configs.length === 0) issue([], 'no Prometheus scrape_configs');
        const names = new Set<string>();
        for (const [
          i,
          { job_name: name, scrape_interval: own, scrape_timeout: timeout },
        ] of c.scrape_configs.entries()) {
          if (names.has(name)) issue([i, 'job_name'], `found multiple scrape configs with job name "${name}"`);
          names.add(name);
          if (timeout !== undefined && timeout > (own ?? c.global.scrape_interval))
            issue(
              [i, 'scrape_timeout'],
              `scrape timeout greater than scrape interval for scrape config with job name "${name}"`,
            );
        }
      })
      .describe("The part of Prometheus' own configuration that is listed here"),
    trim_metric_suffixes: z.boolean().default(false).describe('Names without _total and unit'),
  }),
);
export type PrometheusConfig = z.output<typeof schema>;

export default defineReceiver({
  id: 'prometheus',
  summary: 'Scrapes metrics in the text format of Prometheus from targets that the configuration names.',
  stability: 'beta',
  signals: ['metrics'],
  schema,
  telemetry: [...RECEIVER_INSTRUMENTS, ...SCRAPER_INSTRUMENTS],
  create: async (config, ctx) => (await import('./receiver.ts')).createPrometheus(config, ctx),
});
