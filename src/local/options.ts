/** The command line of `sluice up`. */
import { parseArgs } from 'node:util';
import { parseDuration } from '../core/schema.ts';

export const HELP = `Usage: sluice up [--rate N] [--real] [--port N] [--state DIR] [--for 10s]

Runs both tiers of collection on this machine and shows what they do. A demo
workload writes container logs as a kubelet does, as pods of a small simulated
cluster. The agent reads them, asks the kubelet about its pods and (on Linux)
measures this machine; the gateway takes events and metrics of the cluster. A
small embedded store keeps everything, one page searches the logs, another one
shows charts. Ctrl-C stops everything and checks that every line, every event
and every sample was delivered.

  --rate N      lines per second that the workload writes (300)
  --real        read this machine's /var/log/pods instead of the demo
  --port N      port of the page and the store (9428, or any when it is taken; 0: any)
  --state DIR   keep configuration, logs and offsets here (default: a directory that is removed at the end)
  --for TIME    stop after this long, e.g. 10s
  --help        this text
`;

export interface UpOptions {
  readonly linesPerSecond: number;
  readonly isReal: boolean;
  readonly port: number;
  readonly state: string | undefined;
  readonly forMs: number | undefined;
}

/** What is wrong with the command line, for people. */
export class UsageError extends Error {}

export function parseOptions(args: readonly string[]): UpOptions | 'help' {
  let values: Record<string, string | boolean | undefined>;
  try {
    values = parseArgs({
      args: [...args],
      options: {
        rate: { type: 'string', default: '300' },
        real: { type: 'boolean', default: false },
        port: { type: 'string', default: '9428' },
        state: { type: 'string' },
        for: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
  if (values['help']) return 'help';
  const forText = values['for'] as string | undefined;
  const forMs = forText === undefined ? undefined : parseDuration(forText);
  if (typeof forMs === 'object' || (forMs !== undefined && forMs <= 0))
    throw new UsageError(`--for wants a duration such as 10s, got ${JSON.stringify(forText)}`);
  return {
    linesPerSecond: whole('rate', values['rate'] as string, 1, 200_000),
    isReal: values['real'] === true,
    port: whole('port', values['port'] as string, 0, 65_535),
    state: values['state'] as string | undefined,
    forMs,
  };
}

function whole(name: string, text: string, low: number, high: number): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || n < low || n > high)
    throw new UsageError(`--${name} wants a whole number from ${low} to ${high}, got ${JSON.stringify(text)}`);
  return n;
}
