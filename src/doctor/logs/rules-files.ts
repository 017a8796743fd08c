/** Troubles with files: pod logs, stored offsets, limits of the system. */
import { type LogRule, who } from './rule.ts';

export const FILE_RULES: readonly LogRule[] = [
  {
    id: 'pod-logs-denied',
    isRepeated: true,
    state: 'failure',
    pattern:
      /(?:open|lstat|stat|scandir|read|find files with)\b[^\n]{0,200}?['" ](\/var\/log\/(?:pods|containers)|\/var\/lib\/docker\/containers)[^\n]{0,200}?permission denied|EACCES: permission denied, \w+ '(\/var\/log\/(?:pods|containers)|\/var\/lib\/docker\/containers)/,
    what: (m) => `${m[1] ?? m[2]} may not be read`,
    fix: () =>
      'securityContext: {runAsUser: 0, runAsGroup: 0} of the agent (OpenShift: an SCC with hostPath and SELinux spc_t as well)',
  },
  {
    id: 'storage-denied',
    isPrinted: true,
    state: 'failure',
    pattern:
      /(?:mkdir (\/[\w/.-]{1,200})|(?:open|cannot open)[^\n]{0,200}?(\/[\w/.-]{0,200}(?:storage|otelcol|checkpoint)[\w/.-]{0,200}))[^\n]{0,200}?(?:permission denied|read-only file system)/i,
    what: (m) => `offsets cannot be stored in ${m[1] ?? m[2]}`,
    fix: () => 'mount a hostPath below /var/lib there (type DirectoryOrCreate), writable for the user of the container',
  },
  {
    id: 'storage-missing',
    isPrinted: true,
    state: 'failure',
    pattern: /directory must exist: stat ([^:\s]+): no such file or directory/,
    what: (m) => `the directory ${m[1]} of a storage extension is not there`,
    fix: () => 'create_directory: true in that extension, and a hostPath volume so that it outlives the pod',
  },
  {
    id: 'storage-locked',
    isRepeated: true,
    isPrinted: true,
    state: 'failure',
    pattern:
      /(\/[^\s"]{1,300}) is in use: timeout after|open [^\n]{0,200}?: timeout$|failed to open [^\n]{0,200}database[^\n]{0,200}timeout/m,
    what: (m) => `another process holds the stored offsets${m[1] ? ` (${m[1]})` : ''}`,
    fix: () =>
      'two agents run on one node, or the former one has not ended: maxSurge: 0, and a directory for each release',
  },
  {
    id: 'disk-full',
    isRepeated: true,
    isPrinted: true,
    state: 'failure',
    pattern: /no space left on device|ENOSPC(?!.*watch)|database or disk is full/,
    what: (_, e) => `a disk is full (${who(e, 'collector')})`,
    fix: () => 'free the disk of the node, or bound the queue: file_storage: {max_size: 1GiB}',
  },
  {
    id: 'offsets-damaged',
    state: 'warning',
    pattern: /Stored offsets are damaged|a store is damaged|a stored value is damaged/,
    what: (_, e) => `stored offsets were damaged (${who(e, 'file_storage')}); some lines may have been read twice`,
    fix: () => 'fsync: true in file_storage guards against power cuts; look at the disk of the node',
  },
  {
    id: 'rotated-away',
    state: 'failure',
    pattern: /File was deleted or truncated before all of it was read\n(?:.*\n){0,20}?(\/[^\n]+)/,
    what: (m) => {
      const pod = /\/var\/log\/pods\/([^_/]+)_([^_/]+)_[^/]+\/([^/]+)\//.exec(m[1]!);
      return `lines of ${pod ? `${pod[1]}/${pod[2]} (container ${pod[3]})` : m[1]} were rotated away before they were read`;
    },
    fix: () =>
      'raise containerLogMaxSize and containerLogMaxFiles of the kubelet, or find out why the destination is slow',
  },
  {
    id: 'many-files',
    state: 'failure',
    pattern: /too many open files|EMFILE/,
    what: () => 'the process has too many files open',
    fix: () => 'raise the limit of open files of the container runtime, or lower max_concurrent_files',
  },
  {
    id: 'inotify',
    state: 'warning',
    pattern: /Cannot watch directories; polling instead|no space left on device: inotify|inotify_add_watch/,
    what: () => 'the kernel gives no more inotify watches; files are polled',
    fix: () => 'sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=8192 on the node',
  },
  {
    id: 'no-files',
    state: 'warning',
    pattern: /no files match the configured criteria/,
    // It is said once, at the start.
    isOver: /^Started watching file\b/,
    what: (_, e) => `${who(e, 'a receiver')}: there are no files under its globs`,
    fix: () => 'is /var/log/pods mounted from the host, and do the include globs fit? `sluice why POD` shows it',
  },
  {
    id: 'files-denied',
    isRepeated: true,
    state: 'failure',
    pattern: /(?:open|stat|lstat|scandir) '?(\/[^\s':]+)'?: permission denied|EACCES: permission denied, \w+ '([^']+)'/,
    what: (m) => `${(m[1] ?? m[2] ?? '').replace(/\/[^/]*$/, '') || '/'} may not be read`,
    fix: () => 'let the container run as a user that may read it, or take it out of include',
  },
  {
    id: 'parser',
    state: 'warning',
    pattern:
      /Failed to process entry\n(?:.*\n){0,20}?([^\n]{0,200}(?:does not match|parse|expected|invalid)[^\n]{0,80})/i,
    what: (_, e) => `${who(e, 'a receiver')}: an operator cannot parse lines`,
    fix: () => 'on_error: send_quiet keeps them as they are; auto_parser takes only what is really JSON',
  },
  {
    id: 'long-path',
    state: 'warning',
    pattern: /regex pattern does not match|could not extract .* from the (?:file )?path/,
    what: (_, e) => `${who(e, 'a receiver')}: an expression does not fit lines or paths`,
    fix: () => 'the container operator wants paths below /var/log/pods and include_file_path: true',
  },
];
