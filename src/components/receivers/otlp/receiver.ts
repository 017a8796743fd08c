/** The receiver: a server per protocol that the configuration names. */
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import type { OtlpReceiverConfig } from './index.ts';

export async function createOtlpReceiver(config: OtlpReceiverConfig, ctx: ReceiverContext): Promise<Receiver> {
  const { http, grpc } = config.protocols;
  const servers: Receiver[] = [];
  if (grpc) servers.push(new (await import('./grpc.ts')).OtlpGrpcReceiver(grpc, ctx));
  if (http) servers.push(new (await import('./http.ts')).OtlpHttpReceiver(http, ctx));
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
