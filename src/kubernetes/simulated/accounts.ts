/** Who may do what at a simulated API server: tokens, rules, and the texts of its refusals. */
import { type ResourceType, resourceName } from '../object.ts';
import type { Refusal } from './answers.ts';

export interface AccountRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  /** Of a Role; without it the rule holds everywhere. */
  readonly namespace?: string;
}

export interface Account {
  /** `system:serviceaccount:<namespace>:<name>` */
  readonly user: string;
  /** Without them everything is allowed. */
  readonly rules?: readonly AccountRule[];
}

export interface Attempt {
  readonly verb: string;
  readonly type: Pick<ResourceType, 'group' | 'resource'>;
  readonly namespace: string;
}

/** By token. */
export type Accounts = ReadonlyMap<string, Account>;

export const accountOf = (accounts: Accounts, authorization: string | undefined): Account | undefined =>
  accounts.get(/^Bearer (.+)$/.exec(authorization ?? '')?.[1] ?? '');

export const UNAUTHORIZED: Refusal = { code: 401, reason: 'Unauthorized', message: 'Unauthorized' };

const has = (list: readonly string[], value: string): boolean => list.includes(value) || list.includes('*');

export const isAllowed = ({ rules }: Account, { verb, type, namespace }: Attempt): boolean =>
  rules === undefined ||
  rules.some(
    (r) =>
      has(r.apiGroups, type.group) &&
      has(r.resources, type.resource) &&
      has(r.verbs, verb) &&
      (r.namespace === undefined || r.namespace === namespace),
  );

export function forbidden({ user }: Account, { verb, type, namespace }: Attempt): Refusal {
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  return {
    code: 403,
    reason: 'Forbidden',
    message:
      `${resourceName({ ...type, version: '' })} is forbidden: User "${user}" cannot ${verb} resource "${type.resource}" ` +
      `in API group "${type.group}" ${where}`,
    details: { ...(type.group === '' ? {} : { group: type.group }), kind: type.resource },
  };
}

const VERBS: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

export const verbOf = (method: string, isOne: boolean, isWatch: boolean): string =>
  VERBS[method] ?? (isOne ? 'get' : isWatch ? 'watch' : 'list');
