/** `sluice why POD`: the way of a pod's records, from the rule that takes its files to the last delivery. */
import type { FileLogConfig } from '../../components/receivers/file_log/config.ts';
import { messageOf } from '../../core/errors.ts';
import { ANNOTATION_FILTER } from '../../deploy/presets/by-annotation.ts';
import { otherAccount, podsOf } from '../checks/workload-reads.ts';
import { isProblem } from '../cluster.ts';
import type { CheckResult, ConfiguredComponent, ConfiguredPipeline, DoctorConfig, DoctorContext } from '../context.ts';
import { count, type Finding, failure, ok, some, unknown, warning } from '../finding.ts';
import { fieldsOf, nodeOf, textOf } from '../objects.ts';
import { annotationVerdict, type Enriched } from './annotations.ts';
import { enrichmentOf, resourceFromPath } from './enrichment.ts';
import { deliveryOf } from './last-delivery.ts';
import { type Match, matchFiles } from './matching.ts';
import { type DryRun, dryRun } from './parsing.ts';
import { passThrough } from './passage.ts';
import { execLine, isActive, type Subject, type SubjectOptions, subjectOf } from './subject.ts';

const EXAMPLE_CHARS = 200;
const ANNOTATED = 'is it meant? See "Annotations"';

export interface WhyReport {
  readonly head: string;
  readonly results: readonly CheckResult[];
}

export async function why(ctx: DoctorContext, options: SubjectOptions): Promise<WhyReport> {
  const s = await subjectOf(ctx, options);
  const { matches, findings } = matchFiles(ctx, s);
  const exec = execLine(ctx, s, await agentOn(ctx, s.node));
  const ways = matches.filter((m) => isActive(m.file));
  const parsing: Finding[] = [];
  const enrichment: Finding[] = [];
  const annotations: Finding[] = [];
  const destination: Finding[] = [];
  for (const m of ways) await follow(ctx, s, m, exec, { parsing, enrichment, annotations, destination });
  const results: CheckResult[] = [
    { id: 'pod', title: 'Pod', findings: [podFinding(ctx, s)] },
    { id: 'files', title: 'Files: which rule decides', findings },
    { id: 'parsing', title: 'Parsing: the last lines, run dry', findings: parsing },
    { id: 'enrichment', title: 'Metadata', findings: unique(enrichment) },
    { id: 'annotations', title: 'Annotations: which one decides', findings: unique(annotations) },
    { id: 'destination', title: 'Destination', findings: unique(destination) },
    { id: 'delivery', title: 'Last delivery', findings: ways.length === 0 ? [] : await deliveryOf(ctx, s, ways, exec) },
  ];
  const where = s.isHere ? 'its files are here' : ctx.isInside ? 'its files are not in this pod' : 'from outside';
  return {
    head: `sluice why ${s.namespace}/${s.name}${s.container === '' ? '' : ` (${s.container})`}: ${where}`,
    results: results.filter((r) => r.findings.length > 0),
  };
}

const unique = (findings: readonly Finding[]): Finding[] => [
  ...new Map(findings.map((f) => [JSON.stringify(f), f])).values(),
];

function podFinding(ctx: DoctorContext, s: Subject): Finding {
  if (!s.pod && s.isKnownMissing) {
    const what = `there is no pod ${s.namespace}/${s.name}`;
    return s.alike.length > 0
      ? unknown(what, `the API server has ${some(s.alike, 3)}`, `sluice why ${s.alike[0]}`)
      : unknown(what, s.podProblem, 'is the namespace right (-n)? `kubectl get pods -A` shows what there is');
  }
  if (!s.pod)
    return unknown(
      `the pod ${s.namespace}/${s.name} cannot be looked up`,
      s.podProblem,
      ctx.cluster
        ? otherAccount(ctx, 'list pods', s.namespace)
        : 'is another cluster meant? --kubeconfig FILE, --context NAME',
    );
  const phase = textOf(fieldsOf(s.pod['status'])['phase']);
  return ok(`${s.namespace}/${s.name} is ${phase} on node ${s.node || 'none yet'}`, `uid ${s.uid}`);
}

/** The agent's pod on that node, for the line to type. */
async function agentOn(ctx: DoctorContext, node: string): Promise<string | undefined> {
  const w = ctx.workloads.find((x) => x.kind === 'DaemonSet');
  if (!ctx.cluster || !w || node === '') return undefined;
  const pods = await podsOf(ctx, w);
  return isProblem(pods) ? undefined : pods.value.find((p) => nodeOf(p) === node)?.metadata.name;
}

