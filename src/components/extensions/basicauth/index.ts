/** basicauth: user and password, asked of senders (htpasswd) or given to destinations (client_auth). */
import * as z from 'zod';
import { defineExtension } from '../../../core/component.ts';
import { section } from '../../../core/schema.ts';

const schema = z
  .strictObject({
    htpasswd: section(
      z.strictObject({
        file: z.string().default('').describe('Path of an htpasswd file; read again when it changes'),
        inline: z
          .string()
          .default('')
          .describe('Lines of an htpasswd file; they win over those of the file')
          .meta({ secret: true }),
      }),
    )
      .optional()
      .describe('Who may send: for auth of receivers. Plain text, bcrypt, MD5 ($apr1$, $1$), {SHA} and {SSHA}'),
    client_auth: section(
      z.strictObject({
        username: z.string().default('').describe('Name'),
        username_file: z.string().default('').describe('File with the name, which wins; read again when it changes'),
        password: z.string().default('').describe('Password').meta({ secret: true }),
        password_file: z
          .string()
          .default('')
          .describe('File with the password, which wins; read again when it changes'),
        aws_secrets_manager: z
          .unknown()
          .refine((v) => v === undefined || v === null, { error: "'aws_secrets_manager' is not supported" })
          .optional()
          .describe('Not supported: must be absent'),
      }),
    )
      .optional()
      .describe('Credentials to send: for auth of exporters'),
    secret_provider: z
      .unknown()
      .refine((v) => v === undefined || v === null, { error: "'secret_provider' is not supported" })
      .optional()
      .describe('Not supported: must be absent'),
  })
  .superRefine((c, ctx) => {
    const issue = (message: string, path: string[] = []) => ctx.addIssue({ code: 'custom', path, message });
    if (c.htpasswd && c.client_auth) issue('only one of `htpasswd` or `client_auth` can be specified');
    if (!c.htpasswd && !c.client_auth) issue('no credential source provided');
    if (c.htpasswd && !c.htpasswd.file && !c.htpasswd.inline) issue('no credential source provided', ['htpasswd']);
    if (c.client_auth?.username.includes(':'))
      issue('invalid authorization format: a user name cannot hold a colon', ['client_auth', 'username']);
  });
export type BasicAuthConfig = z.output<typeof schema>;

export default defineExtension({
  id: 'basicauth',
  summary: 'Asks senders for user and password, or gives them to destinations (HTTP basic authentication).',
  stability: 'beta',
  schema,
  create: async ({ htpasswd, client_auth }, ctx) =>
    htpasswd
      ? new (await import('./server.ts')).BasicAuthServer(htpasswd, ctx)
      : new (await import('./client.ts')).BasicAuthClient(client_auth!, ctx),
});
