// In your own project: import { ConfigClient, isAttuneError } from 'attune-client';
import { z } from 'zod';
import { ConfigClient, isAttuneError } from '../../src/client/index.ts';

await using config = await ConfigClient.connect({
  url: process.env['ATTUNE_URL'] ?? 'http://127.0.0.1:8080',
  prefix: 'billing/',
  // Any Standard Schema. Values are checked when they arrive; one that does not fit keeps the last good one.
  schema: {
    'billing/pool-size': z.number().int().min(1).default(10),
    'billing/retry': z.object({ attempts: z.number() }).optional(),
  },
  onError: (error) => console.error('billing config:', error instanceof Error ? error.message : error),
});
config.onStatus(({ state }) => console.log(`now ${state}`));

// A Map lookup: typed, and never undefined where the schema has a default.
console.log('pool size', config.get('billing/pool-size'));

// Called for every change, in order. `using`, or the function returned, ends it.
using _watch = config.watch('billing/pool-size', (size, change) => console.log(`pool size ${size}, version ${change?.version ?? '-'}`), {
  immediate: true,
});

// When it resolves, `get` answers the new value and the watcher has been called.
const { version } = await config.set('billing/pool-size', 20, { comment: 'sale' });
await config.update('billing/pool-size', (old) => old * 2);

// ifVersion: only if nobody has changed it since; 0 would mean: only if it does not exist.
try {
  await config.set('billing/pool-size', 30, { ifVersion: version });
} catch (error) {
  if (!isAttuneError(error, 'CONFLICT')) throw error;
  console.log('somebody was faster:', error.message);
}

// Every change of the prefix, narrowed by key and by type.
const changes = config.changes();
await config.update('billing/retry', (old) => ({ attempts: (old?.attempts ?? 2) + 1 }));
for await (const change of changes) {
  if (change.key === 'billing/retry' && change.type !== 'deleted') console.log('attempts', change.newValue.attempts);
  break;
}

await config.delete('billing/pool-size');
console.log('pool size', config.get('billing/pool-size'));
