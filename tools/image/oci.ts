/**
 * An image as the OCI layout: blobs by digest, an index, and one tar of it all that containerd, podman, skopeo and
 * Docker read. https://github.com/opencontainers/image-spec
 */
import { createHash } from 'node:crypto';
import { Tree } from './tree.ts';

const MEDIA = 'application/vnd.oci.image';

export interface Layer {
  /** What it is made of, for the history: `node 26.10.0`. */
  readonly about: string;
  readonly compressed: Uint8Array;
  /** sha256 of the tar before compression. */
  readonly diffId: string;
}
export interface ImageConfig {
  readonly architecture: string;
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly args: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Of the sources. */
  readonly createdSeconds: number;
}
export interface Image {
  readonly config: ImageConfig;
  readonly layers: readonly Layer[];
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export const digestOf = (data: Uint8Array | string): string =>
  `sha256:${createHash('sha256').update(data).digest('hex')}`;
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const time = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');

/** Puts blobs into a tree of the layout and describes them. */
class Layout {
  readonly tree = new Tree();

  blob(mediaType: string, data: Uint8Array): Descriptor {
    const digest = digestOf(data);
    this.tree.file(`blobs/${digest.replace(':', '/')}`, data);
    return { mediaType, digest, size: data.length };
  }

  image({ config: c, layers }: Image): { manifest: Descriptor; config: Descriptor; layers: Descriptor[] } {
    const created = time(c.createdSeconds);
    const config = this.blob(
      `${MEDIA}.config.v1+json`,
      json({
        created,
        architecture: c.architecture,
        os: 'linux',
        config: {
          User: c.user,
          Env: c.env,
          Entrypoint: c.entrypoint,
          Cmd: c.args,
          WorkingDir: '/',
          Labels: c.labels,
        },
        rootfs: { type: 'layers', diff_ids: layers.map((l) => l.diffId) },
        history: layers.map((l) => ({ created, created_by: l.about })),
      }),
    );
    const blobs = layers.map((l) => this.blob(`${MEDIA}.layer.v1.tar+gzip`, l.compressed));
    const mediaType = `${MEDIA}.manifest.v1+json`;
    const manifest = this.blob(mediaType, json({ schemaVersion: 2, mediaType, config, layers: blobs }));
    return { manifest, config, layers: blobs };
  }
}

const blobPath = (d: Descriptor): string => `blobs/${d.digest.replace(':', '/')}`;

/** The layout with these images, one per architecture, below one name such as `localhost/sluice:1.2.3`. */
export function layoutOf(name: string, images: readonly Image[]): { readonly tree: Tree; readonly digest: string } {
  const layout = new Layout();
  const made = images.map((image) => ({ architecture: image.config.architecture, ...layout.image(image) }));
  const manifests = made.map((m) => ({ ...m.manifest, platform: { architecture: m.architecture, os: 'linux' } }));
  const mediaType = `${MEDIA}.index.v1+json`;
  const [only] = made;
  const top =
    made.length === 1 ? manifests[0]! : layout.blob(mediaType, json({ schemaVersion: 2, mediaType, manifests }));
  const tag = name.slice(name.lastIndexOf(':') + 1);
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag };
  layout.tree.file('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  layout.tree.file('index.json', json({ schemaVersion: 2, mediaType, manifests: [{ ...top, annotations }] }));
  // What `docker load` before version 25 reads; it knows one architecture only.
  if (made.length === 1 && only)
    layout.tree.file(
      'manifest.json',
      json([{ Config: blobPath(only.config), RepoTags: [name], Layers: only.layers.map(blobPath) }]),
    );
  return { tree: layout.tree, digest: top.digest };
}
