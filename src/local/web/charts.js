// The page of charts: this machine from the embedded metric store.
import { Chart, formatted } from './chart.js';
import { $, element, every, shape, showStatus, tell } from './common.js';
import { explore, loadMetrics } from './explorer.js';
import { LOOKBACK, prometheus, RANGES_MS, rangeOf, setElapsed, windowNow } from './ranges.js';

const REFRESH_MS = 2500;
const STATUS_MS = 1000;
/** Partitions and what lies on other devices would be counted twice. */
const WHOLE_DISKS = 'device!~"(sd|vd|xvd|hd)[a-z]+[0-9]+|(nvme|mmcblk).+p[0-9]+|(loop|ram|dm-|md|zram|sr).*"';

let isLive = true;

/** The share of each state in all of them, which is all cores; what nobody used is left out. */
function shares(series) {
  const sums = series[0]?.values.map((_, i) => series.reduce((sum, s) => sum + (s.values[i] ?? 0), 0)) ?? [];
  return series
    .filter((s) => s.name !== 'idle' && s.values.some((v) => v))
    .map((s) => ({ ...s, values: s.values.map((v, i) => (v === null || sums[i] <= 0 ? null : (100 * v) / sums[i])) }));
}
const last = (s) => s?.values.findLast((v) => v !== null);
const total = (series) =>
  series.some((s) => last(s) !== undefined) ? series.reduce((sum, s) => sum + (last(s) ?? 0), 0) : undefined;

const PANELS = [
  {
    title: 'CPU',
    unit: 'percent',
    isStacked: true,
    most: 100,
    label: 'state',
    order: ['user', 'system', 'wait', 'softirq', 'nice', 'interrupt', 'steal'],
    query: (rate) => `sum by (state) (rate(system_cpu_time_seconds_total[${rate}]))`,
    change: shares,
    now: (series) => formatted(total(series), 'percent'),
  },
  {
    title: 'Memory',
    unit: 'bytes',
    isStacked: true,
    label: 'state',
    order: ['used', 'cached', 'buffered', 'free'],
    query: () => 'sum by (state) (system_memory_usage_bytes{state=~"used|cached|buffered|free"})',
    // What is free is what is left below the top of the chart.
    top: total,
    change: (series) => series.filter((s) => s.name !== 'free'),
    now: (series, top) =>
      `${formatted(last(series.find((s) => s.name === 'used')), 'bytes')} of ${formatted(top, 'bytes')}`,
  },
  {
    title: 'Load',
    label: '__name__',
    order: ['1 min', '5 min', '15 min'],
    query: () => '{__name__=~"system_cpu_load_average_[0-9]+m"}',
    change: (series) => series.map((s) => ({ ...s, name: s.name.replace(/.*_(\d+)m$/, '$1 min') })),
    now: (series) => formatted(last(series.find((s) => s.name === '1 min')), ''),
  },
  {
    title: 'Network',
    unit: 'bytes/s',
    label: 'direction',
    order: ['receive', 'transmit'],
    query: (rate) => `sum by (direction) (rate(system_network_io_bytes_total{device!="lo"}[${rate}]))`,
    now: (series) => formatted(total(series), 'bytes/s'),
  },
  {
    title: 'Disk',
    unit: 'bytes/s',
    label: 'direction',
    order: ['read', 'write'],
    query: (rate) => `sum by (direction) (rate(system_disk_io_bytes_total{${WHOLE_DISKS}}[${rate}]))`,
    now: (series) => formatted(total(series), 'bytes/s'),
  },
  {
    title: 'Disk busy',
    unit: 'percent',
    most: 100,
    label: 'device',
    order: [],
    query: (rate) => `sum by (device) (rate(system_disk_io_time_seconds_total{${WHOLE_DISKS}}[${rate}]))`,
    change: (series) => series.slice(0, 8).map((s) => ({ ...s, values: s.values.map((v) => v && v * 100) })),
    now: (series) => formatted(Math.max(...series.map((s) => last(s) ?? 0)), 'percent'),
  },
  {
    title: 'Processes',
    isStacked: true,
    label: 'status',
    order: ['running', 'sleeping', 'idle', 'blocked'],
    query: () => 'sum by (status) (system_processes_count)',
    change: (series) => series.filter((s) => s.values.some((v) => v)),
    now: (series) => formatted(total(series), ''),
  },
  {
    title: 'TCP connections',
    label: 'state',
    order: ['established', 'listen', 'time wait', 'close wait'],
    query: () =>
      'sum by (state) (system_network_connections{protocol="tcp",state=~"ESTABLISHED|LISTEN|TIME_WAIT|CLOSE_WAIT"})',
    change: (series) => series.map((s) => ({ ...s, name: s.name.toLowerCase().replace('_', ' ') })),
    now: (series) => formatted(last(series.find((s) => s.name === 'established')), ''),
  },
  {
    title: 'Pods of the cluster',
    isStacked: true,
    label: 'k8s_node_name',
    order: [],
    query: () => 'count by (k8s_node_name) (k8s_pod_phase)',
    // A pod that nobody has placed yet has no node.
    change: (series) => series.map((s) => ({ ...s, name: s.name || 'pending' })),
    now: (series) => formatted(total(series), ''),
  },
  {
    title: 'Memory of the pods here',
    unit: 'bytes',
    isStacked: true,
    label: 'k8s_namespace_name',
    order: [],
    query: () => 'sum by (k8s_namespace_name) (k8s_pod_memory_working_set_bytes)',
    now: (series) => formatted(total(series), 'bytes'),
  },
];

