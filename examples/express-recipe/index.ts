// In your own project: import { ConfigClient } from 'attune-client';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { z } from 'zod';
import { ConfigClient } from '../../src/client/index.ts';

// One client for the process. Every key has a default, so that this starts, after 5 s, without a service too.
const config = await ConfigClient.connect({
  url: process.env['ATTUNE_URL'] ?? 'http://127.0.0.1:8080',
  prefix: 'shop/',
  schema: {
    'shop/discount-percent': z.number().min(0).max(100).default(0),
    'shop/keep-alive-ms': z.number().int().min(1_000).default(5_000),
  },
  onError: (error) => console.error('config:', error instanceof Error ? error.message : error),
});

const app = express();

app.get('/price/:cents', (request, response) => {
  // Read once for each request: it is a Map lookup, and the whole request sees one value.
  const discount = config.get('shop/discount-percent');
  response.json({ cents: Math.round((Number(request.params.cents) * (100 - discount)) / 100) });
});

app.get('/health', (_request, response) => {
  const { status } = config;
  // Stale values are the last known ones: worth showing, no reason to be taken out of service.
  response.status(status.state === 'closed' ? 503 : 200).json({
    config: status.state,
    ...('since' in status && { since: status.since, revision: status.revision }),
  });
});

const server = app.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1');
await once(server, 'listening');

// A setting that somebody holds is set again whenever it changes.
config.watch('shop/keep-alive-ms', (ms) => (server.keepAliveTimeout = ms), { immediate: true });

console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);

process.once('SIGTERM', () => {
  // First those who read, then what they read. Nothing is left then that keeps the process alive.
  server.close(() => void config.close());
});
