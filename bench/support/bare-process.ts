import { join } from 'node:path';
import type { Bench } from './bench.ts';
import { pinTo } from './processor.ts';
import { ServerProcess } from './server-process.ts';

const PROGRAM = join(import.meta.dirname, 'bare-server.ts');
/** Set by every node:http server itself. */
const OWN_HEADERS: ReadonlySet<string> = new Set(['date', 'connection', 'keep-alive']);

/** Starts bare-server.ts; owned by the bench. */
export async function startBare(bench: Bench): Promise<ServerProcess> {
  return bench.own(
    ServerProcess.start({
      title: 'the bare server',
      command: [...pinTo('server', bench.options.isPinned), process.execPath, '--import', 'tsx', PROGRAM],
      banner: /listening on http:\/\/127\.0\.0\.1:(\d+)/,
    }),
  );
}

/** Makes the bare server answer everything with the very bytes of this answer (its date aside). */
export async function answerLike(bare: ServerProcess, { head, body }: RawAnswer): Promise<void> {
  const [first = '', ...lines] = head.split('\r\n');
  const headers = lines.flatMap((line) => {
    const colon = line.indexOf(': ');
    const name = line.slice(0, colon);
    return OWN_HEADERS.has(name.toLowerCase()) ? [] : [name, line.slice(colon + 2)];
  });
  const answer = { status: Number(first.slice(9, 12)), headers, body };
  const set = await fetch(`${bare.url}/answer`, { method: 'PUT', body: JSON.stringify(answer) });
  if (set.status !== 204) throw new Error(`the bare server answered with ${set.status}`);
}

export interface RawAnswer {
  readonly head: string;
  readonly body: string;
}
