/** Can the files that file_log is to read be read? Inside by reading them, outside by what the DaemonSet mounts. */
import { closeSync, type Dirent, openSync, readdirSync, readlinkSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compileGlob, type DirectoryEntry, walkGlob } from '../../core/glob.ts';
import { textsOf as textsOfAny } from '../../deploy/used-components.ts';
import type { Check, DoctorContext, Tier } from '../context.ts';
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { containersOf, fieldsOf, hostPathsOf, listOf, textOf, type Workload } from '../objects.ts';

/** No more files are opened for it. */
const MAX_OPENED = 200;
/** Before what may be only for a moment is looked at again. */
const AGAIN_MS = 3000;
/** Below a root, so many entries are looked at for files that no rule takes. */
const MAX_ENTRIES = 5000;
const MAX_DEPTH = 3;

export const podLogs: Check = {
  id: 'pod-logs',
  title: 'Files of pod logs',
  async run(ctx) {
    const out: Finding[] = [];
    for (const tier of ctx.tiers)
      for (const c of tier.config?.receivers.values() ?? []) {
        if (c.entry.id !== 'file_log') continue;
        const globs = textsOfAny(fieldsOf(c.value)['include']);
        if (ctx.isInside || !tier.workload)
          out.push(...(await byReading(ctx, c.id, globs, textsOfAny(fieldsOf(c.value)['exclude']))));
        else out.push(...byMounts(tier, tier.workload, c.id, globs));
      }
    return out;
  },
};

/** The part of a glob before its first wildcard. */
export const rootOf = (glob: string): string => {
  const fixed = glob.replace(/[*?[{].*$/, '');
  return fixed === glob ? glob : fixed.replace(/[^/]*$/, '').replace(/(.)\/$/, '$1');
};

interface Seen {
  files: number;
  opened: number;
  readonly denied: string[];
  readonly dangling: string[];
}

export function lookAtFiles(include: readonly string[], exclude: readonly string[]): Seen {
  const seen: Seen = { files: 0, opened: 0, denied: [], dangling: [] };
  const out = exclude.map(compileGlob);
  const tell = (path: string, e: unknown): void => {
    const { code } = e as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') seen.denied.push(path);
  };
  const lister = {
    identity: (d: string): string | undefined => {
      try {
        const s = statSync(d);
        return `${s.dev}:${s.ino}`;
      } catch {
        return undefined;
      }
    },
    list(d: string): DirectoryEntry[] | undefined {
      try {
        return readdirSync(d, { withFileTypes: true }).flatMap((e): DirectoryEntry[] => {
          if (!e.isSymbolicLink())
            return [{ name: e.name, kind: e.isDirectory() ? 'directory' : e.isFile() ? 'file' : 'other', link: false }];
          const s = statSync(join(d, e.name), { throwIfNoEntry: false });
          if (!s && out.every((g) => !g.re.test(join(d, e.name)))) seen.dangling.push(join(d, e.name));
          return s ? [{ name: e.name, kind: s.isDirectory() ? 'directory' : 'file', link: true }] : [];
        });
      } catch (e) {
        tell(d, e);
        return undefined;
      }
    },
  };
  const found = new Set<string>();
  for (const glob of include)
    walkGlob(compileGlob(glob), lister, (path) => {
      if (found.has(path) || out.some((g) => g.re.test(path))) return;
      found.add(path);
      seen.files++;
      if (seen.opened >= MAX_OPENED) return;
      seen.opened++;
      try {
        const fd = openSync(path, 'r');
        readSync(fd, Buffer.alloc(1), 0, 1, 0);
        closeSync(fd);
      } catch (e) {
        tell(path, e);
      }
    });
  return seen;
}

async function byReading(
  ctx: DoctorContext,
  id: string,
  include: readonly string[],
  exclude: readonly string[],
): Promise<Finding[]> {
  const roots = [...new Set(include.map(rootOf))];
  const out: Finding[] = [];
  const there = roots.filter((r) => {
    try {
      return statSync(r, { throwIfNoEntry: false }) !== undefined;
    } catch {
      // Not allowed to look: then reading it says so.
      return true;
    }
  });
  if (there.length === 0) {
    const where = ctx.isInside ? 'in this pod' : 'on this machine';
    if (!ctx.isInside)
      return [
        unknown(`${some(roots)} of ${id} is not ${where}`, 'stat', 'run `sluice doctor` in the pod or on the node'),
      ];
    return [
      failure(
        `${some(roots)}, where ${id} is to read, is not there`,
        `stat ${where}: no such file or directory`,
        `mount it from the host: volumes: [{name: varlogpods, hostPath: {path: ${roots[0]}}}], read-only`,
      ),
    ];
  }
  let seen = lookAtFiles(include, exclude);
  if (seen.dangling.length > 0 || seen.files === 0) {
    // A pod that ends takes its files away one after the other, and one that begins has none yet.
    const { dangling } = seen;
    await ctx.pause(AGAIN_MS);
    const again = lookAtFiles(include, exclude);
    seen = { ...again, dangling: again.dangling.filter((path) => dangling.includes(path)) };
  }
  const user = process.getuid?.() ?? -1;
  if (seen.denied.length > 0)
    out.push(
      failure(
        `${id} may not read ${count(seen.denied.length, 'file or directory', 'files or directories')} below ${some(there)}`,
        `permission denied as user ${user}: ${some(seen.denied, 3)}`,
        'securityContext: {runAsUser: 0, runAsGroup: 0} of the agent (Talos and others: /var/log is 0700; OpenShift: SELinux spc_t)',
      ),
    );
  if (seen.dangling.length > 0)
    out.push(
      failure(
        `${count(seen.dangling.length, 'log file')} of ${id} ${seen.dangling.length === 1 ? 'is a link' : 'are links'} to what is not mounted`,
        `${seen.dangling[0]} → ${linkOf(seen.dangling[0]!)}`,
        'mount the directory that they lead to as well (Docker: /var/lib/docker/containers)',
      ),
    );
  if (out.length > 0) return out;
  if (seen.files === 0) return [nothingFound(ctx, id, include, exclude, there)];
  return [
    ok(
      `${id} can read ${count(seen.files, 'file')}`,
      `${seen.opened === seen.files ? 'opened' : `${seen.opened} of them opened`} as user ${user}`,
    ),
  ];
}

/** Is there nothing to read, or do the rules leave it out? */
function nothingFound(
  ctx: DoctorContext,
  id: string,
  include: readonly string[],
  exclude: readonly string[],
  roots: readonly string[],
): Finding {
  const own = ctx.env['OTEL_K8S_POD_NAME'] ?? ctx.env['K8S_POD_NAME'] ?? ctx.env['HOSTNAME'] ?? '';
  const files = roots.flatMap(logFilesBelow).filter((path) => own === '' || !path.includes(`_${own}_`));
  const where = `below ${some(roots)} as user ${process.getuid?.() ?? -1}`;
  if (files.length === 0)
    return ok(`there is no file yet that ${id} could read`, `no log file of another pod ${where}`);
  const out = exclude.map(compileGlob);
  const excluding = exclude.filter((_, i) => files.some((path) => out[i]!.re.test(path)));
  const isExcluded = files.every((path) => out.some((g) => g.re.test(path)));
  return warning(
    `${id} finds no file`,
    `${count(files.length, 'log file')} ${where}, like ${files[0]}; ${
      isExcluded ? `exclude ${some(excluding)} leaves them out` : `include ${some(include)} takes none`
    }`,
    isExcluded
      ? 'take the exclude rule away; `sluice why POD` shows which rule decides'
      : 'correct include: /var/log/pods/*/*/*.log has all pods; `sluice why POD` shows which rule decides',
  );
}

function logFilesBelow(root: string): string[] {
  const out: string[] = [];
  let left = MAX_ENTRIES;
  const visit = (directory: string, depth: number): void => {
    let entries: Dirent[] = [];
    try {
      entries = readdirSync(directory, { withFileTypes: true });
    } catch {
      // Gone, or not allowed: that is told elsewhere.
    }
    for (const e of entries) {
      if (left-- <= 0) return;
      const path = join(directory, e.name);
      if (e.isDirectory() && depth < MAX_DEPTH) visit(path, depth + 1);
      else if (!e.isDirectory() && e.name.endsWith('.log')) out.push(path);
    }
  };
  visit(root, 0);
  return out;
}

const linkOf = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return '?';
  }
};

