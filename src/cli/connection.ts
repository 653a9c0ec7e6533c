import { readFile } from 'node:fs/promises';
import { contextPath, readContext, type Context } from './context-file.ts';
import { UsageError } from './exit-code.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8080';

/** The server to ask, and as whom. */
export interface Connection {
  readonly url: string;
  readonly token: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The server: `--url`, `ATTUNE_URL`, the context file, {@link DEFAULT_URL}. The token: `ATTUNE_TOKEN`, `ATTUNE_TOKEN_FILE`, the context file; never a flag, which
 * every user of the machine could read. The context's token goes to the context's server only.
 * @throws {UsageError} a file that cannot be read, or two tokens at once.
 */
export async function resolveConnection(flagUrl: string | undefined, env: Environment): Promise<Connection> {
  const context = await readContext(contextPath(env));
  const url = flagUrl ?? nonEmpty(env['ATTUNE_URL']) ?? context.url ?? DEFAULT_URL;
  return { url, token: (await tokenOfEnvironment(env)) ?? (isSameServer(url, context.url) ? await tokenOfContext(context) : undefined) };
}

async function tokenOfEnvironment(env: Environment): Promise<string | undefined> {
  const token = nonEmpty(env['ATTUNE_TOKEN']);
  const file = nonEmpty(env['ATTUNE_TOKEN_FILE']);
  if (token !== undefined && file !== undefined) throw new UsageError('ATTUNE_TOKEN and ATTUNE_TOKEN_FILE are both set; unset one of them');
  return token ?? (file === undefined ? undefined : readToken(file, 'ATTUNE_TOKEN_FILE'));
}

async function tokenOfContext(context: Context): Promise<string | undefined> {
  return context.token ?? (context.tokenFile === undefined ? undefined : readToken(context.tokenFile, 'token-file'));
}

async function readToken(path: string, name: string): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new UsageError(`cannot read the file that ${name} names, ${path}: ${(error as Error).message}`);
  }
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

function isSameServer(url: string, other: string | undefined): boolean {
  if (other === undefined || !URL.canParse(url) || !URL.canParse(other)) return url === other;
  return new URL(url).href === new URL(other).href;
}
