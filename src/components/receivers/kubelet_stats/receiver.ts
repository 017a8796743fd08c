/** Builds the receiver: clients of the kubelet and the API server, and the scrape loop around the scraper. */
import type { Receiver, ReceiverContext } from '../../../core/component.ts';
import { environment } from '../../../core/environment.ts';
import { ConfigError, messageOf } from '../../../core/errors.ts';
import { scrapeLoop } from '../../../core/scrape.ts';
import { tlsParameters } from '../../../core/tls.ts';
import { anonymousAccess, type Source, serviceAccountAccess } from '../../../kubernetes/access.ts';
import { KubernetesClient } from '../../../kubernetes/client.ts';
import { kubeconfigAccess } from '../../../kubernetes/kubeconfig.ts';
import { type KubeletContext, type KubeletSettings, kubeletClient } from '../../../kubernetes/kubelet.ts';
import type { KubeletStatsConfig } from './index.ts';
import { KubeletScraper } from './scraper.ts';

const USAGE_GATE = 'receiver.kubeletstats.cpuUsageScrapeBased';

export function createKubeletStats(config: KubeletStatsConfig, ctx: ReceiverContext): Receiver {
  const kubernetes: KubeletContext = { env: environment(), clock: ctx.clock, log: ctx.log };
  const scraper = new KubeletScraper({
    config,
    kubelet: kubeletOf(config, kubernetes),
    api: apiOf(config, kubernetes),
    isUsageComputed: ctx.gates?.get(USAGE_GATE) ?? false,
    clock: ctx.clock,
    log: ctx.log,
    build: ctx.build,
  });
  return scrapeLoop(ctx, config, [scraper]);
}

/** What is wrong with files and addresses is wrong with the configuration. */
export function kubeletOf(config: KubeletStatsConfig, ctx: KubeletContext): KubernetesClient {
  const source = (pem: string, file: string): Source | undefined =>
    pem !== '' ? { text: pem } : file !== '' ? { file } : undefined;
  const settings: KubeletSettings = {
    endpoint: config.endpoint,
    authType: config.auth_type,
    context: config.context,
    ca: source(config.ca_pem, config.ca_file),
    cert: source(config.cert_pem, config.cert_file),
    key: source(config.key_pem, config.key_file),
    serverName: config.server_name_override,
    isVerified: !config.insecure_skip_verify,
    parameters: tlsParameters(config),
  };
  return configured(() => kubeletClient(settings, ctx));
}

export function apiOf(config: KubeletStatsConfig, ctx: KubeletContext): KubernetesClient | undefined {
  const api = config.k8s_api_config;
  if (!api) return undefined;
  return configured(() => {
    const access =
      api.auth_type === 'kubeConfig'
        ? kubeconfigAccess(ctx.env, api.context, ctx)
        : api.auth_type === 'none'
          ? anonymousAccess(ctx.env, ctx)
          : serviceAccountAccess(ctx.env, ctx, ctx.serviceAccountDir);
    return new KubernetesClient(access, { name: 'API server' });
  });
}

function configured<T>(make: () => T): T {
  try {
    return make();
  } catch (e) {
    throw e instanceof ConfigError ? e : new ConfigError(messageOf(e), { cause: e });
  }
}
