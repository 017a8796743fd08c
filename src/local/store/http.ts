/** What the HTTP sides of the embedded stores share: errors with a status, headers, answers. */
import type { ServerResponse } from 'node:http';

export const SECURITY: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

export class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function json(res: ServerResponse, value: unknown, status = 200): void {
  res.writeHead(status, { ...SECURITY, 'Content-Type': 'application/json' });
  res.end(JSON.stringify(value));
}
