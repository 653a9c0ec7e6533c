import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { ConfigClient, type ClientStatus, type JsonValue } from '../../../src/client/index.ts';

// The compiler is what runs these: `tsc` refuses the file when a promise about types is broken.

const plain = new ConfigClient({ url: 'http://127.0.0.1:1', prefix: '' });

const typed = new ConfigClient({
  url: ['http://127.0.0.1:1'],
  prefix: ['billing/'],
  schema: {
    'billing/pool-size': z.number().int().default(10),
    'billing/retry': z.object({ attempts: z.number() }).optional(),
    'billing/name': z.string(),
    'billing/date': z.string().transform((text) => new Date(text)),
  },
});

interface Retry {
  attempts: number;
}

describe('without a schema', () => {
  test('values are JSON or absent', () => {
    expectTypeOf(plain.get('any/key')).toEqualTypeOf<JsonValue | undefined>();
    plain.watch('any/key', (value, change) => {
      expectTypeOf(value).toEqualTypeOf<JsonValue | undefined>();
      if (change.type === 'deleted') expectTypeOf(change.newValue).toEqualTypeOf<null>();
      if (change.type === 'created') expectTypeOf(change.oldValue).toEqualTypeOf<null>();
    })();
  });
});

describe('with a schema', () => {
  test('get answers what the schema reads; undefined only without a default', () => {
    expectTypeOf(typed.get('billing/pool-size')).toEqualTypeOf<number>();
    expectTypeOf(typed.get('billing/retry')).toEqualTypeOf<Retry | undefined>();
    expectTypeOf(typed.get('billing/name')).toEqualTypeOf<string | undefined>();
    expectTypeOf(typed.get('billing/date')).toEqualTypeOf<Date | undefined>();
  });

  test('a typo does not compile', () => {
    // @ts-expect-error no such key
    type _Typo = ReturnType<typeof typed.get<'billing/pool-sise'>>;
    // @ts-expect-error no such key
    void (() => typed.watch('billing/pool-sise', () => undefined));
    // @ts-expect-error no such key
    void (() => typed.delete('billing/pool-sise'));
  });

  test('set takes what the schema accepts', () => {
    void (() => typed.set('billing/pool-size', 20, { ifVersion: 41, comment: 'sale' }));
    void (() => typed.set('billing/date', '2026-01-01'));
    // @ts-expect-error a number is expected
    void (() => typed.set('billing/pool-size', '20'));
    // @ts-expect-error undefined is not a value; delete removes a key
    void (() => typed.set('billing/retry', undefined));
    void (() => typed.update('billing/pool-size', (old) => old * 2));
    // @ts-expect-error the old value is a number
    void (() => typed.update('billing/pool-size', (old) => old.length));
  });

  test('listeners get values and changes of their key', () => {
    typed.watch('billing/pool-size', (size, change) => {
      expectTypeOf(size).toEqualTypeOf<number>();
      expectTypeOf(change.key).toEqualTypeOf<'billing/pool-size'>();
      expectTypeOf(change.version).toEqualTypeOf<number>();
    })();
    typed.watch(
      'billing/pool-size',
      (_size, change) => {
        expectTypeOf(change).toBeNullable();
      },
      { immediate: true },
    )();
  });

  test('a view knows the names under its prefix, and their types', () => {
    const billing = typed.view('billing/');
    expectTypeOf(billing.get('pool-size')).toEqualTypeOf<number>();
    expectTypeOf(billing.get('retry')).toEqualTypeOf<Retry | undefined>();
    // @ts-expect-error no such name
    void (() => billing.get('pool-sise'));
    // @ts-expect-error a name, not a key
    void (() => billing.get('billing/pool-size'));
    expectTypeOf(plain.view('any/').get('name')).toEqualTypeOf<JsonValue | undefined>();
  });

  test('once and until are of the key’s type', () => {
    void (async () => {
      const change = await typed.once('billing/pool-size');
      if (change.type === 'updated') expectTypeOf(change.oldValue).toEqualTypeOf<number>();
      expectTypeOf(await typed.until('billing/pool-size', (size) => size > 10)).toEqualTypeOf<number>();
      // @ts-expect-error no such key
      await typed.until('billing/pool-sise');
    });
  });

  test('changes narrow by key and by type', () => {
    void (async () => {
      for await (const change of typed.changes({ prefix: 'billing/' })) {
        if (change.key === 'billing/pool-size' && change.type !== 'deleted') expectTypeOf(change.newValue).toEqualTypeOf<number>();
        if (change.key === 'billing/retry' && change.type === 'updated') expectTypeOf(change.oldValue).toEqualTypeOf<Retry>();
      }
    });
  });
});

describe('with a schema of any library', () => {
  const mixed = new ConfigClient({
    url: 'http://127.0.0.1:1',
    prefix: 'any/',
    schema: {
      'any/zod': z.number().default(1),
      'any/valibot': v.optional(v.object({ host: v.string(), port: v.number() })),
      'any/arktype': type({ mode: "'on' | 'off'" }),
    },
  });

  test('values, changes and what set takes are inferred', () => {
    expectTypeOf(mixed.get('any/zod')).toEqualTypeOf<number>();
    expectTypeOf(mixed.get('any/valibot')).toEqualTypeOf<{ host: string; port: number } | undefined>();
    expectTypeOf(mixed.get('any/arktype')).toEqualTypeOf<{ mode: 'on' | 'off' } | undefined>();
    void (() => mixed.set('any/arktype', { mode: 'on' }));
    // @ts-expect-error neither on nor off
    void (() => mixed.set('any/arktype', { mode: 'maybe' }));
    // @ts-expect-error the port is missing
    void (() => mixed.set('any/valibot', { host: 'h' }));
    mixed.watch('any/valibot', (address) => {
      expectTypeOf(address).toEqualTypeOf<{ host: string; port: number } | undefined>();
    })();
  });

  test('defaults are read, and what does not fit is refused before it is sent', async () => {
    expect([mixed.get('any/zod'), mixed.get('any/valibot'), mixed.get('any/arktype')]).toEqual([1, undefined, undefined]);
    const wrong = { mode: 'maybe' } as unknown as { mode: 'on' };
    await expect(mixed.set('any/arktype', wrong)).rejects.toMatchObject({ code: 'SCHEMA_VIOLATION' });
    await expect(mixed.set('any/valibot', { host: 'h' } as never)).rejects.toMatchObject({ code: 'SCHEMA_VIOLATION' });
  });
});

test('status is a union', () => {
  const describeStatus = (status: ClientStatus): string => {
    switch (status.state) {
      case 'connecting':
        return String(status.attempt);
      case 'live':
        return status.since.toISOString();
      case 'stale':
        return status.source;
      case 'closed':
        return '';
    }
  };
  expectTypeOf(describeStatus).returns.toEqualTypeOf<string>();
  expectTypeOf<Extract<ClientStatus, { state: 'stale' }>['source']>().toEqualTypeOf<'memory' | 'file' | 'defaults'>();
});
