/** What Kubernetes takes as names, labels and annotations, so that a mistake is told with its line and not by the API server. */
import * as z from 'zod';
import { HINT } from '../core/zod-words.ts';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const WORD = /^[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/;
const MAX_LABEL = 63;
const MAX_SUBDOMAIN = 253;
/** Of all annotations of an object. */
const MAX_ANNOTATIONS = 256 * 1024;

const quoted = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
const tooLong = (text: string, max: number): string =>
  `${quoted(text)} has ${text.length} characters, and Kubernetes takes ${max}`;

const named = (rule: RegExp, max: number, what: string, hint: string) =>
  z.string().superRefine((name, ctx) => {
    const problem =
      name.length > max
        ? `${tooLong(name, max)} in the name of ${what}`
        : rule.test(name)
          ? undefined
          : `${quoted(name)} is no name of ${what}${HINT}${hint}`;
    if (problem !== undefined) ctx.addIssue({ code: 'custom', message: problem });
  });

const LOWER = 'lower-case letters, digits and -, with a letter or digit at both ends';
export const namespaceName = () => named(LABEL, MAX_LABEL, 'a namespace', LOWER);
export const volumeName = () => named(LABEL, MAX_LABEL, 'a volume', LOWER);
/** Of objects of other kinds. */
export const objectName = (what: string) =>
  named(SUBDOMAIN, MAX_SUBDOMAIN, what, 'lower-case letters, digits, - and ., with a letter or digit at both ends');
export const secretKey = () => named(/^[-\w.]+$/, MAX_SUBDOMAIN, 'a key of a Secret', 'letters, digits, -, _ and .');
export const variableName = () =>
  named(
    /^[-._A-Za-z][-._A-Za-z0-9]*$/,
    MAX_SUBDOMAIN,
    'an environment variable',
    'letters, digits and _, no digit in front',
  );

export function keyProblem(key: string): string | undefined {
  const parts = key.split('/');
  const name = parts.at(-1)!;
  if (parts.length > 2) return `${quoted(key)} has more than one /${HINT}write prefix/name`;
  if (name.length > MAX_LABEL) return `${tooLong(name, MAX_LABEL)} in the name of a key`;
  if (!WORD.test(name))
    return `${quoted(key)} is no key of Kubernetes${HINT}letters, digits, -, _ and ., with a letter or digit at both ends; before a / may stand a domain`;
  if (parts.length === 1) return undefined;
  const prefix = parts[0]!;
  if (prefix.length > MAX_SUBDOMAIN) return `${tooLong(prefix, MAX_SUBDOMAIN)} before the / of a key`;
  return SUBDOMAIN.test(prefix)
    ? undefined
    : `${quoted(prefix)} before the / of a key is no domain${HINT}write example.com/${name}`;
}

export function labelValueProblem(value: string): string | undefined {
  if (value === '') return undefined;
  if (value.length > MAX_LABEL)
    return `${tooLong(value, MAX_LABEL)} in the value of a label${HINT}an annotation may be longer`;
  return WORD.test(value)
    ? undefined
    : `${quoted(value)} is no value of a label${HINT}letters, digits, -, _ and ., with a letter or digit at both ends`;
}

const map = (check: (key: string, value: string, say: (message: string | undefined) => void) => void) =>
  z.record(z.string(), z.string()).superRefine((all, ctx) => {
    for (const [key, value] of Object.entries(all))
      check(key, value, (message) => {
        if (message !== undefined) ctx.addIssue({ code: 'custom', path: [key], message });
      });
  });

/** Labels to find by, whose values are patterns. */
export const labelKeys = () => map((key, _, say) => say(keyProblem(key)));

export const labels = () => map((key, value, say) => say(keyProblem(key) ?? labelValueProblem(value)));

export const annotations = () =>
  map((key, _, say) =>
    say(
      key === 'checksum/config'
        ? `${key} is what rolls the pods when their configuration changes${HINT}use another key`
        : // Unlike labels, Kubernetes takes capitals before the /.
          keyProblem(
            key.includes('/') ? key.slice(0, key.indexOf('/')).toLowerCase() + key.slice(key.indexOf('/')) : key,
          ),
    ),
  ).superRefine((all, ctx) => {
    const size = Object.entries(all).reduce((sum, [k, v]) => sum + Buffer.byteLength(k) + Buffer.byteLength(v), 0);
    if (size > MAX_ANNOTATIONS)
      ctx.addIssue({
        code: 'custom',
        message: `annotations of ${size} bytes, and Kubernetes takes ${MAX_ANNOTATIONS}`,
      });
  });

const REPOSITORY =
  /^(?:(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*$/;

/** Without scheme, tag and digest. */
export const imageRepository = () =>
  z.string().superRefine((text, ctx) => {
    if (REPOSITORY.test(text)) return;
    const hint = /^\w+:\/\//.test(text)
      ? `leave ${/^\w+:\/\//.exec(text)![0]} out`
      : text.includes('@')
        ? 'write what stands behind the @ as digest'
        : /:[^/]+$/.test(text)
          ? 'write what stands behind the last colon as tag'
          : 'write it as registry.example.com/team/sluice, in lower case';
    ctx.addIssue({ code: 'custom', message: `${quoted(text)} is no repository of an image${HINT}${hint}` });
  });

export const imageTag = () =>
  z.string().regex(/^\w[\w.-]{0,127}$/, {
    error: ({ input }) => `${quoted(String(input))} is no tag of an image${HINT}letters, digits, _, . and -`,
  });
