/** What happens in a round, derived from a seed alone, and the collector's configuration for it. */
import { seededRandom } from '../../bench/generate.ts';
import type { Mood } from './destination.ts';
import type { LineFormat } from './lines.ts';
import type { Rotation } from './writer.ts';

export type QueueKind = 'none' | 'memory' | 'persistent';

export interface Disruption {
  readonly atMs: number;
  /** `kill` is SIGKILL; `stop` is SIGTERM. Either way it starts again. */
  readonly kind: 'kill' | 'stop';
  readonly downMs: number;
}

export interface MoodChange {
  readonly atMs: number;
  readonly mood: Mood;
}

export interface RoundPlan {
  readonly seed: number;
  readonly round: number;
  readonly durationMs: number;
  readonly format: LineFormat;
  readonly files: number;
  readonly linesPerTick: number;
  readonly naming: 'numbered' | 'stamped';
  readonly rotations: readonly Rotation[];
  readonly queue: QueueKind;
  readonly batch: boolean;
  readonly disruptions: readonly Disruption[];
  readonly moods: readonly MoodChange[];
  /** Afterwards it is started once more: nothing may come again. */
  readonly checkRestart: boolean;
}

const ROTATIONS: readonly (readonly Rotation[])[] = [
  ['rename'],
  ['gzip'],
  ['copytruncate'],
  ['rename', 'gzip'],
  ['rename', 'gzip', 'copytruncate'],
];
const MOODS: readonly Mood[] = ['healthy', 'flaky', 'flaky', 'flaky', 'unavailable', 'hanging-up'];
const QUEUES: readonly QueueKind[] = ['memory', 'persistent', 'none'];

export function planRound(seed: number, round: number): RoundPlan {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) + round);
  // One round in ten is long enough for rotated files to be deleted while it runs.
  const durationMs = round % 10 === 9 ? 9000 : 2000 + random(2000);
  const disruptions: Disruption[] = Array.from({ length: 1 + random(3) }, () => ({
    atMs: 200 + random(durationMs - 300),
    kind: random(7) === 0 ? ('stop' as const) : ('kill' as const),
    downMs: random(2) === 0 ? 0 : random(500),
  })).sort((a, b) => a.atMs - b.atMs);
  const moods: MoodChange[] = [];
  for (let atMs = 0; atMs < durationMs; atMs += 150 + random(550))
    moods.push({ atMs, mood: MOODS[random(MOODS.length)]! });
  return {
    seed,
    round,
    durationMs,
    format: round % 2 === 0 ? 'cri' : 'plain',
    files: 2 + random(4),
    linesPerTick: 3 + random(15),
    naming: random(2) === 0 ? 'numbered' : 'stamped',
    rotations: ROTATIONS[round % ROTATIONS.length]!,
    queue: QUEUES[round % QUEUES.length]!,
    batch: random(4) !== 0,
    disruptions,
    moods,
    checkRestart: round % 4 === 0,
  };
}

/** Milliseconds after which the exporter gives a request up. */
export const EXPORT_TIMEOUT_MS = 2000;

/** The same file for Sluice and for otelcol. */
export function collectorConfig(plan: Pick<RoundPlan, 'format' | 'queue' | 'batch'>, include: string): string {
  const retry = 'retry_on_failure: {enabled: true, initial_interval: 50ms, max_interval: 500ms, max_elapsed_time: 0s}';
  const operators =
    plan.format === 'cri' ? '[{type: container, format: containerd, add_metadata_from_filepath: false}]' : '[]';
  const queue = {
    none: '{enabled: false}',
    memory: '{enabled: true}',
    persistent: '{enabled: true, storage: file_storage}',
  }[plan.queue];
  return `extensions:
  file_storage: {directory: "\${env:STORAGE}"}
receivers:
  filelog:
    include: ["${include}"]
    start_at: beginning
    include_file_path: true
    compression: auto
    storage: file_storage
    ${retry}
    operators: ${operators}
processors:
  batch: {timeout: 100ms}
exporters:
  otlphttp:
    endpoint: "\${env:DESTINATION}"
    timeout: ${EXPORT_TIMEOUT_MS}ms
    ${retry}
    sending_queue: ${queue}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}}
  pipelines:
    logs: {receivers: [filelog], processors: [${plan.batch ? 'batch' : ''}], exporters: [otlphttp]}
`;
}
