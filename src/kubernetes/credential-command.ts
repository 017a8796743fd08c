/**
 * Credentials from a program that a kubeconfig names (`exec`, as EKS, GKE and AKS write it), by the protocol of
 * client.authentication.k8s.io. For commands that a person runs with their own kubeconfig: collectors run no programs.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Environment } from '../core/environment.ts';
import type { Source } from './access.ts';

type Section = Readonly<Record<string, unknown>>;

export interface CommandCredentials {
  readonly token: Source | undefined;
  readonly cert: Source | undefined;
  readonly key: Source | undefined;
}

/** `exec` of a user of a kubeconfig; `dir` is where the kubeconfig is. */
export type RunCredentialCommand = (exec: Section, dir: string, env: Environment) => CommandCredentials;

/** Some of them open a browser and wait for a person. */
const TIMEOUT_MS = 120_000;
const MAX_BYTES = 1024 * 1024;
const VERSIONS = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const sectionOf = (value: unknown): Section =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Section) : {};

/** Throws with what the program said. */
export const runCredentialCommand: RunCredentialCommand = (exec, dir, env) => {
  const command = textOf(exec['command']);
  const apiVersion = textOf(exec['apiVersion']) || VERSIONS[1]!;
  if (command === '') throw new Error('exec: command is missing');
  if (!VERSIONS.includes(apiVersion))
    throw new Error(`exec: apiVersion ${apiVersion} is not one of ${VERSIONS.join(', ')}`);
  const args = Array.isArray(exec['args']) ? exec['args'].map(String) : [];
  const own = Array.isArray(exec['env']) ? exec['env'].map(sectionOf) : [];
  const info = { kind: 'ExecCredential', apiVersion, spec: { interactive: false } };
  // A path is relative to the kubeconfig, a name is looked for, as client-go has it.
  const program = command.includes('/') && !command.startsWith('/') ? join(dir, command) : command;
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    env: {
      ...env,
      ...Object.fromEntries(own.map((e) => [textOf(e['name']), textOf(e['value'])])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: MAX_BYTES,
  });
  if (error)
    throw new Error(
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? `exec: ${command} is not installed; the kubeconfig asks it for credentials`
        : `exec: ${command}: ${error.message}`,
      { cause: error },
    );
  if (status !== 0) throw new Error(`exec: ${command} ended with ${status}: ${stderr.trim().slice(0, 500)}`);
  return credentialsIn(stdout, command);
};

function credentialsIn(text: string, command: string): CommandCredentials {
  let answer: Section;
  try {
    answer = sectionOf(sectionOf(JSON.parse(text))['status']);
  } catch (e) {
    // What it said may hold a token.
    throw new Error(`exec: ${command} did not answer with an ExecCredential`, { cause: e });
  }
  const source = (key: string): Source | undefined =>
    textOf(answer[key]) === '' ? undefined : { text: textOf(answer[key]) };
  const credentials = { token: source('token'), cert: source('clientCertificateData'), key: source('clientKeyData') };
  if (!credentials.token && !credentials.cert) throw new Error(`exec: ${command} gave neither token nor certificate`);
  return credentials;
}
