/**
 * What a configuration needs of the node and of its pod: directories, environment variables, ports, rights of the process.
 * Computed from the configuration itself, so that what a user adds by hand is mounted and published as well.
 */
import type { CollectorConfig } from './config.ts';
import {
  at,
  isOn,
  listOf,
  type Section,
  sectionOf,
  textOf,
  textsIn,
  textsOf,
  type UsedComponent,
  usedComponents,
  variablesOf,
} from './used-components.ts';

/** A directory or file of the node. */
export interface HostPath {
  readonly path: string;
  readonly mountPath: string;
  readonly isReadOnly: boolean;
  /** As Kubernetes names it; absent: it is not checked. */
  readonly type?: 'DirectoryOrCreate' | 'File';
  /** Mounts that come and go on the node are seen. */
  readonly followsMounts?: boolean;
  /** `receivers.file_log: include` */
  readonly why: readonly string[];
}

export interface Listening {
  /** At most 15 characters, as Kubernetes wants. */
  readonly name: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
  readonly appProtocol?: string;
  readonly purpose: 'data' | 'health' | 'metrics';
  /** Only reachable inside of the pod. */
  readonly isLocal: boolean;
  readonly why: string;
}

export interface Needs {
  /** Directories of the node that are read. */
  readonly hostPaths: readonly HostPath[];
  /** Directories that have to outlive the container, and those that need not. */
  readonly storage: readonly { readonly path: string; readonly why: string }[];
  readonly scratch: readonly { readonly path: string; readonly why: string }[];
  /** Variables that the configuration names, and whether it gets along without them. */
  readonly env: readonly { readonly name: string; readonly isOptional: boolean; readonly why: string }[];
  readonly ports: readonly Listening[];
  /** What probes ask; undefined: nothing that the kubelet could reach. */
  readonly health: { readonly port: number; readonly path: string } | undefined;
  /** Why the process has to be root, where it has to. */
  readonly root: readonly string[];
  readonly capabilities: readonly string[];
}

const STORAGE = '/var/lib/otelcol/file_storage';

export function needsOf(config: CollectorConfig): Needs {
  const components = usedComponents(config);
  const of = (...types: string[]): UsedComponent[] => components.filter((c) => types.includes(c.type));
  const hostPaths: HostPath[] = [
    ...of('file_log', 'otlp_json_file').flatMap(logDirectories),
    ...of('host_metrics').flatMap(hostDirectories),
    ...of('kubelet_stats', 'k8s_attributes').flatMap(certificateFiles),
  ];
  const root = [
    ...of('file_log', 'otlp_json_file').map((c) => `${whyOf(c, 'include')}: logs belong to root`),
    ...of('host_metrics')
      .filter((c) => hasScraper(c, 'filesystem', 'process'))
      .map((c) => `${whyOf(c, 'scrapers')}: parts of the node that only root may see`),
  ];
  const hasOthers =
    of('file_log', 'otlp_json_file').some((c) => logDirectories(c).some((p) => !ROOT_OWNED.test(p.path))) ||
    of('host_metrics').some((c) => hasScraper(c, 'process') || hostDirectories(c).some((p) => p.path === '/'));
  return {
    hostPaths: merged(hostPaths),
    storage: of('file_storage').flatMap(storageDirectories),
    scratch: of('file').flatMap((c) => {
      const path = textOf(c.settings['path']);
      return c.section === 'exporters' && path.startsWith('/')
        ? [{ path: path.replace(/\/[^/]*$/, '') || '/', why: whyOf(c, 'path') }]
        : [];
    }),
    env: environmentOf(config, components),
    ports: portsOf(config, components),
    health: healthOf(of('health_check')),
    root,
    capabilities: [
      // Directories of others that not even root may enter without it. Only then: it also opens files by their handle
      // (open_by_handle_at), and so all that lies on the same file system as anything that is mounted.
      ...(hasOthers ? ['DAC_READ_SEARCH'] : []),
      ...(of('host_metrics').some((c) => hasScraper(c, 'process')) ? ['SYS_PTRACE'] : []),
    ],
  };
}