interface Sections {
  readonly parsing: Finding[];
  readonly enrichment: Finding[];
  readonly annotations: Finding[];
  readonly destination: Finding[];
}

async function follow(ctx: DoctorContext, s: Subject, m: Match, exec: string, out: Sections): Promise<void> {
  const { receiver, file, tier } = m;
  const config = tier.config!;
  const steps = stepsOf(receiver.value as FileLogConfig);
  let dry: DryRun | undefined;
  if (file.sizeBytes === undefined)
    out.parsing.push(
      unknown(
        `the lines of ${file.container} can only be read on its node`,
        `${receiver.id}: ${steps.join(' → ') || 'no operators'}`,
        exec,
      ),
    );
  else
    try {
      dry = await dryRun(receiver.value as FileLogConfig, receiver.id, file.path, ctx.clock);
      out.parsing.push(...parsed(file.container, receiver, steps, dry));
    } catch (e) {
      const isDenied = (e as NodeJS.ErrnoException).code === 'EACCES';
      out.parsing.push(
        isDenied
          ? failure(`${file.path} may not be read`, messageOf(e), 'securityContext: {runAsUser: 0} of the agent')
          : unknown(`the lines of ${file.container} cannot be run through the operators`, messageOf(e)),
      );
    }
  const first = dry?.batches[0]?.groups[0]?.resource;
  const before = first ?? resourceFromPath(s, file.container);
  // Every pipeline gets all records; batches are settled by the first that reads them, so each has its own run.
  const pipelines = config.pipelines.filter((p) => p.signal === 'logs' && p.receivers.includes(receiver.id));
  for (const p of pipelines) {
    const again = dry && (await dryRun(receiver.value as FileLogConfig, receiver.id, file.path, ctx.clock));
    await along(ctx, s, config, p, file.container, before, again, out, new Set());
  }
}

async function along(
  ctx: DoctorContext,
  s: Subject,
  config: DoctorConfig,
  p: ConfiguredPipeline,
  container: string,
  before: ReturnType<typeof resourceFromPath>,
  dry: DryRun | undefined,
  out: Sections,
  seen: Set<string>,
): Promise<void> {
  if (seen.has(p.id)) return;
  seen.add(p.id);
  const processors = p.processors.flatMap((id) => config.processors.get(id) ?? []);
  const k8s = processors.find((c) => c.entry.id === 'k8s_attributes');
  let resource = before;
  let metadata: Enriched['metadata'] = 'bare';
  if (k8s) {
    const found = await enrichmentOf(ctx, k8s, config.gates, s, before);
    out.enrichment.push(...found.findings);
    resource = found.resource;
    const states = found.findings.map((f) => f.state);
    metadata = states.includes('unknown') ? 'unseen' : states.every((f) => f === 'ok') ? 'known' : 'bare';
  } else
    out.enrichment.push(
      warning(
        `nothing adds metadata of the pod in ${p.id}`,
        `processors: ${p.processors.join(', ') || 'none'}`,
        'add k8s_attributes to its processors',
      ),
    );
  const annotated = await annotationVerdict(ctx, s, p, processors, container, { resource, metadata });
  out.annotations.push(...annotated.findings);
  const targets = p.exporters.map((id) => describeExporter(config, id));
  const filters = processors
    .filter((c) => c.entry.id === 'filter' && !(c.id === ANNOTATION_FILTER && annotated.isCollected))
    .map((c) => c.id);
  if (!dry || dry.batches.length === 0) {
    const how = `processors: ${p.processors.join(' → ') || 'none'}`;
    out.destination.push(
      annotated.isCollected === false
        ? warning(`${p.id} → ${targets.join(', ')}: nothing of ${container} gets there`, how, ANNOTATED)
        : filters.length > 0
          ? unknown(`${p.id} → ${targets.join(', ')}, unless ${filters.join(', ')} drops them`, how)
          : ok(`${p.id} → ${targets.join(', ')}`, how),
    );
  } else {
    // What it says without the metadata that it looks at is of no use.
    const isOpen = annotated.isCollected === undefined && filters.includes(ANNOTATION_FILTER);
    const run = isOpen ? processors.filter((c) => c.id !== ANNOTATION_FILTER) : processors;
    const { steps, out: n, example } = await passThrough(ctx, p, run, dry.batches, resource);
    const total = dry.records;
    const text = example?.record ? `; the last: ${excerpt(example.record)}` : '';
    const how = `${steps.join(' → ') || 'no processors'}${text}`;
    const to = `${p.id} → ${targets.join(', ')}`;
    const dropper = steps.find((x) => x.includes('drops'))?.split(' ')[0];
    const all = `${to}: ${n === 1 ? 'the record goes' : `all ${n} records go`} there`;
    if (n === total)
      out.destination.push(isOpen ? unknown(`${all}, unless ${ANNOTATION_FILTER} drops them`, how) : ok(all, how));
    else if (n === 0 && dropper === ANNOTATION_FILTER)
      out.destination.push(warning(`${to}: none of ${total} records gets there`, how, ANNOTATED));
    else if (n === 0)
      out.destination.push(
        failure(`${to}: none of ${total} records gets there`, how, `loosen ${dropper ?? 'the filter'}`),
      );
    else
      out.destination.push(
        warning(
          `${to}: ${n} of ${total} records get there`,
          how,
          `is ${dropper ?? 'a filter'} meant to drop the others?`,
        ),
      );
  }
  // Behind a connector it goes on; what the records are like there is not followed.
  for (const id of p.exporters)
    if (config.connectors.has(id))
      for (const following of config.pipelines.filter((x) => x.receivers.includes(id)))
        await along(
          ctx,
          s,
          config,
          following,
          container,
          resource,
          undefined,
          { ...out, enrichment: [], annotations: [] },
          seen,
        );
}

