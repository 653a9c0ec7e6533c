import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalError } from './exit-code.ts';
import { decodeText } from './value-operand.ts';

export interface EditedText extends AsyncDisposable {
  /** As the editor left it. */
  readonly text: string;
  readonly path: string;
  /** Leaves the file where it is. */
  keep(): void;
}

/**
 * Lets the person edit `text` in $VISUAL, $EDITOR or vi, in a file that only they can read.
 * @throws {LocalError} the editor cannot be started or ends with a failure: nothing is to be stored.
 */
export async function editText(text: string, fileName: string, env: Readonly<Record<string, string | undefined>>): Promise<EditedText> {
  const folder = await mkdtemp(join(tmpdir(), 'attune-edit-'));
  const path = join(folder, fileName.replaceAll(/[^\w.-]/g, '_').slice(-80) || 'value');
  let isKept = false;
  const remove = async (): Promise<void> => {
    if (!isKept) await rm(folder, { recursive: true, force: true });
  };
  try {
    await writeFile(path, text, { mode: 0o600 });
    await runEditor(env['VISUAL'] || env['EDITOR'] || 'vi', path);
    const edited = decodeText(await readFile(path), path);
    return { text: edited, path, keep: () => void (isKept = true), [Symbol.asyncDispose]: remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Through the shell, because people write `code --wait` there. */
async function runEditor(editor: string, path: string): Promise<void> {
  const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'attune-edit', path], { stdio: 'inherit' });
  const [code, signal] = await new Promise<readonly [number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (...ended) => resolve(ended));
  });
  if (code !== 0) throw new LocalError(`the editor '${editor}' ended with ${signal ?? `code ${code}`}; nothing was stored`);
}