const whyOf = ({ section, id }: UsedComponent, key: string): string => `${section}.${id}: ${key}`;

/** What of a pattern is fixed, as directories: `/var/log` of a pattern like `/var/log/x*`. */
function fixedDirectory(pattern: string): string | undefined {
  if (!pattern.startsWith('/')) return undefined;
  const segments = pattern.split('/').slice(0, -1);
  const wild = segments.findIndex((s) => /[*?[{$]/.test(s));
  return (wild < 0 ? segments : segments.slice(0, wild)).join('/') || '/';
}

/** Written by kubelet and container runtime, which are root: its user may read them without any capability. */
const ROOT_OWNED = /^\/var\/log\/(pods|containers)(\/|$)/;

/** Links in it lead here. */
const BEHIND: Readonly<Record<string, string>> = { '/var/log/containers': '/var/log/pods' };

function logDirectories(c: UsedComponent): HostPath[] {
  const why = [whyOf(c, 'include')];
  return textsOf(c.settings['include']).flatMap((pattern) => {
    const path = fixedDirectory(pattern);
    if (path === undefined) return [];
    const behind = BEHIND[path];
    return [path, ...(behind ? [behind] : [])].map((p) => ({ path: p, mountPath: p, isReadOnly: true, why }));
  });
}

const scrapersOf = ({ settings }: UsedComponent): [string, Section][] =>
  Object.entries(sectionOf(settings['scrapers'])).map(([name, value]) => [name, sectionOf(value)]);

const hasScraper = (c: UsedComponent, ...names: string[]): boolean =>
  scrapersOf(c).some(([name]) => names.includes(name));

/** The whole root only where file systems are to be measured wherever they are mounted. */
function hostDirectories(c: UsedComponent): HostPath[] {
  const root = textOf(c.settings['root_path']).replace(/\/+$/, '');
  if (root === '') return [];
  const inside = (path: string, followsMounts = false): HostPath => ({
    path,
    mountPath: path === '/' ? root : root + path,
    isReadOnly: true,
    ...(followsMounts ? { followsMounts } : {}),
    why: [whyOf(c, path === '/proc' || path === '/sys' ? 'scrapers' : 'scrapers.filesystem')],
  });
  const filesystem = scrapersOf(c).find(([name]) => name === 'filesystem')?.[1];
  if (!filesystem) return [inside('/proc'), inside('/sys')];
  const named = at(filesystem, 'include_mount_points');
  const isNamed = textOf(at(named, 'match_type')) === 'strict';
  const points = isNamed ? textsOf(at(named, 'mount_points')).filter((p) => p.startsWith('/')) : [];
  if (points.length === 0 || points.includes('/')) return [inside('/', true)];
  return [inside('/proc'), inside('/sys'), ...points.map((p) => inside(p.replace(/\/+$/, ''), true))];
}

/** A CA that lies on the node, as the certificate that a kubelet signed itself. */
function certificateFiles(c: UsedComponent): HostPath[] {
  const isReceiver = c.type === 'kubelet_stats';
  const path = textOf(isReceiver ? c.settings['ca_file'] : at(c.settings, 'kubelet', 'ca_file'));
  if (!path.startsWith('/') || path.startsWith('/var/run/secrets/') || path.startsWith('/etc/ssl/')) return [];
  return [
    {
      path,
      mountPath: path,
      isReadOnly: true,
      type: 'File',
      why: [whyOf(c, isReceiver ? 'ca_file' : 'kubelet.ca_file')],
    },
  ];
}

/** Without those that lie in others. */
function merged(paths: readonly HostPath[]): HostPath[] {
  const known = new Map<string, HostPath>();
  for (const p of paths) {
    const before = known.get(p.mountPath);
    known.set(p.mountPath, before ? { ...p, why: [...new Set([...before.why, ...p.why])] } : p);
  }
  const all = [...known.values()];
  const isIn = (p: HostPath, of: HostPath): boolean =>
    p !== of &&
    of.path !== '/' &&
    p.path === p.mountPath &&
    of.path === of.mountPath &&
    p.path.startsWith(`${of.path}/`);
  return all
    .filter((p) => !all.some((other) => isIn(p, other)))
    .map((p) => ({ ...p, why: [...new Set([...p.why, ...all.filter((o) => isIn(o, p)).flatMap((o) => o.why)])] }))
    .sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
}

function storageDirectories(c: UsedComponent): { path: string; why: string }[] {
  const directory = (textOf(c.settings['directory']) || STORAGE).replace(/\/+$/, '');
  const compaction = sectionOf(c.settings['compaction']);
  const other = textOf(compaction['directory']).replace(/\/+$/, '');
  const isCompacted = isOn(compaction['on_start'], false) || isOn(compaction['on_rebound'], false);
  const found = [{ path: directory, why: whyOf(c, 'directory') }];
  if (isCompacted && other !== '' && other !== directory && !other.startsWith(`${directory}/`))
    found.push({ path: other, why: whyOf(c, 'compaction.directory') });
  return found;
}

function environmentOf(config: CollectorConfig, components: readonly UsedComponent[]): Needs['env'] {
  const found = new Map<string, { isOptional: boolean; why: string }>();
  const need = (name: string, why: string, isOptional = false): void => {
    const known = found.get(name);
    found.set(name, { why: known?.why ?? why, isOptional: (known?.isOptional ?? true) && isOptional });
  };
  for (const c of components) {
    for (const text of textsIn(c.settings))
      for (const { name, fallback } of variablesOf(text)) need(name, `${c.section}.${c.id}`, fallback !== undefined);
    if (c.type === 'k8s_attributes') {
      const name = textOf(at(c.settings, 'filter', 'node_from_env_var'));
      if (name !== '') need(name, whyOf(c, 'filter.node_from_env_var'));
    }
    if (c.type === 'resource_detection' && textsOf(c.settings['detectors']).some((d) => /k8s_api|k8snode/.test(d))) {
      const settings = sectionOf(c.settings['k8snode'] ?? c.settings['k8s_api']);
      need(textOf(settings['node_from_env_var']) || 'K8S_NODE_NAME', whyOf(c, 'k8s_api.node_from_env_var'));
    }
  }
  for (const text of textsIn(config.service.telemetry ?? null))
    for (const { name, fallback } of variablesOf(text)) need(name, 'service.telemetry', fallback !== undefined);
  return [...found].map(([name, need]) => ({ name, ...need })).sort((a, b) => (a.name < b.name ? -1 : 1));
}

const LOCAL = /^(localhost|127\.\d+\.\d+\.\d+|\[?::1\]?)$/;

function endpoint(text: string): { host: string; port: number } | undefined {
  const m = /^(.*):(\d{1,5})$/.exec(text.replace(/^\w+:\/\//, ''));
  return m ? { host: m[1]!, port: Number(m[2]) } : undefined;
}

interface Listener {
  /** Where its address is; the last word of the path is the key. */
  readonly path: readonly string[];
  /** `grpc: {}` counts as there. */
  readonly isSection?: boolean;
  readonly otherwise: string;
  readonly name: string;
  readonly protocol?: 'UDP';
  readonly appProtocol?: string;
}

/** Receivers that others send to. */
const LISTENERS: Readonly<Record<string, readonly Listener[]>> = {
  otlp: [
    {
      path: ['protocols', 'grpc', 'endpoint'],
      isSection: true,
      otherwise: 'localhost:4317',
      name: 'otlp',
      appProtocol: 'grpc',
    },
    { path: ['protocols', 'http', 'endpoint'], isSection: true, otherwise: 'localhost:4318', name: 'otlp-http' },
  ],
  jaeger: [
    { path: ['protocols', 'grpc', 'endpoint'], isSection: true, otherwise: 'localhost:14250', name: 'jaeger-grpc' },
    {
      path: ['protocols', 'thrift_http', 'endpoint'],
      isSection: true,
      otherwise: 'localhost:14268',
      name: 'jaeger-http',
    },
    {
      path: ['protocols', 'thrift_compact', 'endpoint'],
      isSection: true,
      otherwise: 'localhost:6831',
      name: 'jaeger-compact',
      protocol: 'UDP',
    },
  ],
  zipkin: [{ path: ['endpoint'], otherwise: 'localhost:9411', name: 'zipkin' }],
  tcp_log: [{ path: ['listen_address'], otherwise: '', name: 'tcp-log' }],
  tcplog: [{ path: ['listen_address'], otherwise: '', name: 'tcp-log' }],
  udp_log: [{ path: ['listen_address'], otherwise: '', name: 'udp-log', protocol: 'UDP' }],
  udplog: [{ path: ['listen_address'], otherwise: '', name: 'udp-log', protocol: 'UDP' }],
  syslog: [
    { path: ['tcp', 'listen_address'], isSection: true, otherwise: '', name: 'syslog-tcp' },
    { path: ['udp', 'listen_address'], isSection: true, otherwise: '', name: 'syslog-udp', protocol: 'UDP' },
  ],
};

function portsOf(config: CollectorConfig, components: readonly UsedComponent[]): Listening[] {
  const ports: Listening[] = [];
  const add = (text: string, port: Omit<Listening, 'port' | 'isLocal'>): void => {
    const found = endpoint(text);
    if (!found) return;
    const isTaken = ports.some((p) => p.name === port.name);
    ports.push({
      ...port,
      name: isTaken ? `${port.name.slice(0, 9)}-${found.port}` : port.name,
      port: found.port,
      isLocal: LOCAL.test(found.host),
    });
  };
  for (const c of components)
    for (const { path, isSection, otherwise, name, protocol = 'TCP', appProtocol } of c.section === 'receivers'
      ? (LISTENERS[c.type] ?? [])
      : []) {
      const parent = at(c.settings, ...path.slice(0, -1));
      const isThere = !isSection || Object.hasOwn(sectionOf(at(c.settings, ...path.slice(0, -2))), path.at(-2)!);
      if (!isThere) continue;
      const text = textOf(at(parent, path.at(-1)!)) || otherwise;
      add(text, {
        name,
        protocol,
        ...(appProtocol ? { appProtocol } : {}),
        purpose: 'data',
        why: whyOf(c, path.join('.')),
      });
    }
  for (const c of components.filter((x) => x.type === 'health_check'))
    add(textOf(c.settings['endpoint']) || 'localhost:13133', {
      name: 'health',
      protocol: 'TCP',
      purpose: 'health',
      why: whyOf(c, 'endpoint'),
    });
  for (const { host, port } of metricsEndpoints(config))
    add(`${host}:${port}`, { name: 'metrics', protocol: 'TCP', purpose: 'metrics', why: 'service.telemetry.metrics' });
  return ports;
}

/** Where the collector's own metrics are read. */
function metricsEndpoints(config: CollectorConfig): { host: string; port: string }[] {
  const metrics = sectionOf(at(config.service.telemetry, 'metrics'));
  if (/^none$/i.test(textOf(metrics['level']))) return [];
  const address = endpoint(textOf(metrics['address']));
  if (address) return [{ host: address.host, port: String(address.port) }];
  if (metrics['readers'] === undefined) return [{ host: 'localhost', port: '8888' }];
  return listOf(metrics['readers']).flatMap((reader) => {
    if (at(reader, 'pull') === undefined) return [];
    const prometheus = sectionOf(at(reader, 'pull', 'exporter', 'prometheus'));
    return [{ host: textOf(prometheus['host']) || 'localhost', port: textOf(prometheus['port']) || '8888' }];
  });
}

function healthOf(extensions: readonly UsedComponent[]): Needs['health'] {
  for (const { settings } of extensions) {
    const found = endpoint(textOf(settings['endpoint']) || 'localhost:13133');
    if (found && !LOCAL.test(found.host)) return { port: found.port, path: textOf(settings['path']) || '/' };
  }
  return undefined;
}
