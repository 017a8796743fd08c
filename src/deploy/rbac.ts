/**
 * The rights that a configuration needs of Kubernetes, computed from the configuration itself: what a user adds by hand
 * gets its rules as well, and nothing more is granted. A test holds it against the requests of the real components.
 */
import { ConfigError, type Diagnostic } from '../core/errors.ts';
import type { CollectorConfig } from './config.ts';
import { CLUSTER_KINDS, type ClusterKind, KNOWN_RESOURCES, OPENSHIFT_QUOTAS } from './known-resources.ts';
import { DISCOVERY } from './rbac-discovery.ts';
import type { Engine } from './spec.ts';
import {
  at,
  isOn,
  listOf,
  type Section,
  sectionOf,
  textOf,
  textsOf,
  type UsedComponent,
  usedComponents,
  variablesOf,
} from './used-components.ts';

export interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** A rule, and what of the configuration asks for it: `processors.k8s_attributes: extract.metadata`. */
export interface GrantedRule extends PolicyRule {
  readonly why: readonly string[];
}

export interface Rbac {
  readonly cluster: readonly GrantedRule[];
  readonly namespaced: readonly { readonly namespace: string; readonly rules: readonly GrantedRule[] }[];
}

export interface RbacOptions {
  /** otelcol asks for a little more than sluice does. Default sluice. */
  readonly engine?: Engine;
  /** Of the kubelets: before 1.33 they know no nodes/pods, and want nodes/proxy for it. Default 1.33 or later. */
  readonly kubernetesVersion?: string | undefined;
  /** What `${env:…}` in names of namespaces stands for. */
  readonly env?: Readonly<Record<string, string>>;
}

/** One right: a verb on a resource, perhaps of one name, perhaps in one namespace. */
export interface Right {
  /** '': of the whole cluster. */
  readonly namespace: string;
  readonly group: string;
  /** With its subresource: `nodes/stats`. */
  readonly resource: string;
  readonly verb: string;
  /** '': any. */
  readonly name: string;
  readonly why: string;
}

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'];

export function rbacOf(config: CollectorConfig, options: RbacOptions = {}): Rbac {
  const rights = rightsOf(config, options);
  const namespaces = [...new Set(rights.map((r) => r.namespace))].filter((n) => n !== '').sort();
  return {
    cluster: rulesOf(rights.filter((r) => r.namespace === '')),
    namespaced: namespaces.map((namespace) => ({
      namespace,
      rules: rulesOf(rights.filter((r) => r.namespace === namespace)),
    })),
  };
}

/** Every single right, for SelfSubjectAccessReviews. Throws ConfigError for what cannot be computed. */
export function rightsOf(config: CollectorConfig, options: RbacOptions = {}): Right[] {
  const asking = new Asking(options);
  for (const component of usedComponents(config)) {
    ASKERS[component.type]?.(component, asking);
    DISCOVERY[component.type]?.(component, (key, resource, namespace = '') => {
      for (const n of asking.namespaces(component, key, namespace === '' ? [] : [namespace]))
        asking.ask(component, key, resource, 'list watch', n);
    });
  }
  if (asking.problems.length > 0) throw new ConfigError(asking.problems);
  return asking.rights();
}

