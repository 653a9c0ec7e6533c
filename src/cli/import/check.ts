import { utf8Length } from '../../core/byte-order.ts';
import { AttuneError, type ErrorCode } from '../../core/errors.ts';
import { keyProblem, quoteForMessage } from '../../core/key.ts';
import { valueProblem } from '../config-value.ts';
import type { Wanted } from './plan.ts';

interface Problem {
  readonly code: ErrorCode;
  readonly key: string;
  readonly detail: string;
}

/**
 * Finds all that the server would refuse, before anything is written.
 * @throws {AttuneError} naming every key and reason: INVALID_KEY, INVALID_BODY or VALUE_TOO_LARGE, the code of the first.
 */
export function checkWanted(wanted: ReadonlyMap<string, Wanted>, maxValueBytes: number | undefined): void {
  const problems: Problem[] = [];
  for (const [key, { value }] of wanted) {
    const broken = keyProblem(key);
    if (broken !== undefined) problems.push({ code: 'INVALID_KEY', key, detail: broken });
    const detail = valueProblem(value);
    if (detail !== undefined) problems.push({ code: 'INVALID_BODY', key, detail });
    const bytes = utf8Length(value.text);
    if (maxValueBytes !== undefined && bytes > maxValueBytes) {
      problems.push({ code: 'VALUE_TOO_LARGE', key, detail: `the value has ${bytes} bytes, the server takes at most ${maxValueBytes}` });
    }
  }
  const [first] = problems;
  if (!first) return;
  if (problems.length === 1) throw new AttuneError(first.code, `${quoteForMessage(first.key)}: ${first.detail}; nothing was written`);
  const errors = problems.map(({ key, detail }) => ({ pointer: quoteForMessage(key), detail }));
  throw new AttuneError(first.code, `${problems.length} of ${wanted.size} keys cannot be stored; nothing was written`, {
    details: { errors },
  });
}

/** The most bytes of a value, as `GET /status` tells; undefined if it does not. */
export function maxValueBytesOf(status: Readonly<Record<string, unknown>>): number | undefined {
  const limits = status['limits'];
  const value = typeof limits === 'object' && limits !== null && 'maxValueBytes' in limits ? limits.maxValueBytes : undefined;
  return typeof value === 'number' ? value : undefined;
}
