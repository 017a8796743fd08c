/**
 * Do the clocks agree? Records of a node whose clock is ahead come from the future, where queries up to now do not look
 * and databases refuse them; Leases, tokens and certificates go by clocks, too.
 */
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { type ClockReading, spanText } from '../clocks.ts';
import { isProblem, RESOURCES } from '../cluster.ts';
import type { Check, DoctorContext } from '../context.ts';
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { fieldsOf, listOf, numberOf, textOf } from '../objects.ts';
import { probes } from './destinations.ts';
import { otherAccount } from './workload-reads.ts';

const OFF_MS = 30_000;
/** Then tokens and certificates that have just been made are refused. */
const FAR_OFF_MS = 300_000;
/** A kubelet that has just died is still Ready for so long. */
const GRACE_MS = 60_000;
const NODE_LEASES = 'kube-node-lease';
const DEFAULT_LEASE_S = 40;
const STATE_MS = 300_000;

export const clocks: Check = {
  id: 'clocks',
  title: 'Clocks',
  async run(ctx) {
    const compared: string[] = [];
    const out = [...(await answering(ctx, compared)), ...(await nodes(ctx, compared))];
    if (compared.length > 0 && out.every((f) => f.state === 'unknown'))
      out.unshift(ok('the clocks agree', `less than ${spanText(OFF_MS)} between: ${compared.join(', ')}`));
    return out;
  },
};

const isOff = (ms: number): boolean => Math.abs(ms) > OFF_MS;
const byHow = (ms: number, than = ''): string =>
  `${spanText(ms)} ${ms > 0 ? 'ahead' : 'behind'}${than === '' ? '' : `${ms > 0 ? ' of' : ''} that of ${than}`}`;
const found = (ms: number): typeof warning => (Math.abs(ms) > FAR_OFF_MS ? failure : warning);
const dates = (who: string, { date, hereMs }: ClockReading): string =>
  `header Date of ${who}: ${date}, when it was ${new Date(hereMs).toUTCString()} here`;
const setRight = (where: string, talos: string): string =>
  `on ${where}: \`chronyc makestep\`, and see that chronyd or systemd-timesyncd runs (Talos: \`talosctl -n ${talos} time\`, machine.time.servers)`;

/** The API server and the destinations, by what they answered. */
async function answering(ctx: DoctorContext, compared: string[]): Promise<Finding[]> {
  const here = ctx.isInside ? `node ${ctx.env['K8S_NODE_NAME'] ?? 'of this pod'}` : 'this machine';
  const server = ctx.serverClock;
  const others = new Map<string, ClockReading>();
  for (const { origin, clock } of await probes(ctx)) if (clock) others.set(origin, clock);
  if (!server && others.size === 0) return [];
  compared.push(here, ...(server ? ['the API server'] : []), ...others.keys());
  const out: Finding[] = [];
  /** That of the cluster, against ours: what the destinations are compared with. */
  let clusterMs = 0;
  if (server && isOff(server.aheadMs)) {
    // A third one tells whose clock it is.
    const witness = [...others].find(([, c]) => !isOff(c.aheadMs));
    const how = dates('the API server', server);
    if (witness)
      out.push(
        found(server.aheadMs)(
          `the clock of the API server is ${byHow(server.aheadMs)}`,
          `${how}; ${witness[0]} agrees with ${here}`,
          setRight('the nodes of the control plane', '<node>'),
        ),
      );
    else {
      clusterMs = server.aheadMs;
      const what = `the clock of ${here} is ${byHow(-server.aheadMs, 'the API server')}`;
      out.push(
        ctx.isInside
          ? found(server.aheadMs)(
              `${what}: ${effectOf(-server.aheadMs)}`,
              how,
              setRight(here, ctx.env['K8S_NODE_NAME'] ?? '<node>'),
            )
          : warning(what, how, '`sudo chronyc makestep`, or `sudo timedatectl set-ntp true`'),
      );
    }
  }
  for (const [origin, clock] of others) {
    const ms = clock.aheadMs - clusterMs;
    if (!isOff(ms)) continue;
    out.push(
      found(ms)(
        `the clock of ${origin} is ${byHow(ms, server ? 'the cluster' : here)}: ${effectOf(-ms)}`,
        dates(origin, clock),
        setRight('its machine', '<node>'),
      ),
    );
  }
  return out;
}

