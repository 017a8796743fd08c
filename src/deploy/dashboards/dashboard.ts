/** A Grafana dashboard from rows of panels, and their layout on the grid. */
import type { Json } from '../config.ts';
import { COLUMNS, type Fields, LOGS, type Panel, type Shown } from './grafana.ts';
import { LOGS_VARIABLE, type Variable } from './variables.ts';

const SCHEMA_VERSION = 39;

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly isCollapsed?: boolean;
}

export const row = (title: string, panels: readonly Panel[], isCollapsed = false): Row => ({
  title,
  panels,
  isCollapsed,
});

export interface DashboardOptions {
  readonly uid: string;
  readonly title: string;
  readonly about: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
  readonly from?: string;
  readonly refresh?: string;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly json: Fields;
}

/** All dashboards carry it; it is how they link to each other. */
export const TAG = 'sluice';

/** @param shown leaves out the rest; what is left fills the lines */
export function dashboard(o: DashboardOptions, shown?: Shown): Dashboard {
  const rows = shown
    ? o.rows
        .map((r) => ({ ...r, panels: r.panels.flatMap((p) => p.only(shown) ?? []) }))
        .filter((r) => r.panels.length > 0)
    : o.rows;
  const hasLogs = rows.some((r) => r.panels.some((p) => p.json['datasource'] === LOGS));
  return {
    uid: o.uid,
    title: o.title,
    json: {
      id: null,
      uid: o.uid,
      title: o.title,
      description: o.about,
      tags: [TAG, 'kubernetes', 'opentelemetry'],
      timezone: 'browser',
      editable: true,
      graphTooltip: 1,
      fiscalYearStartMonth: 0,
      weekStart: '',
      liveNow: false,
      version: 1,
      schemaVersion: SCHEMA_VERSION,
      refresh: o.refresh ?? '1m',
      time: { from: o.from ?? 'now-3h', to: 'now' },
      timepicker: {},
      annotations: { list: [] },
      links: [
        {
          type: 'dashboards',
          title: 'Dashboards',
          tags: [TAG],
          asDropdown: false,
          includeVars: true,
          keepTime: true,
          targetBlank: false,
          icon: 'external link',
          tooltip: '',
          url: '',
        },
      ],
      templating: { list: o.variables.filter((v) => v !== LOGS_VARIABLE || hasLogs).map((v) => v.json) },
      panels: place(rows),
    },
  };
}

/** From left to right and top to bottom; panels of a collapsed row are inside of it. */
function place(rows: readonly Row[]): Json[] {
  const panels: Json[] = [];
  let id = 0;
  let y = 0;
  for (const r of rows) {
    const head: Fields = {
      id: ++id,
      type: 'row',
      title: r.title,
      collapsed: r.isCollapsed === true,
      gridPos: { x: 0, y: y++, w: COLUMNS, h: 1 },
      panels: [],
    };
    const top = y;
    const placed = linesOf(r.panels).flatMap((line) => {
      const total = line.reduce((sum, p) => sum + p.width, 0);
      // A line that misses panels is stretched.
      const column = (width: number): number => Math.round((width * COLUMNS) / total);
      let width = 0;
      const made = line.map((p): Fields => {
        const x = column(width);
        width += p.width;
        return { id: ++id, gridPos: { x, y, w: column(width) - x, h: p.height }, ...p.json };
      });
      y += line[0]!.height;
      return made;
    });
    if (r.isCollapsed) {
      panels.push({ ...head, panels: placed });
      y = top;
    } else {
      panels.push(head, ...placed);
    }
  }
  return panels;
}

/** Panels beside each other are equally high. */
function linesOf(panels: readonly Panel[]): Panel[][] {
  const lines: Panel[][] = [];
  let width = 0;
  for (const p of panels) {
    const line = lines.at(-1);
    if (line && width + p.width <= COLUMNS && line[0]!.height === p.height) {
      line.push(p);
      width += p.width;
    } else {
      lines.push([p]);
      width = p.width;
    }
  }
  return lines;
}
