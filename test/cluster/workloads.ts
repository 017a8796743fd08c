/** Objects that tests create: containers that write a numbered line again and again. */
export interface TickerOptions {
  readonly everyMs?: number;
  readonly container?: string;
  readonly resources?: object;
}

export const ticker = ({ everyMs = 200, container = 'ticker', resources }: TickerOptions = {}) => ({
  name: container,
  image: 'localhost/ticker:1',
  imagePullPolicy: 'Never',
  args: ['-every', `${everyMs}ms`, '-complain', '0'],
  ...(resources ? { resources } : {}),
});

const template = (app: string, containers: readonly object[]) => ({
  metadata: { labels: { app } },
  spec: { terminationGracePeriodSeconds: 1, containers },
});

export const deployment = (namespace: string, name: string, replicas: number, ...containers: object[]) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace, labels: { app: name } },
  spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name, containers) },
});

export const pod = (namespace: string, name: string, ...containers: object[]) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: name } },
  spec: { terminationGracePeriodSeconds: 1, containers },
});
