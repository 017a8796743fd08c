/** All rules, in the order in which they are tried. */
import type { LogRule } from './rule.ts';
import { CONFIG_RULES } from './rules-config.ts';
import { DELIVERY_RULES } from './rules-delivery.ts';
import { FILE_RULES } from './rules-files.ts';
import { KUBERNETES_RULES } from './rules-kubernetes.ts';

const last = ['scrape', 'parser', 'files-denied', 'start', 'unmarshal', 'invalid'];
const all: readonly LogRule[] = [...CONFIG_RULES, ...KUBERNETES_RULES, ...FILE_RULES, ...DELIVERY_RULES];

/** Those that only say that something failed come behind those that say why. */
export const LOG_RULES: readonly LogRule[] = [
  ...all.filter((r) => !last.includes(r.id)),
  ...all.filter((r) => last.includes(r.id)),
];
