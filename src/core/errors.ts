/** The two kinds of error that travel: diagnostics for people, delivery outcomes for machines. Anything else is a bug. */

export interface Diagnostic {
  /** Path from the root of the configuration, e.g. ['receivers', 'filelog', 'start_at']. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly hint?: string;
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  readonly column?: number;
}

/** What is wrong with a configuration; collected, so that all problems are told at once. */
export class ConfigError extends Error {
  readonly diagnostics: readonly Diagnostic[];
  /** What was being done, for the first line that is printed. */
  readonly headline: string | undefined;
  constructor(diagnostics: readonly Diagnostic[] | string, options?: ErrorOptions & { readonly headline?: string }) {
    const list = typeof diagnostics === 'string' ? [{ path: [], message: diagnostics }] : diagnostics;
    super(list.map((d) => d.message).join('\n'), options);
    this.name = 'ConfigError';
    this.diagnostics = list;
    this.headline = options?.headline;
  }
}

export interface DeliveryErrorOptions extends ErrorOptions {
  /** How long the other side asked to wait. */
  readonly retryAfterMs?: number;
  /** HTTP status that the failure came with, if any. */
  readonly status?: number;
  /** gRPC status code (number) that a push receiver should answer with. */
  readonly grpcCode?: number;
}

/** Why a batch was not taken. `permanent`: must not be retried; otherwise a retry may succeed. */
export class DeliveryError extends Error {
  readonly permanent: boolean;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;
  readonly grpcCode: number | undefined;
  constructor(message: string, permanent: boolean, options: DeliveryErrorOptions = {}) {
    super(message, options);
    this.name = 'DeliveryError';
    this.permanent = permanent;
    this.retryAfterMs = options.retryAfterMs;
    this.status = options.status;
    this.grpcCode = options.grpcCode;
  }
}

export const permanent = (message: string, options?: DeliveryErrorOptions): DeliveryError =>
  new DeliveryError(message, true, options);
export const retryable = (message: string, options?: DeliveryErrorOptions): DeliveryError =>
  new DeliveryError(message, false, options);

/** True for every error that must not be retried; errors of unknown kind count as retryable, as upstream. */
export const isPermanent = (error: unknown): boolean => error instanceof DeliveryError && error.permanent;

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