async function drawPanel({ chart, label, order, query, change, now, top }, window) {
  const found = await rangeOf(query(window.rate), window);
  const all = found.series.map((s) => ({ name: s.metric[label] ?? '', values: s.values }));
  const highest = top?.(all);
  const place = (s) => (order.includes(s.name) ? order.indexOf(s.name) : order.length);
  const series = (change?.(all) ?? all)
    .sort((a, b) => place(a) - place(b) || (a.name < b.name ? -1 : 1))
    // A state keeps its colour when another comes or goes.
    .map((s, i) => ({ ...s, colour: order.includes(s.name) ? place(s) : i }));
  chart.update({ times: found.times, series, top: highest }, series.length > 0 ? now(series, highest) : '');
}

/** One bar for each device: the mount point with the shortest name stands for all of it. */
async function drawFileSystems() {
  const { result } = await prometheus('query', {
    query: 'sum by (device, mountpoint, state) (system_filesystem_usage_bytes)',
    lookback_delta: LOOKBACK,
  });
  const mounts = new Map();
  for (const { metric, value } of result) {
    const key = `${metric.device}\n${metric.mountpoint}`;
    const mount = mounts.get(key) ?? { ...metric, used: 0, all: 0 };
    mounts.set(key, mount);
    mount.all += Number(value[1]);
    if (metric.state === 'used') mount.used += Number(value[1]);
  }
  const devices = new Map();
  for (const m of [...mounts.values()].sort((a, b) => a.mountpoint.length - b.mountpoint.length))
    if (m.all > 0 && !devices.has(m.device)) devices.set(m.device, m);
  const shown = [...devices.values()].sort((a, b) => b.all - a.all).slice(0, 6);
  $('filesystems').replaceChildren(
    ...shown.map((m) => {
      const share = m.used / m.all;
      const text = `${formatted(m.used, 'bytes')} of ${formatted(m.all, 'bytes')}`;
      const bar = shape('svg', { viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
      bar.append(
        shape('rect', { class: 'rest', width: 100, height: 8 }),
        shape('rect', { class: share > 0.9 ? 'full' : 'used', width: 100 * share, height: 8 }),
      );
      return element(
        'li',
        { title: m.device },
        element('span', {}, m.mountpoint),
        element('em', {}, `${text}, ${formatted(100 * share, 'percent')}`),
        bar,
      );
    }),
    ...(shown.length === 0 ? [element('li', { class: 'soft' }, 'nothing yet')] : []),
  );
}

async function drawPanels() {
  const window = windowNow();
  await Promise.all([...PANELS.map((p) => drawPanel(p, window)), drawFileSystems()]);
}

async function showHead() {
  setElapsed((await showStatus())?.elapsedMs ?? Infinity);
}

async function showHost() {
  const names = await prometheus('label/host_name/values', {});
  $('host').textContent = names.length === 1 ? names[0] : 'This machine';
}

async function refresh() {
  await Promise.all([drawPanels(), loadMetrics()]);
  await explore();
}

async function redraw() {
  try {
    await refresh();
    if (!$('message').dataset.gone) tell('');
  } catch (error) {
    if (!(error instanceof TypeError)) tell(error.message, true);
  }
}

function setLive(wanted) {
  isLive = wanted;
  $('live').setAttribute('aria-pressed', String(isLive));
  if (isLive) redraw();
}

for (const p of PANELS) {
  p.chart = new Chart(p);
  $('panels').append(p.chart.element);
}
$('panels').append(
  element(
    'figure',
    { class: 'chart' },
    element('figcaption', {}, element('h3', {}, 'File systems')),
    element('ul', { id: 'filesystems' }),
  ),
);

const hash = new URLSearchParams(location.hash.slice(1));
if (RANGES_MS[hash.get('range')]) $('range').value = hash.get('range');

$('range').addEventListener('change', redraw);
$('live').addEventListener('click', () => setLive(!isLive));
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === 'Escape' && isTyping) event.target.blur();
  else if (isTyping) return;
  else if (event.key === '/') $('promql').focus();
  else if (event.key === 'l') setLive(!isLive);
  else return;
  event.preventDefault();
});

showHost().catch(() => {});
await showHead().catch(() => {});
redraw();
every(STATUS_MS, showHead, redraw);
every(
  REFRESH_MS,
  async () => {
    if (isLive && !document.hidden) await refresh();
  },
  redraw,
);
every(10_000, showHost, redraw);
