/** The tls blocks of clients and servers as options of node:tls; files are read here, and read again when they change. */
import { readFileSync } from 'node:fs';
import type { SecureContextOptions, SecureVersion, TlsOptions } from 'node:tls';
import { ConfigError, messageOf } from './errors.ts';
import type { TlsClientConfig, TlsServerConfig } from './schema.ts';

const VERSIONS: Readonly<Record<string, SecureVersion>> = {
  '1.0': 'TLSv1',
  '1.1': 'TLSv1.1',
  '1.2': 'TLSv1.2',
  '1.3': 'TLSv1.3',
};

/** Names as Go (and so the configuration) writes them, and as OpenSSL does. */
const SUITES: Readonly<Record<string, string>> = {
  TLS_RSA_WITH_AES_128_CBC_SHA: 'AES128-SHA',
  TLS_RSA_WITH_AES_256_CBC_SHA: 'AES256-SHA',
  TLS_RSA_WITH_AES_128_GCM_SHA256: 'AES128-GCM-SHA256',
  TLS_RSA_WITH_AES_256_GCM_SHA384: 'AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: 'ECDHE-ECDSA-AES128-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: 'ECDHE-ECDSA-AES256-SHA',
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: 'ECDHE-RSA-AES128-SHA',
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: 'ECDHE-RSA-AES256-SHA',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
};

const CURVES: Readonly<Record<string, string>> = {
  X25519: 'X25519',
  X25519MLKEM768: 'X25519MLKEM768',
  P256: 'P-256',
  P384: 'P-384',
  P521: 'P-521',
};

type Common = Omit<TlsServerConfig, 'client_ca_file' | 'client_ca_file_reload'>;

function read(what: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (e) {
    const reason = (e as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or directory' : messageOf(e);
    throw new ConfigError(`failed to load TLS config: failed to load ${what} ${file}: open ${file}: ${reason}`);
  }
}

function version(key: 'min_version' | 'max_version', text: string): SecureVersion | undefined {
  if (text === '') return undefined;
  const v = VERSIONS[text];
  if (!v) throw new ConfigError(`invalid TLS ${key}: unsupported TLS version: ${JSON.stringify(text)}`);
  return v;
}

function certificates(what: string, text: string): string {
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new ConfigError(
      `failed to load TLS config: failed to load ${what}: failed to parse cert: no PEM certificate in it`,
    );
  return text;
}

function common(c: Common): SecureContextOptions {
  if (c.cert_file && c.cert_pem)
    throw new ConfigError('for auth via TLS, provide either a certificate or the PEM-encoded string, but not both');
  if (c.key_file && c.key_pem)
    throw new ConfigError('for auth via TLS, provide either a key or the PEM-encoded string, but not both');
  if (c.ca_file && c.ca_pem) throw new ConfigError('provide either a CA file or the PEM-encoded string, but not both');
  const cert = c.cert_pem || (c.cert_file && read('TLS cert', c.cert_file));
  const key = c.key_pem || (c.key_file && read('TLS key', c.key_file));
  if (!cert !== !key) throw new ConfigError('for auth via TLS, provide both certificate and key, or neither');
  const options = tlsParameters(c);
  return cert ? Object.assign(options, { cert, key }) : options;
}

/** Versions, ciphers and curves. */
export function tlsParameters(
  c: Pick<Common, 'min_version' | 'max_version' | 'cipher_suites' | 'curve_preferences'>,
): SecureContextOptions {
  const ciphers = c.cipher_suites.map((name) => {
    const suite = SUITES[name];
    if (!suite) throw new ConfigError(`invalid TLS cipher suite: ${JSON.stringify(name)}`);
    return suite;
  });
  const curves = c.curve_preferences.map((name) => {
    const curve = CURVES[name];
    if (!curve)
      throw new ConfigError(
        `invalid curve type ${JSON.stringify(name)}. Expected values are [P-256, P-384, P-521, X25519]`,
      );
    return curve;
  });
  const options: SecureContextOptions = { minVersion: version('min_version', c.min_version) ?? 'TLSv1.2' };
  const max = version('max_version', c.max_version);
  if (max) options.maxVersion = max;
  if (ciphers.length) options.ciphers = ciphers.join(':');
  if (curves.length) options.ecdhCurve = curves.join(':');
  return options;
}

/** Go takes the CAs of the system; a system without any falls back to the ones that come with Node. */
export function systemCas(): string[] {
  const system = process.getBuiltinModule('node:tls').getCACertificates('system');
  return system.length > 0 ? system : process.getBuiltinModule('node:tls').getCACertificates('bundled');
}

export interface ClientTls extends SecureContextOptions {
  readonly rejectUnauthorized: boolean;
  readonly servername?: string;
}

export function clientTls(c: TlsClientConfig): ClientTls {
  const options = common(c);
  const ca = c.ca_pem || (c.ca_file && read('CA CertPool File', c.ca_file));
  options.ca = ca
    ? [...(c.include_system_ca_certs_pool ? systemCas() : []), certificates('CA CertPool', ca)]
    : systemCas();
  return {
    ...options,
    rejectUnauthorized: !c.insecure_skip_verify,
    ...(c.server_name_override ? { servername: c.server_name_override } : {}),
  };
}

export function serverTls(c: TlsServerConfig): TlsOptions {
  const options: TlsOptions = common(c);
  if (!options.cert)
    throw new ConfigError('failed to load TLS config: TLS configuration must include both certificate and key');
  if (c.client_ca_file) {
    options.ca = certificates('client CA CertPool', read('client CA CertPool', c.client_ca_file));
    options.requestCert = true;
    options.rejectUnauthorized = true;
  }
  return options;
}
