/** What this build calls itself. */

import manifest from '../../package.json' with { type: 'json' };
import type { BuildInfo } from '../core/component.ts';

export const BUILD: BuildInfo = {
  command: 'sluice',
  description: manifest.description,
  version: manifest.version,
};

/** The release of otelcol-contrib whose configuration and behaviour we match. */
export const COMPATIBLE = '0.149';

export const versionLine = (): string => `${BUILD.command} version ${BUILD.version} (otelcol ${COMPATIBLE} compatible)`;
