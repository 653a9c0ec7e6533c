import { isAttuneError } from '../core/errors.ts';
import { LocalError, UsageError } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

/** One line `attune: CODE: message` on stderr, or the problem document (RFC 9457) where the output is JSON. */
export function tellFailure(terminal: Terminal, error: unknown, isJson: boolean): void {
  if (isJson && isAttuneError(error)) {
    const { status, ...rest } = error.details;
    const document = {
      type: `/docs/errors#${error.code}`,
      ...(status === undefined ? {} : { status }),
      code: error.code,
      detail: error.message,
      ...rest,
    };
    terminal.tell(JSON.stringify(document));
    return;
  }
  terminal.tell(`${terminal.paint('red', 'attune:', 'stderr')} ${lineOf(error)}`);
  if (isAttuneError(error)) for (const line of detailLines(error.details['errors'])) terminal.tell(`  ${line}`);
}

function lineOf(error: unknown): string {
  if (isAttuneError(error)) return `${error.code}: ${error.message}`;
  if (error instanceof UsageError || error instanceof LocalError) return error.message;
  return `INTERNAL: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

/** The places in a body that a problem document names, unless its one line says it all. */
function detailLines(errors: unknown): readonly string[] {
  if (!Array.isArray(errors) || errors.length < 2) return [];
  return (errors as readonly Readonly<Record<string, unknown>>[]).map(({ pointer, detail }) => `${textOf(pointer)}: ${textOf(detail)}`);
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
