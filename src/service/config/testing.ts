/** Components, files and shortcuts for the tests of loading. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import * as z from 'zod';
import type { RegistryEntry } from '../../components/index.ts';
import {
  type AnyDefinition,
  defineConnector,
  defineExporter,
  defineExtension,
  defineProcessor,
  defineReceiver,
} from '../../core/component.ts';
import { ConfigError } from '../../core/errors.ts';
import { byteSize, duration, headers, section, stringList } from '../../core/schema.ts';
import { zodWords } from '../../core/zod-words.ts';
import type { LoadedConfig } from './config.ts';
import { type Environment, type LoadOptions, loadConfig } from './load.ts';

const never = async (): Promise<never> => {
  throw new Error('not created here');
};
const common = { summary: 's', stability: 'beta', create: never } as const;
const entry = (definition: AnyDefinition): RegistryEntry => ({
  kind: definition.kind,
  id: definition.id,
  aliases: definition.aliases ?? [],
  load: async () => ({ default: definition }),
});

export const files = z
  .strictObject({
    include: stringList().default([]),
    more: stringList().default([]),
    start_at: z.enum(['beginning', 'end']).default('end'),
    poll_interval: duration().prefault('200ms'),
    max_concurrent_files: z.int().min(1).default(1024),
    include_file_path: z.boolean().default(false),
    fingerprint_size: byteSize().prefault('1kb'),
    attributes: z.record(z.string(), z.string()).default({}),
    anything: z.unknown().optional(),
    // Parses inside a parse, as the operators of file_log do.
    nested: z
      .unknown()
      .optional()
      .superRefine((v, ctx) => {
        const inner = z.strictObject({ text: z.string().default(''), n: z.int().default(0) });
        const result = inner.safeParse(v ?? {}, { error: zodWords });
        for (const issue of result.error?.issues ?? []) ctx.addIssue({ ...issue, path: issue.path });
      }),
    thrower: z
      .string()
      .optional()
      .transform((v) => {
        if (v === 'config') throw new ConfigError([{ path: ['thrower'], message: 'no such thing' }]);
        if (v === 'bug') throw new TypeError('oops');
        return v;
      }),
    operators: z.array(z.looseObject({ type: z.enum(['json_parser', 'regex_parser']) })).default([]),
    retry: section(
      z.strictObject({ enabled: z.boolean().default(true), multiplier: z.number().default(1.5) }),
    ).prefault({}),
  })
  .superRefine((c, ctx) => {
    if (c.include.length === 0) ctx.addIssue({ code: 'custom', message: "'include' must be specified" });
  });

export const ENTRIES: readonly RegistryEntry[] = [
  entry(defineReceiver({ ...common, id: 'file_log', aliases: ['filelog'], signals: ['logs'], schema: files })),
  entry(
    defineReceiver({
      ...common,
      id: 'otlp',
      signals: ['logs', 'metrics', 'traces'],
      schema: z.strictObject({ endpoint: z.string().default('localhost:4318') }),
    }),
  ),
  entry(
    defineProcessor({
      ...common,
      id: 'batch',
      signals: ['logs', 'metrics', 'traces'],
      schema: z.strictObject({ timeout: duration().prefault('200ms') }),
    }),
  ),
  entry(
    defineExporter({
      ...common,
      id: 'otlp_http',
      aliases: ['otlphttp'],
      signals: ['logs', 'metrics', 'traces'],
      schema: z.strictObject({ endpoint: z.string().optional(), headers: headers() }),
    }),
  ),
  entry(defineExporter({ ...common, id: 'remote', signals: ['metrics'], schema: z.strictObject({}) })),
  entry(
    defineConnector({ ...common, id: 'forward', signals: [{ from: 'logs', to: 'logs' }], schema: z.strictObject({}) }),
  ),
  entry(defineExtension({ ...common, id: 'health_check', schema: z.strictObject({}) })),
];

export const folder = mkdtempSync(join(tmpdir(), 'sluice-config-'));
after(() => rmSync(folder, { recursive: true }));
let written = 0;
export const file = (text: string): string => {
  const path = join(folder, `${++written}.yaml`);
  writeFileSync(path, text);
  return path;
};

export const load = (text: string, env: Environment = {}, options: LoadOptions = {}): Promise<LoadedConfig> =>
  loadConfig({ configs: [file(text)] }, env, { entries: ENTRIES, ...options });

export async function refusal(loading: Promise<LoadedConfig>): Promise<ConfigError> {
  try {
    await loading;
  } catch (error) {
    assert.ok(error instanceof ConfigError, String((error as Error).stack));
    return error;
  }
  return assert.fail('the configuration was accepted');
}

interface Parts {
  readonly receivers?: string;
  readonly processors?: string;
  readonly exporters?: string;
  readonly service?: string;
}
export const yaml = ({
  receivers = '  filelog: {include: [a]}',
  processors = '',
  exporters = '  otlphttp: {}',
  service = '  pipelines: {logs: {receivers: [filelog], exporters: [otlphttp]}}',
}: Parts): string =>
  `receivers:\n${receivers}\nexporters:\n${exporters}\nservice:\n${service}\n${processors && `processors:\n${processors}\n`}`;
export const withReceiver = (body: string): string => yaml({ receivers: `  filelog:\n    include: [a]\n    ${body}` });
