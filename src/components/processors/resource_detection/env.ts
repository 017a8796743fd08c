/** Detector env: resource attributes from an environment variable. */
import type { Environment } from '../../../core/environment.ts';
import type { ValueMap } from '../../../wire/otlp.ts';
import type { ResourceDetectionConfig } from './index.ts';

export function detectEnv(config: ResourceDetectionConfig['env'], env: Environment): ValueMap {
  const text = (env['OTEL_RESOURCE_ATTRIBUTES'] ?? '').trim() || (env['OTEL_RESOURCE'] ?? '').trim();
  const found: ValueMap = new Map();
  if (text === '') return found;
  const included = config.attributes.included.map(wildcard);
  const excluded = config.attributes.excluded.map(wildcard);
  for (const pair of text.replace(/,\s*$/, '').split(',')) {
    const m = PAIR.exec(pair);
    // The text may hold what nobody should read in a log, so the message does not repeat it.
    if (!m) throw new Error('invalid resource format: expected key=value pairs, comma-separated, in ASCII');
    const key = m[1]!;
    if (included.length > 0 && !included.some((p) => p.test(key))) continue;
    if (excluded.some((p) => p.test(key))) continue;
    found.set(key, unescapeQuery(m[2]!, key));
  }
  return found;
}

const PAIR = /^\s*([!-<>-~](?:[ -<>-~]{0,254}[!-<>-~])?)\s*=\s*([ -~]*?)\s*$/;

/** As Go's url.QueryUnescape: + is a blank, %xx a byte, anything else after % is an error. */
function unescapeQuery(text: string, key: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) throw new Error(`invalid resource format in attribute: ${key}: bad % escape`);
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === '%') {
      bytes.push(Number.parseInt(text.slice(i + 1, i + 3), 16));
      i += 2;
    } else bytes.push(c === '+' ? 32 : c.charCodeAt(0));
  }
  return Buffer.from(bytes).toString('utf8');
}

export function wildcard(pattern: string): RegExp {
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${text}$`, 's');
}
