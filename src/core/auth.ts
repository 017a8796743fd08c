/** What authenticator extensions give to servers and clients, and how components find them. */
import type { Host } from './component.ts';
import { ConfigError } from './errors.ts';

/** Decides over requests. Rejects when one may not pass; the sender is told the message, so it holds no secrets. */
export interface ServerAuth {
  /** Keys are in lower case. */
  authenticate(headers: ReadonlyMap<string, readonly string[]>): Promise<void>;
}

/** Adds credentials to requests. */
export interface ClientAuth {
  headers(): Promise<Readonly<Record<string, string>>>;
}

function find(host: Host, id: string): unknown {
  const extension = host.extension(id);
  if (extension === undefined)
    throw new ConfigError(`failed to resolve authenticator ${JSON.stringify(id)}: authenticator not found`);
  return extension;
}

export function serverAuth(host: Host, id: string): ServerAuth {
  const extension = find(host, id) as Partial<ServerAuth>;
  if (typeof extension.authenticate !== 'function')
    throw new ConfigError(`failed to resolve authenticator ${JSON.stringify(id)}: not a server authenticator`);
  return extension as ServerAuth;
}

export function clientAuth(host: Host, id: string): ClientAuth {
  const extension = find(host, id) as Partial<ClientAuth>;
  if (typeof extension.headers !== 'function')
    throw new ConfigError(`failed to resolve authenticator ${JSON.stringify(id)}: not a client authenticator`);
  return extension as ClientAuth;
}
