/** Stands between a sender and VictoriaLogs, and loses answers: the server has the request, the sender cannot know. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { defer } from '../agent.ts';
import { storedOf } from './records.ts';

export interface LostAnswers {
  readonly url: string;
  /** Messages of records in requests whose answer was lost. */
  readonly records: readonly string[];
  /** Requests whose answer was lost. */
  readonly requests: number;
  /** From now on the answers of that many requests. */
  lose(requests: number): void;
}

export async function startLosingAnswers(t: TestContext, target: string): Promise<LostAnswers> {
  const records: string[] = [];
  let toLose = 0;
  let requests = 0;
  const server = createServer((req, res) => {
    const parts: Buffer[] = [];
    req.on('data', (d: Buffer) => parts.push(d));
    req.on('end', () => {
      const body = Buffer.concat(parts);
      const out = request(target + req.url, { method: req.method, headers: req.headers });
      out.on('error', () => req.socket.destroy());
      out.on('response', (answer) => {
        if (toLose === 0) {
          res.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(res);
          return;
        }
        toLose--;
        requests++;
        records.push(...storedOf(req, body, Date.now()).map(({ fields }) => fields['_msg']!));
        answer.resume();
        req.socket.destroy();
      });
      out.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  defer(t, async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    records,
    get requests() {
      return requests;
    },
    lose(n) {
      toLose = n;
    },
  };
}
