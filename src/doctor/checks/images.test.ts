import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentPod, deploy, eventDraft, findings, startCluster, told } from '../testing.ts';
import { registryOf } from './images.ts';
import { pods } from './pods.ts';

const REGISTRY = 'registry.example.com';
const pulling = (image: string, cause: string) =>
  `failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${cause}`;
const head = (cause: string) => `failed to do request: Head "https://${REGISTRY}/v2/sluice/manifests/9": ${cause}`;

/** Reason, cause as runtimes give it, what is told behind `cannot be fetched`, and the fix. */
const TABLE: readonly (readonly [reason: string, cause: string, why: string, fix: RegExp])[] = [
  ['ErrImagePull', `${REGISTRY}/sluice:9: not found`, '', /^push it to registry\.example\.com, or correct image\./],
  ['ErrImagePull', 'reading manifest 9 in x/sluice: manifest unknown', '', /^push it to registry\.example\.com/],
  [
    'ErrImagePull',
    'no match for platform in manifest: not found',
    ': it is not made for the architecture of the node',
    /npm run image without --arch, then skopeo copy --all$/,
  ],
  [
    'ErrImagePull',
    'no matching manifest for linux/arm64/v8 in the manifest list entries',
    ': it is not made for the architecture of the node',
    /--all$/,
  ],
  [
    'ErrImagePull',
    'choosing image instance: no image found in image index for architecture "arm64", variant "v8", OS "linux"',
    ': it is not made for the architecture of the node',
    /--all$/,
  ],
  [
    'ErrImagePull',
    head('http: server gave HTTP response to HTTPS client'),
    ': the registry speaks plain HTTP, and the node wants TLS',
    /certs\.d\/registry\.example\.com\/hosts\.toml, on Talos machine\.registries\.mirrors$/,
  ],
  [
    'ErrImagePull',
    head('tls: failed to verify certificate: x509: certificate signed by unknown authority'),
    ': the node does not trust the certificate of the registry',
    /the CA of registry\.example\.com/,
  ],
  [
    'ErrImagePull',
    'failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized',
    '',
    /^image\.pullSecrets: .* in opentelemetry$/,
  ],
  [
    'ErrImagePull',
    head('dial tcp: lookup registry.example.com on 10.96.0.10:53: no such host'),
    ': the node does not reach the registry',
    /^is registry\.example\.com in image\.repository right\?/,
  ],
  ['ErrImagePull', head('dial tcp 192.0.2.7:443: i/o timeout'), ': the node does not reach the registry', /reach it$/],
  ['ErrImagePull', 'something new', '', /^correct image\.repository and image\.tag/],
  [
    'ErrImageNeverPull',
    'Container image "x" is not present with pull policy of Never',
    ': it is not on the node, and pullPolicy is Never',
    /IfNotPresent/,
  ],
  [
    'InvalidImageName',
    'Failed to apply default image tag "x": invalid reference format',
    ': that is no name of an image',
    /image\.tag/,
  ],
];

async function clusterWith(t: { after(f: () => Promise<void>): void }) {
  const cluster = await startCluster();
  t.after(() => cluster.stop());
  deploy(cluster);
  const look = async (image: string, reason: string, message: string) => {
    const state = { waiting: { reason, message } };
    const container = { name: 'otel-agent', image, ready: false, restartCount: 0, state };
    cluster.population.put('pods', agentPod('worker-1', { phase: 'Pending', containerStatuses: [container] }));
    const found = await findings(pods, cluster.url);
    assert.equal(found.length, 1);
    return found[0]!;
  };
  return { look, population: cluster.population };
}

test('images that cannot be fetched: what the runtime says, and what helps', async (t) => {
  const { look } = await clusterWith(t);
  const image = `${REGISTRY}/sluice:9`;
  for (const [reason, cause, why, fix] of TABLE) {
    const message = pulling(image, cause);
    const found = await look(image, reason, message);
    assert.equal(told([found])[0], `failure: the image ${image} of otel-agent cannot be fetched${why}`);
    assert.equal(found.how, `pod otel-agent-worker-1: ${reason}: ${message}`);
    assert.match(found.fix!, fix);
    const later = await look(image, 'ImagePullBackOff', `Back-off pulling image "${image}": ${reason}: ${message}`);
    // These two come before any attempt.
    if (reason === 'ErrImagePull') assert.deepEqual([later.what, later.fix], [found.what, found.fix]);
  }
});

test('an image that is only on the machine that made it', async (t) => {
  const { look } = await clusterWith(t);
  const image = 'localhost/sluice:9';
  const found = await look(image, 'ErrImagePull', pulling(image, 'dial tcp 127.0.0.1:80: connect: connection refused'));
  assert.match(found.fix!, /^localhost is the node itself: .*load the image into every node$/);
});

test('the cause stands in an event where the status only says that the kubelet waits', async (t) => {
  const { look, population } = await clusterWith(t);
  const image = `${REGISTRY}/sluice:9`;
  const waits = `Back-off pulling image "${image}"`;
  assert.match(
    (await look(image, 'ImagePullBackOff', waits)).how,
    /: ImagePullBackOff: Back-off pulling image "[^"]*"$/,
  );
  const cause = `Failed to pull image "${image}": ${pulling(image, 'no match for platform in manifest: not found')}`;
  population.put('events', eventDraft('Pod', 'otel-agent-worker-1', 'Failed', cause));
  const found = await look(image, 'ImagePullBackOff', waits);
  assert.match(found.what, /it is not made for the architecture of the node$/);
  assert.match(found.how, /: ImagePullBackOff: Failed to pull image/);
});

test('the registry of an image', () => {
  for (const [image, registry] of [
    ['registry.example.com:5000/a/sluice:1', 'registry.example.com:5000'],
    ['localhost/sluice:1', 'localhost'],
    ['otel/opentelemetry-collector-contrib:0.158.0', 'docker.io'],
    ['busybox', 'docker.io'],
  ] as const)
    assert.equal(registryOf(image), registry);
});
