/** Where the variables come from that hold the credentials of destinations: the Secrets that the spec names. */
import { credentialVariables } from './destinations.ts';
import type { Authentication, EnvVar, NormalSpec } from './spec.ts';

/** Variables of the container, filled from the Secrets of the spec. */
export function credentialsOf({ destinations }: NormalSpec): EnvVar[] {
  const of = (destination: 'metrics' | 'logs', authentication: Authentication | undefined): EnvVar[] => {
    const names = credentialVariables(destination);
    const from = (name: string, secret: string, key: string): EnvVar => ({
      name,
      valueFrom: { secretKeyRef: { name: secret, key } },
    });
    const { basic, bearer } = authentication ?? {};
    return [
      ...(basic
        ? [
            from(names.username, basic.secret, basic.usernameKey ?? 'username'),
            from(names.password, basic.secret, basic.passwordKey ?? 'password'),
          ]
        : []),
      ...(bearer ? [from(names.token, bearer.secret, bearer.key ?? 'token')] : []),
    ];
  };
  return [...of('metrics', destinations.metrics.authentication), ...of('logs', destinations.logs.authentication)];
}
