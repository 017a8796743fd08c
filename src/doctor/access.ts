/** How `sluice doctor` reaches the API server: in a pod as its service account, elsewhere with a kubeconfig. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Environment } from '../core/environment.ts';
import { messageOf } from '../core/errors.ts';
import { type Access, type AccessContext, SERVICE_ACCOUNT_DIR, serviceAccountAccess } from '../kubernetes/access.ts';
import { runCredentialCommand } from '../kubernetes/credential-command.ts';
import { currentContext, kubeconfigAccess } from '../kubernetes/kubeconfig.ts';

export interface FoundAccess {
  readonly isInside: boolean;
  readonly access: Access | undefined;
  /** Why there is none; ''. */
  readonly accessProblem: string;
  /** Of the pod; '' outside. */
  readonly ownNamespace: string;
  /** Of the kubeconfig; '' in a pod. */
  readonly contextName: string;
  /** With KUBECONFIG as it was asked for. */
  readonly env: Environment;
}

export interface AccessOptions extends AccessContext {
  /** Of --kubeconfig; ''. */
  readonly kubeconfig: string;
  readonly context: string;
  readonly env: Environment;
  /** For tests. */
  readonly serviceAccountDir?: string;
}

/** Throws when a file or a context that was named cannot be used. */
export function findAccess(o: AccessOptions): FoundAccess {
  const env: Environment = o.kubeconfig === '' ? o.env : { ...o.env, KUBECONFIG: o.kubeconfig };
  const dir = o.serviceAccountDir ?? SERVICE_ACCOUNT_DIR;
  const isInside = o.kubeconfig === '' && Boolean(env['KUBERNETES_SERVICE_HOST']) && existsSync(join(dir, 'token'));
  const ownNamespace = isInside ? readText(join(dir, 'namespace')) : '';
  try {
    const access = isInside
      ? serviceAccountAccess(env, o, dir)
      : kubeconfigAccess(env, o.context, o, runCredentialCommand);
    const contextName = isInside ? '' : o.context || currentContext(env);
    return { isInside, access, accessProblem: '', ownNamespace, contextName, env };
  } catch (e) {
    const text = messageOf(e).replace('error connecting to k8s with auth_type=kubeConfig: ', '');
    if (o.kubeconfig !== '') throw new Error(`--kubeconfig: ${text}`, { cause: e });
    if (o.context !== '') throw new Error(`--context: ${text}`, { cause: e });
    const accessProblem = text.replace('; in a pod, use auth_type: serviceAccount', '; name one with --kubeconfig');
    return { isInside, access: undefined, accessProblem, ownNamespace, contextName: '', env };
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}
