/** Configuration of host_metrics. The schema of a scraper is made when a configuration names the scraper. */
import * as z from 'zod';
import { type MetricDeclaration, metricSwitches } from '../../../core/metrics/catalogue.ts';
import { resourceAttributeSwitches } from '../../../core/metrics/resource-attributes.ts';
import { duration, section } from '../../../core/schema.ts';
import { scrapeShape } from '../../../core/scrape.ts';
import { CPU } from './catalogue/cpu.ts';
import { DISK } from './catalogue/disk.ts';
import { FILESYSTEM } from './catalogue/filesystem.ts';
import { LOAD } from './catalogue/load.ts';
import { MEMORY } from './catalogue/memory.ts';
import { NETWORK } from './catalogue/network.ts';
import { NFS } from './catalogue/nfs.ts';
import { PAGING } from './catalogue/paging.ts';
import { PROCESS, PROCESS_ATTRIBUTES } from './catalogue/process.ts';
import { PROCESSES } from './catalogue/processes.ts';
import { SYSTEM } from './catalogue/system.ts';
import { nameFilter } from './filter.ts';

const metrics = (catalogue: readonly MetricDeclaration[]) => ({ metrics: metricSwitches(catalogue) });
const plain = (catalogue: readonly MetricDeclaration[]) => z.strictObject(metrics(catalogue));
const flag = (what: string) => z.boolean().default(false).describe(what);

const loadSchema = () =>
  z.strictObject({ ...metrics(LOAD), cpu_average: flag('Divide the averages by the number of logical CPUs') });

const diskSchema = () =>
  z.strictObject({
    ...metrics(DISK),
    include: nameFilter('devices', 'Devices that are measured'),
    exclude: nameFilter('devices', 'Devices that are not measured'),
  });

const filesystemSchema = () =>
  z.strictObject({
    ...metrics(FILESYSTEM),
    include_virtual_filesystems: flag('Also those without a device, such as tmpfs, and bind mounts'),
    include_devices: nameFilter('devices', 'Devices that are measured'),
    exclude_devices: nameFilter('devices', 'Devices that are not measured'),
    include_fs_types: nameFilter('fs_types', 'Types of file systems that are measured'),
    exclude_fs_types: nameFilter('fs_types', 'Types of file systems that are not measured'),
    include_mount_points: nameFilter('mount_points', 'Mount points, as the host sees them, that are measured'),
    exclude_mount_points: nameFilter('mount_points', 'Mount points, as the host sees them, that are not measured'),
  });

const networkSchema = () =>
  z.strictObject({
    ...metrics(NETWORK),
    include: nameFilter('interfaces', 'Interfaces that are measured'),
    exclude: nameFilter('interfaces', 'Interfaces that are not measured'),
  });

const processSchema = () =>
  z.strictObject({
    ...metrics(PROCESS),
    resource_attributes: resourceAttributeSwitches(PROCESS_ATTRIBUTES),
    include: nameFilter('names', 'Names of processes that are measured'),
    exclude: nameFilter('names', 'Names of processes that are not measured'),
    mute_process_all_errors: flag('Say nothing about what cannot be read of processes'),
    mute_process_name_error: flag('Say nothing about names that cannot be read'),
    mute_process_exe_error: flag('Say nothing about executables that cannot be read'),
    mute_process_io_error: flag('Say nothing about I/O counters that cannot be read'),
    mute_process_user_error: flag('Say nothing about users without a name'),
    mute_process_cgroup_error: flag('Say nothing about cgroups that cannot be read'),
    scrape_process_delay: duration().prefault('0s').describe('Processes younger than this are not measured'),
  });

export type PlainConfig = z.output<ReturnType<typeof plain>>;
export type LoadConfig = z.output<ReturnType<typeof loadSchema>>;
export type DiskConfig = z.output<ReturnType<typeof diskSchema>>;
export type FilesystemConfig = z.output<ReturnType<typeof filesystemSchema>>;
export type NetworkConfig = z.output<ReturnType<typeof networkSchema>>;
export type ProcessConfig = z.output<ReturnType<typeof processSchema>>;

const scraper = <S extends z.ZodType>(schema: () => S, what: string) =>
  section(z.lazy(schema)).optional().describe(what);

export const hostMetricsSchema = z.strictObject({
  ...scrapeShape('1m'),
  root_path: z.string().default('').describe("Where the host's root directory is mounted, e.g. /hostfs"),
  metadata_collection_interval: duration().prefault('5m').describe('Accepted without effect: of pipelines of logs'),
  scrapers: section(
    z
      .strictObject(
        {
          cpu: scraper(() => plain(CPU), 'CPU times'),
          disk: scraper(diskSchema, 'I/O of block devices'),
          filesystem: scraper(filesystemSchema, 'Use of mounted file systems'),
          load: scraper(loadSchema, 'Load averages'),
          memory: scraper(() => plain(MEMORY), 'Use of memory'),
          network: scraper(networkSchema, 'I/O of network interfaces, TCP connections'),
          nfs: scraper(() => plain(NFS), 'Counters of the NFS client and server of the kernel'),
          paging: scraper(() => plain(PAGING), 'Swap and page faults'),
          process: scraper(processSchema, 'Every process'),
          processes: scraper(() => plain(PROCESSES), 'Number of processes by state'),
          system: scraper(() => plain(SYSTEM), 'Uptime'),
        },
        {
          error: (issue) =>
            issue.code === 'unrecognized_keys'
              ? `invalid scraper key: ${(issue['keys'] as string[]).join(', ')}`
              : undefined,
        },
      )
      .refine((s) => Object.values(s).some((v) => v !== undefined), {
        message: 'must specify at least one scraper when using hostmetrics receiver',
      }),
  )
    .prefault({})
    .describe('What is measured; without keys below it a scraper has its defaults'),
});
export type HostMetricsConfig = z.output<typeof hostMetricsSchema>;
