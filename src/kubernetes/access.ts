/**
 * How a server of Kubernetes is reached: its address, what proves who we are, and what its certificate is checked with.
 * Everything that comes from files is read again when the files change: tokens and certificates rotate.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import type { Environment } from '../core/environment.ts';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { WatchedFile } from '../core/watched-file.ts';

/** Where Kubernetes mounts the credentials of a pod. */
export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

/** The certificates of one moment. */
export interface TlsMaterial {
  /** PEM; undefined: only the CAs of the system. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** What users call these settings, for messages that say which one to change. */
export interface TlsKeys {
  readonly ca: string;
  readonly serverName: string;
  readonly skip: string;
}

export interface Access {
  /** Scheme, host, port and leading path, without a slash at the end. */
  readonly url: string;
  /** Expected in the server's certificate; undefined: the host of the address. */
  readonly serverName: string | undefined;
  readonly isVerified: boolean;
  /** The CAs of the system count besides `ca`. They are dear, so they are loaded when `ca` alone is not enough. */
  readonly trustsSystem: boolean;
  readonly parameters: SecureContextOptions;
  readonly keys: TlsKeys;
  /** Files with a CA that users of this server may have meant, for messages. */
  readonly otherCaFiles: readonly string[];
  /** The same object as long as nothing changed. */
  tls(): Promise<TlsMaterial>;
  /** Headers that prove who we are. */
  headers(): Promise<Readonly<Record<string, string>>>;
}

/** A text, or the path of the file that holds it. */
export type Source = { readonly text: string } | { readonly file: string };

export interface AccessSources {
  readonly url: string;
  readonly ca?: Source | undefined;
  readonly cert?: Source | undefined;
  readonly key?: Source | undefined;
  readonly token?: Source | undefined;
  readonly basic?: { readonly username: string; readonly password: string } | undefined;
  readonly serverName?: string | undefined;
  readonly isVerified?: boolean;
  readonly trustsSystem?: boolean;
  readonly parameters?: SecureContextOptions;
  readonly keys?: TlsKeys;
  readonly otherCaFiles?: readonly string[];
}

export interface AccessContext {
  readonly clock: Clock;
  readonly log: Logger;
}

const API_KEYS: TlsKeys = {
  ca: 'certificate-authority',
  serverName: 'tls-server-name',
  skip: 'insecure-skip-tls-verify',
};

/** Reads the files once, so that a missing one fails the start and says which. */
export function makeAccess(sources: AccessSources, ctx: AccessContext): Access {
  const reader = (what: string, source: Source | undefined, parse = (s: string) => s) => {
    if (!source) return async () => undefined;
    if ('text' in source) return async () => source.text;
    checkFile(what, source.file, parse);
    const file = new WatchedFile(source.file, parse, ctx.clock, ctx.log);
    return () => file.get();
  };
  const ca = reader('CA', sources.ca, certificates);
  const cert = reader('certificate', sources.cert, certificates);
  const key = reader('key', sources.key);
  const token = reader('token', sources.token, (text) => {
    if (text.trim() === '') throw new Error('the token file is empty');
    return text.trim();
  });
  const { basic } = sources;
  let material: TlsMaterial | undefined;
  return {
    url: sources.url.replace(/\/+$/, ''),
    serverName: sources.serverName || undefined,
    isVerified: sources.isVerified ?? true,
    trustsSystem: sources.trustsSystem ?? false,
    parameters: sources.parameters ?? {},
    keys: sources.keys ?? API_KEYS,
    otherCaFiles: sources.otherCaFiles ?? [],
    async tls() {
      const now = { ca: await ca(), cert: await cert(), key: await key() };
      if (!material || material.ca !== now.ca || material.cert !== now.cert || material.key !== now.key) material = now;
      return material;
    },
    async headers(): Promise<Readonly<Record<string, string>>> {
      const bearer = await token();
      if (bearer !== undefined) return { authorization: `Bearer ${bearer}` };
      if (!basic) return {};
      return { authorization: `Basic ${Buffer.from(`${basic.username}:${basic.password}`).toString('base64')}` };
    },
  };
}

function certificates(text: string): string {
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('no PEM certificate in it');
  return text;
}

function checkFile(what: string, path: string, parse: (text: string) => string): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (e) {
    const missing = (e as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = missing ? 'no such file or directory' : messageOf(e);
    throw new Error(`unable to read ${what} file ${path}: ${reason}`, { cause: e });
  }
  try {
    parse(text);
  } catch (e) {
    throw new Error(`${what} file ${path}: ${messageOf(e)}`, { cause: e });
  }
}

/** Address of the API server as every pod is told it. */
export function apiServerFromEnvironment(env: Environment): string {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (!host || !port)
    throw new Error(
      'unable to load k8s config, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined: not in a cluster?',
    );
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** The API server, as the service account of this pod. */
export function serviceAccountAccess(env: Environment, ctx: AccessContext, dir = SERVICE_ACCOUNT_DIR): Access {
  return makeAccess(
    {
      url: apiServerFromEnvironment(env),
      ca: { file: join(dir, 'ca.crt') },
      token: { file: join(dir, 'token') },
    },
    ctx,
  );
}

/** The API server without credentials and unchecked, as upstream's `none`. */
export const anonymousAccess = (env: Environment, ctx: AccessContext): Access =>
  makeAccess({ url: apiServerFromEnvironment(env), isVerified: false }, ctx);
