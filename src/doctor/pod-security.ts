/** Which fields of a pod the Pod Security level `baseline` refuses. */
import { containersOf, type Fields, fieldsOf, hostPathsOf, listOf, textsOf } from './objects.ts';

const BASELINE_CAPABILITIES: readonly string[] = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

/** In the words of the admission controller; empty: baseline takes the pod. */
export function baselineViolations(pod: Fields): string[] {
  const out: string[] = [];
  const paths = [...hostPathsOf(pod).keys()];
  if (paths.length > 0) out.push(`hostPath volumes (${paths.map((p) => `"${p}"`).join(', ')})`);
  const shared = ['hostNetwork', 'hostPID', 'hostIPC'].filter((k) => pod[k] === true);
  if (shared.length > 0) out.push(`host namespaces (${shared.join(', ')})`);
  const containers = [...containersOf(pod), ...listOf(pod['initContainers'])];
  const ports = containers.flatMap((c) => listOf(c['ports'])).filter((p) => Number(p['hostPort'] ?? 0) > 0);
  if (ports.length > 0) out.push(`hostPort (${ports.map((p) => String(p['hostPort'])).join(', ')})`);
  for (const c of containers) {
    const security = fieldsOf(c['securityContext']);
    if (security['privileged'] === true) out.push(`privileged (container "${String(c['name'])}")`);
    const added = textsOf(fieldsOf(security['capabilities'])['add']).filter((k) => !BASELINE_CAPABILITIES.includes(k));
    if (added.length > 0) out.push(`capabilities (${added.join(', ')})`);
  }
  return out;
}
