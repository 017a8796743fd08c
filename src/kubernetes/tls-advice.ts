/**
 * Finds out why a server's certificate was not accepted, by trying: which CA would verify it, which names it has.
 * The answer is the setting that would work.
 */
import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import type { Access } from './access.ts';

const UNKNOWN_AUTHORITY: readonly string[] = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
];
const WRONG_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';
const WRONG_TIME: readonly string[] = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'];
const PROBE_MS = 5000;
const MAX_NAMES = 10;

export const isUnknownAuthority = (code: string): boolean => UNKNOWN_AUTHORITY.includes(code);
export const isTlsVerificationError = (code: string): boolean =>
  isUnknownAuthority(code) || code === WRONG_NAME || WRONG_TIME.includes(code);

interface Seen {
  readonly certificate: PeerCertificate;
  /** Empty: the chain leads to the CA that was tried. */
  readonly chainError: string;
}

/** What the server shows when it is tried with these CAs; the name is not looked at. */
function probe(url: URL, ca: string | undefined, signal: AbortSignal): Promise<Seen | undefined> {
  const tls = process.getBuiltinModule('node:tls');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket: TLSSocket = tls.connect({
      socket: connect(Number(url.port || 443), host),
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(isIP(host) ? {} : { servername: host }),
      ca: ca === undefined ? [] : [ca],
      ALPNProtocols: ['http/1.1'],
    });
    const done = (seen: Seen | undefined) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', giveUp);
      socket.destroy();
      resolve(seen);
    };
    const giveUp = () => done(undefined);
    const timer = setTimeout(giveUp, PROBE_MS);
    signal.addEventListener('abort', giveUp, { once: true });
    socket.on('error', giveUp);
    socket.on('secureConnect', () => {
      const certificate = socket.getPeerCertificate();
      const error = socket.authorizationError as { code?: string } | string | null | undefined;
      const chainError = socket.authorized ? '' : typeof error === 'string' ? error : (error?.code ?? 'unknown');
      done(Object.keys(certificate).length === 0 ? undefined : { certificate, chainError });
    });
  });
}

const namesOf = (c: PeerCertificate): string[] =>
  (c.subjectaltname ?? '')
    .split(', ')
    .map((n) => n.replace(/^(?:DNS|IP Address):/, ''))
    .filter((n) => n !== '');

const commonName = (of: { CN?: string | string[]; O?: string | string[] } | undefined): string =>
  [of?.CN ?? of?.O ?? 'unknown'].flat().join(', ');

const hasName = (certificate: PeerCertificate, name: string): boolean =>
  process.getBuiltinModule('node:tls').checkServerIdentity(name, certificate) === undefined;

/** Which of the CA files verifies the server. */
async function workingCa(access: Access, url: URL, signal: AbortSignal): Promise<string | undefined> {
  for (const file of access.otherCaFiles) {
    const ca = await readFile(file, 'utf8').catch(() => undefined);
    if (ca === undefined) continue;
    const seen = await probe(url, ca, signal);
    if (seen && (seen.chainError === '' || WRONG_TIME.includes(seen.chainError))) return file;
  }
  return undefined;
}

/** One sentence or two: what the certificate is like, and which setting would make the request work. */
export async function adviseOnTls(
  access: Access,
  url: URL,
  code: string,
  server: string,
  signal: AbortSignal,
): Promise<string> {
  const { keys } = access;
  const skip = `${keys.skip}: true (the ${server} is then not checked)`;
  const seen = await probe(url, (await access.tls()).ca, signal);
  if (!seen) return `The certificate could not be looked at; ${skip} goes without it`;
  const { certificate } = seen;
  const issuer = commonName(certificate.issuer);
  const expected = access.serverName ?? url.hostname.replace(/^\[|\]$/g, '');
  const names = namesOf(certificate);
  const listed = names.slice(0, MAX_NAMES).join(', ') + (names.length > MAX_NAMES ? ', …' : '');
  const otherName = names.find((n) => isIP(n) === 0 && !n.startsWith('*')) ?? names.find((n) => isIP(n) !== 0);
  const rename = otherName === undefined ? undefined : `${keys.serverName}: ${otherName}`;

  if (WRONG_TIME.includes(code)) {
    const when = `The certificate is valid from ${certificate.valid_from} to ${certificate.valid_to}`;
    return `${when}: renew it, or look at the clock of this machine; until then ${skip}`;
  }
  if (code === WRONG_NAME) {
    if (rename === undefined) return `The certificate has no names besides ${commonName(certificate.subject)}: ${skip}`;
    return `The CA is right, the name is not: the certificate is for ${listed}. Use one of these as endpoint, or ${rename}`;
  }
  const file = await workingCa(access, url, signal);
  if (file !== undefined) {
    if (hasName(certificate, expected)) return `It was tried: ${keys.ca}: ${file} verifies it`;
    if (rename === undefined)
      return `${keys.ca}: ${file} verifies it, but the certificate has no names, so that only ${skip} works`;
    return `It was tried: ${keys.ca}: ${file} verifies it, with ${rename} as the certificate is for ${listed}, not ${expected}`;
  }
  const tried = access.otherCaFiles.length > 0 ? `, nor does ${access.otherCaFiles.join(' or ')}` : '';
  const selfSigned =
    code === 'DEPTH_ZERO_SELF_SIGNED_CERT' ||
    code === 'SELF_SIGNED_CERT_IN_CHAIN' ||
    issuer === commonName(certificate.subject) ||
    /-ca@\d+$/.test(issuer);
  const nameToo = hasName(certificate, expected) ? '' : ` Its names are ${listed || 'none'}, not ${expected}.`;
  if (selfSigned)
    return (
      `The ${server} signed its certificate itself (issuer ${issuer}); no CA of the cluster verifies it.${nameToo} ` +
      `Let the cluster sign it (kubelet: serverTLSBootstrap: true, then approve its CertificateSigningRequest), or ${skip}`
    );
  return (
    `The CA that is used does not verify a certificate of issuer ${issuer}${tried}.${nameToo} ` +
    `Point ${keys.ca} to that issuer's certificate, or ${skip}`
  );
}
