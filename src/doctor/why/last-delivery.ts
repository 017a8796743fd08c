/** How far the files of a pod are delivered: stored offsets against sizes, and the counters of the exporters behind them. */
import { statSync } from 'node:fs';
import { ofCollector } from '../checks/delivery.ts';
import { selfMetrics } from '../checks/self-metrics.ts';
import { spanText } from '../clocks.ts';
import type { DoctorConfig, DoctorContext } from '../context.ts';
import { type Finding, ok, unknown, warning } from '../finding.ts';
import { fieldsOf, textOf } from '../objects.ts';
import type { Match } from './matching.ts';
import { readOffsets } from './offsets.ts';
import type { Subject } from './subject.ts';

/** So far behind, a reader keeps up. */
const NEAR_BYTES = 64 * 1024;
/** More than what `batch` waits by default. */
const AGAIN_MS = 12_000;
/** A pod does not write evenly. */
const GROWING = 1.25;
/** So long a file may be there before it is known. */
const NEW_FILE_MS = 60_000;

export async function deliveryOf(
  ctx: DoctorContext,
  s: Subject,
  ways: readonly Match[],
  exec: string,
): Promise<Finding[]> {
  const out: Finding[] = [];
  if (!s.isHere)
    out.push(
      unknown('how far its files are delivered only the agent on its node knows', `node ${s.node || 'unknown'}`, exec),
    );
  else for (const m of ways) out.push(await offsetFinding(ctx, m));
  const metrics = await selfMetrics(ctx);
  const exporters = new Set(
    ways.flatMap((m) =>
      m.tier.config!.pipelines.filter((p) => p.receivers.includes(m.receiver.id)).flatMap((p) => p.exporters),
    ),
  );
  for (const read of metrics.read) {
    const own = read.samples.filter((x) => x.labels['exporter'] === undefined || exporters.has(x.labels['exporter']));
    out.push(
      ...ofCollector({
        source: read.source,
        samples: own.filter((x) => /^otelcol_(?:exporter_|process_uptime)/.test(x.name)),
      }),
    );
  }
  if (metrics.read.length === 0 && s.isHere)
    out.push(unknown('what the exporters sent cannot be seen', metrics.problems.join('; ')));
  return out;
}

async function offsetFinding(ctx: DoctorContext, m: Match): Promise<Finding> {
  const { file, tier } = m;
  const first = standOf(m);
  if ('problem' in first)
    return unknown(
      `how far ${file.container} is delivered is not stored here`,
      first.problem,
      'storage: file_storage for the receiver keeps it, and goes on there after restarts',
    );
  if (first.offset === undefined) return notKnown(ctx, m, first);
  const behind = behindOf(first);
  const keepers = durableQueues(tier.config!, m.receiver.id);
  const done = keepers.length === 0 ? 'delivered' : `delivered, or in the durable queue of ${keepers.join(', ')},`;
  if (behind <= NEAR_BYTES)
    return ok(
      `${file.container} is ${done} up to ${behind === 0 ? 'its last byte' : `${behind} bytes before its end`}`,
      first.how(ctx),
    );
  // Much that is under way is no delay: does it go on?
  await ctx.pause(AGAIN_MS);
  const second = standOf(m);
  if ('problem' in second || second.offset === undefined || second.offset <= first.offset)
    return warning(
      `${file.container} is ${behind} bytes behind, and does not get on`,
      first.how(ctx),
      'the destination is slow or down: `sluice doctor`',
    );
  const moved = `${second.offset - first.offset} bytes were delivered in ${spanText(AGAIN_MS)}`;
  const later = behindOf(second);
  if (later > behind * GROWING)
    return warning(
      `${file.container} is ${later} bytes behind, and falls further behind`,
      `${second.how(ctx)}; ${moved}`,
      'the destination is slower than the pod writes: sending_queue: {num_consumers: 20}, and look at the destination',
    );
  return ok(
    `${file.container} is ${done} up to ${later} bytes before its end, and goes on`,
    `${second.how(ctx)}; ${moved}`,
  );
}

/** How far a file is delivered, and how long it is. */
interface Stand {
  /** Undefined: the store does not know the file. */
  readonly offset: number | undefined;
  readonly size: number;
  /** Another file had this name before. */
  readonly isSuccessor: boolean;
  readonly how: (ctx: DoctorContext) => string;
  readonly store: string;
}

const behindOf = ({ offset = 0, size }: Stand): number => Math.max(0, size - offset);

function standOf({ file, receiver, tier }: Match): Stand | { readonly problem: string } {
  const offsets = readOffsets(tier.config!, receiver);
  if ('problem' in offsets) return offsets;
  const byPath = offsets.known.find((k) => k.path === file.path);
  // What has the path and is another file was rotated away; otelcol's store does not tell which file it is.
  const known =
    offsets.known.find((k) => k.identity && k.identity.inode === file.inode) ??
    (byPath?.identity === undefined ? byPath : undefined);
  const now = statSync(file.path, { throwIfNoEntry: false });
  const size = now?.size ?? file.sizeBytes ?? 0;
  const modifiedMs = now?.mtimeMs ?? file.modifiedMs;
  const isOther = known !== undefined && known.offset > size;
  const offset = isOther ? undefined : known?.offset;
  return {
    offset,
    size,
    isSuccessor: byPath !== undefined && offset === undefined,
    store: offsets.path,
    how: (ctx) => `${offsets.path}: offset ${offset} of ${size} bytes of ${file.path}${writtenAgo(ctx, modifiedMs)}`,
  };
}

const writtenAgo = (ctx: DoctorContext, ms: number | undefined): string =>
  ms === undefined ? '' : `; last written ${spanText(Math.max(0, ctx.clock.nowMs() - ms))} ago`;

function notKnown(ctx: DoctorContext, { file }: Match, { size, isSuccessor, store }: Stand): Finding {
  if (size === 0) return ok(`${file.container} has written nothing`, `${file.path}: 0 bytes`);
  const age = file.bornMs === undefined ? Number.POSITIVE_INFINITY : ctx.clock.nowMs() - file.bornMs;
  const how = `${store} does not know ${file.path} (${size} bytes)${writtenAgo(ctx, file.modifiedMs)}`;
  if (age < NEW_FILE_MS)
    return unknown(
      `${file.container} ${isSuccessor ? 'was rotated' : 'began to write'} ${spanText(Math.max(0, age))} ago, and nothing of the new file is known as delivered yet`,
      how,
      'ask again in a minute',
    );
  return warning(
    `nothing of ${file.container} is known as delivered yet`,
    how,
    'has the agent just begun? Is start_at: end set? Does its log complain?',
  );
}

/** Exporters behind a receiver that answer for records before they are sent. */
function durableQueues(config: DoctorConfig, receiver: string): string[] {
  const behind = new Set(config.pipelines.filter((p) => p.receivers.includes(receiver)).flatMap((p) => p.exporters));
  return [...config.exporters.values()]
    .filter((c) => behind.has(c.id) && textOf(fieldsOf(fieldsOf(c.value)['sending_queue'])['storage']) !== '')
    .map((c) => c.id);
}
