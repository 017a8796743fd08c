/** What is in the image: a table for people, and SPDX for scanners. */
import type { Architecture, DebianLock } from './debian.ts';
import type { NodePackage } from './node.ts';

export interface Part {
  readonly name: string;
  readonly version: string;
  /** https://github.com/package-url/purl-spec */
  readonly purl: string;
  readonly checksum?: { readonly algorithm: 'SHA256' | 'SHA512'; readonly value: string };
  readonly license?: string;
}

export interface Version {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

export function partsOf(
  architecture: Architecture,
  lock: DebianLock,
  node: NodePackage,
  sluice: Version,
  bundled: readonly Version[],
): Part[] {
  const npm = ({ name, version, license }: Version): Part => ({
    name,
    version,
    purl: `pkg:npm/${name}@${version}`,
    license,
  });
  return [
    {
      name: sluice.name,
      version: sluice.version,
      purl: `pkg:generic/sluice@${sluice.version}`,
      license: sluice.license,
    },
    ...bundled.map(npm),
    {
      ...npm({ ...node, license: 'MIT' }),
      checksum: { algorithm: 'SHA512', value: Buffer.from(node.integrity.slice(7), 'base64').toString('hex') },
    },
    ...lock.packages[architecture].map((p) => ({
      name: p.name,
      version: p.version,
      purl: `pkg:deb/debian/${encodeURIComponent(p.name)}@${encodeURIComponent(p.version)}?arch=${architecture}&distro=${lock.suite}&upstream=${encodeURIComponent(p.source)}`,
      checksum: { algorithm: 'SHA256', value: p.sha256 } as const,
    })),
  ];
}

const idOf = (name: string): string => `SPDXRef-${name.replaceAll(/[^A-Za-z0-9.]/g, '-')}`;

/** https://spdx.github.io/spdx-spec/v2.3 */
export function spdx(name: string, digest: string, createdSeconds: number, parts: readonly Part[]): string {
  const image = 'SPDXRef-image';
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `https://spdx.org/spdxdocs/${digest.replace(':', '-')}`,
    creationInfo: {
      created: new Date(createdSeconds * 1000).toISOString().replace('.000Z', 'Z'),
      creators: ['Tool: sluice-image'],
    },
    packages: [
      {
        SPDXID: image,
        name,
        versionInfo: digest,
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        primaryPackagePurpose: 'CONTAINER',
      },
      ...parts.map((p) => ({
        SPDXID: idOf(p.name),
        name: p.name,
        versionInfo: p.version,
        downloadLocation: 'NOASSERTION',
        filesAnalyzed: false,
        licenseConcluded: 'NOASSERTION',
        licenseDeclared: p.license ?? 'NOASSERTION',
        ...(p.checksum && { checksums: [{ algorithm: p.checksum.algorithm, checksumValue: p.checksum.value }] }),
        externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: p.purl }],
      })),
    ],
    relationships: [
      { spdxElementId: 'SPDXRef-DOCUMENT', relationshipType: 'DESCRIBES', relatedSpdxElement: image },
      ...parts.map((p) => ({
        spdxElementId: image,
        relationshipType: 'CONTAINS',
        relatedSpdxElement: idOf(p.name),
      })),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
