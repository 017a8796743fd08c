/** bearertokenauth: a token, asked of senders or given to destinations. */
import * as z from 'zod';
import { defineExtension } from '../../../core/component.ts';
import { retryOnFailure } from '../../../core/schema.ts';

const schema = z
  .strictObject({
    header: z.string().min(1).default('Authorization').describe('Name of the header or metadata key'),
    scheme: z.string().default('Bearer').describe('Word before the token; empty: the token alone'),
    token: z.string().default('').describe('The token').meta({ secret: true }),
    tokens: z
      .array(z.string())
      .default([])
      .describe('Several tokens: all are accepted, the first is sent')
      .meta({ secret: true }),
    filename: z
      .string()
      .default('')
      .describe('File with a token per line, which wins over the other two; read again when it changes'),
    wait_for_token_file: z
      .boolean()
      .default(false)
      .describe('Start although the file is not there yet; requests fail until it is'),
    retry_on_failure: retryOnFailure().describe('Accepted without effect: every request looks for the file again'),
  })
  .superRefine((c, ctx) => {
    const issue = (message: string) => ctx.addIssue({ code: 'custom', message });
    if (!c.token && c.tokens.length === 0 && !c.filename) issue('no bearer token provided');
    if (c.token && c.tokens.length > 0) issue('either tokens or token should be provided, not both');
    if (c.tokens.includes('')) issue('a token is empty');
  });
export type BearerTokenAuthConfig = z.output<typeof schema>;

export default defineExtension({
  id: 'bearertokenauth',
  summary: 'Asks senders for a bearer token, or gives one to destinations.',
  stability: 'beta',
  schema,
  create: async (config, ctx) => new (await import('./bearer-token-auth.ts')).BearerTokenAuth(config, ctx),
});
