/** Masking of secrets and personal data in logs. */
import type { Json } from '../config.ts';
import { escapeDollar } from '../draft.ts';
import type { Redaction } from './options.ts';

export const redaction = ({ detectors = [], patterns = [], keys = [] }: Redaction): Json => ({
  allow_all_keys: true,
  ...(patterns.length > 0 ? { blocked_values: patterns.map(escapeDollar) } : {}),
  ...(keys.length > 0 ? { blocked_key_patterns: keys.map(escapeDollar) } : {}),
  ...(detectors.length > 0 ? { detectors } : {}),
  summary: 'silent',
});
