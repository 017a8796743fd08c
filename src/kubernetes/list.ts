/** LIST of the API server, page by page, object by object as they arrive. */
import { messageOf } from '../core/errors.ts';
import { type KubernetesClient, StatusError } from './client.ts';
import { ListScanner } from './json-stream.ts';
import { METADATA_ONLY, pathOf, type ResourceType, type Selection, withQuery } from './object.ts';

/** As large as client-go's. */
const PAGE_SIZE = 500;
/** Until the answer begins. */
const ANSWER_MS = 60_000;
/** Without a byte. */
const SILENCE_MS = 60_000;

/** The version that was asked for, or the page that was to follow, is not there any more. */
export class GoneError extends Error {}

/** The version is one that the server has not reached: it is of another cluster, or of one that was restored. */
export class FutureVersionError extends GoneError {}

export const isFutureVersion = (e: unknown): boolean =>
  e instanceof StatusError && /too large resource version/i.test(e.body);

export interface ListHead {
  /** `PodList` */
  readonly kind: string;
  readonly apiVersion: string;
}

export interface ListOptions {
  readonly signal: AbortSignal;
  /** '0': whatever the server has at hand, which costs etcd nothing; '': the newest. */
  readonly resourceVersion?: string;
  readonly resourceVersionMatch?: 'Exact' | 'NotOlderThan';
  readonly pageSize?: number;
  /** Objects come without spec and status. */
  readonly metadataOnly?: boolean | undefined;
  /** Called now and then; the list is read on when it resolves. */
  readonly pause?: () => Promise<void> | undefined;
  readonly onBytes?: (count: number) => void;
}

export interface Listed {
  readonly resourceVersion: string;
  readonly count: number;
}

/**
 * Visits every object once, as bytes that are valid during the visit. Throws GoneError when the list has to be begun
 * again: what was visited is then to be forgotten.
 */
export async function list(
  client: KubernetesClient,
  type: ResourceType,
  selection: Selection,
  options: ListOptions,
  visit: (item: Buffer, head: ListHead) => void,
): Promise<Listed> {
  const path = pathOf(type, selection.namespace);
  let next = '';
  let count = 0;
  for (;;) {
    const query = {
      labelSelector: selection.labelSelector,
      fieldSelector: selection.fieldSelector,
      limit: options.pageSize === 0 ? '' : String(options.pageSize ?? PAGE_SIZE),
      continue: next,
      // A token says which version it goes on with.
      ...(next === ''
        ? { resourceVersion: options.resourceVersion, resourceVersionMatch: options.resourceVersionMatch }
        : {}),
    };
    const page = await readPage(client, withQuery(path, query), options, (item, head) => {
      count++;
      visit(item, head);
    });
    if (page.next === '') return { resourceVersion: page.resourceVersion, count };
    next = page.next;
  }
}

async function readPage(
  client: KubernetesClient,
  path: string,
  options: ListOptions,
  visit: (item: Buffer, head: ListHead) => void,
) {
  const { signal, pause, onBytes } = options;
  let head: ListHead | undefined;
  const scanner = new ListScanner((item) => visit(item, (head ??= headOf(scanner.head))));
  const accept = options.metadataOnly ? { accept: METADATA_ONLY.list } : {};
  const answer = await client.open(path, { signal, timeoutMs: ANSWER_MS, ...accept }).catch((e: unknown) => {
    if (e instanceof StatusError && e.status === 410) throw new GoneError(e.message, { cause: e });
    throw e;
  });
  answer.setTimeout(SILENCE_MS, () => answer.destroy(new Error(`no data for ${SILENCE_MS / 1000} s`)));
  let whole: unknown;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      onBytes?.(chunk.length);
      scanner.push(chunk);
      await pause?.();
    }
    whole = scanner.end();
  } catch (e) {
    answer.destroy();
    throw new Error(
      `list ${path}: ${e instanceof SyntaxError ? `the answer is cut off or no list: ${e.message}` : messageOf(e)}`,
      {
        cause: e,
      },
    );
  }
  const { metadata } = whole as { metadata?: { resourceVersion?: unknown; continue?: unknown } };
  return { resourceVersion: textOf(metadata?.resourceVersion), next: textOf(metadata?.continue) };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function headOf(value: unknown): ListHead {
  const { kind, apiVersion } = value as { kind?: unknown; apiVersion?: unknown };
  return { kind: textOf(kind), apiVersion: textOf(apiVersion) };
}
