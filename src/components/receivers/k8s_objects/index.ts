/** k8s_objects (formerly k8sobjects): objects of Kubernetes as log records, listed at intervals or watched. */
import * as z from 'zod';
import { defineReceiver } from '../../../core/component.ts';
import { RECEIVER_INSTRUMENTS } from '../../../core/receiver-telemetry.ts';
import { duration, section, stringList } from '../../../core/schema.ts';
import { apiShape } from '../../../kubernetes/api-server.ts';

const WATCH_TYPES = ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR'] as const;
const DEFAULT_PULL_INTERVAL_MS = 3_600_000;

const namespaceFilter = z
  .strictObject({
    regexp: z.string().default('').describe('Regular expression that the name matches'),
    strict: z.string().default('').describe('The name itself'),
  })
  .superRefine((f, ctx) => {
    if ((f.regexp === '') === (f.strict === ''))
      ctx.addIssue({ code: 'custom', message: 'give one of regexp and strict' });
  });

const object = z.strictObject({
  name: z
    .string({ error: 'name is required' })
    .min(1, { error: 'name is required' })
    .describe('Resource in the plural: pods, events, deployments'),
  group: z
    .string()
    .default('')
    .describe('API group, when several have the resource; empty: the first, the core group before others'),
  mode: z
    .enum(['pull', 'watch'], { error: (i) => `invalid mode: ${String(i.input ?? '')}; use pull or watch` })
    .default('pull')
    .describe('pull lists all objects at intervals, watch sends changes as they happen'),
  namespaces: stringList().default([]).describe('Namespaces, each with its own stream; empty: all'),
  exclude_namespaces: z
    .array(namespaceFilter)
    .default([])
    .describe('Namespaces to leave out, of those there are at the start'),
  label_selector: z.string().default('').describe('Only objects with these labels, as kubectl takes it'),
  field_selector: z.string().default('').describe('Only objects with these fields, as kubectl takes it'),
  interval: duration().optional().describe('Time between two lists of pull; 1h, or the interval of the receiver'),
  initial_delay: duration().prefault('0s').describe('Time from the start to the first list of pull'),
  resource_version: z.string().default('').describe('Version to begin the watch at, or to list exactly'),
  exclude_watch_type: stringList()
    .pipe(
      z.array(
        z.enum(WATCH_TYPES, {
          error: (i) => `invalid exclude_watch_type: ${String(i.input)}; use ${WATCH_TYPES.join(', ')}`,
        }),
      ),
    )
    .default([])
    .describe('Types of changes that are not sent'),
  event_details: section(
    z.strictObject({
      enabled: z
        .boolean()
        .default(false)
        .describe(
          'Severity from the type, the time of the event, and attributes of reason, action, reporter and object',
        ),
      fold_interval: duration()
        .prefault('0s')
        .describe('Of an event that repeats, send only the newest count, this often; 0: every one'),
    }),
  )
    .prefault({})
    .describe('More of events of Kubernetes than their JSON; not a key of otelcol'),
});
export type ObjectConfig = z.output<typeof object>;

const schema = z
  .strictObject({
    ...apiShape,
    error_mode: z
      .enum(['propagate', 'ignore', 'silent'], {
        error: (i) =>
          `invalid error_mode ${JSON.stringify(i.input)}: must be one of 'propagate', 'ignore', or 'silent'`,
      })
      .default('propagate')
      .describe('What a resource is that the cluster does not have: an error, a line in the log, or nothing'),
    include_initial_state: z.boolean().default(false).describe('Watches begin with the objects that are there'),
    storage: z.string().optional().describe('Id of a storage extension: watches go on where they stopped'),
    k8s_leader_elector: z.string().optional().describe('Id of a k8s_leader_elector: only the leader collects'),
    interval: duration().optional().describe('Time between two lists of pull, for objects without their own'),
    objects: z.array(object).default([]).describe('What is collected'),
    custom_resources: z
      .unknown()
      .refine((v) => v === undefined || v === null, {
        error: "'custom_resources' is not supported; name them in objects",
      })
      .optional()
      .describe('Not supported: must be absent'),
  })
  .superRefine((c, ctx) => {
    const issue = (message: string, path: (string | number)[] = []) => ctx.addIssue({ code: 'custom', path, message });
    if (c.objects.length === 0) issue('no valid Kubernetes objects found to watch: objects is empty', ['objects']);
    for (const [i, o] of c.objects.entries()) {
      const at = (key: string) => ['objects', i, key];
      const isPull = o.mode === 'pull';
      if (isPull && c.include_initial_state)
        issue('include_initial_state can only be used with watch mode', at('mode'));
      if (isPull && o.exclude_watch_type.length > 0)
        issue('the Exclude config can only be used with watch mode', at('exclude_watch_type'));
      if (!isPull && c.storage !== undefined && o.resource_version !== '')
        issue('resource_version cannot be used with storage, which has the version', at('resource_version'));
      if (o.namespaces.length > 0 && o.exclude_namespaces.length > 0)
        issue('namespaces and exclude_namespaces cannot be used together', at('exclude_namespaces'));
      if (isPull && intervalOf(c, o) <= 0) issue('interval must be positive', at('interval'));
      if (o.initial_delay < 0) issue('initial_delay must not be negative', at('initial_delay'));
      if (o.initial_delay > 0 && !isPull) issue('initial_delay can only be used with pull mode', at('initial_delay'));
      if (isPull && o.initial_delay > 0 && o.initial_delay >= intervalOf(c, o))
        issue('initial_delay must be less than interval', at('initial_delay'));
      if (isPull && o.event_details.fold_interval > 0)
        issue('fold_interval can only be used with watch mode', at('event_details'));
    }
  });
export type K8sObjectsConfig = z.output<typeof schema>;

export function intervalOf(config: { readonly interval?: number | undefined }, o: ObjectConfig): number {
  return o.interval || config.interval || DEFAULT_PULL_INTERVAL_MS;
}

export default defineReceiver({
  id: 'k8s_objects',
  aliases: ['k8sobjects'],
  summary: 'Collects objects of Kubernetes as log records, listed at intervals or watched.',
  stability: 'beta',
  signals: ['logs'],
  schema,
  telemetry: RECEIVER_INSTRUMENTS,
  create: async (config, ctx) => (await import('./receiver.ts')).createK8sObjects(config, ctx),
});
