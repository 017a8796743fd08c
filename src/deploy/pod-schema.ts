/** What a spec says of pods in Kubernetes' own words: resources, tolerations, variables and volumes. */
import * as z from 'zod';
import { parseQuantity } from '../core/quantity.ts';
import { HINT } from '../core/zod-words.ts';
import { keyProblem, labelValueProblem, variableName, volumeName } from './kubernetes-names.ts';

const anything = () => z.record(z.string(), z.unknown());

/** `100m`, `512Mi`, 2 */
const quantity = () =>
  z.union([z.string(), z.number()], { error: ({ input }) => noQuantity(input) }).superRefine((value, ctx) => {
    const amount = parseQuantity(value);
    if (amount === undefined || amount < 0) ctx.addIssue({ code: 'custom', message: noQuantity(value) });
  });
/** `512MB` and `2GiB` are what most people write at first. */
function noQuantity(value: unknown): string {
  const [, text] = /^(\d+(?:\.\d+)?\s?[kKMGTP]i?)B$/.exec(String(value)) ?? [];
  const meant = text?.replace(/\s/g, '').replace('K', (k) => (text.includes('i') ? k : 'k'));
  const hint =
    meant === undefined ? 'write it as Kubernetes does: 512Mi of memory, 100m or 0.5 of CPU' : `write ${meant}`;
  return `${JSON.stringify(value)} is no quantity${HINT}${hint}`;
}
const quantities = () =>
  z.record(z.string(), quantity()).superRefine((all, ctx) => {
    for (const name of Object.keys(all)) {
      const message = resourceProblem(name);
      if (message !== undefined) ctx.addIssue({ code: 'custom', path: [name], message });
    }
  });

const STANDARD = ['cpu', 'memory', 'ephemeral-storage'];

/** A resource that a container can ask for. */
function resourceProblem(name: string): string | undefined {
  if (STANDARD.includes(name) || /^hugepages-/.test(name)) return undefined;
  if (!name.includes('/')) return `${JSON.stringify(name)} is no resource of a container${HINT}${STANDARD.join(', ')}`;
  return keyProblem(name);
}

export const resources = () =>
  z
    .strictObject({ requests: quantities().optional(), limits: quantities().optional() })
    .superRefine(({ requests = {}, limits = {} }, ctx) => {
      for (const [name, wanted] of Object.entries(requests)) {
        const limit = limits[name];
        if (limit !== undefined && (parseQuantity(wanted) ?? 0) > (parseQuantity(limit) ?? 0))
          ctx.addIssue({
            code: 'custom',
            path: ['requests', name],
            message: `the request ${wanted} of ${name} is above its limit ${limit}`,
          });
      }
    });

const toleration = () =>
  z
    .strictObject({
      key: z
        .string()
        .superRefine((key, ctx) => {
          const problem = key === '' ? undefined : keyProblem(key);
          if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem });
        })
        .optional(),
      operator: z.enum(['Exists', 'Equal']).optional(),
      value: z.string().optional(),
      effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
      tolerationSeconds: z.int().optional(),
    })
    .superRefine(({ key = '', operator = 'Equal', value = '', effect, tolerationSeconds }, ctx) => {
      const issue = (path: string, message: string, hint: string) =>
        ctx.addIssue({ code: 'custom', path: [path], message: `${message}${HINT}${hint}` });
      if (key === '' && operator !== 'Exists')
        issue('operator', 'a toleration without a key tolerates everything', 'write operator: Exists');
      if (operator === 'Exists' && value !== '')
        issue('value', 'operator: Exists looks at no value', 'leave value out, or write operator: Equal');
      if (tolerationSeconds !== undefined && effect !== 'NoExecute')
        issue('tolerationSeconds', 'only what NoExecute would end can stay for a while', 'write effect: NoExecute');
      const problem = labelValueProblem(value);
      if (problem !== undefined) ctx.addIssue({ code: 'custom', path: ['value'], message: problem });
    });

export const tolerations = () => z.array(toleration());

export const environment = () =>
  z.array(
    z
      .strictObject({ name: variableName(), value: z.string().optional(), valueFrom: anything().optional() })
      .refine((v) => v.value === undefined || v.valueFrom === undefined, {
        error: 'a variable has either value or valueFrom',
      }),
  );

/** Where the files of a volume may come from. */
const VOLUME_SOURCES = [
  'configMap',
  'secret',
  'projected',
  'csi',
  'emptyDir',
  'persistentVolumeClaim',
  'hostPath',
] as const;

export const volumes = () =>
  z.array(
    z
      .strictObject({
        name: volumeName(),
        mountPath: z.string().regex(/^\/[^:]*$/, { error: 'mountPath must begin with / and have no :' }),
        readOnly: z.boolean().optional(),
        configMap: anything().optional(),
        secret: anything().optional(),
        projected: anything().optional(),
        csi: anything().optional(),
        emptyDir: anything().optional(),
        persistentVolumeClaim: anything().optional(),
        hostPath: anything().optional(),
      })
      .refine((v) => VOLUME_SOURCES.filter((s) => s in v).length === 1, {
        error: `a volume has one of ${VOLUME_SOURCES.join(', ')}`,
      }),
  );
