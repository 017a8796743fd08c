/** Lines about files of logs and of the store. */
import { FILE_RULES } from './rules-files.ts';
import { console_, json, testRules } from './testing.ts';

testRules(FILE_RULES, [
  [
    'pod-logs-denied',
    '2024-12-18T14:41:27.020Z\terror\tfileconsumer/file.go:189\tFailed to open file\t{"kind": "receiver", "name": "filelog/k8s", "data_type": "logs", "component": "fileconsumer", "error": "open /var/log/pods/argocd_argocd-dex-server-8496698f-bg9tn_9801c57e/copyutil/0.log: permission denied"}',
    '/var/log/pods may not be read',
    /runAsUser: 0/,
  ],
  [
    'pod-logs-denied',
    console_('warn', 'fileconsumer/file.go:49', 'finding files', {
      kind: 'receiver',
      name: 'filelog',
      error: `find files with '/var/log/pods/*/*/*.log' pattern: open .: permission denied`,
    }),
    '/var/log/pods may not be read',
    /runAsUser: 0/,
  ],
  [
    'pod-logs-denied',
    console_('error', 'receivers/file_log', 'Failed to open file', {
      path: '/var/log/pods/a_b_c/d/0.log',
      error: "EACCES: permission denied, open '/var/log/pods/a_b_c/d/0.log'",
    }),
    '/var/log/pods may not be read',
    /SCC/,
  ],
  [
    'storage-denied',
    'Error: cannot start extensions: failed to create directory: mkdir /var/lib/otelcol/storage: permission denied',
    'offsets cannot be stored in /var/lib/otelcol/storage',
    /hostPath/,
  ],
  [
    'storage-missing',
    'Error: invalid configuration: extensions::file_storage: directory must exist: stat /var/lib/otelcol: no such file or directory. You can enable the create_directory option to automatically create it',
    'the directory /var/lib/otelcol of a storage extension is not there',
    /create_directory: true/,
  ],
  [
    'storage-locked',
    'Error: cannot start pipelines: failed to start "filelog" receiver: storage client: /var/lib/otelcol/receiver_filelog_ is in use: timeout after 1s. Does another collector, or another extension here, use the same directory?',
    'another process holds the stored offsets (/var/lib/otelcol/receiver_filelog_)',
    /maxSurge: 0/,
  ],
  [
    'disk-full',
    json('error', 'Failed to store offsets; trying again', {
      'otelcol.component.id': 'filelog',
      error: 'database or disk is full',
    }),
    'a disk is full (filelog)',
    /max_size/,
  ],
  [
    'offsets-damaged',
    console_('error', 'receivers/file_log', 'Stored offsets are damaged; going on with what can be read', {
      'otelcol.component.id': 'filelog',
      'otelcol.component.kind': 'receiver',
    }),
    'stored offsets were damaged (receiver filelog); some lines may have been read twice',
    /fsync/,
  ],
  [
    'rotated-away',
    console_('error', 'receivers/file_log', 'File was deleted or truncated before all of it was read', {
      'otelcol.component.id': 'filelog',
      'otelcol.component.kind': 'receiver',
      path: '/var/log/pods/shop_web-1_0000-11/app/0.log',
      bytes: 5000,
    }),
    'lines of shop/web-1 (container app) were rotated away before they were read',
    /containerLogMaxSize/,
  ],
  [
    'many-files',
    json('error', 'Failed to open file', { error: 'open /x/y.log: too many open files' }),
    'the process has too many files open',
    /max_concurrent_files/,
  ],
  [
    'inotify',
    console_('warn', 'receivers/file_log', 'Cannot watch directories; polling instead', {
      directory: '/var/log/pods',
      error: 'ENOSPC: System limit for number of file watchers reached',
    }),
    'the kernel gives no more inotify watches; files are polled',
    /max_user_watches/,
  ],
  [
    'no-files',
    console_('warn', 'fileconsumer/file.go:49', 'finding files', {
      kind: 'receiver',
      name: 'filelog',
      error: 'no files match the configured criteria',
    }),
    'receiver filelog: there are no files under its globs',
    /sluice why/,
  ],
  [
    'files-denied',
    '2024-12-18T14:41:27.020Z\terror\tfileconsumer/file.go:189\tFailed to open file\t{"kind": "receiver", "name": "filelog/2", "data_type": "logs", "component": "fileconsumer", "error": "open /var/lib/rancher/rke2/server/logs/audit.log: permission denied"}',
    '/var/lib/rancher/rke2/server/logs may not be read',
    /user that may read/,
  ],
  [
    'parser',
    console_('error', 'helper/transformer.go:154', 'Failed to process entry', {
      kind: 'receiver',
      name: 'filelog',
      operator_id: 'json_parser',
      error: 'expected { character for map value',
      action: 'send',
    }),
    'receiver filelog: an operator cannot parse lines',
    /send_quiet/,
  ],
  [
    'long-path',
    console_('error', 'helper/transformer.go:154', 'Failed to process entry', {
      kind: 'receiver',
      name: 'filelog',
      operator_id: 'container-parser',
      error: 'regex pattern does not match',
    }),
    'receiver filelog: an expression does not fit lines or paths',
    /include_file_path/,
  ],
]);
