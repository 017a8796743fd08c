/** A service with made-up components, run as a process of its own by service.test.ts. Arguments: what each load gives. */
import * as z from 'zod';
import { type AnyDefinition, type ComponentKind, defineExporter, defineExtension, defineReceiver } from '../../core/component.ts';
import { Ledger } from '../../core/ledger.ts';
import { lost } from '../../core/batch.ts';
import type { ComponentConfig, LoadedConfig } from '../config/config.ts';
import { telemetrySchema } from '../config/telemetry.ts';
import { runService } from '../service.ts';

const loads = process.argv.slice(2);
const common = { summary: 'Fake.', stability: 'stable', schema: z.unknown() } as const;

function configOf(name: string): LoadedConfig {
  if (name === 'unloadable') throw new Error('no such file');
  const receiver = defineReceiver({
    ...common,
    id: 'source',
    signals: ['logs'],
    async create(_config, ctx) {
      const ledger = new Ledger();
      ctx.host.addLedger(ctx.id, ledger);
      return {
        async start() {
          ctx.log.info(`source of ${name} started`);
          ledger.read(3, 30);
          ledger.settle(2, 20, { kind: 'delivered' });
          ledger.settle(1, 10, lost('rotated'));
          if (name === 'unstartable') throw new Error('port is taken');
          if (name === 'fatal') setImmediate(() => ctx.host.fatal(ctx.id, new Error('listener died')));
          if (name === 'throws') setImmediate(() => { throw new TypeError('a bug'); });
          if (name === 'throws') void Promise.reject(new TypeError('another bug'));
          if (name === 'slow-start') await new Promise(() => {});
        },
        async stop(deadline) {
          ctx.log.info(`source of ${name} stopped`);
          if (name === 'hangs') await new Promise((resolve) => deadline.addEventListener('abort', resolve, { once: true }));
          if (name === 'ignores') await new Promise(() => {});
        },
      };
    },
  });
  const exporter = defineExporter({
    ...common,
    id: 'sink',
    signals: name === 'unbuildable' ? ['traces'] : ['logs'],
    create: async () => ({ consume: async () => {} }),
  });
  const extension = defineExtension({ ...common, id: 'side', create: async () => ({}) });
  const map = (kind: ComponentKind, id: string, definition: AnyDefinition): Map<string, ComponentConfig> => {
    const entry = { kind, id: definition.id, aliases: [], load: async () => ({ default: definition }) };
    return new Map([[id, { kind, id, type: id, name: '', entry, definition, raw: {}, value: {} }]]);
  };
  return {
    receivers: map('receiver', 'source', receiver),
    processors: new Map(),
    exporters: map('exporter', 'sink', exporter),
    connectors: new Map(),
    extensions: map('extension', 'side', extension),
    service: {
      extensions: ['side'],
      pipelines: [{ id: 'logs', signal: 'logs', name: '', receivers: ['source'], processors: [], exporters: ['sink'] }],
      telemetry: telemetrySchema.parse({ metrics: { level: 'none' }, logs: { encoding: 'json' } }),
    },
    warnings: [{ level: 'warn', message: `warning of ${name}`, fields: { a: 1 }, component: { kind: 'receiver', id: 'source' } }],
    gates: new Map(),
    locate: () => undefined,
  };
}

let next = 0;
try {
  process.exitCode = await runService({
    load: async () => configOf(loads[Math.min(next++, loads.length - 1)]!),
    build: { command: 'sluice', description: '', version: '1.2.3' },
  });
} catch (error) {
  process.stderr.write(`Error: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
