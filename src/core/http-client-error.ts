/** What went wrong with an HTTP request, in the words that users of Go's client know and search for. */

/** No answer was received: always worth another attempt. The message is `Post "<url>": <reason>`. */
export class HttpRequestError extends Error {
  constructor(url: URL, reason: string, cause?: unknown) {
    super(`Post ${JSON.stringify(withoutPassword(url))}: ${reason}`, { cause });
    this.name = 'HttpRequestError';
  }
}

/** Passwords in URLs must not get into logs. */
function withoutPassword(url: URL): string {
  if (url.password === '') return url.href;
  const copy = new URL(url);
  copy.password = '***';
  return copy.href;
}

interface NodeError extends NodeJS.ErrnoException {
  readonly address?: string;
  readonly port?: number;
  readonly hostname?: string;
  readonly host?: string;
  readonly reason?: string;
  readonly cert?: {
    readonly subjectaltname?: string;
    readonly subject?: { readonly CN?: string };
    readonly valid_to?: string;
  };
}

const UNKNOWN_AUTHORITY = 'tls: failed to verify certificate: x509: certificate signed by unknown authority';
const EXPIRED = 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid';

const DIAL: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'connection timed out',
  EADDRNOTAVAIL: 'cannot assign requested address',
};

/** What OpenSSL says when the other side does not speak TLS. */
const NOT_TLS: readonly string[] = ['wrong version number', 'packet length too long', 'http request'];

function tlsReason(e: NodeError, url: URL): string | undefined {
  switch (e.code) {
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'CERT_UNTRUSTED':
      return UNKNOWN_AUTHORITY;
    case 'CERT_HAS_EXPIRED':
      return `${EXPIRED}: it has expired`;
    case 'CERT_NOT_YET_VALID':
      return `${EXPIRED}: it is not yet valid`;
    case 'CERT_REVOKED':
      return 'tls: failed to verify certificate: it was revoked';
    case 'ERR_TLS_CERT_ALTNAME_INVALID': {
      const names =
        (e.cert?.subjectaltname ?? e.cert?.subject?.CN ?? '').replace(/(?:DNS|IP Address):/g, '') || 'no name';
      return `tls: failed to verify certificate: x509: certificate is valid for ${names}, not ${e.host ?? url.hostname}`;
    }
    default: {
      // OpenSSL: `…:SSL routines:<function>:<reason>:<source file>:…`
      const reason = /:SSL routines:[^:]*:([^:]+)/.exec(e.message ?? '')?.[1];
      if (reason === undefined) return undefined;
      return NOT_TLS.includes(reason)
        ? 'http: server gave HTTP response to HTTPS client'
        : `remote error: tls: ${reason}`;
    }
  }
}

export function describeHttpError(error: unknown, url: URL, signal: AbortSignal): string {
  if (signal.aborted)
    return signal.reason === 'timeout'
      ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers or body)'
      : 'context canceled';
  // A name with several addresses fails once per address; the first is the one Go would name.
  const e = (error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error) as NodeError;
  const tls = tlsReason(e, url);
  if (tls !== undefined) return tls;
  const code = e.code ?? '';
  if (code === 'ENOTFOUND') return `dial tcp: lookup ${e.hostname ?? url.hostname}: no such host`;
  if (code === 'EAI_AGAIN')
    return `dial tcp: lookup ${e.hostname ?? url.hostname}: Temporary failure in name resolution`;
  if (e.syscall === 'connect' && DIAL[code]) {
    const at = e.address?.includes(':') ? `[${e.address}]` : e.address;
    return `dial tcp ${at}:${e.port}: connect: ${DIAL[code]}`;
  }
  if (code === 'ECONNRESET') return e.message === 'socket hang up' ? 'EOF' : 'read: connection reset by peer';
  if (code === 'EPIPE') return 'write: broken pipe';
  if (code.startsWith('HPE_'))
    return `net/http: HTTP/1.x transport connection broken: malformed HTTP response (${e.message})`;
  if (code === 'ERR_INVALID_CHAR' || code === 'ERR_HTTP_INVALID_HEADER_VALUE')
    return `net/http: invalid header field value (${code})`;
  return e.message || code || 'unknown error';
}
