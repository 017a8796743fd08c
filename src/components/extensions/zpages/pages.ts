/** The pages: HTML without scripts, made anew for every request. */
import type { BuildInfo, ServiceView } from '../../../core/component.ts';

export interface PageInput {
  readonly build: BuildInfo;
  readonly view: ServiceView;
  /** When the extension started, ISO 8601. */
  readonly startedIso: string;
  readonly uptime: string;
  readonly runtime: string;
  readonly platform: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const html = (text: string): string => text.replace(/[&<>"']/g, (c) => ESCAPES[c]!);

const STYLE =
  'body{font:14px/1.5 system-ui,sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}' +
  'td,th{border:1px solid #999;padding:.25em .6em;text-align:left;vertical-align:top}';

function page(title: string, content: string): string {
  const links = ['servicez', 'pipelinez', 'extensionz', 'featurez', 'tracez']
    .map((p) => `<a href="/debug/${p}">${p}</a>`)
    .join(' ');
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>${title}</title><style>${STYLE}</style></head><body><h1>${title}</h1><p>${links}</p>${content}</body></html>\n`;
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  `<table><thead><tr>${head.map((h) => `<th>${html(h)}</th>`).join('')}</tr></thead><tbody>${rows
    .map((r) => `<tr>${r.map((c) => `<td>${html(c)}</td>`).join('')}</tr>`)
    .join('')}</tbody></table>`;

export const PAGES: Readonly<Record<string, (input: PageInput) => string>> = {
  servicez: ({ build, startedIso, uptime, runtime, platform }) =>
    page(
      'Service',
      `<h2>Build</h2>${table(
        ['Property', 'Value'],
        [
          ['Command', build.command],
          ['Description', build.description],
          ['Version', build.version],
        ],
      )}<h2>Runtime</h2>${table(
        ['Property', 'Value'],
        [
          ['Started', startedIso],
          ['Uptime', uptime],
          ['Runtime', runtime],
          ['Platform', platform],
        ],
      )}`,
    ),
  pipelinez: ({ view }) =>
    page(
      'Pipelines',
      table(
        ['Pipeline', 'Signal', 'Receivers', 'Processors', 'Exporters'],
        view.pipelines.map((p) => [
          p.id,
          p.signal,
          p.receivers.join(', '),
          p.processors.join(' → '),
          p.exporters.join(', '),
        ]),
      ),
    ),
  extensionz: ({ view }) =>
    page(
      'Extensions',
      table(
        ['Extension'],
        view.extensions.map((id) => [id]),
      ),
    ),
  featurez: ({ view }) =>
    page(
      'Feature gates',
      table(
        ['Gate', 'Enabled', 'Stage', 'Description'],
        view.gates.map((g) => [g.id, String(g.isEnabled), g.stage, g.description]),
      ),
    ),
  tracez: () =>
    page(
      'Traces',
      '<p>The collector records no spans about itself, so there is nothing to show here. ' +
        'What it counts about itself is served as metrics (service.telemetry.metrics).</p>',
    ),
};
