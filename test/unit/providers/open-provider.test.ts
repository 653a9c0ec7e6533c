import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { EmbeddedProvider } from '../../../src/providers/embedded/embedded-provider.ts';
import { openProvider } from '../../../src/providers/open-provider.ts';

describe('a provider URL', () => {
  it.each([
    ['memory:', undefined, 'memory', undefined],
    ['memory', undefined, 'memory', undefined],
    ['embedded', undefined, 'embedded', './data'],
    ['embedded:', undefined, 'embedded', './data'],
    ['embedded', '/var/lib/attune', 'embedded', '/var/lib/attune'],
    ['embedded:./elsewhere', undefined, 'embedded', './elsewhere'],
    ['embedded:/var/lib/attune', undefined, 'embedded', '/var/lib/attune'],
    ['embedded:C:\\attune data', undefined, 'embedded', 'C:\\attune data'],
  ])('%s with data directory %s opens the %s provider at %s', async (url, dataDir, name, directory) => {
    const opened = await openProvider(url, { dataDir });
    expect(opened.provider.name).toBe(name);
    expect(opened.namespace).toBe('app/config');
    expect(opened.provider instanceof EmbeddedProvider ? opened.provider.directory : undefined).toBe(directory);
  });

  it.each([
    ['memory:x', undefined, "provider 'memory:x': memory: takes nothing after the colon; its content ends with the process"],
    ['memory:', './d', "provider 'memory:' keeps nothing on disk, yet --data-dir ./d is given; leave one out"],
    ['embedded:./a', './b', "provider 'embedded:./a' names its folder, and --data-dir ./b another one; leave one out"],
    ['embedded://data', undefined, "provider 'embedded://data' looks like a host; write embedded:./data or embedded:/data"],
  ])('%s with data directory %s is refused: %s', async (url, dataDir, message) => {
    await expect(openProvider(url, { dataDir })).rejects.toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', message }));
  });

  it('creates nothing until it is opened, and then tells whether the store is new', async () => {
    const parent = await mkdtemp(path.join(tmpdir(), 'attune-url-'));
    const directory = path.join(parent, 'data');
    const first = await openProvider(`embedded:${directory}`);
    await first.provider.close();
    const second = await openProvider(`embedded:${directory}`);
    await second.provider.open();
    expect(second.describe()).toBe(`embedded store ${directory} (new)`);
    await second.provider.close();
    const third = await openProvider('embedded', { dataDir: directory });
    await third.provider.open();
    expect(third.describe()).toBe(`embedded store ${directory}`);
    await third.provider.close();
    await rm(parent, { recursive: true });
  });
});

describe('a store that runs elsewhere', () => {
  const CA = 'test/support/certificates/ca.pem';
  const CERT = 'test/support/certificates/client.pem';
  const KEY = 'test/support/certificates/client-key.pem';
  const OTHER_KEY = 'test/support/certificates/server-key.pem';

  it('is known by kind, hosts and namespace, and shown without its user', async () => {
    const opened = await openProvider('etcd://me:tOpSecret@h1,h2:23//app/config');
    expect(opened).toMatchObject({ namespace: '/app/config', hosts: ['h1:2379', 'h2:23'] });
    expect(opened.provider.name).toBe('etcd');
    expect(opened.describe()).toBe('etcd h1:2379,h2:23 /app/config');
    expect(opened.twin).toEqual({ namespace: 'app/config', url: 'etcd://h1:2379,h2:23/app/config' });
    await opened.provider.close();
  });

  it.each([
    ['etcd://h', {}],
    ['etcd://h', { username: 'me', password: 'p' }],
    ['etcd://me@h', { password: 'p' }],
    ['etcd://me:p@h', { username: 'me', password: 'p' }],
    ['etcds://h', {}],
    ['etcds://h', { caFile: CA }],
    ['etcds://h', { certFile: CERT, keyFile: KEY }],
    ['etcds://h', { caFile: CA, certFile: CERT, keyFile: KEY }],
    ['consul://h', {}],
    ['consul://h', { token: 't', datacenter: 'dc1' }],
    ['consuls://h', { caFile: CA, certFile: CERT, keyFile: KEY }],
  ])('%s is opened with %j', async (url, options) => {
    const { provider, twin } = await openProvider(url, options);
    expect(provider.name).toBe(/^[a-z]+?(?=s?:)/.exec(url)?.[0]);
    expect(twin === undefined).toBe(provider.name === 'consul');
    await provider.close();
  });

  it.each([
    ['etcd://h', { dataDir: './d' }, 'keeps nothing on this machine, yet --data-dir ./d is given'],
    ['etcd://me@h', {}, "the user 'me' of etcd has no password; give it with ATTUNE_STORE_PASSWORD"],
    ['etcd://h', { username: 'me' }, "the user 'me' of etcd has no password"],
    ['etcd://h', { password: 'tOpSecret' }, 'a password for etcd is given, and no user'],
    ['etcd://me:tOpSecret@h', { username: 'you' }, 'the provider URL names one user and --store-user another'],
    ['etcd://me:tOpSecret@h', { password: 'tOpSecret2' }, 'the provider URL names one password and --store-password another'],
    ['etcd://h', { token: 'tOpSecret' }, '--store-token is of no use here, because etcd has users instead'],
    ['etcd://h', { datacenter: 'dc1' }, '--store-datacenter is of no use here'],
    ['etcd://h', { caFile: CA }, '--store-ca-file is of no use here, because etcd:// is not encrypted, write etcds:// for TLS'],
    ['consul://me:tOpSecret@h', {}, 'Consul has no users and passwords'],
    ['consul://h', { password: 'tOpSecret' }, '--store-password is of no use here, because Consul has tokens instead'],
    ['consul://h//app/config', {}, 'write consul://h:8500/app/config instead of consul://h:8500//app/config'],
    ['consul://h/app/con\u00a0fig', {}, 'holds U+00A0, which Consul takes in no URL'],
    ['consul://h/app\u200b', {}, 'holds U+200B, which Consul takes in no URL'],
    ['embedded://me:tOpSecret@h', {}, "'embedded://…@h' looks like a host"],
    ['memory:', { token: 'tOpSecret' }, '--store-token is of no use here, because provider memory: is in this process'],
    ['embedded', { username: 'me' }, '--store-user is of no use here, because provider embedded is in this process'],
    ['etcds://h', { certFile: CERT }, '--store-cert-file is given without --store-key-file'],
    ['etcds://h', { keyFile: KEY }, '--store-key-file is given without --store-cert-file'],
    ['etcds://h', { caFile: './absent.pem' }, '--store-ca-file: cannot read ./absent.pem: ENOENT'],
    ['etcds://h', { caFile: 'test/support' }, '--store-ca-file: cannot read test/support: EISDIR'],
    ['etcds://h', { caFile: 'package.json' }, '--store-ca-file: package.json holds no PEM'],
    ['etcds://h', { certFile: CERT, keyFile: OTHER_KEY }, `the certificates cannot be used (${CERT}, ${OTHER_KEY}): `],
  ])('%s with %j is refused: %s', async (url, options, message) => {
    const refused = await openProvider(url, options).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) });
    expect(String(refused)).not.toMatch(/tOpSecret/);
  });
});
