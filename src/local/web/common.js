// What the pages of the embedded store share.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(properties)) k.includes('-') || k === 'class' ? e.setAttribute(k, v) : (e[k] = v);
  e.append(...children);
  return e;
}

const SVG = 'http://www.w3.org/2000/svg';
export function shape(tag, attributes, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
}

export const shortNumber = (n) =>
  n < 10_000
    ? String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',')
    : n < 1e6
      ? `${(n / 1e3).toFixed(1)}k`
      : `${(n / 1e6).toFixed(2)}M`;

export const clockOf = (date, seconds = true) =>
  date.toLocaleTimeString(undefined, {
    hour12: false,
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds ? { second: '2-digit' } : {}),
  });

export async function ask(path, parameters = {}) {
  const response = await fetch(`${path}?${new URLSearchParams(parameters)}`);
  if (!response.ok) throw new Error((await response.text()).trim());
  return response.json();
}

export function tell(text, isBad = false) {
  $('message').textContent = text;
  $('message').classList.toggle('bad', isBad);
}

/** Repeats without overlapping; that the store is gone is told, and `recovered` is called when it is back. */
export function every(ms, work, recovered) {
  const turn = async () => {
    try {
      await work();
      if ($('message').dataset.gone) {
        delete $('message').dataset.gone;
        recovered();
      }
    } catch (error) {
      if (error instanceof TypeError) {
        $('message').dataset.gone = 'yes';
        tell('The store does not answer; has it been stopped?', true);
      }
    }
    setTimeout(turn, ms);
  };
  setTimeout(turn, ms);
}

/** The head of every page; resolves to what it shows. */
export async function showStatus() {
  const { view } = await ask('/api/status');
  if (!view) return undefined;
  const { ledger, agent, metrics } = view;
  $('rate').textContent = shortNumber(view.deliveredPerSecond);
  $('read').textContent = shortNumber(ledger.read);
  $('delivered').textContent = shortNumber(ledger.delivered);
  $('inflight').textContent = shortNumber(ledger.inFlight);
  $('lost').textContent = shortNumber(ledger.lost);
  $('lost').className = ledger.lost > 0 ? 'bad' : 'good';
  $('samples').textContent = metrics ? shortNumber(metrics.stored) : '–';
  $('agent').textContent =
    agent.state === 'running'
      ? `${Math.round(agent.rssBytes / 1e6)} MB, ${(agent.cpuShare * 100).toFixed(1)} % CPU`
      : agent.state;
  $('agent').className = agent.state === 'running' ? '' : 'bad';
  return view;
}
