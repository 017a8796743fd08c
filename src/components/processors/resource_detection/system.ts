/** Detector system: name, addresses and operating system of this host. */
import { promises as dns } from 'node:dns';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { messageOf } from '../../../core/errors.ts';
import type { Logger } from '../../../core/log.ts';
import type { Value, ValueMap } from '../../../wire/otlp.ts';
import type { ResourceDetectionConfig } from './index.ts';

type SystemConfig = ResourceDetectionConfig['system'];
type HostnameSource = SystemConfig['hostname_sources'][number];

/** What the detector asks the machine; replaced in tests. */
export interface Machine {
  hostname(): string;
  readonly platform: string;
  readonly arch: string;
  release(): string;
  version(): string;
  machine(): string;
  interfaces(): ReturnType<typeof os.networkInterfaces>;
  /** undefined when there is no such file. */
  file(path: string): Promise<string | undefined>;
  addresses(host: string): Promise<string[]>;
  reverse(ip: string): Promise<string[]>;
  canonical(host: string): Promise<string>;
}

export const THIS_MACHINE: Machine = {
  hostname: () => os.hostname(),
  platform: process.platform,
  arch: process.arch,
  release: () => os.release(),
  version: () => os.version(),
  machine: () => os.machine(),
  interfaces: () => os.networkInterfaces(),
  file: (path) => readFile(path, 'utf8').catch(() => undefined),
  addresses: async (host) => (await dns.lookup(host, { all: true })).map((a) => a.address),
  reverse: (ip) => dns.reverse(ip),
  canonical: async (host) => (await dns.resolveCname(host).catch(() => []))[0] ?? host,
};

const OS_TYPES: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris' };
const ARCHS: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm: 'arm32',
  ia32: 'x86',
  ppc64: 'ppc64',
  s390x: 's390x',
};

export async function detectSystem(config: SystemConfig, log: Logger, m: Machine = THIS_MACHINE): Promise<ValueMap> {
  const found: ValueMap = new Map();
  const wanted = config.resource_attributes;
  const wants = (...names: (keyof typeof wanted)[]): boolean => names.some((n) => wanted[n].enabled);
  const put = (name: keyof typeof wanted, value: Value | undefined): void => {
    if (wanted[name].enabled && value !== undefined && value !== '') found.set(name, value);
  };

  if (wants('host.name')) put('host.name', await hostname(config.hostname_sources, log, m));
  put('os.type', OS_TYPES[m.platform] ?? m.platform);
  put('host.arch', ARCHS[m.arch] ?? m.arch);
  if (wants('host.id'))
    put('host.id', ((await m.file('/etc/machine-id')) ?? (await m.file('/var/lib/dbus/machine-id')))?.trim());
  if (wants('host.ip', 'host.mac', 'host.interface')) addresses(m, put);
  if (wants('os.description', 'os.name', 'os.version', 'os.build.id')) {
    const release = osRelease((await m.file('/etc/os-release')) ?? (await m.file('/usr/lib/os-release')) ?? '');
    const kernel = ['Linux', m.hostname(), m.release(), m.version(), m.machine()].join(' ');
    const name = release.get('NAME');
    const text = name && [name, release.get('VERSION') ?? ''].join(' ').trim();
    put('os.description', text ? `${text} (${kernel})` : kernel);
    put('os.name', release.get('ID') ?? m.platform);
    put('os.version', release.get('VERSION_ID'));
    put('os.build.id', m.release());
  }
  if (
    wants(
      'host.cpu.vendor.id',
      'host.cpu.family',
      'host.cpu.model.id',
      'host.cpu.model.name',
      'host.cpu.stepping',
      'host.cpu.cache.l2.size',
    )
  )
    cpu((await m.file('/proc/cpuinfo')) ?? '', put);
  return found;
}

async function hostname(sources: readonly HostnameSource[], log: Logger, m: Machine): Promise<string> {
  let last = 'no hostname source';
  for (const source of sources) {
    try {
      const name = await FROM[source](m);
      if (name !== '') return name;
    } catch (error) {
      last = `${source}: ${messageOf(error)}`;
      log.debug('Unable to get hostname from source', { source, error: messageOf(error) });
    }
  }
  throw new Error(`failed to get hostname, last error: ${last}`);
}

const withoutDot = (name: string): string => (name.endsWith('.') ? name.slice(0, -1) : name);

async function reversed(m: Machine): Promise<string> {
  const host = m.hostname();
  for (const ip of await m.addresses(host)) {
    const name = (await m.reverse(ip).catch(() => []))[0];
    if (name) return withoutDot(name);
  }
  throw new Error(`no name for the addresses of ${host}`);
}

const FROM: Readonly<Record<HostnameSource, (m: Machine) => Promise<string>>> = {
  os: async (m) => m.hostname(),
  /** The hosts file first, then the resolver and back. */
  async dns(m) {
    const host = m.hostname();
    for (const line of ((await m.file('/etc/hosts')) ?? '').split('\n')) {
      const [, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
      if (names.includes(host)) return withoutDot(names[0]!);
    }
    return reversed(m);
  },
  async cname(m) {
    const host = m.hostname();
    await m.addresses(host);
    return withoutDot(await m.canonical(host));
  },
  lookup: reversed,
};

type Put = (name: keyof SystemConfig['resource_attributes'], value: Value | undefined) => void;

function addresses(m: Machine, put: Put): void {
  const ips: string[] = [];
  const macs: string[] = [];
  const names: string[] = [];
  for (const [name, list] of Object.entries(m.interfaces())) {
    const outer = (list ?? []).filter((a) => !a.internal);
    if (outer.length === 0) continue;
    names.push(name);
    const mac = outer[0]!.mac;
    if (mac !== '' && mac !== '00:00:00:00:00:00') macs.push(mac.toUpperCase().replaceAll(':', '-'));
    ips.push(...outer.map((a) => a.address));
  }
  put('host.ip', ips);
  put('host.mac', macs);
  put('host.interface', names);
}

function osRelease(text: string): Map<string, string> {
  const out = new Map<string, string>();
  for (const line of text.split('\n')) {
    const m = /^([A-Z_][A-Z0-9_]*)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim());
    if (m) out.set(m[1]!, m[2] ?? m[3] ?? m[4] ?? '');
  }
  return out;
}

/** The first processor of /proc/cpuinfo; other architectures name other keys, so some may be missing. */
function cpu(text: string, put: Put): void {
  const first = text.split(/\n\s*\n/)[0] ?? '';
  const value = (key: string): string | undefined => new RegExp(`^${key}\\s*:\\s*(.*)$`, 'm').exec(first)?.[1]?.trim();
  put('host.cpu.vendor.id', value('vendor_id'));
  put('host.cpu.family', value('cpu family'));
  put('host.cpu.model.id', value('model'));
  put('host.cpu.model.name', value('model name'));
  put('host.cpu.stepping', value('stepping'));
  const cacheKib = /^(\d+) KB$/.exec(value('cache size') ?? '')?.[1];
  put('host.cpu.cache.l2.size', cacheKib === undefined ? undefined : BigInt(cacheKib));
}
