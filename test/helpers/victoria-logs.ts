/** VictoriaLogs for tests: the real one where it is to be had, else a model of it. */
import type { TestContext } from 'node:test';
import { type Client, clientOf } from './victoria-logs/client.ts';
import { startModel } from './victoria-logs/model.ts';
import { victoriaLogsProgram } from './victoria-logs/program.ts';
import { startRealVictoriaLogs } from './victoria-logs/real.ts';

export interface VictoriaLogs extends Client {
  readonly url: string;
  readonly isReal: boolean;
  /** Content encodings of requests; only the model sees them. */
  readonly encodings: ReadonlySet<string>;
}

export async function startVictoriaLogs(t: TestContext): Promise<VictoriaLogs> {
  const program = await victoriaLogsProgram();
  if (program.missing !== undefined) {
    t.diagnostic(`${program.missing}: a model of VictoriaLogs answers`);
    const { url, encodings } = await startModel(t);
    return { url, encodings, isReal: false, ...clientOf(() => url) };
  }
  const { url } = await startRealVictoriaLogs(t, program.path);
  return { url, encodings: new Set(), isReal: true, ...clientOf(() => url) };
}
