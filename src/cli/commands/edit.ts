import type { Command } from 'commander';
import type { Api, WriteConditions } from '../../client/api.ts';
import type { PutBody } from '../../client/put-body.ts';
import { BYTES_TYPE, inferContentType, isTomlType, isYamlType, JSON_TYPE } from '../../core/content.ts';
import { AttuneError, isAttuneError } from '../../core/errors.ts';
import { canonicalJson } from '../../core/json-text.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';

interface EditOptions {
  readonly comment?: string;
}

export function addEdit(program: Command): void {
  program
    .command('edit')
    .summary('edit a value in your editor')
    .description(
      'Opens the value in $VISUAL, $EDITOR or vi and stores it when the editor ends, only if nobody changed it meanwhile (exit code 3). What cannot be stored is kept ' +
        'in a file, which is named. A key that does not exist begins empty.',
    )
    .argument('<key>', 'the key')
    .option('--comment <text>', 'why, for the history')
    .addHelpText(
      'after',
      examples([
        ['attune edit app/nginx.conf', 'with your editor'],
        ["EDITOR='code --wait' attune edit app/retry", 'with another'],
      ]),
    )
    .action(perform(edit));
}

/** A value as the editor gets it, and what it needs to be stored again. */
interface Draft {
  readonly text: string;
  readonly contentType: string | undefined;
  readonly condition: WriteConditions;
}

async function edit(invocation: Invocation, options: EditOptions, key = ''): Promise<void> {
  const { terminal, signal, connect } = invocation;
  const { editText } = await import('../editor.ts');
  const api = await connect();
  const draft = await draftOf(api, key, signal);
  await using session = await editText(draft.text, `${key.split('/').at(-1) ?? 'value'}${extensionOf(draft.contentType)}`, terminal.env);
  const text = withoutAddedLineFeed(draft.text, session.text);
  if (isUnchanged(draft, text)) {
    terminal.tell('nothing was changed');
    return;
  }
  try {
    const { bodyText } = await api.put(key, bodyOf(draft, text, options.comment), { ...draft.condition, signal });
    const { itemLine } = await import('../output/print-item.ts');
    await terminal.print(itemLine(terminal, bodyText));
  } catch (error) {
    session.keep();
    terminal.tell(`your text is kept in ${session.path}`);
    throw error;
  }
}

async function draftOf(api: Api, key: string, signal: AbortSignal): Promise<Draft> {
  try {
    const { item, valueText } = await api.get(key, { signal });
    if (item.contentType === BYTES_TYPE)
      throw new AttuneError('INVALID_ARGUMENT', `'${key}' holds bytes that are not text and cannot be edited`);
    return { text: await editableText(valueText, item.contentType), contentType: item.contentType, condition: { ifMatch: item.etag } };
  } catch (error) {
    if (isAttuneError(error, 'NOT_FOUND')) return { text: '', contentType: undefined, condition: { ifVersion: 0 } };
    throw error;
  }
}

/** JSON on one line is indented; one that somebody laid out stays as it is. */
async function editableText(valueText: string, contentType: string): Promise<string> {
  if (contentType !== JSON_TYPE || valueText.includes('\n')) return valueText;
  const { formatJson, parseJson } = await import('../formats/json.ts');
  return formatJson(parseJson(valueText, 'value'), 2);
}

function bodyOf(draft: Draft, text: string, comment: string | undefined): PutBody {
  const contentType = draft.contentType ?? (comment === undefined ? undefined : inferContentType(text));
  return { raw: text, ...(contentType === undefined ? {} : { contentType }), ...(comment === undefined ? {} : { comment }) };
}

/** Editors end a file with a line feed whether the value had one or not. */
function withoutAddedLineFeed(before: string, after: string): string {
  return before.endsWith('\n') || !after.endsWith('\n') ? after : after.slice(0, -1);
}

function isUnchanged(draft: Draft, text: string): boolean {
  if (text === draft.text) return true;
  if (draft.contentType !== JSON_TYPE) return false;
  try {
    JSON.parse(text);
  } catch {
    return false;
  }
  return canonicalJson(text) === canonicalJson(draft.text);
}

/** So that the editor knows what it shows. */
function extensionOf(contentType: string | undefined): string {
  if (contentType === JSON_TYPE) return '.json';
  if (contentType === undefined) return '';
  return isYamlType(contentType) ? '.yaml' : isTomlType(contentType) ? '.toml' : '';
}
