/** Globs below /var/log/pods for a choice of namespaces, pods and containers; names may hold `*` and `?`. */
import { ConfigError } from '../core/errors.ts';

export const PODS = '/var/log/pods';

/** One shape of path: `<namespace>_<pod>_<uid>/<container>/<number>.log`. */
export interface PodGlob {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export const ANY: PodGlob = { namespace: '*', pod: '*', container: '*' };

/** The shortest glob that says it; `*` also matches the underscores between the parts. */
export function globText({ namespace, pod, container }: PodGlob): string {
  const directory = namespace === '*' && pod === '*' ? '*' : pod === '*' ? `${namespace}_*` : `${namespace}_${pod}_*`;
  return `${PODS}/${directory}/${container}/*.log`;
}

interface Names {
  namespaces?: string[] | undefined;
  pods?: string[] | undefined;
  containers?: string[] | undefined;
}

const orAny = (list: string[] | undefined): string[] => (list && list.length > 0 ? list : ['*']);

/** All criteria must fit: every combination. */
export const allOf = (s: Names): PodGlob[] =>
  orAny(s.namespaces).flatMap((namespace) =>
    orAny(s.pods).flatMap((pod) => orAny(s.containers).map((container) => ({ namespace, pod, container }))),
  );

/** One criterion is enough. */
export const anyOf = (s: Names): PodGlob[] => [
  ...(s.namespaces ?? []).map((namespace) => ({ ...ANY, namespace })),
  ...(s.pods ?? []).map((pod) => ({ ...ANY, pod })),
  ...(s.containers ?? []).map((container) => ({ ...ANY, container })),
];

const isPattern = (s: string): boolean => /[*?]/.test(s);
const toRegex = (s: string): RegExp =>
  new RegExp(
    `^${s
      .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  );
/** `team-` of `team-*`; undefined for other patterns. */
const prefixOf = (s: string): string | undefined => /^([^*?]*)\*$/.exec(s)?.[1];

/** The pattern of the names that both match; undefined when there are none. */
function both(a: string, b: string, path: readonly (string | number)[]): string | undefined {
  if (a === b) return a;
  if (!isPattern(a)) return toRegex(b).test(a) ? a : undefined;
  if (!isPattern(b)) return toRegex(a).test(b) ? b : undefined;
  const [x, y] = [prefixOf(a), prefixOf(b)];
  if (x === '') return b;
  if (y === '') return a;
  if (x === undefined || y === undefined)
    throw new ConfigError(
      [
        {
          path,
          message: `the patterns ${JSON.stringify(a)} and ${JSON.stringify(b)} cannot be combined`,
          hint: 'of two patterns for the same name, both must be of the form prefix*, or one a full name',
        },
      ],
      { headline: 'invalid spec' },
    );
  return x.startsWith(y) ? a : y.startsWith(x) ? b : undefined;
}

/** What is in both choices. */
export function intersect(a: readonly PodGlob[], b: readonly PodGlob[], path: readonly (string | number)[]): PodGlob[] {
  const out: PodGlob[] = [];
  for (const x of a)
    for (const y of b) {
      const namespace = both(x.namespace, y.namespace, path);
      const pod = namespace === undefined ? undefined : both(x.pod, y.pod, path);
      const container = pod === undefined ? undefined : both(x.container, y.container, path);
      if (namespace !== undefined && pod !== undefined && container !== undefined)
        out.push({ namespace, pod, container });
    }
  return out;
}