/** What the specification promises; the files themselves only the node knows. */
function byMounts(tier: Tier, w: Workload, id: string, include: readonly string[]): Finding[] {
  const host = hostPathsOf(w.pod);
  const mounts = containersOf(w.pod)
    .flatMap((c) => listOf(c['volumeMounts']))
    .filter((m) => host.has(textOf(m['name'])))
    .map((m) => textOf(m['mountPath']));
  const roots = [...new Set(include.map(rootOf))];
  const covers = (root: string): boolean =>
    mounts.some((m) => root === m || root.startsWith(m.endsWith('/') ? m : `${m}/`));
  const missing = roots.filter((r) => !covers(r));
  const where = `${w.kind} ${w.namespace}/${w.name}`;
  if (missing.length > 0)
    return [
      failure(
        `${id} of ${tier.name} is to read below ${some(missing)}, which no host path is mounted for`,
        `${where} mounts ${some(mounts) || 'no host path'}`,
        `volumes: [{name: logs, hostPath: {path: ${missing[0]}}}] and a volumeMount, read-only; \`sluice render\` does it by itself`,
      ),
    ];
  const user = runAsUser(w);
  if (user !== undefined && user !== 0)
    return [
      warning(
        `${tier.name} runs as user ${user}, which cannot read pod logs where only root may (most distributions)`,
        `${where}: securityContext.runAsUser ${user}`,
        'securityContext: {runAsUser: 0, runAsGroup: 0}',
      ),
    ];
  return [ok(`the files of ${id} are mounted`, `${where} mounts ${some(mounts)}`)];
}

function runAsUser(w: Workload): number | undefined {
  for (const of of [...containersOf(w.pod), w.pod]) {
    const user = fieldsOf(of['securityContext'])['runAsUser'];
    if (typeof user === 'number') return user;
  }
  return undefined;
}
