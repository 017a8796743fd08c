/** References of container images, as Docker's grammar has them. */

const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const DOMAIN = `(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?`;
const COMPONENT = '[a-z0-9]+(?:(?:\\.|__?|-+)[a-z0-9]+)*';
const REFERENCE = new RegExp(
  `^((?:${DOMAIN}/)?${COMPONENT}(?:/${COMPONENT})*)(?::(\\w[\\w.-]{0,127}))?` +
    '(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?$',
);
const MAX_LENGTH = 1024;

export interface ImageReference {
  /** With registry and path. */
  readonly name: string;
  /** '' when the reference has none. */
  readonly tag: string;
  readonly digest: string;
}

export function parseImage(text: string): ImageReference | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const m = REFERENCE.exec(text);
  return m ? { name: m[1]!, tag: m[2] ?? '', digest: m[3] ?? '' } : undefined;
}

/** service.version of a container: `tag@digest`, the digest or the tag. */
export function versionOfImage({ tag, digest }: ImageReference): string {
  return tag !== '' && digest !== '' ? `${tag}@${digest}` : digest || tag;
}

/** An image id with its registry and digest; undefined when it has no digest or no name. */
export function canonicalImage(imageId: string): string | undefined {
  const image = parseImage(imageId);
  if (!image || image.digest === '') return undefined;
  const [first = ''] = image.name.split('/', 1);
  const hasDomain = image.name.includes('/') && (/[.:]/.test(first) || first === 'localhost' || /[A-Z]/.test(first));
  const name = hasDomain
    ? image.name
    : image.name.includes('/')
      ? `docker.io/${image.name}`
      : `docker.io/library/${image.name}`;
  return `${name}${image.tag === '' ? '' : `:${image.tag}`}@${image.digest}`;
}
