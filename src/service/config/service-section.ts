/** The `service` section: which extensions start, which components make which pipeline, and self telemetry. */
import * as z from 'zod';
import { section, stringList } from '../../core/schema.ts';
import type { PipelineConfig } from './config.ts';
import { parsePipelineId } from './ids.ts';
import type { Loading } from './load.ts';
import { parseSection } from './parse-section.ts';
import { type TelemetryConfig, telemetrySchema } from './telemetry.ts';
import { locateKey } from './tree.ts';

const pipeline = () =>
  z.strictObject({
    receivers: stringList().default([]).describe('Ids of receivers, or of connectors that lead here'),
    processors: stringList().default([]).describe('Ids of processors, in the order of the data'),
    exporters: stringList().default([]).describe('Ids of exporters, or of connectors that lead on'),
  });

export const serviceSchema = z.strictObject({
  extensions: stringList().default([]).describe('Ids of the extensions to start'),
  pipelines: z
    .record(z.string(), section(pipeline()))
    .default({})
    .describe('By signal or signal/name: logs, metrics/hosts'),
  telemetry: section(telemetrySchema).prefault({}).describe("The collector's own logs and metrics"),
});

/** Telemetry is parsed on its own, so that a problem in it does not keep references from being checked. */
const structureSchema = serviceSchema.extend({ telemetry: z.unknown().optional() });

export interface ServiceSection {
  readonly extensions: readonly string[];
  readonly pipelines: readonly PipelineConfig[];
  /** Undefined when the section has problems. */
  readonly telemetry: TelemetryConfig | undefined;
  /** False when nothing can be said of references, because the section could not be read. */
  readonly isRead: boolean;
}

const trimmed = (ids: readonly string[]): string[] =>
  ids.map((id) =>
    id
      .split('/')
      .map((half) => half.trim())
      .join('/'),
  );

export function parseService({ root, problems }: Loading): ServiceSection {
  const { value, problems: found } = parseSection(structureSchema, root, ['service']);
  problems.push(...found);
  const telemetry = parseSection(telemetrySchema, root, ['service', 'telemetry']);
  problems.push(...telemetry.problems);
  if (!value) return { extensions: [], pipelines: [], telemetry: telemetry.value, isRead: false };
  const pipelines: PipelineConfig[] = [];
  const seen = new Set<string>();
  for (const [key, p] of Object.entries(value.pipelines)) {
    const id = parsePipelineId(key);
    const path = ['service', 'pipelines', key];
    const refuse = (message: string): void => {
      problems.push({ path, message, isRule: false, ...locateKey(root, path) });
    };
    if ('error' in id) refuse(id.error);
    else if (seen.has(id.id)) refuse(`duplicate name ${JSON.stringify(key)} after unmarshaling ${id.id}`);
    else {
      seen.add(id.id);
      pipelines.push({
        id: id.id,
        signal: id.signal,
        name: id.name,
        receivers: trimmed(p.receivers),
        processors: trimmed(p.processors),
        exporters: trimmed(p.exporters),
      });
    }
  }
  return { extensions: trimmed(value.extensions), pipelines, telemetry: telemetry.value, isRead: true };
}
