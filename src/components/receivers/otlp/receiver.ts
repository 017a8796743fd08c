/** The receiver: a server per protocol that the configuration names. */
import { ArrivingBodies, arrivingLimit } from '../../../core/arriving.ts';
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { maxMessageBytes } from '../../../core/grpc-schema.ts';
import type { OtlpReceiverConfig } from './index.ts';

export async function createOtlpReceiver(config: OtlpReceiverConfig, ctx: ReceiverContext): Promise<Receiver> {
  const { http, grpc } = config.protocols;
  const largest = Math.max(http?.max_request_body_size ?? 0, grpc ? maxMessageBytes(grpc) : 0);
  const arriving = new ArrivingBodies(arrivingLimit(largest));
  const servers: Receiver[] = [];
  if (grpc) servers.push(new (await import('./grpc.ts')).OtlpGrpcReceiver(grpc, ctx, arriving));
  if (http) servers.push(new (await import('./http.ts')).OtlpHttpReceiver(http, ctx, arriving));
  const stop = async (deadline: AbortSignal): Promise<void> => {
    await Promise.all(servers.map((s) => s.stop?.(deadline)));
  };
  return {
    async start() {
      try {
        for (const s of servers) await s.start?.();
      } catch (e) {
        await stop(AbortSignal.abort());
        throw e;
      }
    },
    stop,
  };
}
