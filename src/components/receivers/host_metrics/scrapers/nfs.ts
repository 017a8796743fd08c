/** Counters of the kernel's NFS client and server. A host that is only one of them has no file of the other. */
import { type AttributeSet, attributeSet, NO_ATTRIBUTES } from '../../../../core/metrics/attribute-set.ts';
import type { MetricStream } from '../../../../core/metrics/builder.ts';
import type { Scraper } from '../../../../core/scrape.ts';
import { NFS } from '../catalogue/nfs.ts';
import type { PlainConfig } from '../config.ts';
import { type Host, unexpectedLine } from '../host.ts';
import { CLIENT_V4_OPERATIONS, SERVER_V4_OPERATIONS, SERVER_V4_PROCEDURES, V3_PROCEDURES } from '../nfs-names.ts';
import { isMissing } from '../proc-reader.ts';

interface Line {
  /** How many numbers there must be. */
  readonly min: number;
  record(values: readonly number[]): void;
}

export function makeNfsScraper(config: PlainConfig, host: Host): Scraper {
  const builder = host.builder(NFS, config.metrics);
  const stream = (name: string): MetricStream => builder.stream(`nfs.${name}`);
  const transport = (name: string): AttributeSet => attributeSet({ 'network.transport': name });

  /** Numbers in a line, each a point of its own. */
  function points(...each: readonly (readonly [MetricStream, AttributeSet?] | undefined)[]): Line {
    return {
      min: each.length,
      record: (values) => {
        for (const [i, target] of each.entries()) target?.[0].point(values[i]!, target[1]);
      },
    };
  }

  /** A line that begins with the number of its numbers. */
  function calls(metric: MetricStream, attribute: string, version: bigint, names: readonly string[]): Line {
    const sets = names.map((name) => attributeSet({ 'onc_rpc.version': version, [attribute]: name }));
    return {
      min: 2,
      record: ([count, ...values]) => {
        if (values.length !== count) throw new Error('unexpected field count');
        for (const [i, set] of sets.slice(0, count).entries()) metric.point(values[i]!, set);
      },
    };
  }

  const net = (side: string): Line =>
    points(
      undefined,
      [stream(`${side}.net.count`), transport('udp')],
      [stream(`${side}.net.count`), transport('tcp')],
      [stream(`${side}.net.tcp.connection.accepted`)],
    );
  const procedure = 'onc_rpc.procedure.name';
  const operation = 'nfs.operation.name';

  const client: Readonly<Record<string, Line>> = {
    net: net('client'),
    rpc: points(
      [stream('client.rpc.count')],
      [stream('client.rpc.retransmit.count')],
      [stream('client.rpc.authrefresh.count')],
    ),
    proc3: calls(stream('client.procedure.count'), procedure, 3n, V3_PROCEDURES),
    proc4: calls(stream('client.operation.count'), operation, 4n, CLIENT_V4_OPERATIONS),
  };

  const rpc = stream('server.rpc.count');
  const io = stream('server.io');
  const cache = stream('server.repcache.requests');
  const direction = (name: string): AttributeSet => attributeSet({ 'network.io.direction': name });
  const cacheStatus = (name: string): AttributeSet => attributeSet({ 'nfs.server.repcache.status': name });
  const badCalls = ['format', 'auth', 'client'].map((type) => attributeSet({ 'error.type': type }));

  const server: Readonly<Record<string, Line>> = {
    net: net('server'),
    rpc: {
      min: 5,
      record: ([all, bad, ...byType]) => {
        rpc.point(all! - bad!, NO_ATTRIBUTES);
        for (const [i, set] of badCalls.entries()) rpc.point(byType[i]!, set);
      },
    },
    rc: points([cache, cacheStatus('hit')], [cache, cacheStatus('miss')], [cache, cacheStatus('nocache')]),
    fh: points([stream('server.fh.stale.count')]),
    io: points([io, direction('transmit')], [io, direction('receive')]),
    th: points([stream('server.thread.count')]),
    proc3: calls(stream('server.procedure.count'), procedure, 3n, V3_PROCEDURES),
    proc4: calls(stream('server.procedure.count'), procedure, 4n, SERVER_V4_PROCEDURES),
    proc4ops: calls(stream('server.operation.count'), operation, 4n, SERVER_V4_OPERATIONS),
  };

  function read(path: string, known: Readonly<Record<string, Line>>): void {
    const line = host.reader.lines(path);
    while (line.next()) {
      const text = line.rest();
      const kind = line.word();
      const target = Object.hasOwn(known, kind) ? known[kind] : undefined;
      if (!target) continue;
      const values: number[] = [];
      // Numbers of threads are followed by fractions that mean nothing any more.
      while (line.more() && (kind !== 'th' || values.length === 0)) values.push(line.number());
      if (values.length < target.min || values.some(Number.isNaN)) throw new Error(unexpectedLine(path, text));
      try {
        target.record(values);
      } catch (error) {
        throw new Error(`${(error as Error).message} in ${path}: ${JSON.stringify(text)}`);
      }
    }
  }

  return host.scraper('nfs', builder, (problems) => {
    let missing = 0;
    for (const [file, known] of [
      ['nfs', client],
      ['nfsd', server],
    ] as const) {
      const path = host.net('rpc', file);
      problems.try(1, () => {
        try {
          read(path, known);
        } catch (error) {
          if (!isMissing(error) || ++missing === 2) throw error;
        }
      });
    }
  });
}
