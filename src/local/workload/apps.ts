/** What the demo's containers say: each app gives the next records of its log, one text per line it prints. */

export interface Line {
  readonly text: string;
  readonly stream: 'stdout' | 'stderr';
}

export interface App {
  readonly namespace: string;
  /** Pods are named after it: `web-7f9c6d5b44-x2k8p`, or `falco-x2k8p` where every node has one. */
  readonly name: string;
  readonly kind: 'Deployment' | 'DaemonSet';
  readonly container: string;
  readonly image: string;
  readonly replicas: number;
  /** Share of the whole rate. */
  readonly weight: number;
  /** The lines of one event: a stack trace is many, an access line one. */
  readonly next: (random: Random, nowMs: number, n: number) => Line[];
}

/** Uniform in [0, 1); seeded, so that tests see the same log. */
export type Random = () => number;

export function seeded(seed: number): Random {
  let s = seed >>> 0;
  return () => {
    s = (s + 0x6d2b79f5) >>> 0;
    let t = Math.imul(s ^ (s >>> 15), s | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
const between = (random: Random, low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
const hex = (random: Random, digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join('');
const out = (text: string): Line => ({ text, stream: 'stdout' });
const err = (text: string): Line => ({ text, stream: 'stderr' });
const two = (n: number): string => String(n).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const PATHS = [
  '/',
  '/cart',
  '/api/products?page=2',
  '/api/products/1842',
  '/checkout',
  '/static/app.9f3c.js',
  '/login',
  '/healthz',
];
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
  'curl/8.14.1',
  'kube-probe/1.34',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0)',
];

function nginx(random: Random, nowMs: number): Line[] {
  const d = new Date(nowMs);
  const when = `${two(d.getUTCDate())}/${MONTHS[d.getUTCMonth()]}/${d.getUTCFullYear()}:${d.toISOString().slice(11, 19)} +0000`;
  const roll = random();
  const path = pick(random, PATHS);
  if (roll < 0.01)
    return [
      err(
        `${d.toISOString().slice(0, 19).replaceAll('-', '/').replace('T', ' ')} [error] 31#31: *${between(random, 1000, 99_999)} upstream timed out (110: Connection timed out) while reading response header from upstream, client: 10.42.${between(random, 0, 3)}.${between(random, 2, 250)}, server: _, request: "GET ${path} HTTP/1.1", upstream: "http://10.43.18.7:8080${path}"`,
      ),
    ];
  const status = roll < 0.03 ? 502 : roll < 0.09 ? 404 : roll < 0.2 ? 304 : 200;
  return [
    out(
      `10.42.${between(random, 0, 3)}.${between(random, 2, 250)} - - [${when}] "GET ${path} HTTP/1.1" ${status} ${between(random, 120, 48_000)} "-" "${pick(random, AGENTS)}" ${(random() * 0.4).toFixed(3)}`,
    ),
  ];
}

function checkout(random: Random, nowMs: number, n: number): Line[] {
  const base = {
    ts: new Date(nowMs).toISOString(),
    service: 'checkout',
    trace_id: hex(random, 32),
    order: `ord-${100_000 + n}`,
  };
  const roll = random();
  if (roll < 0.03)
    return [
      out(
        JSON.stringify({
          ...base,
          level: 'error',
          msg: 'payment declined by provider',
          code: 'insufficient_funds',
          attempt: between(random, 1, 3),
        }),
      ),
    ];
  if (roll < 0.1)
    return [
      out(
        JSON.stringify({
          ...base,
          level: 'warn',
          msg: 'inventory service slow',
          elapsed_ms: between(random, 900, 4000),
        }),
      ),
    ];
  if (roll < 0.3)
    return [
      out(
        JSON.stringify({
          ...base,
          level: 'debug',
          msg: 'cache lookup',
          key: `cart:${hex(random, 8)}`,
          hit: random() < 0.8,
        }),
      ),
    ];
  return [
    out(
      JSON.stringify({
        ...base,
        level: 'info',
        msg: 'order placed',
        amount: Number((random() * 400 + 5).toFixed(2)),
        currency: pick(random, ['EUR', 'USD', 'CZK']),
        items: between(random, 1, 9),
      }),
    ),
  ];
}

const FRAMES = [
  'com.example.orders.OrderService.reserve(OrderService.java:142)',
  'com.example.orders.OrderController.create(OrderController.java:57)',
  'java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:104)',
  'org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:259)',
  'org.springframework.web.servlet.FrameworkServlet.service(FrameworkServlet.java:885)',
  'org.apache.catalina.core.ApplicationFilterChain.doFilter(ApplicationFilterChain.java:140)',
  'java.base/java.lang.Thread.run(Thread.java:1583)',
];

function orders(random: Random, nowMs: number): Line[] {
  const when = new Date(nowMs).toISOString().replace('T', ' ').slice(0, 23);
  const thread = `[nio-8080-exec-${between(random, 1, 10)}]`;
  if (random() < 0.02)
    return [
      out(`${when} ERROR 1 --- ${thread} c.e.orders.OrderController : could not place order`),
      out(`java.lang.IllegalStateException: stock of sku-${between(random, 100, 999)} is below zero`),
      ...FRAMES.map((f) => out(`\tat ${f}`)),
      out('Caused by: org.postgresql.util.PSQLException: ERROR: new row violates check constraint "stock_positive"'),
      ...FRAMES.slice(0, 3).map((f) => out(`\tat ${f}`)),
      out('\t... 42 more'),
    ];
  const level = random() < 0.06 ? ' WARN' : ' INFO';
  return [
    out(
      `${when} ${level} 1 --- ${thread} c.e.orders.OrderService : ${level === ' WARN' ? 'retrying reservation' : 'reserved'} sku-${between(random, 100, 999)} x${between(random, 1, 5)} in ${between(random, 2, 80)} ms`,
    ),
  ];
}

function recommender(random: Random, nowMs: number): Line[] {
  const when = new Date(nowMs).toISOString().replace('T', ' ').slice(0, 19);
  if (random() < 0.03)
    return [
      err(`${when} ERROR recommender.worker: scoring failed`),
      err('Traceback (most recent call last):'),
      err('  File "/app/recommender/worker.py", line 88, in run'),
      err('    scores = model.predict(batch)'),
      err('  File "/app/recommender/model.py", line 31, in predict'),
      err('    return self.weights @ features'),
      err(`ValueError: matmul: size ${between(random, 60, 70)} is different from 64`),
    ];
  return [
    out(
      `${when} INFO recommender.worker: scored ${between(random, 10, 500)} products for user ${between(random, 1, 9999)} in ${(random() * 90).toFixed(1)} ms`,
    ),
  ];
}

const KLOG = [
  (r: Random) => `"Successfully assigned pod" pod="shop/web-${hex(r, 5)}" node="node-${between(r, 1, 3)}"`,
  (r: Random) => `"Reconciling" controller="deployment" object="shop/web" generation=${between(r, 1, 40)}`,
  (r: Random) => `"Watch closed, restarting" err="too old resource version: ${between(r, 100_000, 999_999)}"`,
];

function controller(random: Random, nowMs: number): Line[] {
  const d = new Date(nowMs);
  const level = pick(random, ['I', 'I', 'I', 'I', 'I', 'I', 'W', 'E']);
  return [
    err(
      `${level}${two(d.getUTCMonth() + 1)}${two(d.getUTCDate())} ${d.toISOString().slice(11, 23)}000       1 controller.go:${between(random, 80, 420)}] ${pick(random, KLOG)(random)}`,
    ),
  ];
}

const RULES: readonly [string, string, string][] = [
  ['Terminal shell in container', 'Notice', 'A shell was spawned in a container with an attached terminal'],
  ['Read sensitive file untrusted', 'Warning', 'Sensitive file opened for reading by non-trusted program'],
  ['Write below etc', 'Error', 'File below /etc opened for writing'],
  ['Contact K8S API Server From Container', 'Notice', 'Unexpected connection to K8s API Server from container'],
  ['Drop and execute new binary in container', 'Critical', 'Executing binary not part of base image'],
];

function falco(random: Random, nowMs: number): Line[] {
  const time = new Date(nowMs).toISOString().replace('Z', '123456Z');
  if (random() < 0.3)
    return [
      err(
        `${time.slice(0, 19)}+0000: Informational Falco internal: syscall event drop, ${between(random, 0, 4)} system calls dropped in last second.`,
      ),
    ];
  const [rule, priority, text] = pick(random, RULES);
  const id = hex(random, 12);
  return [
    out(
      JSON.stringify({
        hostname: `node-${between(random, 1, 3)}`,
        output: `${time}: ${priority} ${text} (user=root command=sh -c id container_id=${id} container_name=web k8s_ns=shop k8s_pod=web-7f9c6d5b44-x2k8p)`,
        output_fields: {
          'container.id': id,
          'evt.time': nowMs * 1e6,
          'k8s.ns.name': 'shop',
          'proc.cmdline': 'sh -c id',
          'user.name': 'root',
        },
        priority,
        rule,
        source: 'syscall',
        tags: ['T1059', 'container', 'mitre_execution'],
        time,
      }),
    ),
  ];
}

/** Lines longer than the 16 KiB that a runtime writes in one piece. */
function exporter(random: Random, nowMs: number, n: number): Line[] {
  const rows = random() < 0.25 ? between(random, 300, 900) : between(random, 1, 4);
  const list = Array.from({ length: rows }, (_, i) => ({
    id: n * 1000 + i,
    sku: `sku-${between(random, 100, 999)}`,
    stock: between(random, 0, 500),
  }));
  return [
    out(JSON.stringify({ time: new Date(nowMs).toISOString(), level: 'info', msg: 'nightly export', rows, list })),
  ];
}

export const APPS: readonly App[] = [
  {
    namespace: 'shop',
    name: 'web',
    kind: 'Deployment',
    container: 'nginx',
    image: 'docker.io/library/nginx:1.29.4',
    replicas: 3,
    weight: 40,
    next: nginx,
  },
  {
    namespace: 'shop',
    name: 'checkout',
    kind: 'Deployment',
    container: 'checkout',
    image: 'registry.example/shop/checkout:2.14.0',
    replicas: 2,
    weight: 25,
    next: checkout,
  },
  {
    namespace: 'shop',
    name: 'orders',
    kind: 'Deployment',
    container: 'orders',
    image: 'registry.example/shop/orders:5.3.1',
    replicas: 2,
    weight: 18,
    next: orders,
  },
  {
    namespace: 'shop',
    name: 'recommender',
    kind: 'Deployment',
    container: 'worker',
    image: 'registry.example/shop/recommender:0.9.7',
    replicas: 1,
    weight: 8,
    next: recommender,
  },
  {
    namespace: 'kube-system',
    name: 'controller',
    kind: 'Deployment',
    container: 'manager',
    image: 'registry.example/platform/controller:1.8.2',
    replicas: 1,
    weight: 6,
    next: controller,
  },
  {
    namespace: 'falco',
    name: 'falco',
    kind: 'DaemonSet',
    container: 'falco',
    image: 'docker.io/falcosecurity/falco:0.42.1',
    replicas: 1,
    weight: 2,
    next: falco,
  },
  {
    namespace: 'batch',
    name: 'export',
    kind: 'Deployment',
    container: 'export',
    image: 'registry.example/batch/export:3.0.0',
    replicas: 1,
    weight: 1,
    next: exporter,
  },
];
