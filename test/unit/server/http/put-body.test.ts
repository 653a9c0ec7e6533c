import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../../src/core/errors.ts';
import { parsePutBody } from '../../../../src/server/http/put-body.ts';

const JSON_TYPE = 'application/json';

function parse(contentType: string | undefined, body: string | Uint8Array, isRaw = false) {
  const request = new IncomingMessage(new Socket());
  if (contentType !== undefined) request.headers['content-type'] = contentType;
  return parsePutBody(request, Buffer.from(body), isRaw);
}

const refusal = (call: () => unknown) => {
  try {
    call();
  } catch (error) {
    if (isAttuneError(error))
      return {
        code: error.code,
        detail: error.message,
        errors: error.details['errors'] as readonly { pointer: string; detail: string }[] | undefined,
      };
    throw error;
  }
  throw new Error('nothing was refused');
};

describe('an envelope', () => {
  it.each([
    JSON_TYPE,
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
    'application/x-www-form-urlencoded',
    'application/json; profile=x',
  ])('is what %s means', (type) => {
    expect(parse(type, '{"value": 1.10, "metadata": {"a":"b"}, "contentType":"text/Plain; charset=utf-8", "comment":"why"}')).toEqual({
      form: 'envelope',
      valueText: '1.10',
      metadata: { a: 'b' },
      contentType: 'text/plain',
      comment: 'why',
    });
  });

  it('may begin with a byte order mark', () => {
    expect(parse(JSON_TYPE, '\ufeff{"value":1}')).toMatchObject({ form: 'envelope', valueText: '1' });
  });

  it('keeps apart a value that is null and none', () => {
    expect(parse(JSON_TYPE, '{"value":null}')).toMatchObject({ valueText: 'null' });
    expect(parse(JSON_TYPE, '{}')).toMatchObject({ valueText: undefined });
  });

  it.each([
    ['', ''],
    [' \n', ''],
    ['5', ''],
    ['"value"', ''],
    ['[]', ''],
    ['null', ''],
    ['{"value":', ''],
    ['{"vlaue":1}', ''],
    ['{"value":1,"key":"x"}', ''],
    ['{"value":1,"__proto__":{}}', ''],
    ['{"value":1,"value":2}', '/value'],
    ['{"value":{"a":[1e999]}}', '/value/a/0'],
    ['{"metadata":{"a":1}}', '/metadata/a'],
    ['{"metadata":{"a":null}}', '/metadata/a'],
    ['{"metadata":{"a/b":1}}', '/metadata/a~1b'],
    ['{"metadata":[]}', '/metadata'],
    ['{"metadata":null}', '/metadata'],
    ['{"metadata":"x"}', '/metadata'],
    ['{"metadata":{"":"x"}}', '/metadata/'],
    ['{"metadata":{"__proto__":"x"}}', '/metadata/__proto__'],
    [`{"metadata":{${Array.from({ length: 33 }, (_, index) => `"n${index}":""`).join()}}}`, '/metadata'],
    [`{"metadata":{"a":"${'x'.repeat(8_200)}"}}`, '/metadata'],
    ['{"comment":1}', '/comment'],
    [`{"comment":"${'é'.repeat(513)}"}`, '/comment'],
    ['{"contentType":1}', '/contentType'],
    ['{"contentType":"nonsense"}', '/contentType'],
    ['{"contentType":""}', '/contentType'],
    ['{"contentType":"text/plain; charset=latin1"}', '/contentType'],
  ])('%j is refused as a body, at %j', (body, pointer) => {
    const { code, errors } = refusal(() => parse(JSON_TYPE, body));
    expect(code).toBe('INVALID_BODY');
    expect(errors?.[0]?.pointer).toBe(pointer);
  });

  it('takes 32 entries and a comment of 1,024 bytes', () => {
    const metadata = Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`n${index}`, '']));
    expect(parse(JSON_TYPE, JSON.stringify({ metadata, comment: 'é'.repeat(512) }))).toMatchObject({ metadata });
  });

  it('names the unknown field and the known ones', () => {
    expect(refusal(() => parse(JSON_TYPE, '{"vlaue":1}')).detail).toMatch(/unknown field 'vlaue'.*value, metadata, contentType, comment/);
  });
});

describe('other bodies', () => {
  it('are the bare JSON value with ?raw', () => {
    expect(parse(JSON_TYPE, ' [1.10] ', true)).toEqual({ form: 'json', text: '[1.10]' });
    expect(parse('application/x-www-form-urlencoded', '5', true)).toEqual({ form: 'json', text: '5' });
  });

  it('are text of their type, to the byte', () => {
    expect(parse('text/plain', ' a\r\n ')).toEqual({ form: 'text', text: ' a\r\n ', contentType: 'text/plain' });
    expect(parse('TEXT/X-INI; charset=UTF-8', '[a]')).toEqual({ form: 'text', text: '[a]', contentType: 'text/x-ini' });
  });

  it('are untyped without a Content-Type', () => {
    expect(parse(undefined, '20')).toEqual({ form: 'untyped', text: '20' });
  });

  it.each<[string | undefined, string | Uint8Array, boolean, string]>([
    ['image/png', 'x', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['application/octet-stream', 'x', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['multipart/form-data; boundary=x', 'x', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['application/merge-patch+json', '{}', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['text/plain; charset=iso-8859-1', 'x', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['application/json; charset=utf-16', '{}', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['', 'x', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['nonsense', 'x', false, 'UNSUPPORTED_MEDIA_TYPE'],
    ['text/plain', Uint8Array.of(0xff), false, 'INVALID_BODY'],
    ['application/json', Uint8Array.of(0x22, 0xc3, 0x22), true, 'INVALID_BODY'],
    [undefined, Uint8Array.of(0xed, 0xa0, 0x80), false, 'INVALID_BODY'],
    ['text/plain', 'x', true, 'INVALID_ARGUMENT'],
    [undefined, '5', true, 'INVALID_ARGUMENT'],
    ['application/json', '', true, 'INVALID_BODY'],
    ['application/json', '{"a":1,"a":1}', true, 'INVALID_BODY'],
  ])('%j with %j (raw: %s) is %s', (type, body, isRaw, code) => {
    expect(refusal(() => parse(type, body, isRaw)).code).toBe(code);
  });
});
