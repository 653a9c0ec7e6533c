import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isAttuneError } from '../../../src/core/errors.ts';
import { Replica } from '../../../src/client/replica.ts';
import type { StandardSchema } from '../../../src/client/schema.ts';
import { createSchemaValues, type ReadChange } from '../../../src/client/values.ts';
import { created, deleted, updated } from './wire-samples.ts';

const brief = (changes: readonly ReadChange[]) => changes.map(({ type, key, oldValue, newValue }) => [type, key, oldValue, newValue]);

function setUp(schema: Readonly<Record<string, StandardSchema>>) {
  const errors: unknown[] = [];
  const values = createSchemaValues(schema, (error) => errors.push(error));
  const replica = new Replica();
  return { values, errors, arrive: (...changes: Parameters<Replica['apply']>[0]) => brief(values.accept(replica.apply(changes))) };
}

const SCHEMA = {
  size: z.number().int().min(1).default(10),
  retry: z.object({ attempts: z.number() }).optional(),
  name: z.string(),
  date: z.string().transform((text) => new Date(text)),
};

describe('with a schema', () => {
  test('an absent key reads as its default, or undefined', () => {
    const { values } = setUp(SCHEMA);
    expect([values.get('size'), values.get('retry'), values.get('name')]).toEqual([10, undefined, undefined]);
  });

  test('what is missing has neither value nor default nor may be absent', () => {
    const { values, arrive } = setUp(SCHEMA);
    expect(values.missing()).toEqual(['name', 'date']);
    arrive(created('name', 'x', 1));
    expect(values.missing()).toEqual(['date']);
  });

  test('values are read through it, old ones too', () => {
    const { arrive, values } = setUp(SCHEMA);
    expect(arrive(created('date', '2026-01-01', 1))).toEqual([['created', 'date', null, new Date('2026-01-01')]]);
    expect(arrive(updated('date', '2026-01-02', 2))).toEqual([['updated', 'date', new Date('2026-01-01'), new Date('2026-01-02')]]);
    expect(values.get('date')).toEqual(new Date('2026-01-02'));
  });

  test('a value that does not fit keeps the last good one and is reported once, with its version', () => {
    const { arrive, values, errors } = setUp(SCHEMA);
    arrive(created('size', 5, 1));
    expect(arrive(updated('size', 0, 2))).toEqual([]);
    expect(values.get('size')).toBe(5);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ code: 'SCHEMA_VIOLATION', details: { key: 'size', version: 2 } });
    expect((errors[0] as Error).message).toContain('the last good value stays');
  });

  test('after it the next good value is told as a change of the last good one', () => {
    const { arrive } = setUp(SCHEMA);
    arrive(created('size', 5, 1), updated('size', 'many', 2));
    expect(arrive(updated('size', 7, 3))).toEqual([['updated', 'size', 5, 7]]);
  });

  test('a first value that does not fit is as absent: the next good one is created, its deletion is not told', () => {
    const { arrive, values } = setUp(SCHEMA);
    expect(arrive(created('size', 'many', 1))).toEqual([]);
    expect(values.get('size')).toBe(10);
    expect(arrive(deleted('size', 2))).toEqual([]);
    expect(arrive(created('size', 'many', 3), updated('size', 3, 4))).toEqual([['created', 'size', null, 3]]);
  });

  test('a deleted key falls back to its default', () => {
    const { arrive, values } = setUp(SCHEMA);
    arrive(created('size', 5, 1));
    expect(arrive(deleted('size', 2))).toEqual([['deleted', 'size', 5, null]]);
    expect(values.get('size')).toBe(10);
  });

  test('other keys are not told', () => {
    const { arrive, values, errors } = setUp(SCHEMA);
    expect(arrive(created('other', 5, 1))).toEqual([]);
    expect(values.has('other')).toBe(false);
    expect(errors).toEqual([]);
  });

  test('a schema that answers later is refused', async () => {
    const later: StandardSchema = { '~standard': { version: 1, vendor: 'test', validate: () => Promise.resolve({ value: 1 }) } };
    const reported: unknown[] = [];
    const values = createSchemaValues({ a: later }, (error) => reported.push(error));
    await Promise.resolve();
    expect([values.get('a'), reported]).toMatchObject([undefined, [{ code: 'INVALID_ARGUMENT' }]]);
    expect(() => values.parse('a', 1)).toThrow(/asynchronously/);
  });

  test('a schema that cannot read an absent value has no default, and is as good as any', () => {
    const reported: unknown[] = [];
    const values = createSchemaValues(
      {
        size: z.any().transform((list: readonly unknown[]) => list.length),
        json: z.preprocess((text) => JSON.parse(String(text)), z.number()),
      },
      (error) => reported.push(error),
    );
    expect([values.missing(), values.parse('size', [1, 2]), values.parse('json', '5'), reported]).toEqual([['size', 'json'], 2, 5, []]);
  });

  test('parse throws SCHEMA_VIOLATION, saying where', () => {
    const { values } = setUp(SCHEMA);
    let thrown: unknown;
    try {
      values.parse('retry', { attempts: 'x' });
    } catch (error) {
      thrown = error;
    }
    expect(isAttuneError(thrown, 'SCHEMA_VIOLATION')).toBe(true);
    expect((thrown as Error).message).toMatch(/^the value of 'retry' does not fit the schema: attempts: /);
  });
});