class Asking {
  readonly engine: Engine;
  /** Subresource that opens /pods of a kubelet. */
  readonly podsOfKubelet: string;
  readonly problems: Diagnostic[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #found = new Map<string, Right & { readonly all: Set<string> }>();

  constructor({ engine = 'sluice', kubernetesVersion, env = {} }: RbacOptions) {
    this.engine = engine;
    const [, major = '1', minor = '33'] = /^v?(\d+)\.(\d+)/.exec(kubernetesVersion ?? '') ?? [];
    this.podsOfKubelet = Number(major) === 1 && Number(minor) < 33 ? 'nodes/proxy' : 'nodes/pods';
    this.#env = env;
  }

  /** @param resource `pods`, `replicasets.apps`, `nodes/stats` */
  ask(component: UsedComponent, key: string, resource: string, verbs: string, namespace = '', name = ''): void {
    const [, plain = '', group = '', sub = ''] = /^([^./]+)(?:\.([^/]+))?(\/.+)?$/.exec(resource) ?? [];
    const why = `${component.section}.${component.id}: ${key}`;
    for (const verb of verbs.split(' ')) {
      const id = JSON.stringify([namespace, group, plain + sub, verb, name]);
      const known = this.#found.get(id);
      if (known) known.all.add(why);
      else this.#found.set(id, { namespace, group, resource: plain + sub, verb, name, why, all: new Set([why]) });
    }
  }

  /** Namespaces by their names; `['']` for all. */
  namespaces(component: UsedComponent, key: string, written: readonly string[]): readonly string[] {
    if (written.length === 0) return [''];
    return [...new Set(written.map((text) => this.#resolved(component, key, text)))];
  }

  #resolved(component: UsedComponent, key: string, text: string): string {
    let resolved = text;
    for (const { name, fallback } of variablesOf(text)) {
      const value = this.#env[name] ?? fallback;
      if (value !== undefined)
        resolved = resolved.replace(new RegExp(`\\$\\{(?:env:)?${name}(?::-[^}]*)?\\}`), () => value);
    }
    if (!resolved.includes('${')) return resolved;
    this.problem(
      component,
      key,
      `${text} is a namespace that only the running collector knows, so no Role can be made for it`,
      'write the name of the namespace',
    );
    return '';
  }

  problem({ section, id }: UsedComponent, key: string, message: string, hint: string): void {
    const path = key.split('.').map((k) => (/^\d+$/.test(k) ? Number(k) : k));
    this.problems.push({ path: [section, id, ...path], message, hint });
  }

  /** Without those that a wider one includes. */
  rights(): Right[] {
    const all = [...this.#found.values()];
    const has = (r: Right, namespace: string, name: string): boolean =>
      this.#found.has(JSON.stringify([namespace, r.group, r.resource, r.verb, name]));
    return all
      .filter(
        (r) =>
          !(r.name !== '' && (has(r, r.namespace, '') || has(r, '', ''))) &&
          !(r.namespace !== '' && has(r, '', r.name)),
      )
      .map(({ all: whys, ...right }) => ({ ...right, why: [...whys].sort().join('; ') }));
  }
}

/** Rights as few rules, in an order that stays: by group, verbs, names. */
function rulesOf(rights: readonly Right[]): GrantedRule[] {
  const resources = new Map<string, Right[]>();
  for (const r of rights) push(resources, JSON.stringify([r.group, r.resource, r.name]), r);
  const rules = new Map<string, Right[][]>();
  for (const own of resources.values()) push(rules, JSON.stringify([own[0]!.group, verbsOf(own), own[0]!.name]), own);
  return [...rules]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => {
      const { group: apiGroup, name } = group[0]![0]!;
      return {
        apiGroups: [apiGroup],
        resources: group.map((own) => own[0]!.resource).sort(),
        ...(name === '' ? {} : { resourceNames: [name] }),
        verbs: verbsOf(group[0]!),
        why: [...new Set(group.flat().flatMap((r) => r.why.split('; ')))].sort(),
      };
    });
}

const verbsOf = (rights: readonly Right[]): string[] =>
  [...new Set(rights.map((r) => r.verb))].sort((a, b) => VERBS.indexOf(a) - VERBS.indexOf(b));

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}

type Asker = (component: UsedComponent, asking: Asking) => void;

/** A kubeconfig, a certificate or nobody: then the rights are not those of the service account. */
const isServiceAccount = (settings: Section, otherwise = 'serviceAccount'): boolean =>
  (textOf(settings['auth_type']) || otherwise) === 'serviceAccount';

const ASKERS: Readonly<Record<string, Asker>> = {
  k8s_attributes: attributes,
  k8s_cluster: cluster,
  k8s_objects: objects,
  k8s_events(c, asking) {
    if (!isServiceAccount(c.settings)) return;
    const namespaces = asking.namespaces(c, 'namespaces', textsOf(c.settings['namespaces']));
    for (const n of namespaces) asking.ask(c, 'namespaces', 'events', 'list watch', n);
  },
  k8s_leader_elector(c, asking) {
    if (!isServiceAccount(c.settings)) return;
    const name = textOf(c.settings['lease_name']);
    for (const n of asking.namespaces(c, 'lease_namespace', textsOf(c.settings['lease_namespace']))) {
      // A rule cannot say which name may be created.
      asking.ask(c, 'lease_namespace', 'leases.coordination.k8s.io', 'create', n);
      asking.ask(c, 'lease_name', 'leases.coordination.k8s.io', 'get update', n, name);
    }
  },
  kubelet_stats: kubelet,
  resource_detection(c, asking) {
    const detectors = c.settings['detectors'];
    const names = typeof detectors === 'string' ? detectors.split(',') : textsOf(detectors);
    for (const detector of ['k8s_api', 'k8snode'].filter((d) => names.some((n) => n.trim() === d))) {
      const settings = sectionOf(c.settings['k8snode'] ?? c.settings['k8s_api']);
      if (!isServiceAccount(settings)) continue;
      const wants = (attribute: string): boolean =>
        isOn(at(settings, 'resource_attributes', attribute, 'enabled'), true);
      if (wants('k8s.node.uid')) asking.ask(c, `detectors ${detector}`, 'nodes', 'get');
      if (wants('k8s.cluster.uid')) asking.ask(c, `detectors ${detector}`, 'namespaces', 'get', '', 'kube-system');
    }
  },
};

function attributes(c: UsedComponent, asking: Asking): void {
  const { settings } = c;
  if (!isServiceAccount(settings) || isOn(settings['passthrough'], false)) return;
  const metadata = new Set(textsOf(at(settings, 'extract', 'metadata')));
  const origins = new Set(
    ['labels', 'annotations'].flatMap((of) =>
      listOf(at(settings, 'extract', of)).map((rule) => textOf(at(rule, 'from')) || 'pod'),
    ),
  );
  const [namespace = ''] = asking.namespaces(c, 'filter.namespace', textsOf(at(settings, 'filter', 'namespace')));
  const watch = (key: string, resource: string, inside = '', name = ''): void =>
    asking.ask(c, key, resource, 'list watch', inside, name);

  const isFromKubelet = asking.engine === 'sluice' && isOn(at(settings, 'kubelet', 'enabled'), false);
  if (isFromKubelet) asking.ask(c, 'kubelet.enabled', asking.podsOfKubelet, 'get');
  else watch('pods', 'pods', namespace);
  if (origins.has('namespace')) watch('extract from namespace', 'namespaces');
  else if (metadata.has('k8s.cluster.uid')) watch('extract.metadata k8s.cluster.uid', 'namespaces', '', 'kube-system');
  if (origins.has('node')) watch('extract from node', 'nodes');
  if (metadata.has('k8s.node.uid')) watch('extract.metadata k8s.node.uid', 'nodes');

  const from = (origin: string, resource: string, of = origin): void => {
    if (origins.has(of)) watch(`extract from ${of}`, resource, namespace);
  };
  from('deployment', 'deployments.apps');
  from('replicaset', 'replicasets.apps');
  from('replicaset', 'replicasets.apps', 'deployment');
  from('statefulset', 'statefulsets.apps');
  from('daemonset', 'daemonsets.apps');
  from('job', 'jobs.batch');
  from('job', 'jobs.batch', 'cronjob');
  from('cronjob', 'cronjobs.batch');
  const uid = (name: string, resource: string): void => {
    if (metadata.has(name)) watch(`extract.metadata ${name}`, resource, namespace);
  };
  uid('k8s.deployment.uid', 'replicasets.apps');
  uid('k8s.cronjob.uid', 'jobs.batch');
  // Versions of otelcol differ in whether they look the Deployment up; without the right, those that do have no name.
  if (asking.engine === 'otelcol-contrib' && !isOn(at(settings, 'extract', 'deployment_name_from_replicaset'), false)) {
    if (metadata.size === 0) watch('extract.metadata', 'replicasets.apps', namespace);
    uid('k8s.deployment.name', 'replicasets.apps');
  }
}

function cluster(c: UsedComponent, asking: Asking): void {
  const { settings } = c;
  if (!isServiceAccount(settings)) return;
  const written = textsOf(settings['namespaces']);
  const namespaces = asking.namespaces(
    c,
    written.length > 0 ? 'namespaces' : 'namespace',
    written.length > 0 ? written : textsOf(settings['namespace']),
  );
  const isOpenShift = textOf(settings['distribution']) === 'openshift';
  for (const kind of isOpenShift ? [...CLUSTER_KINDS, OPENSHIFT_QUOTAS] : CLUSTER_KINDS) {
    if (kind.isClusterWide && namespaces[0] !== '') continue;
    const key = reasonFor(kind, c, asking.engine);
    if (key === undefined) continue;
    const resource = kind.group === '' ? kind.resource : `${kind.resource}.${kind.group}`;
    for (const n of namespaces) asking.ask(c, key, resource, 'list watch', kind.isClusterWide ? '' : n);
  }
}

/** Which key of k8s_cluster makes it look at a kind; undefined: none. */
function reasonFor(kind: ClusterKind, { settings, signals }: UsedComponent, engine: Engine): string | undefined {
  const switches = sectionOf(settings['metrics']);
  const isMetricOn = (name: string, otherwise: boolean): boolean => isOn(at(switches[name], 'enabled'), otherwise);
  if (signals.includes('metrics')) {
    // otelcol looks at every kind but this one, whatever is switched off.
    if (engine === 'otelcol-contrib' && kind.resource !== 'endpointslices') return 'all metrics';
    const own = Object.keys(switches).filter((name) => kind.prefixes.some((p) => name.startsWith(p)));
    if (kind.on.some((name) => isMetricOn(name, true)) || own.some((name) => isMetricOn(name, false))) return 'metrics';
    const conditions = settings['node_conditions_to_report'];
    const reports =
      (conditions === undefined ? 1 : textsOf(conditions).length) +
      textsOf(settings['allocatable_types_to_report']).length;
    if (kind.resource === 'nodes' && reports > 0) return 'node_conditions_to_report';
  }
  return signals.includes('logs') && kind.hasEntity ? 'entity events' : undefined;
}

function objects(c: UsedComponent, asking: Asking): void {
  const { settings } = c;
  if (!isServiceAccount(settings)) return;
  for (const [i, object] of listOf(settings['objects']).entries()) {
    const name = textOf(at(object, 'name'));
    const written = textOf(at(object, 'group'));
    const known = KNOWN_RESOURCES.get(name) ?? [];
    const found = written === '' ? known[0] : known.find((k) => k.group === written);
    if (!found && written === '') {
      asking.problem(
        c,
        `objects.${i}.name`,
        `the API group of ${JSON.stringify(name)} is not known, so no rule can be made for it`,
        'write group beside name, as kubectl api-resources shows it',
      );
      continue;
    }
    const group = found?.group ?? written;
    const resource = group === '' ? name : `${name}.${group}`;
    const isWatch = textOf(at(object, 'mode')) === 'watch';
    const inside = found?.isClusterWide ? [] : textsOf(at(object, 'namespaces'));
    for (const n of asking.namespaces(c, `objects.${i}.namespaces`, inside))
      asking.ask(c, `objects ${name}, ${isWatch ? 'watch' : 'pull'}`, resource, isWatch ? 'list watch' : 'list', n);
    if (listOf(at(object, 'exclude_namespaces')).length > 0 && !found?.isClusterWide)
      asking.ask(c, `objects ${name}, exclude_namespaces`, 'namespaces', 'list');
  }
}

function kubelet(c: UsedComponent, asking: Asking): void {
  const { settings } = c;
  const groups =
    settings['metric_groups'] === undefined ? ['container', 'pod', 'node'] : textsOf(settings['metric_groups']);
  const labels = textsOf(settings['extra_metadata_labels']);
  const isMetricOn = (pattern: RegExp): string | undefined =>
    Object.entries(sectionOf(settings['metrics'])).find(
      ([name, value]) =>
        pattern.test(name) &&
        isOn(at(value, 'enabled'), false) &&
        groups.includes(/^k8s\.pod\./.test(name) ? 'pod' : 'container'),
    )?.[0];
  const typesKey = groups.includes('volume') && labels.includes('k8s.volume.type');
  if (isServiceAccount(settings, 'tls')) {
    asking.ask(c, 'endpoint', 'nodes/stats', 'get');
    const why =
      groups.includes('container') && labels.includes('container.id')
        ? 'extra_metadata_labels container.id'
        : typesKey
          ? 'extra_metadata_labels k8s.volume.type'
          : isMetricOn(/_(?:limit|request)_utilization$/);
    if (why !== undefined) asking.ask(c, why, asking.podsOfKubelet, 'get');
  }
  const api = settings['k8s_api_config'];
  if (api === undefined || api === null || !isServiceAccount(sectionOf(api), 'none')) return;
  const share = isMetricOn(/\.node\.utilization$/);
  if (share !== undefined) asking.ask(c, share, 'nodes', asking.engine === 'sluice' ? 'get' : 'get list watch');
  if (!typesKey) return;
  asking.ask(c, 'extra_metadata_labels k8s.volume.type', 'persistentvolumeclaims', 'get');
  asking.ask(c, 'extra_metadata_labels k8s.volume.type', 'persistentvolumes', 'get');
}
