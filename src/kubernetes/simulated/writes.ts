/** What a simulated API server does with requests that change objects, and with those for objects that are not there. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf } from '../../core/errors.ts';
import { detailsOf, type Refusal, readAll, sendJson, sendRefusal } from './answers.ts';
import { ConflictError, type Draft, type Population, type SimulatedResource } from './population.ts';

/** What a path is about. */
export interface Place {
  readonly type: SimulatedResource;
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}

export const notFound = ({ type, resource, name }: Place): Refusal => ({
  code: 404,
  reason: 'NotFound',
  message: `${resource} "${name}" not found`,
  details: detailsOf(type, name),
});

/** POST, PUT and DELETE of one object. */
export async function write(
  population: Population,
  req: IncomingMessage,
  res: ServerResponse,
  method: string,
  place: Place,
): Promise<void> {
  const { type, resource, namespace } = place;
  if (method === 'DELETE') {
    const gone = population.remove(resource, namespace, place.name);
    return gone ? sendJson(res, 200, gone) : sendRefusal(res, notFound(place));
  }
  let draft: Draft;
  try {
    draft = JSON.parse((await readAll(req)).toString()) as Draft;
  } catch (e) {
    return sendRefusal(res, { code: 400, reason: 'BadRequest', message: messageOf(e) });
  }
  const target = { ...draft, metadata: { ...draft.metadata, ...(namespace ? { namespace } : {}) } };
  const { name } = target.metadata;
  const there = population.get(resource, namespace, name);
  const details = detailsOf(type, name);
  if (method === 'POST' && there) {
    const message = `${resource} "${name}" already exists`;
    return sendRefusal(res, { code: 409, reason: 'AlreadyExists', message, details });
  }
  if (method === 'PUT' && !there) return sendRefusal(res, notFound(place));
  if (method !== 'POST' && method !== 'PUT') {
    const message = 'the server does not allow this method on the requested resource';
    return sendRefusal(res, { code: 405, reason: 'MethodNotAllowed', message, details: {} });
  }
  try {
    sendJson(res, method === 'POST' ? 201 : 200, population.put(resource, target));
  } catch (e) {
    if (!(e instanceof ConflictError)) throw e;
    const message = `Operation cannot be fulfilled on ${resource} "${name}": ${e.message}`;
    sendRefusal(res, { code: 409, reason: 'Conflict', message, details });
  }
}
