/** What exporters write is what another implementation of protobuf reads with the public definitions of OTLP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import grpc from '@grpc/grpc-js';
import { findComponent } from '../src/components/index.ts';
import { type Batch, makeBatch, type Signal } from '../src/core/batch.ts';
import type { ExporterDefinition } from '../src/core/component.ts';
import { resourceFromBytes, scopeFromBytes } from '../src/core/resource.ts';
import { decodeRequest } from '../src/wire/otlp-request.ts';
import {
  flat,
  forOracle,
  type Json,
  readByOracle,
  requestJson,
  SIGNALS,
  writtenByOracle,
} from '../src/wire/testing.ts';
import { defer, tempDir } from './helpers/agent.ts';
import { componentContext } from './helpers/component.ts';
import fc from './helpers/property.ts';

const RUNS = { numRuns: 40 };

async function exporterOf(t: TestContext, id: string, signal: Signal, config: object) {
  const definition = (await findComponent('exporter', id)!.load()).default as ExporterDefinition;
  const { context } = componentContext(id, 'exporter');
  const exporter = await definition.create(definition.schema.parse(config), { ...context, signal });
  await exporter.start?.();
  defer(t, () => exporter.stop?.(AbortSignal.timeout(5000)));
  return exporter;
}

/** As a receiver makes it of the request that the other implementation wrote. */
function batchOf(signal: Signal, message: Json): Batch {
  const groups = decodeRequest(signal, writtenByOracle(signal, message)).map((g) => ({
    ...g,
    resource: resourceFromBytes(g.resource.encoded, g.resource.schemaUrl),
    scope: scopeFromBytes(g.scope.encoded, g.scope.schemaUrl),
    parts: [],
  }));
  return makeBatch(signal, groups);
}

/** Sends random requests; `received` gives what the destination has got of one, in the form of `forOracle`. */
async function same(t: TestContext, id: string, signal: Signal, config: object, received: () => Json): Promise<void> {
  const exporter = await exporterOf(t, id, signal, config);
  await fc.assert(
    fc.asyncProperty(requestJson(signal), async (message) => {
      const batch = batchOf(signal, message);
      if (batch.groups.length === 0) return;
      await exporter.consume(batch);
      assert.deepEqual(flat(signal, received()), flat(signal, forOracle(message) as Json));
    }),
    RUNS,
  );
}

const DIRECT = { sending_queue: { enabled: false }, retry_on_failure: { enabled: false } };

async function httpDestination(t: TestContext) {
  const bodies: Buffer[] = [];
  const server = createServer(async (req, res) => {
    const body = Buffer.concat((await req.toArray()) as Buffer[]);
    bodies.push(req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
    res.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  defer(t, () => {
    server.close();
    server.closeAllConnections();
  });
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies };
}

for (const signal of SIGNALS) {
  test(`otlp_http, ${signal}, protobuf`, async (t) => {
    const { endpoint, bodies } = await httpDestination(t);
    await same(t, 'otlp_http', signal, { ...DIRECT, endpoint }, () => readByOracle(signal, bodies.pop()!));
  });

  test(`otlp_http, ${signal}, JSON`, async (t) => {
    const { endpoint, bodies } = await httpDestination(t);
    const config = { ...DIRECT, endpoint, encoding: 'json', compression: 'none' };
    await same(t, 'otlp_http', signal, config, () => forOracle(JSON.parse(bodies.pop()!.toString())) as Json);
  });

  test(`otlp_grpc, ${signal}`, async (t) => {
    const bodies: Buffer[] = [];
    const server = new grpc.Server();
    const [name, service] = { logs: ['logs', 'Logs'], metrics: ['metrics', 'Metrics'], traces: ['trace', 'Trace'] }[
      signal
    ];
    const plain = (b: Buffer): Buffer => b;
    const method = {
      path: `/opentelemetry.proto.collector.${name}.v1.${service}Service/Export`,
      requestStream: false,
      responseStream: false,
      requestSerialize: plain,
      requestDeserialize: plain,
      responseSerialize: plain,
      responseDeserialize: plain,
    };
    server.addService({ Export: method } as grpc.ServiceDefinition, {
      Export(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        bodies.push(call.request);
        callback(null, Buffer.alloc(0));
      },
    });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (e, p) => (e ? reject(e) : resolve(p))),
    );
    defer(t, () => server.forceShutdown());
    const config = { ...DIRECT, endpoint: `127.0.0.1:${port}`, tls: { insecure: true } };
    await same(t, 'otlp_grpc', signal, config, () => readByOracle(signal, bodies.pop()!));
  });

  for (const format of ['proto', 'json'] as const)
    test(`file, ${signal}, ${format}`, async (t) => {
      const path = join(tempDir(t), 'out');
      let read = 0;
      await same(t, 'file', signal, { path, format }, () => {
        const fresh = readFileSync(path).subarray(read);
        read += fresh.length;
        return format === 'proto'
          ? readByOracle(signal, fresh.subarray(4))
          : (forOracle(JSON.parse(fresh.toString())) as Json);
      });
      rmSync(path);
    });
}