/** Of a clock that stamps records. */
const effectOf = (ms: number): string =>
  ms > 0
    ? 'records come from the future, where queries up to now do not look'
    : 'records come late into queries and alerts';

/** What a kubelet wrote last with the time of its node, and how often it writes. */
interface Heartbeat {
  readonly where: string;
  readonly time: string;
  readonly everyMs: number;
}

/** Kubelets renew a Lease every ten seconds; where it may not be read, there is the state of the node, every five minutes. */
async function nodes(ctx: DoctorContext, compared: string[]): Promise<Finding[]> {
  // An agent may not read them, and should not.
  if (ctx.isInside || !ctx.cluster || !ctx.serverClock) return [];
  const [leases, all] = [
    await ctx.cluster.list(RESOURCES.leases, { namespace: NODE_LEASES }),
    await ctx.cluster.list(RESOURCES.nodes),
  ];
  if (isProblem(all))
    return [unknown('the clocks of the nodes cannot be looked at', all.problem, otherAccount(ctx, 'list nodes', ''))];
  const byName = new Map(isProblem(leases) ? [] : leases.value.map((l) => [l.metadata.name, l]));
  const off: { readonly name: string; readonly ms: number; readonly beat: Heartbeat }[] = [];
  let seen = 0;
  for (const node of all.value) {
    const beat = leaseOf(byName.get(node.metadata.name)) ?? stateOf(node);
    const at = Date.parse(beat?.time ?? '');
    if (!beat || Number.isNaN(at)) continue;
    seen++;
    const ms = aheadOf(ctx, node, beat, at);
    if (isOff(ms)) off.push({ name: node.metadata.name, ms, beat });
  }
  if (seen > 0) compared.push(count(seen, 'node'));
  return [true, false].flatMap((isAhead) => {
    const group = off.filter((o) => o.ms > 0 === isAhead).sort((a, b) => Math.abs(b.ms) - Math.abs(a.ms));
    const [most] = group;
    if (!most) return [];
    const names = some(group.map((o) => o.name));
    const server = new Date(ctx.serverNowMs()).toISOString();
    return [
      found(most.ms)(
        `the clock of ${group.length === 1 ? `node ${names}` : `${count(group.length, 'node')} (${names})`} is ${byHow(most.ms)}${group.length === 1 ? '' : ' at most'}: ${effectOf(most.ms)}`,
        `${most.beat.where} was written at ${most.beat.time} by the kubelet's clock, and the API server has ${server}`,
        setRight(most.name, most.name),
      ),
    ];
  });
}

function leaseOf(lease: KubernetesObject | undefined): Heartbeat | undefined {
  const spec = fieldsOf(lease?.['spec']);
  const time = textOf(spec['renewTime']);
  if (!lease || time === '') return undefined;
  const everyMs = ((numberOf(spec['leaseDurationSeconds']) || DEFAULT_LEASE_S) / 4) * 1000;
  return { where: `Lease ${NODE_LEASES}/${lease.metadata.name}`, time, everyMs };
}

function stateOf(node: KubernetesObject): Heartbeat | undefined {
  const times = listOf(fieldsOf(node['status'])['conditions']).map((c) => textOf(c['lastHeartbeatTime']));
  const time = times.sort().at(-1) ?? '';
  const where = `lastHeartbeatTime of node ${node.metadata.name}`;
  return time === '' ? undefined : { where, time, everyMs: STATE_MS };
}

function aheadOf(ctx: DoctorContext, node: KubernetesObject, { everyMs }: Heartbeat, writtenMs: number): number {
  const ms = writtenMs - ctx.serverNowMs();
  if (ms > 0) return ms;
  // What a node that is gone has written last is old as well.
  const isReady = listOf(fieldsOf(node['status'])['conditions']).some(
    (c) => c['type'] === 'Ready' && c['status'] === 'True',
  );
  return isReady && -ms > GRACE_MS + everyMs ? ms + everyMs : 0;
}
