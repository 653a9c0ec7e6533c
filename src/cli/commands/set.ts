import { InvalidArgumentError as InvalidOptionError, type Command } from 'commander';
import type { Api, WriteConditions } from '../../client/api.ts';
import type { PutBody } from '../../client/put-body.ts';
import { inferContentType, JSON_TYPE, TEXT_TYPE } from '../../core/content.ts';
import { AttuneError, isAttuneError } from '../../core/errors.ts';
import { UsageError } from '../exit-code.ts';
import { examples } from '../help.ts';
import { perform, type Invocation } from '../invocation.ts';
import { outputOption, type Output } from '../output/format.ts';

interface SetOptions {
  readonly output?: Output;
  readonly json?: boolean;
  readonly text?: boolean;
  readonly ifVersion?: number;
  readonly create?: boolean;
  readonly comment?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

export function addSet(program: Command): void {
  program
    .command('set')
    .summary('store a value')
    .description(
      'Stores a value. An item keeps its type; a new one is JSON if the value reads as JSON and is spelled as JSON spells it (20, true, [1,2]), else text ' +
        '(hello, 1.10, 007). --json and --text decide instead.',
    )
    .argument('<key>', 'the key, such as app/pool-size')
    .argument('<value>', 'the value, - for stdin, @FILE for the content of a file')
    .option('--json', 'the value is JSON')
    .option('--text', 'the value is text, whatever it looks like')
    .option('--if-version <n>', 'only if the key is at this version; 0: only if it does not exist', parseVersion)
    .option('--create', 'only if the key does not exist')
    .option('--comment <text>', 'why, for the history')
    .option('--metadata <name=value>', 'set metadata, replacing what is there; may be repeated', collectMetadata)
    .addOption(outputOption())
    .addHelpText(
      'after',
      examples([
        ['attune set app/pool-size 20', 'a number'],
        ['attune set app/retry \'{"attempts":3}\'', 'an object, one value'],
        ['attune set app/build --text 007', 'text'],
        ['attune set app/nginx.conf @nginx.conf', 'the content of a file'],
        ['attune set app/pool-size 21 --if-version 4', 'exit code 3 if somebody else was faster'],
      ]),
    )
    .action(perform(set));
}

async function set(invocation: Invocation, options: SetOptions, key = '', operand = ''): Promise<void> {
  const { terminal, signal, connect } = invocation;
  if (options.json && options.text) throw new UsageError('--json and --text contradict each other; give one of them');
  const conditions = conditionsOf(options);
  const { readOperand } = await import('../value-operand.ts');
  const text = await readOperand(operand, invocation);
  const api = await connect();
  const body = await bodyOf(api, key, text, options, signal);
  const { bodyText } = await api.put(key, body, { ...conditions, signal }).catch((error: unknown) => {
    throw withTypeHint(error, options);
  });
  const { itemLine, printItem } = await import('../output/print-item.ts');
  if (options.output === undefined) await terminal.print(itemLine(terminal, bodyText));
  else await printItem(terminal, bodyText, options.output);
}

function conditionsOf({ create, ifVersion }: SetOptions): WriteConditions {
  if (create && ifVersion !== undefined && ifVersion !== 0)
    throw new UsageError(`--create and --if-version ${ifVersion} contradict each other; give one of them`);
  const version = create ? 0 : ifVersion;
  return version === undefined ? {} : { ifVersion: version };
}

async function bodyOf(api: Api, key: string, text: string, options: SetOptions, signal: AbortSignal): Promise<PutBody> {
  const { comment, metadata } = options;
  const extras = { ...(comment === undefined ? {} : { comment }), ...(metadata === undefined ? {} : { metadata }) };
  if (options.json) return { raw: text, contentType: JSON_TYPE, ...extras };
  if (options.text) return { raw: text, contentType: TEXT_TYPE, ...extras };
  // The server knows the item's own type; an envelope, which metadata needs, must name it.
  if (Object.keys(extras).length === 0) return { raw: text };
  return { raw: text, contentType: (await ownType(api, key, signal)) ?? inferContentType(text), ...extras };
}

async function ownType(api: Api, key: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await api.get(key, { signal })).item.contentType;
  } catch (error) {
    if (isAttuneError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function withTypeHint(error: unknown, options: SetOptions): unknown {
  if (!isAttuneError(error, 'INVALID_BODY') || options.json || options.text || !error.message.includes(JSON_TYPE)) return error;
  return new AttuneError('INVALID_BODY', `${error.message.replace(/: send a Content-Type.*$/, '')}; --text makes it text`, {
    cause: error,
    details: error.details,
  });
}

export function parseVersion(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidOptionError('A version is a whole number, 0 for "does not exist".');
  return Number(text);
}

function collectMetadata(text: string, previous: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidOptionError('Metadata is written name=value.');
  return { ...previous, [name]: value };
}
