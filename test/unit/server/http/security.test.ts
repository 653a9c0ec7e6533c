import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { isAttuneError } from '../../../../src/core/errors.ts';
import { hostNameOf, requireTrustedBrowser, type BrowserRules } from '../../../../src/server/http/security.ts';

const NO_RULES: BrowserRules = { allowedHosts: [], corsOrigins: [] };

function verdict(method: string, headers: Readonly<Record<string, string | undefined>>, rules = NO_RULES): string {
  const request = new IncomingMessage(new Socket());
  request.method = method;
  Object.assign(request.headers, headers);
  request.rawHeaders = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
  try {
    requireTrustedBrowser(request, rules);
    return 'allowed';
  } catch (error) {
    return isAttuneError(error) ? error.code : String(error);
  }
}

describe('the Host header', () => {
  it.each([
    'localhost',
    'localhost:8080',
    'LOCALHOST:8080',
    'localhost.',
    'localhost.:8080',
    '127.0.0.1',
    '127.0.0.1:1',
    '[::1]',
    '[::1]:8080',
  ])('%s is answered for', (host) => {
    expect(verdict('GET', { host })).toBe('allowed');
  });

  it.each([
    undefined,
    '',
    'evil.test',
    'evil.test:8080',
    'localhost.evil.test',
    'evil.test#localhost',
    'localhost@evil.test',
    'evil.test@localhost',
    'localhost:8080:8080',
    'localhost/',
    'localhost evil.test',
    '127.0.0.2',
    '127.1',
    '0.0.0.0',
    '[::]',
    '::1',
    '[::ffff:127.0.0.1]',
    'localhost:',
    'localhost:x',
    'localhost..',
    'localhost, evil.test',
    '127.0.0.1.nip.io',
  ])('%s is not', (host) => {
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']) expect(verdict(method, { host })).toBe('HOST_NOT_ALLOWED');
  });

  it('is answered for when it was allowed by name, in any case and with any port', () => {
    const rules = { ...NO_RULES, allowedHosts: ['config.example'] };
    expect(verdict('PUT', { host: 'Config.Example:443' }, rules)).toBe('allowed');
    expect(verdict('PUT', { host: 'x.config.example' }, rules)).toBe('HOST_NOT_ALLOWED');
  });

  it('loses its port and final dot, keeps the brackets of an address', () => {
    expect(['A.b:1', 'a.', '[::1]:80', 'a:b', '[::1', 'a b'].map(hostNameOf)).toEqual([
      'a.b',
      'a',
      '[::1]',
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('a write', () => {
  const host = 'localhost:8080';

  it.each([
    {},
    { origin: 'http://localhost:8080' },
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
    { origin: 'http://localhost:8080', 'sec-fetch-site': 'same-origin' },
  ])('from a tool or an own page is allowed: %j', (headers) => {
    expect(verdict('PUT', { host, ...headers })).toBe('allowed');
  });

  it.each([
    { origin: 'http://evil.test' },
    { origin: 'null' },
    { origin: '' },
    { origin: 'http://localhost' },
    { origin: 'http://localhost:3000' },
    { origin: 'http://127.0.0.1:8080' },
    { origin: 'http://localhost:8080.evil.test' },
    { 'sec-fetch-site': 'cross-site' },
    { origin: 'http://localhost:8080', 'sec-fetch-site': 'cross-site' },
  ])('from a foreign page is refused: %j', (headers) => {
    for (const method of ['PUT', 'DELETE', 'POST', 'PATCH']) expect(verdict(method, { host, ...headers })).toBe('PERMISSION_DENIED');
  });

  it('from an origin on the list is allowed, exactly that one', () => {
    const rules = { ...NO_RULES, corsOrigins: ['https://console.example'] };
    expect(verdict('PUT', { host, origin: 'https://console.example', 'sec-fetch-site': 'cross-site' }, rules)).toBe('allowed');
    expect(verdict('PUT', { host, origin: 'http://console.example' }, rules)).toBe('PERMISSION_DENIED');
    expect(verdict('PUT', { host, origin: 'https://console.example:444' }, rules)).toBe('PERMISSION_DENIED');
    expect(verdict('PUT', { host, 'sec-fetch-site': 'cross-site' }, rules)).toBe('PERMISSION_DENIED');
  });
});

it('a read is left to the browser: without CORS no page sees the answer', () => {
  for (const method of ['GET', 'HEAD'])
    expect(verdict(method, { host: 'localhost', origin: 'http://evil.test', 'sec-fetch-site': 'cross-site' })).toBe('allowed');
});
