/** Pod metadata from the path of a log file under /var/log/pods. */

const PATH = /^[^\n]*[/\\]([^_]+)_([^_]+)_([a-f0-9-]+)[/\\]([^._]+)[/\\](\d+)\.log(?:\.\d{8}-\d{6})?$/;
const MAX_PATHS = 2000;

/** Resource attributes as [key, value, key, value, …]. */
export type Pod = readonly string[];

const known = new Map<string, Pod | undefined>();
let lastPath = '';
let lastPod: Pod | undefined;

/** undefined: the path is not one of a container's log. */
export function podOf(path: string): Pod | undefined {
  if (path === lastPath) return lastPod;
  let pod = known.get(path);
  if (pod === undefined && !known.has(path)) {
    const m = PATH.exec(path);
    if (m)
      pod = [
        'k8s.namespace.name',
        m[1]!,
        'k8s.pod.name',
        m[2]!,
        'k8s.pod.uid',
        m[3]!,
        'k8s.container.name',
        m[4]!,
        'k8s.container.restart_count',
        m[5]!,
      ];
    if (known.size >= MAX_PATHS) known.clear();
    known.set(path, pod);
  }
  lastPath = path;
  lastPod = pod;
  return pod;
}
