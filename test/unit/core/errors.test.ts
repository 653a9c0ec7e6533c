import { expect, it } from 'vitest';
import {
  AttuneError,
  ConflictError,
  DeadlineExceededError,
  ERROR_CODES,
  isAttuneError,
  OutcomeUnknownError,
  UnavailableError,
} from '../../../src/core/errors.ts';

it('is recognised by its code, across copies of the package', () => {
  const foreign = Object.assign(new Error('from another copy'), { code: 'CONFLICT' });
  Object.defineProperty(foreign, Symbol.for('attune.error'), { value: true });
  expect(isAttuneError(foreign, 'CONFLICT')).toBe(true);
  expect(isAttuneError(foreign, 'NOT_FOUND')).toBe(false);
  expect(isAttuneError(new ConflictError('x'))).toBe(true);
});

it('is not taken for another library’s error with the same code', () => {
  expect(isAttuneError(Object.assign(new Error('x'), { code: 'CONFLICT' }), 'CONFLICT')).toBe(false);
  for (const other of [null, undefined, 'CONFLICT', 1, {}, { code: 'CONFLICT' }]) expect(isAttuneError(other)).toBe(false);
});

it('never calls a write retryable that may have happened', () => {
  expect(new OutcomeUnknownError('x').retryable).toBe(false);
  expect(new DeadlineExceededError('x').retryable).toBe(false);
  expect(new UnavailableError('x').retryable).toBe(true);
  expect(ERROR_CODES.filter((code) => new AttuneError(code, 'x').retryable)).toEqual(['RATE_LIMITED', 'NOT_READY', 'UNAVAILABLE']);
});

it('keeps its cause and details, and shows no brand', () => {
  const cause = new Error('below');
  const error = new ConflictError('x', { cause, details: { key: 'k' } });
  expect(error.cause).toBe(cause);
  expect(error.details).toEqual({ key: 'k' });
  expect(error.name).toBe('ConflictError');
  expect(Object.keys(error).toSorted()).toEqual(['code', 'details', 'name']);
});
