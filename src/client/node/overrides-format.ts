import { InvalidArgumentError } from '../../core/errors.ts';
import type { JsonValue } from '../../core/item.ts';
import { checkJson } from '../../core/json-text.ts';
import { keyProblem, quoteForMessage } from '../../core/key.ts';

/** Reads `{ "billing/pool-size": 50 }`. @throws {InvalidArgumentError} saying what is wrong, and no value. */
export function parseOverrides(text: string): ReadonlyMap<string, JsonValue> {
  const check = checkJson(text);
  if (!check.ok) {
    const { pointer, detail } = check.problem;
    throw new InvalidArgumentError(pointer === '' ? withoutQuotation(detail) : `at ${quoteForMessage(pointer)}: ${detail}`);
  }
  if (!check.members) throw new InvalidArgumentError('it is not a JSON object; write it as { "billing/pool-size": 50 }');
  const values = new Map(Object.entries(JSON.parse(text) as Readonly<Record<string, JsonValue>>));
  for (const key of values.keys()) {
    const problem = keyProblem(key);
    if (problem !== undefined) throw new InvalidArgumentError(`it has the key ${quoteForMessage(key)}, but ${problem}`);
  }
  return values;
}

/** The runtime's message quotes the text, and with it perhaps a secret. */
function withoutQuotation(detail: string): string {
  return detail.replace(/, (?:\.\.\.)?".*$/s, '');
}
