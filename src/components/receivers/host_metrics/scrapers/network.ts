/** I/O of network interfaces, TCP connections by state, the connection tracking table. */
import { type AttributeSet, attributeSet } from '../../../../core/metrics/attribute-set.ts';
import type { MetricStream } from '../../../../core/metrics/builder.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { NETWORK } from '../catalogue/network.ts';
import type { NetworkConfig } from '../config.ts';
import { keeps } from '../filter.ts';
import { type Host, Remembered, unexpectedLine } from '../host.ts';
import type { Lines } from '../lines.ts';
import { isMissing } from '../proc-reader.ts';

/** By the number in /proc/net/tcp. */
const LINUX_STATES = [
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSE',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
];
/** Upstream's list of states that are sent although they are 0; two of its names are not those that Linux counts. */
const ALWAYS = [
  'CLOSE_WAIT',
  'CLOSE',
  'CLOSING',
  'DELETE',
  'ESTABLISHED',
  'FIN_WAIT_1',
  'FIN_WAIT_2',
  'LAST_ACK',
  'LISTEN',
  'SYN_SENT',
  'SYN_RECV',
  'TIME_WAIT',
];
/** receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes packets errs drop … */
const COUNTERS = 12;

interface Interface {
  readonly isKept: boolean;
  readonly receive: AttributeSet;
  readonly transmit: AttributeSet;
}

export function makeNetworkScraper(config: NetworkConfig, host: Host): Scraper {
  const builder = host.builder(NETWORK, config.metrics);
  const io = builder.stream('system.network.io');
  const packets = builder.stream('system.network.packets');
  const errors = builder.stream('system.network.errors');
  const dropped = builder.stream('system.network.dropped');
  const connections = builder.stream('system.network.connections');
  const conntrack = {
    count: builder.stream('system.network.conntrack.count'),
    max: builder.stream('system.network.conntrack.max'),
  };
  const perInterface = [io, packets, errors, dropped];
  const isKept = keeps(config.include, config.exclude);
  const interfaces = new Remembered<string, Interface>();
  const devPath = host.net('dev');
  const c = new Float64Array(COUNTERS);
  const counts = new Map<string, number>();
  const stateSets = new Map(
    [...new Set([...ALWAYS, ...LINUX_STATES])].map((state) => [state, attributeSet({ protocol: 'tcp', state })]),
  );

  const makeInterface = (device: string): Interface => ({
    isKept: isKept(device),
    receive: attributeSet({ device, direction: 'receive' }),
    transmit: attributeSet({ device, direction: 'transmit' }),
  });

  return host.scraper('network', builder, async (problems) => {
    if (perInterface.some((s) => s.enabled))
      problems.try(8, () => {
        const line = host.reader.lines(devPath);
        // Two lines of headings.
        line.next();
        line.next();
        while (line.next()) {
          if (!line.more()) continue;
          // An alias has a colon in its name, and behind the last one there may be no space.
          const colon = line.buf.subarray(line.pos, line.end).lastIndexOf(58);
          const name = line.buf.toString('utf8', line.pos, line.pos + Math.max(0, colon));
          const text = line.rest();
          line.pos += colon + 1;
          let sum = 0;
          for (let i = 0; i < COUNTERS; i++) sum += c[i] = line.number();
          if (colon < 0 || Number.isNaN(sum)) {
            problems.add(unexpectedLine(devPath, text), 8);
            continue;
          }
          const { isKept, receive, transmit } = interfaces.get(name, () => makeInterface(name));
          if (!isKept) continue;
          for (const [i, stream] of perInterface.entries()) {
            stream.point(c[i]!, receive);
            stream.point(c[8 + i]!, transmit);
          }
        }
        interfaces.forgetOthers();
      });
    if (connections.enabled) {
      for (const state of ALWAYS) counts.set(state, 0);
      for (const state of LINUX_STATES) counts.set(state, 0);
      try {
        for (const file of ['tcp', 'tcp6']) await countConnections(file);
        for (const [state, n] of counts)
          if (n > 0 || ALWAYS.includes(state)) connections.point(n, stateSets.get(state)!);
      } catch (error) {
        problems.add(`failed to read TCP connections: ${(error as Error).message}`, counts.size);
      }
    }
    for (const [name, stream] of Object.entries(conntrack))
      if (stream.enabled) problems.try(1, () => recordConntrack(name, stream));
  });

  async function countConnections(file: string): Promise<void> {
    const onLine = (line: Lines): void => {
      // Slot, local address, remote address, state in hexadecimal.
      line.skip(3);
      const state = LINUX_STATES[Number.parseInt(line.word(), 16) - 1];
      if (state !== undefined) counts.set(state, counts.get(state)! + 1);
    };
    try {
      await host.reader.eachLine(host.net(file), onLine);
    } catch (error) {
      // Without IPv6 there is no file of it.
      if (file !== 'tcp6' || !isMissing(error)) throw error;
    }
  }

  function recordConntrack(name: string, stream: MetricStream): void {
    const path = host.proc('sys/net/netfilter', `nf_conntrack_${name}`);
    const line = host.reader.lines(path);
    line.next();
    const text = line.rest();
    const n = line.number();
    if (Number.isNaN(n)) throw new Error(`failed to read conntrack info: ${unexpectedLine(path, text)}`);
    stream.point(n);
  }
}
