import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './exit-code.ts';

/** What a person sets once: which server, and with which token. */
export interface Context {
  readonly url?: string;
  readonly token?: string;
  readonly tokenFile?: string;
}

const MEMBERS = ['url', 'token', 'token-file'] as const;

/** `attune/context.toml` in the user's configuration folder (XDG Base Directory Specification). */
export function contextPath(env: Readonly<Record<string, string | undefined>>): string {
  const folder = env['XDG_CONFIG_HOME'];
  // The specification has relative paths ignored.
  return join(folder?.startsWith('/') ? folder : join(env['HOME'] ?? homedir(), '.config'), 'attune', 'context.toml');
}

/**
 * The context file's content; empty if there is none.
 * @throws {UsageError} the file cannot be read or says something else.
 */
export async function readContext(path: string): Promise<Context> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new UsageError(`cannot read ${path}: ${(error as Error).message}`);
  }
  const { parse } = await import('smol-toml');
  let members: Readonly<Record<string, unknown>>;
  try {
    members = parse(text);
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message.split('\n', 1)[0] ?? ''}`);
  }
  for (const [name, value] of Object.entries(members)) {
    if (!(MEMBERS as readonly string[]).includes(name))
      throw new UsageError(`${path}: '${name}' is not known; it may hold ${MEMBERS.join(', ')}`);
    if (typeof value !== 'string') throw new UsageError(`${path}: '${name}' must be a string`);
  }
  const member = (name: (typeof MEMBERS)[number]): string | undefined => members[name] as string | undefined;
  const [url, token, tokenFile] = MEMBERS.map(member);
  return {
    ...(url === undefined ? {} : { url }),
    ...(token === undefined ? {} : { token }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  };
}
