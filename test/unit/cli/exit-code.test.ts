import { describe, expect, it } from 'vitest';
import { exitCodeOf, LocalError, UsageError } from '../../../src/cli/exit-code.ts';
import { tellFailure } from '../../../src/cli/failure.ts';
import { AttuneError, ERROR_CODES, type ErrorCode } from '../../../src/core/errors.ts';
import { fakeTerminal } from './fake-terminal.ts';

const told = (error: unknown, isJson = false): readonly string[] => {
  const terminal = fakeTerminal();
  tellFailure(terminal, error, isJson);
  expect(terminal.printed).toEqual([]);
  return terminal.told;
};

describe('exit codes', () => {
  const expected: Readonly<Record<number, readonly ErrorCode[]>> = {
    3: ['CONFLICT', 'LOCKED'],
    4: ['NOT_FOUND'],
    5: ['UNAUTHENTICATED', 'PERMISSION_DENIED', 'HOST_NOT_ALLOWED'],
    6: ['UNAVAILABLE', 'NOT_READY', 'DEADLINE_EXCEEDED', 'RATE_LIMITED'],
    7: [
      'INVALID_KEY',
      'INVALID_ARGUMENT',
      'INVALID_BODY',
      'SCHEMA_VIOLATION',
      'VALUE_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'PRECONDITION_REQUIRED',
    ],
    9: ['OUTCOME_UNKNOWN'],
  };

  it('follow the code of the error; those without one of their own are 1', () => {
    for (const code of ERROR_CODES) {
      const row = Object.entries(expected).find(([, codes]) => codes.includes(code));
      expect([code, exitCodeOf(new AttuneError(code, 'x'))]).toEqual([code, Number(row?.[0] ?? 1)]);
    }
  });

  it('are 2 for wrong usage, 1 for everything else', () => {
    expect([new UsageError('x'), new LocalError('x'), new Error('x'), 'x'].map(exitCodeOf)).toEqual([2, 1, 1, 1]);
  });
});

describe('an error line', () => {
  it('has the code and says what, with which value', () => {
    expect(told(new AttuneError('CONFLICT', 'app/x is at version 43, you sent 41'))).toEqual([
      'attune: CONFLICT: app/x is at version 43, you sent 41',
    ]);
    expect(told(new UsageError('give --yes'))).toEqual(['attune: give --yes']);
  });

  it('is followed by the places a problem document names, if they are several', () => {
    const errors = [
      { pointer: '/a', detail: 'is required' },
      { pointer: '/b', detail: 'is unknown' },
    ];
    expect(told(new AttuneError('INVALID_BODY', 'invalid body', { details: { errors } }))).toEqual([
      'attune: INVALID_BODY: invalid body',
      '  /a: is required',
      '  /b: is unknown',
    ]);
    expect(told(new AttuneError('INVALID_BODY', 'invalid body', { details: { errors: errors.slice(1) } }))).toHaveLength(1);
  });

  it('is the problem document where output is JSON', () => {
    const [line = '', ...more] = told(
      new AttuneError('NOT_FOUND', 'there is no key x', { details: { status: 404, requestId: 'r' } }),
      true,
    );
    expect(more).toEqual([]);
    expect(JSON.parse(line)).toEqual({
      type: '/docs/errors#NOT_FOUND',
      status: 404,
      code: 'NOT_FOUND',
      detail: 'there is no key x',
      requestId: 'r',
    });
  });

  it('of a bug shows where it is', () => {
    expect(told(new TypeError('x is not a function'))[0]).toMatch(/^attune: INTERNAL: TypeError: x is not a function\n {4}at /);
  });
});
