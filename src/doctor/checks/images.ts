/** Why a node has no image to run: what container runtimes say of a pull that failed, and what helps. */
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { type Finding, failure } from '../finding.ts';
import { fieldsOf, textOf, type Workload } from '../objects.ts';

const REASONS =
  /^(?:ImagePullBackOff|ErrImagePull|InvalidImageName|ErrImageNeverPull|ImageInspectError|RegistryUnavailable)$/;
/** The image is there, and its programs are for other machines. */
const FOREIGN = /exec format error/;
const BOTH = 'push the image for both architectures: npm run image without --arch, then skopeo copy --all';

interface Trouble {
  readonly pattern: RegExp;
  /** Behind `cannot be fetched`; '' when there is no more to say. */
  readonly why: string;
  readonly fix: (registry: string, w: Workload) => string;
}

/** Of the reason and the message; the first that matches counts. */
const TROUBLES: readonly Trouble[] = [
  {
    pattern: /^ErrImageNeverPull/,
    why: 'it is not on the node, and pullPolicy is Never',
    fix: () => 'image.pullPolicy: IfNotPresent, or load the image into every node',
  },
  {
    pattern: /^InvalidImageName/,
    why: 'that is no name of an image',
    fix: () => 'correct image.repository and image.tag: registry.example.com/name, and a tag without a colon',
  },
  {
    // containerd, Docker and CRI-O.
    pattern: /no match for platform|no matching manifest for|no image found in (?:manifest list|image index) for/,
    why: 'it is not made for the architecture of the node',
    fix: () => BOTH,
  },
  {
    pattern: /server gave HTTP response to HTTPS client/,
    why: 'the registry speaks plain HTTP, and the node wants TLS',
    fix: (registry) =>
      `let every node speak plain HTTP with ${registry}: containerd's certs.d/${registry}/hosts.toml, on Talos machine.registries.mirrors`,
  },
  {
    pattern: /x509: |certificate signed by|tls: /,
    why: 'the node does not trust the certificate of the registry',
    fix: (registry) =>
      `give every node the CA of ${registry}: containerd's certs.d/${registry}/hosts.toml, on Talos machine.registries.config`,
  },
  {
    pattern: /unauthorized|authentication|denied|forbidden/i,
    why: '',
    fix: (_, w) => `image.pullSecrets: a Secret of type kubernetes.io/dockerconfigjson in ${w.namespace}`,
  },
  {
    pattern:
      /no such host|dial tcp|connection refused|i\/o timeout|no route to host|handshake timeout|deadline exceeded/,
    why: 'the node does not reach the registry',
    fix: (registry) =>
      /^localhost(?::|$)|^127\./.test(registry)
        ? `${registry} is the node itself: image.repository is to name the registry that has it, or load the image into every node`
        : `is ${registry} in image.repository right? Nodes must resolve its name and reach it`,
  },
  {
    pattern: /not found|unknown/i,
    why: '',
    fix: (registry) =>
      `push it to ${registry}, or correct image.repository and image.tag (it is not on a public registry by itself)`,
  },
];

const OTHERWISE: Trouble = {
  pattern: /^/,
  why: '',
  fix: () =>
    'correct image.repository and image.tag, or bring the image to the nodes (it is not on a public registry by itself)',
};

/** `registry.example.com:5000`; Docker Hub's when the name has none. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : 'docker.io';
}

/** Of kubelets before 1.32 a waiting container says only that it waits; the cause is in an event. */
function causeOf(message: string, pod: string, events: readonly KubernetesObject[]): string {
  if (!/^(?:Back-off pulling image "[^"]*")?$/.test(message)) return message;
  const failed = events
    .filter((e) => e['reason'] === 'Failed' && textOf(fieldsOf(e['involvedObject'])['name']) === pod)
    .map((e) => textOf(e['message']))
    .find((text) => text.startsWith('Failed to pull image'));
  return failed ?? message;
}

/** The finding about a container whose image cannot be had or cannot run; undefined when that is not its trouble. */
export function imageTrouble(
  w: Workload,
  pod: string,
  image: string,
  container: { readonly reason: string; readonly message: string; readonly lastMessage: string },
  events: readonly KubernetesObject[],
): Finding | undefined {
  const { reason, lastMessage } = container;
  const foreign = [container.message, lastMessage].find((text) => FOREIGN.test(text));
  if (foreign !== undefined)
    return failure(
      `the image ${image} of ${w.name} is not made for the architecture of its node`,
      foreign.trim(),
      BOTH,
    );
  if (!REASONS.test(reason)) return undefined;
  const message = causeOf(container.message, pod, events);
  const how = `${reason}: ${message}`;
  const { why, fix } = TROUBLES.find((t) => t.pattern.test(how)) ?? OTHERWISE;
  return failure(
    `the image ${image} of ${w.name} cannot be fetched${why === '' ? '' : `: ${why}`}`,
    how,
    fix(registryOf(image), w),
  );
}
