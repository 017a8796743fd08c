/** What the pods of a workload may do on a node, in a few words each. */
import type { KubernetesObject } from './kubernetes-object.ts';
import { at, listOf, sectionOf, textOf } from './used-components.ts';

export function powersOf(workload: KubernetesObject): string[] {
  const pod = sectionOf(at(workload['spec'], 'template', 'spec'));
  const powers: string[] = [];
  const containers = ['initContainers', 'containers', 'ephemeralContainers'].flatMap((key) => listOf(pod[key]));
  for (const container of containers) {
    powers.push(`image ${textOf(at(container, 'image'))}`);
    const own = sectionOf(at(container, 'securityContext'));
    const user = own['runAsUser'] ?? at(pod['securityContext'], 'runAsUser');
    if (user === 0) powers.push('runs as root');
    if (own['privileged'] === true) powers.push('privileged');
    for (const capability of listOf(at(own, 'capabilities', 'add'))) powers.push(`capability ${textOf(capability)}`);
    for (const port of listOf(at(container, 'ports')))
      if (at(port, 'hostPort') !== undefined) powers.push(`port ${textOf(at(port, 'hostPort'))} of the node`);
    for (const variable of listOf(at(container, 'env'))) {
      const secret = textOf(at(variable, 'valueFrom', 'secretKeyRef', 'name'));
      if (secret !== '') powers.push(`Secret ${secret}`);
    }
  }
  const mounts = containers.flatMap((c) => listOf(at(c, 'volumeMounts')));
  for (const volume of listOf(pod['volumes'])) {
    const path = textOf(at(volume, 'hostPath', 'path'));
    const isWritten = mounts.some((m) => at(m, 'name') === at(volume, 'name') && at(m, 'readOnly') !== true);
    if (path !== '') powers.push(`${isWritten ? 'writes' : 'reads'} ${path} of the node`);
    const secret = textOf(at(volume, 'secret', 'secretName'));
    if (secret !== '') powers.push(`Secret ${secret}`);
  }
  for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) if (pod[key] === true) powers.push(key);
  return [...new Set(powers)];
}
