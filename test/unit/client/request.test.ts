import { describe, expect, test } from 'vitest';
import { createApi } from '../../../src/client/api.ts';
import { resolveOptions } from '../../../src/client/client-options.ts';
import { parseProblem } from '../../../src/client/problem.ts';
import { putRequestOf, type PutBody } from '../../../src/client/put-body.ts';
import { formatQuery, keyPath } from '../../../src/client/request-path.ts';
import { parseServerUrls } from '../../../src/client/server-urls.ts';

describe('paths', () => {
  test.each([
    ['a/b', '/api/v1/configs/a/b'],
    ['a b/é%?#', '/api/v1/configs/a%20b/%C3%A9%25%3F%23'],
    ['a+b', '/api/v1/configs/a%2Bb'],
    ['__proto__', '/api/v1/configs/__proto__'],
  ])('of %s encode each segment', (key, path) => {
    expect(keyPath(key)).toBe(path);
  });

  test.each(['', '/a', 'a/', 'a//b', '..', 'a/../b', '.', 'a\n', 'x.attune/y', 'k'.repeat(513)])(
    'of %j are refused before anything is sent',
    (key) => {
      expect(() => keyPath(key)).toThrow(expect.objectContaining({ code: 'INVALID_KEY' }));
    },
  );

  test('a query repeats lists, writes true as a flag and leaves out what is not given', () => {
    expect(formatQuery({ a: 'x y', b: true, c: false, d: undefined, e: ['1', '&'], f: 0, g: '' })).toBe('?a=x%20y&b&e=1&e=%26&f=0&g=');
    expect(formatQuery({ a: undefined })).toBe('');
  });
});

