/** k8s_events: events of Kubernetes as log records, with the message as body. */
import * as z from 'zod';
import { defineReceiver } from '../../../core/component.ts';
import { RECEIVER_INSTRUMENTS } from '../../../core/receiver-telemetry.ts';
import { duration, stringList } from '../../../core/schema.ts';
import { apiShape } from '../../../kubernetes/api-server.ts';

const schema = z.strictObject({
  ...apiShape,
  namespaces: stringList().default([]).describe('Namespaces, each with its own stream; empty: all'),
  storage: z.string().optional().describe('Id of a storage extension: goes on where it stopped'),
  k8s_leader_elector: z.string().optional().describe('Id of a k8s_leader_elector: only the leader collects'),
  dedup_interval: duration()
    .prefault('0s')
    .describe('Of an event that repeats, send only the newest, this often; 0: every one; negative: only the first'),
});
export type K8sEventsConfig = z.output<typeof schema>;

export default defineReceiver({
  id: 'k8s_events',
  summary: 'Collects events of Kubernetes as log records with severity, time and the object they are about.',
  stability: 'beta',
  signals: ['logs'],
  schema,
  telemetry: RECEIVER_INSTRUMENTS,
  create: async (config, ctx) => (await import('./receiver.ts')).createK8sEvents(config, ctx),
});