function describeExporter(config: DoctorConfig, id: string): string {
  const value = fieldsOf(config.exporters.get(id)?.value);
  const endpoint = textOf(value['logs_endpoint']) || textOf(value['endpoint']) || textOf(value['path']);
  if (endpoint === '') return id;
  if (!URL.canParse(endpoint)) return `${id} (${endpoint})`;
  const { protocol, host, pathname } = new URL(endpoint);
  return `${id} (${protocol}//${host}${pathname})`;
}

function excerpt(r: {
  readonly severityText: string;
  readonly body: unknown;
  readonly attributes: ReadonlyMap<string, unknown>;
}): string {
  const body =
    typeof r.body === 'string'
      ? r.body
      : JSON.stringify(r.body, (_, v) =>
          v instanceof Map ? Object.fromEntries(v) : typeof v === 'bigint' ? Number(v) : v,
        );
  const cut = body.length > EXAMPLE_CHARS ? `${body.slice(0, EXAMPLE_CHARS)}…` : body;
  return `${JSON.stringify(cut)}${r.severityText ? `, severity ${r.severityText}` : ''}, attributes ${some([...r.attributes.keys()], 10) || 'none'}`;
}

/** What the receiver does with lines, in order. */
function stepsOf({ multiline, operators }: FileLogConfig): string[] {
  const pattern = (['line_start_pattern', 'line_end_pattern'] as const).find((key) => multiline[key] !== '');
  return [
    ...(pattern === undefined ? [] : [`multiline ${pattern} ${multiline[pattern]}`]),
    ...operators.map((o) => textOf(fieldsOf(o)['type'])),
  ];
}

/** A line as the runtime writes it. */
const RUNTIME_LINE = /^(?:\S+ (?:stdout|stderr) [FP] |\{"log":")/;

function parsed(container: string, receiver: ConfiguredComponent, steps: readonly string[], dry: DryRun): Finding[] {
  const dropped = [...dry.dropped].map(([reason, n]) => `${n} ${reason}`);
  const how = `${receiver.id}: ${steps.join(' → ') || 'no operators'}${dropped.length > 0 ? `; dropped: ${dropped.join(', ')}` : ''}`;
  if (dry.lines === 0) return [unknown(`${container} has written no whole line yet`, how)];
  const what = `${count(dry.lines, 'line')} of ${container} ${dry.lines === 1 ? 'becomes' : 'become'} ${count(dry.records, 'record')}`;
  const pattern = steps.find((step) => step.startsWith('multiline '));
  if (pattern !== undefined && RUNTIME_LINE.test(dry.firstLine))
    return [
      warning(
        `${what}: multiline sees lines with what the runtime puts before them, not those of the program`,
        `${how}; a line of the file: ${JSON.stringify(dry.firstLine.slice(0, 60))}`,
        `instead of multiline, behind container: {type: recombine, combine_field: body, is_first_entry: 'body matches "^…"'}`,
      ),
    ];
  if (dry.complaints.size > 0) {
    const texts = [...dry.complaints].map(([text, n]) => `${text}${n > 1 ? ` (${n} ×)` : ''}`);
    return [
      warning(
        `${what}, and operators complain`,
        `${how}; ${some(texts, 3)}`,
        'on_error: send_quiet keeps such lines as they are; auto_parser takes only what is really JSON',
      ),
    ];
  }
  return [
    dry.records === 0
      ? failure(`${what}: none gets through`, how, 'look at filter operators and on_error: drop')
      : ok(what, how),
  ];
}
