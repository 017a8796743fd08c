/** Parses the log lines that container runtimes write (docker, CRI-O, containerd) and joins lines that they split. */
import * as z from 'zod';
import { byteSize } from '../../core/schema.ts';
import { compileTimeLayout, type TimeParser } from '../../core/time-layout.ts';
import type { Entry } from '../entry.ts';
import { ATTRIBUTES, BODY, Field } from '../field.ts';
import { JsonParser } from '../json.ts';
import { defineOperator } from '../operator.ts';
import { compileParse, notText, ParseFailure, parserConfig } from '../parser.ts';
import { CriLine, CriTime } from './container-cri.ts';
import { PartialLines } from './container-partials.ts';
import { podOf } from './container-path.ts';

const FORMATS = ['', 'docker', 'containerd', 'crio'] as const;

const field = (text: string): Field => new Field('attributes', [text], `attributes.${text}`);
const TIME = field('time');
const LOG = field('log');
const STREAM = field('stream');

export const container = defineOperator({
  type: 'container',
  summary: 'Parses lines of container runtimes, joins split ones, and takes pod metadata from the file path.',
  schema: parserConfig({
    format: z
      .enum(FORMATS, {
        error: (i) =>
          `invalid \`format\` ${JSON.stringify(i.input)}; write docker, containerd or crio, or leave it out`,
      })
      .default('')
      .describe('docker, containerd or crio; detected line by line when left out'),
    add_metadata_from_filepath: z
      .boolean()
      .default(true)
      .describe('Take namespace, pod and container from log.file.path'),
    max_log_size: byteSize().prefault('1MiB').describe('Joined lines are cut when they exceed this; 0: never'),
  }),
  compile(config, ctx) {
    const { next, fail, clock } = ctx;
    const { format } = config;
    const json = new JsonParser(false);
    const line = new CriLine();
    const dockerTime = compileTimeLayout('gotime', '2006-01-02T15:04:05.999Z', {
      location: 'UTC',
      nowMs: () => clock.nowMs(),
    }) as TimeParser;
    const time = new CriTime(dockerTime);
    const partials = new PartialLines(clock, next, config.max_log_size);
    ctx.hold(partials);

    const setPod = (entry: Entry): string | undefined => {
      if (!config.add_metadata_from_filepath) return undefined;
      const path = entry.attributes.get('log.file.path');
      if (typeof path !== 'string')
        return `operator '${ctx.id}' has 'add_metadata_from_filepath' enabled, but the log record attribute 'log.file.path' is missing. Perhaps enable the 'include_file_path' option?`;
      const pod = podOf(path);
      if (!pod) return 'failed to detect a valid log path';
      const { resource } = entry;
      for (let i = 0; i < pod.length; i += 2) resource.set(pod[i]!, pod[i + 1]!);
      return undefined;
    };

    /** Moves what was parsed to where it belongs; undefined, or what is missing. */
    const arrange = (entry: Entry, isDocker: boolean): string | undefined => {
      const stamp = TIME.get(entry);
      if (stamp === undefined) return 'time parser: log entry does not have the expected parse_from field';
      const parsed = typeof stamp === 'string' ? (isDocker ? dockerTime(stamp) : time.parse(stamp)) : undefined;
      if (parsed === undefined) return 'time parser: the time is not written as container runtimes do';
      entry.time = parsed;
      TIME.delete(entry);
      const log = LOG.delete(entry);
      if (log === undefined) return 'move: field does not exist: attributes.log';
      const problem = BODY.set(entry, log);
      if (problem) return problem;
      const stream = STREAM.delete(entry);
      if (stream === undefined) return 'move: field does not exist: attributes.stream';
      entry.attributes.set('log.iostream', stream);
      return setPod(entry);
    };

    const parseDocker = compileParse(config, clock, (value) => {
      if (typeof value !== 'string') return notText('docker container logs', value);
      const result = json.parse(value);
      if (result instanceof Map) return result;
      return new ParseFailure(
        result === undefined ? `failed to parse JSON: ${json.error}` : 'failed to parse JSON: it is not an object',
      );
    });
    const parseCri = compileParse(
      config,
      clock,
      () =>
        new Map([
          ['time', line.time],
          ['stream', line.stream],
          ['logtag', line.tag],
          ['log', line.log],
        ]),
    );

    const docker = (entry: Entry): void => {
      const error = parseDocker(entry) ?? arrange(entry, true);
      if (error === undefined) next(entry);
      else fail(entry, error);
    };

    const from = config.parse_from ?? BODY;
    const to = config.parse_to ?? ATTRIBUTES;
    const direct =
      from.root === 'body' &&
      from.isRoot &&
      to.root === 'attributes' &&
      to.isRoot &&
      !config.body &&
      !config.timestamp &&
      !config.severity &&
      !config.trace &&
      !config.scope_name;

    /** The line was scanned: into the record with it. */
    const cri = (entry: Entry): void => {
      const last = line.tag === 'F';
      const { attributes } = entry;
      if (direct) {
        const parsed = time.parse(line.time);
        if (parsed === undefined) {
          attributes.set('time', line.time).set('stream', line.stream).set('logtag', line.tag).set('log', line.log);
          fail(entry, 'time parser: the time is not written as container runtimes do');
          return;
        }
        entry.time = parsed;
        entry.body = line.log;
        // As if they had been set and moved away.
        attributes.delete('time');
        attributes.delete('stream');
        attributes.delete('log');
        attributes.set('logtag', line.tag);
        attributes.set('log.iostream', line.stream);
        const error = setPod(entry);
        if (error !== undefined) {
          fail(entry, error);
          return;
        }
      } else {
        const error = parseCri(entry) ?? arrange(entry, false);
        if (error !== undefined) {
          fail(entry, error);
          return;
        }
      }
      if (last && partials.isEmpty) next(entry);
      else partials.add(entry, line.stream, last);
    };

    return (entry) => {
      const value = from.get(entry);
      if (value === undefined) return fail(entry, 'Entry is missing the expected parse_from field.');
      if (format === 'docker') return docker(entry);
      if (typeof value !== 'string') return fail(entry, notText('container logs', value).message);
      if (format === '' && value.charCodeAt(0) === 123) return docker(entry);
      const found = line.scan(value);
      if (found !== '' && (format === '' || format === found)) return cri(entry);
      fail(
        entry,
        format === ''
          ? 'failed to detect a valid container log format: entry cannot be parsed as container logs'
          : 'regex pattern does not match',
      );
    };
  },
});
