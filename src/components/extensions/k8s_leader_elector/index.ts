/** k8s_leader_elector: of several replicas one leads, the one that holds a Lease. */
import * as z from 'zod';
import { defineExtension } from '../../../core/component.ts';
import { duration } from '../../../core/schema.ts';
import { apiShape } from '../../../kubernetes/api-server.ts';

const required = (key: string) => z.string({ error: `${key} is required` }).min(1, { error: `${key} is required` });

const schema = z
  .strictObject({
    ...apiShape,
    lease_name: required('lease_name').describe('Name of the Lease'),
    lease_namespace: required('lease_namespace').describe('Namespace of the Lease'),
    lease_duration: duration().prefault('15s').describe('Others take over this long after the last renewal'),
    renew_deadline: duration().prefault('10s').describe('The leader resigns when it could not renew for this long'),
    retry_period: duration().prefault('2s').describe('Time between two attempts to take or renew the Lease'),
  })
  .superRefine((c, ctx) => {
    const issue = (key: string, message: string) => ctx.addIssue({ code: 'custom', path: [key], message });
    // Otherwise there would be moments with two leaders, or a leader that cannot renew in time.
    if (c.lease_duration <= c.renew_deadline)
      issue('lease_duration', 'lease_duration must be greater than renew_deadline');
    if (c.renew_deadline <= c.retry_period * 1.2)
      issue('renew_deadline', 'renew_deadline must be greater than 1.2 times retry_period');
    if (c.retry_period < 1) issue('retry_period', 'retry_period must be greater than zero');
  });
export type LeaderElectorConfig = z.output<typeof schema>;

export default defineExtension({
  id: 'k8s_leader_elector',
  summary: 'Lets one of several replicas lead, by a Lease of Kubernetes.',
  stability: 'beta',
  schema,
  create: async (config, ctx) => new (await import('./extension.ts')).LeaderElectorExtension(config, ctx),
});
