/** What a leader elector gives to components, so that of several replicas only one does a job. */
import type { Host } from '../core/component.ts';
import { ConfigError } from '../core/errors.ts';
import type { Handover } from './handover.ts';

export interface LeaderListener {
  /** This replica leads from now on, until `stopped`. Called at once when it leads already. */
  started(): void;
  stopped(): void;
}

export interface LeaderElector {
  /** The returned function ends it; `stopped` is not called then. */
  onLeadership(listener: LeaderListener): () => void;
  /** What one leader leaves to the next. */
  readonly handover?: Handover;
}

export const isLeaderElector = (x: unknown): x is LeaderElector =>
  typeof (x as LeaderElector | undefined)?.onLeadership === 'function';

/**
 * Runs `job` while this replica leads, or all the time without an elector. The job ends when its signal is given, and
 * the next one begins after that. The returned function ends it for good.
 */
export function whileLeading(
  host: Pick<Host, 'extension'>,
  electorId: string | undefined,
  job: (signal: AbortSignal) => Promise<void>,
): () => Promise<void> {
  let current: AbortController | undefined;
  let running: Promise<void> = Promise.resolve();
  const begin = (): void => {
    const own = new AbortController();
    current = own;
    running = running.then(() => (own.signal.aborted ? undefined : job(own.signal)));
  };
  const end = (): void => {
    current?.abort();
    current = undefined;
  };
  let leave = (): void => {};
  if (electorId === undefined) begin();
  else leave = electorOf(host, electorId).onLeadership({ started: begin, stopped: end });
  return async () => {
    leave();
    end();
    await running;
  };
}

export function electorOf(host: Pick<Host, 'extension'>, id: string): LeaderElector {
  const extension = host.extension(id);
  if (extension === undefined)
    throw new ConfigError(`unknown k8s leader elector ${JSON.stringify(id)}: it is not in service.extensions`);
  if (!isLeaderElector(extension)) throw new ConfigError(`${JSON.stringify(id)} is not a k8s leader elector`);
  return extension;
}
