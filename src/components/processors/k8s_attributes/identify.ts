/** Which pod a resource says it is of, and under which of these identities a pod is found. */
import { isIP } from 'node:net';
import type { ReadonlyValueMap } from '../../../wire/otlp.ts';
import type { K8sAttributesConfig } from './config.ts';
import type { PodFacts } from './facts.ts';
import type { Tags } from './rules.ts';

type Associations = K8sAttributesConfig['pod_association'];
type Association = Associations[number];

export interface Identity {
  readonly key: string;
  /** Names of the sources, for counters: `resource_attribute/k8s.pod.uid`. */
  readonly label: string;
  /** Address from the connection (or what stands for it); ''. */
  readonly connectionIp: string;
  /** The pod that may become known, when its uid, or namespace and name, are among the sources; ''. */
  readonly awaited: string;
}

/** How a pod is awaited that is known by its name only, as alerts of Falco name it. */
export const fullName = (namespace: string, name: string): string => `${namespace}/${name}`;

/** An attribute, when it is a text. */
export function textOf(attributes: ReadonlyValueMap, name: string): string {
  const value = attributes.get(name);
  return typeof value === 'string' ? value : '';
}

const UID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const CONNECTION = 'connection';

/** The identity of a resource, undefined when no association applies. The first that applies decides. */
export function identify(rules: Associations, attributes: ReadonlyValueMap, peer: string): Identity | undefined {
  if (rules.length === 0) {
    const host = textOf(attributes, 'host.name');
    const ip = textOf(attributes, 'k8s.pod.ip') || textOf(attributes, 'ip') || peer || (isIP(host) ? host : '');
    return ip === '' ? undefined : { key: keyOf([ip]), label: CONNECTION, connectionIp: ip, awaited: '' };
  }
  for (const [i, { sources }] of rules.entries()) {
    const values: string[] = [];
    let connectionIp = '';
    const named = new Map<string, string>();
    for (const { from, name } of sources) {
      if (from === CONNECTION) {
        if (peer === '') break;
        connectionIp = peer;
        values.push(peer);
        continue;
      }
      const value = textOf(attributes, name);
      if (value === '' || (name === 'host.name' && !isIP(value))) break;
      named.set(name, value);
      values.push(value);
    }
    if (values.length < sources.length) continue;
    return { key: keyOf(values, i), label: labelOf(sources), connectionIp, awaited: awaitedOf(named) };
  }
  return undefined;
}

function awaitedOf(named: ReadonlyMap<string, string>): string {
  const uid = named.get('k8s.pod.uid');
  if (uid !== undefined) return UID.test(uid) ? uid : '';
  const [namespace, name] = [named.get('k8s.namespace.name'), named.get('k8s.pod.name')];
  return namespace === undefined || name === undefined ? '' : fullName(namespace, name);
}

const keyOf = (values: readonly string[], rule = 0): string => `${rule} ${values.join('\n')}`;

const labelOf = (sources: Association['sources']): string =>
  sources.map((s) => (s.from === CONNECTION ? CONNECTION : `${s.from}/${s.name}`)).join(',');

/**
 * All keys of a pod: one for each association that it has all values of, one for each container where those count. A
 * static pod goes by the uid of its mirror in the API and by its own.
 */
export function keysOf(
  rules: Associations,
  pod: PodFacts,
  attribute: (pod: PodFacts, name: string) => string,
): readonly string[] {
  const keys = keysAs(rules, pod, attribute);
  if (pod.staticUid === '' || pod.staticUid === pod.uid) return keys;
  return [...new Set([...keys, ...keysAs(rules, { ...pod, uid: pod.staticUid }, attribute)])];
}

function keysAs(rules: Associations, pod: PodFacts, attribute: (pod: PodFacts, name: string) => string): string[] {
  const address = pod.isHostNetwork ? '' : pod.ip;
  if (rules.length === 0) return address === '' ? [] : [keyOf([address])];
  const keys: string[] = [];
  for (const [i, { sources }] of rules.entries()) {
    const values: (string | undefined)[] = [];
    for (const { from, name } of sources)
      values.push(
        from === CONNECTION ? address : name === 'container.id' ? undefined : attributeOf(pod, name, attribute),
      );
    if (values.includes('')) continue;
    if (!values.includes(undefined)) keys.push(keyOf(values as string[], i));
    else
      for (const { id } of pod.containers)
        if (id !== '')
          keys.push(
            keyOf(
              values.map((v) => v ?? id),
              i,
            ),
          );
  }
  return keys;
}

function attributeOf(pod: PodFacts, name: string, attribute: (pod: PodFacts, name: string) => string): string {
  switch (name) {
    case 'k8s.namespace.name':
      return pod.namespace;
    case 'k8s.pod.name':
      return pod.name;
    case 'k8s.pod.uid':
      return pod.uid;
    case 'host.name':
    case 'k8s.pod.ip':
      return pod.ip;
    default:
      return attribute(pod, name);
  }
}

export function tagOf(tags: Tags, name: string): string {
  for (let i = 0; i < tags.length; i += 2) if (tags[i] === name) return tags[i + 1]!;
  return '';
}
