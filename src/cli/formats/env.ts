import { parse } from 'dotenv';
import { quoteForMessage } from '../../core/key.ts';
import type { ParsedEntries } from './codec.ts';
import { fileProblem } from './syntax-problem.ts';

const NAME = /^[\w.-]+$/;

/** `.env` as the dotenv package reads it: quotes, `\n` in double quotes, `export`, comments; variables are not expanded. */
export function parseEnv(text: string, source: string): ParsedEntries {
  // The library collects into a plain object, where this one name is lost.
  if (/^\s*(?:export\s+)?__proto__\s*[=:]/m.test(text)) throw fileProblem(source, "a variable cannot be called '__proto__'");
  return { entries: new Map(Object.entries(parse(text))), notes: [] };
}

/**
 * `NAME=value` lines that {@link parseEnv} reads back exactly.
 * @throws {AttuneError} INVALID_BODY: a name other than letters, digits, `_`, `.`, `-`, or a value no form of quotes can hold.
 */
export function formatEnv(entries: ReadonlyMap<string, string>): string {
  return [...entries].map(([name, value]) => `${checkedName(name)}=${quoted(name, value)}\n`).join('');
}

function checkedName(name: string): string {
  if (NAME.test(name) && name !== '__proto__') return name;
  throw fileProblem(
    'env',
    `${quoteForMessage(name)} is not a name of a .env file (letters, digits, "_", ".", "-"); export as json, yaml or properties`,
  );
}

/** dotenv has no escape for a quote inside its own kind of quotes, so the kind is chosen by the value. */
function quoted(name: string, value: string): string {
  if (/^[\w./:@%+,=-]*$/.test(value)) return value;
  const holdsReturn = value.includes('\r');
  if (!holdsReturn && isQuotable(value, "'")) return `'${value}'`;
  if (!/\\[nr]/.test(value) && isQuotable(value, '"')) return `"${value.replaceAll('\r', '\\r')}"`;
  if (!holdsReturn && isQuotable(value, '`')) return `\`${value}\``;
  throw fileProblem('env', `the value of '${name}' cannot be quoted in a .env file; export as json, yaml or properties`);
}

/** A backslash at the end would be read as escaping the closing quote. */
const isQuotable = (value: string, quote: string): boolean => !value.includes(quote) && !value.endsWith('\\');
