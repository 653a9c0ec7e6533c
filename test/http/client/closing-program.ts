import { ConfigClient } from '../../../src/client/index.ts';

// Run by client-close.test.ts: it must end by itself, without process.exit.
const client = await ConfigClient.connect({ url: process.argv[2] ?? '', prefix: '' });
client.watch('a', () => undefined);
client.onStatus(() => undefined);
client.changes();
const value = client.get('a');
await client.set('a', 2);
await client.close();
process.stdout.write(`read ${JSON.stringify(value)}, wrote 2, closed\n`);
