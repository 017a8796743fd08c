/** Rights of what looks for things to talk to: otelcol has such components, and its configurations may use them. */
import { at, isOn, listOf, sectionOf, textOf, textsOf, type UsedComponent } from './used-components.ts';

/** Asks for list and watch of a resource, for a key of the configuration. */
type Ask = (key: string, resource: string, namespace?: string) => void;

const SLICES = 'endpointslices.discovery.k8s.io';
const INGRESSES = 'ingresses.networking.k8s.io';

/** Role of kubernetes_sd_configs → what it watches. */
const ROLES: Readonly<Record<string, readonly string[]>> = {
  pod: ['pods'],
  service: ['services'],
  endpoints: ['endpoints', 'services', 'pods'],
  endpointslice: [SLICES, 'services', 'pods'],
  node: ['nodes'],
  ingress: [INGRESSES],
};

export const DISCOVERY: Readonly<Record<string, (c: UsedComponent, ask: Ask) => void>> = {
  k8s_observer({ settings }, ask) {
    if ((textOf(settings['auth_type']) || 'serviceAccount') !== 'serviceAccount') return;
    const namespaces = textsOf(settings['namespaces']);
    const observe = (key: string, resource: string, otherwise: boolean, isClusterWide = false): void => {
      if (!isOn(settings[key], otherwise)) return;
      for (const n of isClusterWide || namespaces.length === 0 ? [''] : namespaces) ask(key, resource, n);
    };
    observe('observe_pods', 'pods', true);
    observe('observe_nodes', 'nodes', false, true);
    observe('observe_services', 'services', false);
    observe('observe_ingresses', INGRESSES, false);
  },
  prometheus({ settings }, ask) {
    for (const job of listOf(at(settings, 'config', 'scrape_configs')))
      for (const discovery of listOf(at(job, 'kubernetes_sd_configs'))) {
        const { role, api_server: server, kubeconfig_file: kubeconfig } = sectionOf(discovery);
        if (textOf(server) !== '' || textOf(kubeconfig) !== '') continue;
        const key = `kubernetes_sd_configs ${textOf(role)}`;
        const named = textsOf(at(discovery, 'namespaces', 'names'));
        for (const resource of ROLES[textOf(role)] ?? [])
          for (const n of named.length > 0 && resource !== 'nodes' ? named : ['']) ask(key, resource, n);
        if (isOn(at(discovery, 'attach_metadata', 'node'), false)) ask(key, 'nodes');
        if (isOn(at(discovery, 'attach_metadata', 'namespace'), false)) ask(key, 'namespaces');
      }
  },
  load_balancing({ settings }, ask) {
    const service = textOf(at(settings, 'resolver', 'k8s', 'service'));
    if (service !== '') ask('resolver.k8s.service', SLICES, service.split('.')[1] ?? 'default');
  },
};