describe('server URLs', () => {
  test('keep a path and lose a trailing slash', () => {
    expect(parseServerUrls(['http://a:1', 'https://b/attune/'])).toEqual(['http://a:1', 'https://b/attune']);
  });

  test.each([[[]], ['localhost:8080'], ['ftp://x'], ['http://x?y=1'], ['http://x#y'], ['http://']])('%j is refused', (url) => {
    expect(() => parseServerUrls(url)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  test('with credentials are refused without repeating them', () => {
    for (const url of ['http://me:secret@x', 'me:secret@x', 'http://me:se/secret@x', 'ftp://secret@x']) {
      expect(() => parseServerUrls(url)).toThrow(/^((?!secret).)*$/);
    }
    expect(parseServerUrls('http://x/@team')).toEqual(['http://x/@team']);
    expect(() => createApi({ url: 'http://me:secret@x' })).toThrow(/token/);
  });
});

describe('put bodies', () => {
  const text = (content: string | Uint8Array): string => (typeof content === 'string' ? content : new TextDecoder().decode(content));
  const rows: readonly {
    readonly what: string;
    readonly body: PutBody;
    readonly type: string | undefined;
    readonly raw: boolean;
    readonly content: string;
  }[] = [
    { what: 'a value', body: { value: [1] }, type: 'application/json', raw: false, content: '{"value":[1]}' },
    { what: 'null', body: { value: null }, type: 'application/json', raw: false, content: '{"value":null}' },
    {
      what: 'JSON text, verbatim',
      body: { jsonText: '9007199254740993' },
      type: 'application/json',
      raw: false,
      content: '{"value":9007199254740993}',
    },
    {
      what: 'a value with all beside it',
      body: { value: 1, metadata: { a: 'b' }, contentType: 'application/json', comment: 'why' },
      type: 'application/json',
      raw: false,
      content: '{"value":1,"metadata":{"a":"b"},"contentType":"application/json","comment":"why"}',
    },
    { what: 'metadata only', body: { metadata: {} }, type: 'application/json', raw: false, content: '{"metadata":{}}' },
    {
      what: 'text of a type',
      body: { raw: 'a: 1', contentType: 'application/yaml' },
      type: 'application/yaml',
      raw: false,
      content: 'a: 1',
    },
    { what: 'text without a type', body: { raw: '1.10' }, type: undefined, raw: false, content: '1.10' },
    { what: 'bytes', body: { raw: new TextEncoder().encode('é') }, type: undefined, raw: false, content: 'é' },
    { what: 'raw JSON', body: { raw: '1e400', contentType: 'application/json' }, type: 'application/json', raw: true, content: '1e400' },
    {
      what: 'text of a type with a comment',
      body: { raw: 'a: "1"', contentType: 'application/yaml', comment: 'why' },
      type: 'application/json',
      raw: false,
      content: '{"value":"a: \\"1\\"","contentType":"application/yaml","comment":"why"}',
    },
  ];
  test.each(rows)('carry $what', ({ body, type, raw, content }) => {
    const request = putRequestOf(body);
    expect(request.headers['content-type']).toBe(type);
    expect(request.query['raw'] ?? false).toBe(raw);
    expect(text(request.content)).toBe(content);
  });

  test.each<PutBody>([
    { value: 1, jsonText: '1' },
    { value: 1, raw: '1' },
    { jsonText: '1,"comment":"injected"' },
    { jsonText: '' },
    { raw: 'x', comment: 'no type' },
    { raw: new Uint8Array(1), contentType: 'text/plain', comment: 'bytes' },
  ])('%j is refused', (body) => {
    expect(() => putRequestOf(body)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('problem documents', () => {
  const parse = (body: unknown, status: number, headers: Record<string, string> = {}) =>
    parseProblem(body, status, new Headers(headers), 0);

  test('become errors with code, message and details', () => {
    const body = {
      type: '/docs/errors#CONFLICT',
      title: 'Precondition Failed',
      status: 412,
      code: 'CONFLICT',
      detail: 'x is at 43',
      requestId: 'r',
      current: { version: 43 },
    };
    expect(parse(body, 412, { 'attune-revision': '99' })).toMatchObject({
      code: 'CONFLICT',
      message: 'x is at 43',
      details: { status: 412, requestId: 'r', current: { version: 43 }, revision: 99 },
    });
  });

  test.each([
    ['3', 3_000],
    ['Thu, 01 Jan 1970 00:00:05 GMT', 5_000],
    ['soon', undefined],
  ])('Retry-After: %s is %s ms', (header, expected) => {
    expect(parse({ code: 'RATE_LIMITED', detail: 'x' }, 429, { 'retry-after': header })?.details['retryAfterMs']).toBe(expected);
  });

  test.each([
    [404, 'ROUTE_NOT_FOUND'],
    [412, 'CONFLICT'],
    [418, 'INVALID_ARGUMENT'],
    [503, 'UNAVAILABLE'],
    [599, 'INTERNAL'],
  ])('a code of tomorrow with status %i reads as %s', (status, code) => {
    expect(parse({ code: 'NEW_CODE', detail: 'x' }, status)).toMatchObject({ code, details: { serverCode: 'NEW_CODE' } });
  });

  test.each([null, [], 'text', {}, { code: 4 }])('%j is none', (body) => {
    expect(parse(body, 400)).toBeUndefined();
  });
});

describe('client options', () => {
  const URL_OPTION = { url: 'http://a:1' };
  const schema = { 'a/x': { '~standard': { version: 1, vendor: 'test', validate: (value: unknown) => ({ value }) } } } as const;

  test.each([
    [{ ...URL_OPTION, prefix: [] }, /empty list/],
    [{ ...URL_OPTION, prefix: '/a' }, /leading/],
    [{ ...URL_OPTION, prefix: Array.from({ length: 101 }, (_, index) => `p${index}/`) }, /at most 100/],
    [{ ...URL_OPTION, prefix: 'b/', schema }, /'a\/x'.*outside/],
    [{ ...URL_OPTION, prefix: '', silenceMs: 0 }, /silenceMs/],
    [{ url: 'x', prefix: '' }, /URL/],
    [JSON.parse('{"url":"http://a:1"}') as { url: string; prefix: string }, /no prefix/],
  ])('%o is refused', (options, message) => {
    expect(() => resolveOptions(options)).toThrow(message);
  });

  test('prefixes that make a URL no server reads are refused', () => {
    const prefix = Array.from({ length: 100 }, () => 'p'.repeat(120));
    expect(() => resolveOptions({ ...URL_OPTION, prefix })).toThrow('the prefixes make a URL of 12800 characters, over 12000; give fewer');
  });

  test("'' is everything, on purpose", () => {
    expect(resolveOptions({ ...URL_OPTION, prefix: '' }).prefixes).toEqual(['']);
  });
});
