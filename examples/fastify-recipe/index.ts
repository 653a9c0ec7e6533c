// In your own project: import { ConfigClient } from 'attune-client';
import { fastify } from 'fastify';
import { z } from 'zod';
import { ConfigClient } from '../../src/client/index.ts';

const app = fastify({ logger: true });

// One client for the process. Every key has a default, so that this starts, after 5 s, without a service too.
const config = await ConfigClient.connect({
  url: process.env['ATTUNE_URL'] ?? 'http://127.0.0.1:8080',
  prefix: 'shop/',
  schema: {
    'shop/discount-percent': z.number().min(0).max(100).default(0),
    'shop/log-level': z.enum(['debug', 'info', 'warn']).default('info'),
  },
  onError: (error) => app.log.warn(error, 'config'),
});
// Called when the last request was answered: what they read is closed after them.
app.addHook('onClose', () => config.close());

// A setting that somebody holds is set again whenever it changes; requests from now on log at this level.
config.watch('shop/log-level', (level) => (app.log.level = level), { immediate: true });

app.get<{ Params: { cents: string } }>('/price/:cents', async (request) => {
  // Read once for each request: it is a Map lookup, and the whole request sees one value.
  const discount = config.get('shop/discount-percent');
  return { cents: Math.round((Number(request.params.cents) * (100 - discount)) / 100) };
});

app.get('/health', async (_request, reply) => {
  const { status } = config;
  // Stale values are the last known ones: worth showing, no reason to be taken out of service.
  reply.code(status.state === 'closed' ? 503 : 200);
  return { config: status.state, ...('since' in status && { since: status.since, revision: status.revision }) };
});

const address = await app.listen({ port: Number(process.env['PORT'] ?? 3000), host: '127.0.0.1' });
console.log(`listening on ${address}`);

process.once('SIGTERM', () => void app.close());
