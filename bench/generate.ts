/**
 * Writes the input of the benchmarks: files as the kubelet lays them out under /var/log/pods, with lines in the
 * container runtime's format. Bodies are a mix of JSON, access log, Java and klog, or one of these alone. The same seed
 * gives the same bytes, 208 a line on average (JSON only: 274, nginx: 282, Java with stack traces: 133).
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export type BodyKind = 'mixed' | 'json' | 'nginx' | 'java';

export interface PodLogs {
  readonly lines: number;
  readonly pods: number;
  readonly kind: BodyKind;
}

/** Records that a collector makes of `logs`: lines, but of Java what belongs together is one record. */
export function recordsOf(logs: PodLogs): number {
  if (logs.kind !== 'java') return logs.lines;
  const perPod = Math.floor(logs.lines / logs.pods);
  const whole = Math.floor(perPod / JAVA_LINES);
  let records = whole * JAVA_RECORDS;
  for (let i = whole * JAVA_LINES; i < perPod; i++) if (startsJavaRecord(i)) records++;
  return records * logs.pods;
}

/** Of so many lines the first ones are records of their own, the rest is one with its stack trace. */
const JAVA_LINES = 16;
const JAVA_RECORDS = 5;
const startsJavaRecord = (i: number): boolean => i % JAVA_LINES < JAVA_RECORDS;

/** Deterministic 32-bit generator (mulberry32): uniform integers below `n`. */
export function seededRandom(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * n);
  };
}

const two = (n: number): string => (n < 10 ? `0${n}` : String(n));
const pad = (n: number, width: number): string => String(n).padStart(width, '0');

/** The directory with these logs below `cache`, written when it is not there yet. */
export function podLogs(cache: string, logs: PodLogs): string {
  const dir = join(cache, `pods-${logs.kind}-${logs.lines}x${logs.pods}`);
  if (existsSync(dir)) return dir;
  const unfinished = `${dir}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  const random = seededRandom(7);
  const perPod = Math.floor(logs.lines / logs.pods);
  for (let pod = 0; pod < logs.pods; pod++) writePod(unfinished, pod, perPod, logs.kind, random);
  renameSync(unfinished, dir);
  return dir;
}

function writePod(root: string, pod: number, lines: number, kind: BodyKind, random: (n: number) => number): void {
  const hex = (digits: number): string => {
    let s = '';
    for (let i = 0; i < digits; i++) s += random(16).toString(16);
    return s;
  };
  const uid = `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`;
  const dir = join(root, `ns-${pod % 5}_app-${pod}-7d9c5b6f4-x${pad(pod, 4)}_${uid}`, 'app');
  mkdirSync(dir, { recursive: true });
  const fd = openSync(join(dir, '0.log'), 'w');
  let text = '';
  for (let i = 0; i < lines; i++) {
    const second = Math.floor(i / 2000);
    const time = `2026-11-22T10:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}.${pad((i * 48271) % 1e9, 9)}Z`;
    const stream = kind === 'java' || i % 7 !== 0 ? 'stdout' : 'stderr';
    text += `${time} ${stream} F ${body(i, time, kind, random, hex)}\n`;
    if (text.length > 1 << 20) {
      writeSync(fd, text);
      text = '';
    }
  }
  writeSync(fd, text);
  closeSync(fd);
}

function body(
  i: number,
  time: string,
  kind: BodyKind,
  random: (n: number) => number,
  hex: (digits: number) => string,
): string {
  const second = two(i % 60);
  const request = (): string =>
    `"msg": "handled request", "method": "GET", "path": "/api/v1/users/${random(1e6)}/orders", "status": 200, ` +
    `"duration_ms": ${random(100)}.${1 + random(9)}${pad(random(1e6), 6)}${pad(random(1e7), 7)}1, "trace_id": "${hex(32)}"}`;
  if (kind === 'json') {
    const level = ['info', 'warn', 'error'][random(3)];
    return `{"level": "${level}", "time": "2026-11-22T10:00:00.123Z", ${request()}`;
  }
  if (kind === 'nginx') return nginxLine(time, random);
  if (kind === 'java') return javaLine(i, time, random);
  switch (i % 4) {
    case 0: {
      const level = ['info', 'warn', 'error', 'debug'][random(4)];
      return `{"level": "${level}", "ts": "2026-11-22T10:00:${second}.${pad(i % 1000, 3)}Z", ${request()}`;
    }
    case 1:
      return (
        `10.42.${random(255)}.${random(255)} - - [22/Nov/2026:10:00:${second} +0000] "GET /static/js/app.${random(9999)}.js` +
        ` HTTP/1.1" 200 ${random(90000)} "https://example.com/" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"`
      );
    case 2:
      return `INFO  [main] c.e.s.OrderService - Order ${random(1e8)} processed for customer ${random(1e6)} in ${random(500)}ms`;
    default:
      return (
        `E1122 10:00:${second}.${pad(i % 1e6, 6)}       1 reflector.go:150] Failed to watch *v1.Pod: failed to list *v1.Pod: ` +
        'Get "https://10.96.0.1:443/api/v1/pods?limit=500": dial tcp 10.96.0.1:443: i/o timeout'
      );
  }
}

