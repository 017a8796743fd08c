/** Sends records of a dry run through the processors of a pipeline that look into them, and sees what comes out. */
import { type Batch, type Consumer, DELIVERED, makeBatch, type Signal, settleBatch } from '../../core/batch.ts';
import type { BuildInfo, Host, Processor, ProcessorContext, ProcessorDefinition } from '../../core/component.ts';
import { messageOf } from '../../core/errors.ts';
import type { Resource } from '../../core/resource.ts';
import { TelemetryRegistry } from '../../core/telemetry.ts';
import { logRecords } from '../../wire/otlp-logs.ts';
import type { ConfiguredComponent, DoctorContext } from '../context.ts';

/** Those whose work is a matter of the record alone; the others only wait, count or refuse. */
const RUN: readonly string[] = ['filter', 'attributes', 'resource', 'transform', 'redaction'];

const BUILD: BuildInfo = { command: 'sluice', description: 'why', version: '' };

export interface Passage {
  /** What was done, in order: `filter/health drops 3 of 10`. */
  readonly steps: readonly string[];
  readonly out: number;
  /** The last record that came out. */
  readonly example: { readonly record: ReturnType<typeof exampleOf>; readonly resource: Resource } | undefined;
}

const exampleOf = (items: Uint8Array) => [...logRecords(items)].at(-1);

/** `resource`: what the records have behind k8s_attributes. */
export async function passThrough(
  ctx: DoctorContext,
  pipeline: { readonly id: string; readonly signal: Signal },
  processors: readonly ConfiguredComponent[],
  batches: readonly Batch[],
  resource: Resource,
): Promise<Passage> {
  const steps: string[] = [];
  const passed = new Map<string, number>();
  let out = 0;
  let example: Passage['example'];
  const end: Consumer = {
    async consume(batch) {
      out += batch.count;
      const last = batch.groups.findLast((g) => g.count > 0);
      const record = last && exampleOf(last.items);
      if (last && record) example = { record, resource: last.resource };
      settleBatch(batch, DELIVERED);
    },
  };
  const shared = new Map<string, unknown>();
  const host: Host = {
    extension: () => undefined,
    fatal: () => {},
    shared<T>(key: string, make: () => T): T {
      if (!shared.has(key)) shared.set(key, make());
      return shared.get(key) as T;
    },
    addLedger: () => {},
  };
  const running: Processor[] = [];
  let next: Consumer = end;
  let taken = 0;
  for (const c of processors.toReversed()) {
    const after = next;
    const counted: Consumer = {
      async consume(batch) {
        passed.set(c.id, (passed.get(c.id) ?? 0) + batch.count);
        await after.consume(batch);
      },
    };
    if (c.entry.id === 'k8s_attributes') {
      next = {
        consume: (batch) =>
          counted.consume(
            makeBatch(
              batch.signal,
              batch.groups.map((g) => ({ ...g, resource })),
              batch.metadata,
              batch.peer,
            ),
          ),
      };
      continue;
    }
    if (!RUN.includes(c.entry.id)) {
      next = counted;
      continue;
    }
    const context: ProcessorContext = {
      id: c.id,
      kind: 'processor',
      log: ctx.log,
      telemetry: new TelemetryRegistry(),
      clock: ctx.clock,
      host,
      build: BUILD,
      signal: pipeline.signal,
      pipelineId: pipeline.id,
      next: counted,
    };
    const made = await (c.definition as ProcessorDefinition).create(c.value as never, context);
    await made.start?.();
    running.push(made);
    next = made;
  }
  try {
    for (const batch of batches) {
      taken += batch.count;
      await next.consume(batch);
    }
  } catch (e) {
    steps.push(`refused: ${messageOf(e)}`);
  }
  for (const p of running) await p.stop?.(AbortSignal.timeout(1000));
  let before = taken;
  for (const c of processors) {
    const n = passed.get(c.id) ?? 0;
    steps.push(n === before ? c.id : `${c.id} drops ${before - n} of ${before}`);
    before = n;
  }
  return { steps, out, example };
}
