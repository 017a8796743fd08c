import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { AgentProcess } from './agent-process.ts';

const root = mkdtempSync(join(tmpdir(), 'agent-process-'));
after(() => rmSync(root, { recursive: true, force: true }));

const freePort = async (): Promise<number> => {
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(0, '127.0.0.1', done));
  const { port } = probe.address() as { port: number };
  await new Promise((done) => probe.close(done));
  return port;
};

const until = async (what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> => {
  const end = performance.now() + 60_000;
  while (!(await isTrue())) {
    assert.ok(performance.now() < end, what);
    await sleep(20);
  }
};

const agentWith = async (mode: string) => {
  const port = await freePort();
  const said: string[] = [];
  const given = { up: false };
  const agent = new AgentProcess({
    name: 'agent',
    command: [process.execPath, fileURLToPath(new URL('./testdata/agent.ts', import.meta.url)), String(port), mode],
    logPath: join(root, `${mode}.log`),
    metricsUrl: `http://127.0.0.1:${port}/metrics`,
    clock: SYSTEM_CLOCK,
    say: (text) => said.push(text),
    onGivenUp: () => {
      given.up = true;
    },
  });
  return { agent, said, given };
};

test('an agent that dies is started again, and what it had told is kept', async () => {
  const { agent, said } = await agentWith('run');
  agent.start();
  const look = async (): Promise<boolean> => {
    await agent.look();
    return agent.state === 'running';
  };
  await until('it runs', look);
  assert.deepEqual([agent.ledger.read, agent.ledger.inFlight], [10, 3]);
  process.kill(agent.pid!, 'SIGKILL');
  await until('it is told', () => said.length > 0);
  assert.deepEqual(said, ['the agent died (SIGKILL); starting it again']);
  assert.deepEqual([agent.ledger.read, agent.ledger.inFlight, agent.restarts], [7, 0, 1]);
  await until('it runs again', look);
  assert.deepEqual([agent.ledger.read, agent.ledger.inFlight], [17, 3]);
  assert.equal(await agent.stop(), true);
  assert.equal(await agent.stop(), false);
});

test('an agent that never starts is given up, with the end of its log', async () => {
  const { agent, said, given } = await agentWith('die');
  agent.start();
  await until('it is given up', () => given.up);
  assert.match(said.at(-1)!, /does not start \(exit code 1\).*\n(.*\n)*.*no such configuration/);
  assert.equal(await agent.stop(), false);
});
