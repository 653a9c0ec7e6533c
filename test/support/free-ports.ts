import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that the system gives to outgoing connections and to servers that ask for any. */
const LOWEST = 10_000;
const HIGHEST = 32_000;

/**
 * A port of 127.0.0.1 that nobody listens on, and that stays free while its server is down: one that the system has given out may be
 * somebody else's when the server comes back.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST));
    const server = createServer();
    const taken = once(server, 'error').then(([error]) => {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      return false;
    });
    server.listen(port, '127.0.0.1');
    if (!(await Promise.race([taken, once(server, 'listening').then(() => true)]))) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** As {@link freePort}, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
