/** What the collectors count about themselves, read once for all checks that look at it. */
import { messageOf } from '../../core/errors.ts';
import { isProblem } from '../cluster.ts';
import type { DoctorContext, Tier } from '../context.ts';
import { type Finding, some, unknown } from '../finding.ts';
import { isRunning } from '../objects.ts';
import { parseMetrics, type Sample } from './metrics-text.ts';
import { inPod, podsOf } from './workload-reads.ts';

const TIMEOUT_MS = 4000;
/** More than what `batch` waits by default. */
const LATER_MS = 12_000;
/** Of each tier so many pods are asked. */
const MAX_PODS = 10;

export interface SelfMetrics {
  /** `this pod`, or the name of the pod. */
  readonly source: string;
  readonly tier?: Tier;
  /** The line to type for what its log says. */
  readonly logs?: string;
  readonly samples: readonly Sample[];
}

export interface AllMetrics {
  readonly read: readonly SelfMetrics[];
  /** Why others could not be read. */
  readonly problems: readonly string[];
}

export const selfMetrics = (ctx: DoctorContext): Promise<AllMetrics> => ctx.once('self-metrics', () => readAll(ctx));

/** The same collector a while later: counters tell whether it is so now, or only was. */
export async function laterMetrics(ctx: DoctorContext, source: string): Promise<SelfMetrics | undefined> {
  const all = await ctx.once('later-metrics', async () => {
    await ctx.pause(LATER_MS);
    return readAll(ctx);
  });
  return all.read.find((m) => m.source === source);
}

async function readAll(ctx: DoctorContext): Promise<AllMetrics> {
  const read: SelfMetrics[] = [];
  const problems: string[] = [];
  for (const tier of ctx.tiers) {
    if (!tier.config) continue;
    if (tier.config.metrics.length === 0) {
      problems.push(`${tier.name} serves no metrics: service.telemetry.metrics.level is none`);
      continue;
    }
    if (ctx.isInside || !tier.workload) await local(ctx, tier, read, problems);
    else await remote(ctx, tier, read, problems);
  }
  return { read, problems };
}

export const LOGS_LINE = '`sluice doctor --from-logs FILE` with its log';
const logsLine = (namespace: string, pod: string): string =>
  `kubectl logs -n ${namespace} ${pod} | sluice doctor --from-logs -`;

async function local(ctx: DoctorContext, tier: Tier, read: SelfMetrics[], problems: string[]): Promise<void> {
  const [{ host, port }] = tier.config!.metrics as [{ host: string; port: number }];
  const address = /^(?:0\.0\.0\.0|\[?::\]?|)$/.test(host) ? 'localhost' : host;
  const url = `http://${address.includes(':') && !address.startsWith('[') ? `[${address}]` : address}:${port}/metrics`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([ctx.signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    const pod = ctx.env['OTEL_K8S_POD_NAME'] ?? ctx.env['HOSTNAME'];
    const logs = ctx.isInside && pod !== undefined ? logsLine(ctx.namespace, pod) : LOGS_LINE;
    read.push({ source: `${tier.name} (${url})`, tier, logs, samples: parseMetrics(await answer.text()) });
  } catch (e) {
    const cause = e instanceof Error && e.cause instanceof Error ? `: ${e.cause.message}` : '';
    problems.push(`GET ${url}: ${messageOf(e)}${cause}; does the collector run?`);
  }
}

async function remote(ctx: DoctorContext, tier: Tier, read: SelfMetrics[], problems: string[]): Promise<void> {
  const w = tier.workload!;
  const pods = await podsOf(ctx, w);
  if (isProblem(pods)) {
    problems.push(pods.problem);
    return;
  }
  const [{ host, port }] = tier.config!.metrics as [{ host: string; port: number }];
  if (/^(?:localhost|127\.|\[?::1)/.test(host)) {
    problems.push(
      `${tier.name} serves its metrics on ${host} only (service.telemetry.metrics; host: \${env:MY_POD_IP} shows them)`,
    );
    return;
  }
  for (const p of pods.value.filter(isRunning).slice(0, MAX_PODS)) {
    const path = `/api/v1/namespaces/${w.namespace}/pods/${p.metadata.name}:${port}/proxy/metrics`;
    const text = await ctx.cluster!.text(path);
    if (isProblem(text)) problems.push(`${p.metadata.name}: ${text.problem}`);
    else
      read.push({
        source: p.metadata.name,
        tier,
        logs: logsLine(w.namespace, p.metadata.name),
        samples: parseMetrics(text.value),
      });
  }
}

/** Told once for all checks that look at metrics; undefined when somebody gave some. */
export function withoutMetrics(ctx: DoctorContext, all: AllMetrics): Finding | undefined {
  if (all.read.length > 0 || all.problems.length === 0) return undefined;
  const tier = ctx.tiers.find((t) => t.config);
  return unknown(
    'what was delivered, lost or sent without metadata cannot be looked at',
    some(all.problems, 3),
    ctx.isInside || !tier?.workload ? LOGS_LINE : inPod(ctx, tier.workload),
  );
}

/** By a label: the sum of all series of a metric. */
export function sums(samples: readonly Sample[], name: string | RegExp, label: string): Map<string, number> {
  const out = new Map<string, number>();
  for (const s of samples) {
    if (typeof name === 'string' ? s.name !== name : !name.test(s.name)) continue;
    const key = s.labels[label] ?? '';
    out.set(key, (out.get(key) ?? 0) + s.value);
  }
  return out;
}
