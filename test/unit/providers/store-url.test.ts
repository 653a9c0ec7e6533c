import { describe, expect, it } from 'vitest';
import { formatStoreUrl, parseStoreUrl, unknownScheme } from '../../../src/providers/store-url.ts';
import { createLayout } from '../../../src/server/store/layout.ts';
import { parseKey } from '../../../src/core/key.ts';

function refusalOf(url: string): string {
  try {
    parseStoreUrl(url);
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    return (error as Error).message;
  }
  throw new Error(`${url} was taken`);
}

describe('the URL of a store', () => {
  it.each([
    ['etcd://h:2379/app/config', 'etcd', false, ['h:2379'], 'app/config'],
    ['etcds://h/app/config', 'etcd', true, ['h:2379'], 'app/config'],
    ['consul://h/app/config', 'consul', false, ['h:8500'], 'app/config'],
    ['consuls://h:8501/app/config', 'consul', true, ['h:8501'], 'app/config'],
    ['etcd://h1,h2:2380,h3/a', 'etcd', false, ['h1:2379', 'h2:2380', 'h3:2379'], 'a'],
    ['etcd://127.0.0.1:12379/a', 'etcd', false, ['127.0.0.1:12379'], 'a'],
    ['etcd://[::1]/a', 'etcd', false, ['[::1]:2379'], 'a'],
    ['etcd://[fd00::2]:23,[::1]:24/a', 'etcd', false, ['[fd00::2]:23', '[::1]:24'], 'a'],
    ['etcd://Etcd-0.etcd.svc.cluster.local/a', 'etcd', false, ['etcd-0.etcd.svc.cluster.local:2379'], 'a'],
    ['etcd://attune_etcd_1/a', 'etcd', false, ['attune_etcd_1:2379'], 'a'],
  ])('%s names %s, encrypted %s, at %s, namespace %s', (url, kind, isEncrypted, hosts, namespace) => {
    expect(parseStoreUrl(url)).toEqual({ kind, isEncrypted, hosts, namespace });
  });

  it.each([
    ['etcd://h', 'app/config'],
    ['etcd://h/app/config', 'app/config'],
    ['etcd://h//app/config', '/app/config'],
    ['etcd://h/a', 'a'],
    ['etcd://h/app%2Fconfig', 'app%2Fconfig'],
    ['etcd://h/größe/日本', 'größe/日本'],
    ['etcd://h/a@b', 'a@b'],
    ['etcd://h/a:1', 'a:1'],
    ['etcd://h/my app', 'my app'],
  ])('%s has literally the namespace %s', (url, namespace) => {
    const store = parseStoreUrl(url);
    expect(store.namespace).toBe(namespace);
    expect(parseStoreUrl(formatStoreUrl(store, namespace))).toEqual(store);
  });

  it.each([
    ['etcd://me:secret@h/a', 'me', 'secret'],
    ['etcd://me@h/a', 'me', undefined],
    ['etcd://me:@h/a', 'me', undefined],
    ['etcd://m%40e:p%2Fa%3As%3F%23%25@h1,h2/a', 'm@e', 'p/a:s?#%'],
    ['etcd://me:a:b@h/a', 'me', 'a:b'],
    ['etcd://me:a@b@h/a', 'me', 'a@b'],
  ])('%s has the user %s and the password %s', (url, username, password) => {
    const store = parseStoreUrl(url);
    expect([store.username, store.password]).toEqual([username, password]);
    expect(formatStoreUrl(store, 'b')).toBe(`etcd://${store.hosts.join(',')}/b`);
  });

  it.each([
    ['etcd:', 'write it as etcd://127.0.0.1:2379/app/config'],
    ['etcd', 'write it as etcd://127.0.0.1:2379/app/config'],
    ['consul:h:8500', 'write it as consul://127.0.0.1:8500/app/config'],
    ['etcd:/h/a', 'write it as etcd://127.0.0.1:2379/app/config'],
    ['etcd://', 'a host is missing; write it as etcd://127.0.0.1:2379/app/config'],
    ['etcd:///app', 'a host is missing'],
    ['consul://h,,i/app', 'a host is missing; write it as consul://127.0.0.1:8500/app/config'],
    ['etcd://h,/app', 'a host is missing'],
    ['etcd://me:secret@/app', 'a host is missing'],
    ['etcd://:2379/app', "the host ':2379' is not a host name or address"],
    ['etcd://h,h:2379/app', 'the host h:2379 is named twice'],
    ['etcd://h:/app', "the host 'h:' has a port that is not a number from 1 to 65535"],
    ['etcd://h:0/app', 'a port that is not a number from 1 to 65535'],
    ['etcd://h:65536/app', 'a port that is not a number from 1 to 65535'],
    ['etcd://h:023/app', 'a port that is not a number from 1 to 65535'],
    ['etcd://h:http/app', "the host 'h:http' has a port that is not a number from 1 to 65535"],
    ['etcd://::1/app', 'an IPv6 address stands in brackets: [::1]:2379'],
    ['consul://fd00::2:9/app', 'an IPv6 address stands in brackets: [::1]:8500'],
    ['etcd://[::1/app', "the host '[::1' is not of the form host:port"],
    ['etcd://[h]:1/app', 'is not a host name or address'],
    ['etcd://[fe80::1%eth0]/app', 'is not a host name or address'],
    ['etcd://[::1]x/app', "the host '[::1]x' is not of the form host:port"],
    ['etcd://a:b:c/app', "the host 'a:b:c' is not of the form host:port"],
    ['etcd://a b/app', 'is not a host name or address'],
    ['etcd://-h/app', 'is not a host name or address'],
    ['etcd://h\u0000/app', 'is not a host name or address'],
    ['etcd://h/', 'this names the whole store, which may hold what is not configuration; write etcd://h:2379/app/config'],
    ['etcd://h//', 'this names the whole store, which may hold what is not configuration; write etcd://h:2379//app/config'],
    ['etcd://h/app/', 'a namespace does not end in a slash; write etcd://h:2379/app'],
    ['etcd://h//app//', 'a namespace does not end in a slash; write etcd://h:2379//app'],
    [
      'etcd://h///app',
      "the namespace '//app' follows the grammar of keys, save for one slash at its beginning: a key has no empty segment",
    ],
    ['etcd://h/a//b', 'a key has no empty segment'],
    ['etcd://h/a/../b', 'a key has no ".." segment'],
    ['etcd://h/.', 'a key has no "." segment'],
    ['etcd://h/a\nb', 'a key has no control characters'],
    ['etcd://h/app/config/.attune', 'a segment equal to ".attune" or ending in it is reserved'],
    ['etcd://h/app/config.attune', 'a segment equal to ".attune" or ending in it is reserved'],
    ['etcd://h/.attune/meta', 'a segment equal to ".attune" or ending in it is reserved'],
    [`etcd://h/${'a'.repeat(513)}`, 'a key is at most 512 bytes'],
    ['etcd://h/app?tls=true', 'a provider URL has no query and no fragment; credentials and certificates are settings'],
    ['etcd://h?x', 'a provider URL has no query and no fragment'],
    ['etcd://h/app#x', 'a provider URL has no query and no fragment'],
    ['etcd://:secret@h/app', 'the user is missing before the password'],
    ['etcd://@h/app', 'the user is missing before the password'],
    ['etcd://me:100%@h/app', 'a "%" that stands for itself is written as %25'],
    ['etcd://h1,me:secret@h2/app', 'user and password stand once, before the first host'],
  ])('%s is refused: %s', (url, message) => {
    expect(refusalOf(url)).toContain(message);
  });

  it.each([
    'etcd://me:tOpSe/cret@h/app',
    'etcd://me:tOp@Secret@h:x/app',
    'etcd://me:tOpSecret%@h/app',
    'etcd://me:tOpSecret@h/app?x',
    'etcd://me:tOp?Secret@h/app',
    'etcd://me:tOp#Secret@h/app',
    'etcd://me:tOpSecret@h/',
    'etcd://me:tOpSecret@h/a//b',
    'etcd://me:tOpSecret@:1/a',
    'etcd://h/app?token=tOpSecret',
    'etcd:me:tOpSecret@h',
    'etcd://h1,me:tOpSecret@h2/app',
  ])('%s is refused without showing the secret', (url) => {
    expect(refusalOf(url)).not.toMatch(/tOp|Secret|cret@|Se\b/);
  });
});

