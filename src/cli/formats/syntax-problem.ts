import { AttuneError } from '../../core/errors.ts';

/** INVALID_BODY in the form compilers use, `app.yaml:3:5: what is wrong`, so that editors jump to it. */
export function syntaxProblem(source: string, line: number, column: number, detail: string): AttuneError {
  return new AttuneError('INVALID_BODY', `${source}:${line}:${column}: ${detail}`);
}

/** A problem of the whole file or of a named part of it. */
export function fileProblem(source: string, detail: string): AttuneError {
  return new AttuneError('INVALID_BODY', `${source}: ${detail}`);
}
