/**
 * What lasts of a process: its names, its user, its resource. It is read when a process is new, when it runs another
 * program, and once in a while, because titles and users change without a trace; the numbers are read every time.
 */

import { switchedResource } from '../../../core/metrics/resource-attributes.ts';
import type { Resource } from '../../../core/resource.ts';
import type { Value } from '../../../wire/otlp.ts';
import type { ProcessConfig } from './config.ts';
import { keeps } from './filter.ts';
import { type Host, SCHEMA_URL } from './host.ts';
import { isGone, isMissing } from './proc-reader.ts';
import type { ProcessStat } from './process-stat.ts';
import { Users } from './users.ts';

const REFRESH_MS = 60_000;
/** The kernel cuts names at this length. */
const NAME_LENGTH = 15;

export interface Process {
  readonly pid: number;
  readonly name: string;
  /** Undefined: not measured, by its name or by its attributes. */
  readonly resource: Resource | undefined;
  /** Nanoseconds since 1970. */
  readonly startTime: bigint;
  /** I/O counters were denied; they stay so until the process is looked at again. */
  isIoDenied: boolean;
  /** At the last scrape, for utilization; NaN before the first. */
  ticks: { user: number; system: number; wait: number; atMs: number };
}

interface Entry {
  readonly process: Process;
  readonly identity: readonly number[];
  readonly kernelName: string;
  readonly readAtMs: number;
}

/** One kind of error for all processes of a scrape: the first of them and how many there were. */
export type TellProcess = (kind: string, text: string) => void;

export class ProcessTable {
  readonly #config: ProcessConfig;
  readonly #host: Host;
  readonly #users: Users;
  readonly #keeps: (name: string) => boolean;
  #last = new Map<number, Entry>();
  #now = new Map<number, Entry>();

  constructor(config: ProcessConfig, host: Host) {
    this.#config = config;
    this.#host = host;
    this.#users = new Users(host);
    this.#keeps = keeps(config.include, config.exclude);
  }

  begin(): void {
    this.#users.refresh();
  }

  /** Forgets the processes that were not asked for since the last time. */
  end(): void {
    this.#last.clear();
    [this.#last, this.#now] = [this.#now, this.#last];
  }

  /** Undefined when it has ended or has no name that can be read. */
  get(pid: number, stat: ProcessStat, tell: TellProcess): Process | undefined {
    const { clock } = this.#host.ctx;
    const identity = [stat.startTicks, stat.parentPid, stat.startCode, stat.startStack, stat.argumentsStart];
    const known = this.#now.get(pid) ?? this.#last.get(pid);
    const isSame = known?.kernelName === stat.name && identity.every((n, i) => n === known.identity[i]);
    if (known && isSame && clock.monotonicMs() - known.readAtMs < REFRESH_MS) {
      this.#now.set(pid, known);
      return known.process;
    }
    const process = this.#read(pid, stat, tell);
    if (!process) return undefined;
    if (known && known.identity[0] === stat.startTicks) process.ticks = known.process.ticks;
    this.#now.set(pid, { process, identity, kernelName: stat.name, readAtMs: clock.monotonicMs() });
    return process;
  }

  #read(pid: number, stat: ProcessStat, tell: TellProcess): Process | undefined {
    const host = this.#host;
    const { reader } = host;
    const file = (name: string): string => host.proc(String(pid), name);
    const startTime = host.bootTime() + (BigInt(stat.startTicks) * 1_000_000_000n) / BigInt(host.ticksPerSecond);
    const process = (name: string, resource: Resource | undefined): Process => ({
      pid,
      name,
      resource,
      startTime,
      isIoDenied: false,
      ticks: { user: Number.NaN, system: Number.NaN, wait: Number.NaN, atMs: Number.NaN },
    });

    let argv: readonly string[] | undefined = [];
    let argvError = '';
    if (!stat.isKernelThread)
      try {
        const bytes = reader.readRecord(file('cmdline'));
        argv = bytes.length === 0 ? [] : bytes.toString('utf8').replace(/\0+$/, '').split('\0');
      } catch (error) {
        if (isGone(error)) return undefined;
        argv = undefined;
        argvError = (error as Error).message;
      }

    const name = fullName(stat.name, argv?.[0] ?? '');
    if (!this.#keeps(name)) return process(name, undefined);

    let uid = Number.NaN;
    try {
      const line = reader.lines(file('status'));
      while (line.next())
        if (line.take('Uid:')) {
          uid = line.number();
          break;
        }
    } catch (error) {
      if (isGone(error)) return undefined;
      if (!this.#config.mute_process_name_error)
        tell('name', `error reading process name for pid ${pid}: ${(error as Error).message}`);
      return undefined;
    }
    const who = `process ${JSON.stringify(name)} (pid ${pid})`;
    if (argv === undefined) tell('command', `error reading command for ${who}: ${argvError}`);

    let executable = '';
    if (!stat.isKernelThread)
      try {
        executable = reader.link(file('exe'));
      } catch (error) {
        // A kernel thread of another kind, or a zombie: there is none.
        if (!isMissing(error) && !this.#config.mute_process_exe_error)
          tell('exe', `error reading process executable for pid ${pid}: ${(error as Error).message}`);
      }

    const owner = this.#users.name(uid);
    if (owner === undefined && !this.#config.mute_process_user_error)
      tell(
        'user',
        `error reading username for ${who}: ${Number.isNaN(uid) ? 'no Uid in status' : `user: unknown userid ${uid}`}`,
      );

    const switches = this.#config.resource_attributes;
    let cgroup = '';
    if (switches['process.cgroup']?.enabled || switches['process.linux.cgroup']?.enabled)
      try {
        cgroup = reader.readRecord(file('cgroup')).toString('utf8').replace(/\n$/, '');
      } catch (error) {
        if (!isGone(error) && !this.#config.mute_process_cgroup_error)
          tell('cgroup', `error reading process cgroup for pid ${pid}: ${(error as Error).message}`);
        return undefined;
      }

    const attributes: [string, Value][] = [
      ['process.pid', BigInt(pid)],
      ['process.parent_pid', BigInt(stat.parentPid)],
      ['process.executable.name', name],
      ['process.executable.path', executable],
      ['process.cgroup', cgroup],
      ['process.linux.cgroup', cgroup],
      ['process.owner', owner ?? ''],
    ];
    if (argv) attributes.push(['process.command', argv[0] ?? ''], ['process.command_line', argv.join(' ')]);
    return process(name, switchedResource(switches, attributes, SCHEMA_URL));
  }
}

/** A name that the kernel has cut is taken from the command, when that begins like it. */
function fullName(name: string, command: string): string {
  if (name.length < NAME_LENGTH) return name;
  const base = command.slice(command.lastIndexOf('/') + 1);
  return base.startsWith(name) ? base : name;
}
