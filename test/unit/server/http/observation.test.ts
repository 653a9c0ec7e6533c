import { describe, expect, it } from 'vitest';
import { createRequestIds } from '../../../../src/server/http/observation.ts';

describe('a request id', () => {
  it('that is made up looks like a UUID and comes once', () => {
    const [one, other] = [createRequestIds(), createRequestIds()];
    const ids = Array.from({ length: 20_000 }, (_, index) => (index % 2 === 0 ? one : other)(undefined));
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it.each(['trace-1.a:b_c', 'a', 'a'.repeat(64)])('of the client is kept where it is harmless: %s', (given) => {
    expect(createRequestIds()(given)).toBe(given);
  });

  it.each(['', 'a b', 'a, b', '<script>', 'a\n', '\u00e9', 'a'.repeat(65)])('of the client is not used where it is not: %j', (given) => {
    expect(createRequestIds()(given)).toHaveLength(36);
    expect(createRequestIds()(given)).not.toBe(given);
  });
});