describe('a URL of no known kind', () => {
  it.each([
    ['ectd://h/a', 'etcd://127.0.0.1:2379/app/config'],
    ['ETCD://h/a', 'etcd://127.0.0.1:2379/app/config'],
    ['etcd3://h/a', 'etcd://127.0.0.1:2379/app/config'],
    ['http://h:2379', 'etcd://127.0.0.1:2379/app/config'],
    ['https://h:2379', 'etcds://etcd.example:2379/app/config'],
    ['http://h:8500', 'consul://127.0.0.1:8500/app/config'],
    ['https://h:8501/x', 'consuls://consul.example:8501/app/config'],
    ['consl://h', 'consul://127.0.0.1:8500/app/config'],
    ['Embedded:x', 'embedded:./data'],
    ['sqlite:x', 'embedded:./data'],
  ])('%s is told what may have been meant: %s', (url, meant) => {
    expect(unknownScheme(url).message).toMatch(new RegExp(`; did you mean ${meant}\\?$`));
  });

  it.each(['redis://me:secret@h/0', 'etcd//me:secret@h/x', 'secret@h', './data', '', 'constructor:x'])(
    '%s is told all that are known, without its password',
    (url) => {
      const { message } = unknownScheme(url);
      expect(message).toMatch(/is of no known kind; known are memory:, embedded:\.\/data, etcd:\/\/.*, consuls:\/\/\S+$/);
      expect(message).not.toContain('secret');
    },
  );
});

describe('a namespace that begins with a slash', () => {
  it('has its keys, sidecars and history under that slash', () => {
    const layout = createLayout(parseStoreUrl('etcd://h//app/config').namespace);
    const key = parseKey('a/b');
    expect(layout.root).toBe('/app/config/');
    expect(layout.valueKey(key)).toBe('/app/config/a/b');
    expect(layout.sidecarKey(key)).toBe('/app/config/.attune/meta/a/b');
    expect(layout.historyKey(key, 1)).toBe('/app/config.attune/history/a%2Fb/0000000000000001');
    expect(layout.epochKey).toBe('/app/config/.attune/system/epoch');
    expect([layout.keyOfValue('/app/config/a/b'), layout.keyOfValue('app/config/a/b')]).toEqual(['a/b', undefined]);
    expect([layout.isSkipped('/app/config//a'), layout.isSkipped('/app/config/a')]).toEqual([true, false]);
  });
});