const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE'];
const STATUSES = [200, 200, 200, 200, 204, 301, 304, 404, 404, 500, 502];
const AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0',
  'kube-probe/1.33',
  'curl/8.14.1',
];

/** The `combined` format; the request is logged when the runtime sees the line. */
function nginxLine(time: string, random: (n: number) => number): string {
  const day = `${time.slice(8, 10)}/Nov/${time.slice(0, 4)}:${time.slice(11, 19)} +0000`;
  const referer = random(3) === 0 ? '-' : `https://shop.example.com/category/${random(400)}`;
  return (
    `10.42.${random(255)}.${random(255)} - ${random(4) === 0 ? `user${random(1000)}` : '-'} [${day}] ` +
    `"${METHODS[random(METHODS.length)]} /api/v1/products/${random(1e5)}?page=${random(50)} HTTP/1.1" ` +
    `${STATUSES[random(STATUSES.length)]} ${random(90000)} "${referer}" "${AGENTS[random(AGENTS.length)]}"`
  );
}

const FRAMES = [
  'com.example.shop.order.OrderService.reserve(OrderService.java:217)',
  'com.example.shop.order.OrderController.create(OrderController.java:88)',
  'java.base/jdk.internal.reflect.DirectMethodHandleAccessor.invoke(DirectMethodHandleAccessor.java:103)',
  'java.base/java.lang.reflect.Method.invoke(Method.java:580)',
  'org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:255)',
  'org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:1089)',
  'org.apache.catalina.core.ApplicationFilterChain.doFilter(ApplicationFilterChain.java:140)',
  'org.apache.tomcat.util.net.NioEndpoint$SocketProcessor.doRun(NioEndpoint.java:1740)',
  'java.base/java.lang.Thread.run(Thread.java:1583)',
];

/** Logback's pattern; every sixteen lines there are four plain records and one with an exception of eleven more lines. */
function javaLine(i: number, time: string, random: (n: number) => number): string {
  const at = i % JAVA_LINES;
  const head = `${time.slice(0, 10)} ${time.slice(11, 19)},${time.slice(20, 23)}`;
  const thread = `[http-nio-8080-exec-${1 + random(20)}]`;
  if (at < JAVA_RECORDS - 1)
    return `${head} INFO  ${thread} c.e.shop.order.OrderService - Order ${random(1e8)} reserved for customer ${random(1e6)}`;
  if (at === JAVA_RECORDS - 1)
    return `${head} ERROR ${thread} c.e.shop.order.OrderController - Order ${random(1e8)} could not be created`;
  if (at === JAVA_RECORDS) return `java.lang.IllegalStateException: stock of item ${random(1e5)} is exhausted`;
  if (at === JAVA_LINES - 1) return `\t... ${20 + random(60)} common frames omitted`;
  return `\tat ${FRAMES[at - JAVA_RECORDS - 1]}`;
}
