/** What the terminal shows: a panel that is drawn in place, or one plain line, of the same view. */
import type { LedgerTotals, PointTotals } from './agent-metrics.ts';
import type { AgentState } from './agent-process.ts';

export interface View {
  readonly url: string;
  readonly elapsedMs: number;
  /** Missing with --real. */
  readonly workload?: {
    readonly perSecond: number;
    readonly records: number;
    readonly containers: number;
    readonly rotations: number;
  };
  readonly agent: {
    /** Missing while none runs. */
    readonly pid?: number;
    readonly state: AgentState;
    readonly restarts: number;
    readonly rssBytes: number;
    readonly cpuShare: number;
    readonly bytesPerSecond: number;
  };
  readonly ledger: LedgerTotals;
  readonly readPerSecond: number;
  readonly deliveredPerSecond: number;
  readonly stored: number;
  /** Missing without a cluster. */
  readonly gateway?: {
    readonly state: AgentState;
    readonly restarts: number;
    readonly rssBytes: number;
    readonly cpuShare: number;
    readonly ledger: LedgerTotals;
    readonly cluster: { readonly nodes: number; readonly pods: number; readonly events: number };
  };
  /** Missing when nothing is measured. */
  readonly metrics?: {
    readonly points: PointTotals;
    readonly stored: number;
    readonly series: number;
    readonly perSecond: number;
  };
}

export interface Style {
  readonly columns: number;
  readonly isColoured: boolean;
}

export const thousands = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');

export function elapsed(ms: number): string {
  const s = Math.floor(ms / 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  return s < 3600
    ? `${Math.floor(s / 60)}:${two(s % 60)}`
    : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
}

const size = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

type Colour = 'bold' | 'dim' | 'green' | 'red' | 'yellow' | 'cyan';
const CODES: Readonly<Record<Colour, number>> = { bold: 1, dim: 2, green: 32, red: 31, yellow: 33, cyan: 36 };

interface Piece {
  readonly text: string;
  readonly colour?: Colour;
}

const piece = (text: string, colour?: Colour): Piece => (colour ? { text, colour } : { text });

/** Never wider than the terminal, or it would wrap and could not be drawn over. */
function line(pieces: readonly Piece[], style: Style): string {
  let left = style.columns - 1;
  let out = '';
  for (const p of pieces) {
    if (left <= 0) break;
    const text = p.text.length > left ? `${p.text.slice(0, left - 1)}…` : p.text;
    left -= text.length;
    out += style.isColoured && p.colour ? `\x1b[${CODES[p.colour]}m${text}\x1b[0m` : text;
  }
  return out;
}

const lostPieces = (ledger: LedgerTotals): Piece =>
  piece(`${thousands(ledger.lost)} lost`, ledger.lost > 0 ? 'red' : 'green');

export function panel(view: View, style: Style): string[] {
  const { workload, agent, ledger } = view;
  const name = (text: string): Piece => piece(`  ${text.padEnd(10)}`, 'dim');
  const rate = (n: number, what = 'lines'): Piece => piece(`${thousands(n).padStart(7)} ${what}/s  `);
  const lines: Piece[][] = [
    [
      piece('Sluice', 'bold'),
      piece('  '),
      piece(view.url, 'cyan'),
      piece(`  ${elapsed(view.elapsedMs)}  `),
      piece('Ctrl-C stops and checks', 'dim'),
    ],
  ];
  if (workload)
    lines.push([
      name('workload'),
      rate(workload.perSecond),
      piece(`${thousands(workload.records)} written`),
      piece(`  ${workload.containers} containers, ${workload.rotations} rotations`, 'dim'),
    ]);
  const restartsOf = (n: number): string => (n ? `, ${n} restart${n > 1 ? 's' : ''}` : '');
  const restarts = restartsOf(agent.restarts);
  lines.push(
    agent.state === 'running'
      ? [
          name('agent'),
          rate(view.readPerSecond),
          piece(`${size(agent.rssBytes)} memory, ${(agent.cpuShare * 100).toFixed(1)} % of a core`),
          piece(`  ${size(agent.bytesPerSecond)}/s${restarts}`, 'dim'),
        ]
      : [name('agent'), piece(`${agent.state}${restarts}`, 'yellow')],
    [name('store'), rate(view.deliveredPerSecond), piece(`${thousands(view.stored)} records`)],
    [
      name('ledger'),
      piece(`${thousands(ledger.read)} read = ${thousands(ledger.delivered)} delivered`),
      ...(ledger.queued ? [piece(` + ${thousands(ledger.queued)} queued`)] : []),
      piece(` + ${thousands(ledger.filtered)} filtered + ${thousands(ledger.inFlight)} in flight + `),
      lostPieces(ledger),
    ],
  );
  if (view.gateway) {
    const { state, rssBytes, cpuShare, ledger: events, cluster } = view.gateway;
    lines.push([
      name('gateway'),
      ...(state === 'running'
        ? [
            piece(`${thousands(events.delivered).padStart(7)} of ${thousands(cluster.events)} events  `),
            piece(`${size(rssBytes)} memory, ${(cpuShare * 100).toFixed(1)} % of a core`),
          ]
        : [piece(`${state}  `, 'yellow')]),
      piece(`  ${cluster.nodes} nodes, ${cluster.pods} pods${restartsOf(view.gateway.restarts)}`, 'dim'),
      ...(events.lost > 0 ? [piece('  '), lostPieces(events)] : []),
    ]);
  }
  if (view.metrics) {
    const { points, stored, series, perSecond } = view.metrics;
    lines.push([
      name('metrics'),
      rate(perSecond, 'points'),
      piece(`${thousands(points.accepted)} accepted, ${thousands(stored)} stored, `),
      piece(`${thousands(points.failed)} failed`, points.failed > 0 ? 'red' : 'green'),
      piece(`  ${thousands(series)} series`, 'dim'),
    ]);
  }
  return lines.map((l) => line(l, style));
}

export function plainLine(view: View): string {
  const { workload, agent, ledger } = view;
  const parts = [
    elapsed(view.elapsedMs),
    ...(workload ? [`written ${thousands(workload.records)}`] : []),
    `read ${thousands(ledger.read)}`,
    `delivered ${thousands(ledger.delivered)}`,
    `filtered ${thousands(ledger.filtered)}`,
    `in flight ${thousands(ledger.inFlight)}`,
    `lost ${thousands(ledger.lost)}`,
    `${thousands(view.deliveredPerSecond)} lines/s`,
    ...(view.metrics ? [`samples ${thousands(view.metrics.stored)}`] : []),
    agent.state === 'running' ? `agent ${size(agent.rssBytes)}` : `agent ${agent.state}`,
    ...(view.gateway
      ? [
          `gateway ${view.gateway.state === 'running' ? size(view.gateway.rssBytes) : view.gateway.state}`,
          `events ${thousands(view.gateway.ledger.delivered)}`,
        ]
      : []),
  ];
  return parts.join('  ');
}

/** Draws a panel over the last one; texts that are said meanwhile stay above it. */
export class Screen {
  readonly #out: { write(text: string): unknown };
  #height = 0;

  constructor(out: { write(text: string): unknown }) {
    this.#out = out;
  }

  draw(lines: readonly string[]): void {
    this.#out.write(`${this.#clear()}${lines.join('\n')}\n`);
    this.#height = lines.length;
  }

  say(text: string): void {
    this.#out.write(`${this.#clear()}${text}\n`);
    this.#height = 0;
  }

  #clear(): string {
    return this.#height > 0 ? `\x1b[${this.#height}A\x1b[J` : '';
  }
}
