import { expect, it } from 'vitest';
import { parseDuration } from '../../../src/core/duration.ts';

it.each([
  ['500ms', 500],
  ['0ms', 0],
  ['0s', 0],
  ['30s', 30_000],
  ['2m', 120_000],
  ['007s', 7_000],
  ['999999999ms', 999_999_999],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

it.each(['', '30', 's', '-1s', '+1s', '1.5s', '1h', '1 s', ' 1s', '1s ', '1s\n', '1e3s', '1S', '1M', '٣s', 'Infinitys', '1000000000ms'])(
  '%j is no duration',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);
