/** What the path of a container's log file says about its pod: /…/<namespace>_<pod>_<uid>/<container>/<restarts>.log */

const POD_PATH = /^.*[/\\]([^_]+)_([^_]+)_([a-f0-9-]+)[/\\]([^._]+)[/\\](\d+)\.log(?:\.\d{8}-\d{6})?$/;

/** Resource attributes in upstream's names; undefined when the path is not one of a pod. */
export function podOfPath(path: string): [string, string][] | undefined {
  const m = POD_PATH.exec(path);
  if (!m) return undefined;
  return [
    ['k8s.namespace.name', m[1]!],
    ['k8s.pod.name', m[2]!],
    ['k8s.pod.uid', m[3]!],
    ['k8s.container.name', m[4]!],
    ['k8s.container.restart_count', m[5]!],
  ];
}
