import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEtcd } from '../../scripts/stores.ts';
import { EtcdProvider, type EtcdOptions } from '../../src/providers/etcd/etcd-provider.ts';
import { put } from '../support/etcd-bench.ts';
import { createAuthority } from '../support/certificates.ts';
import { freePorts } from '../support/free-ports.ts';

const authority = createAuthority('attune test authority');
const other = createAuthority('another authority');
const client = authority.issue('attune');

let etcd: ChildProcess;
let home: string;
let host: string;

const open = async (tls?: NonNullable<EtcdOptions['tls']>): Promise<EtcdProvider> => {
  const provider = new EtcdProvider({ hosts: [host], namespace: 'app/config', ...(tls && { tls }) });
  try {
    await provider.open({ deadlineMs: 2_000 });
  } catch (error) {
    await provider.close();
    throw error;
  }
  return provider;
};

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'attune-etcd-tls-'));
  const [port = 0, peer = 0] = await freePorts(2);
  host = `127.0.0.1:${port}`;
  const server = authority.issue('etcd');
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(path.join(home, name), text);
    return path.join(home, name);
  };
  const args = [
    `--data-dir=${path.join(home, 'data')}`,
    `--listen-client-urls=https://${host}`,
    `--advertise-client-urls=https://${host}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=default=http://127.0.0.1:${peer}`,
    `--cert-file=${await file('server.pem', server.cert)}`,
    `--key-file=${await file('server.key', server.key)}`,
    `--trusted-ca-file=${await file('ca.pem', authority.ca)}`,
    '--client-cert-auth=true',
    '--log-level=error',
  ];
  etcd = spawn(await ensureEtcd(), args, { stdio: 'ignore' });
  const provider = new EtcdProvider({ hosts: [host], namespace: 'app/config', tls: { ca: authority.ca, ...client } });
  let failure: unknown = 'none';
  for (const deadline = performance.now() + 20_000; failure !== undefined && performance.now() < deadline; await sleep(50)) {
    failure = await provider.open({ deadlineMs: 1_000 }).catch((error: unknown) => error);
  }
  await provider.close();
  expect(failure).toBeUndefined();
}, 60_000);

afterAll(async () => {
  const exited = once(etcd, 'exit');
  etcd.kill('SIGKILL');
  await exited;
  await rm(home, { recursive: true, force: true });
});

describe('etcd behind TLS', () => {
  it('with a private authority and a client certificate is read, written and watched', async () => {
    await using provider = await open({ ca: authority.ca, ...client });
    const revision = await provider.commit({ checks: [], operations: [put('app/config/a', 'b')] });
    const stop = new AbortController();
    for await (const batch of provider.watch('app/config/', { after: (revision - 1) as typeof revision, signal: stop.signal })) {
      expect(batch.revision).toBe(revision);
      break;
    }
  });

  it.each([
    ['an authority that is not its own', { ca: other.ca, ...client }, /certificate/],
    ['the authorities of the system', { ...client }, /certificate/],
    ['no client certificate', { ca: authority.ca }, /certificate|alert|closed|ECONNRESET|socket/i],
    [
      'a client certificate of another authority',
      { ca: authority.ca, ...other.issue('attune') },
      /certificate|alert|closed|ECONNRESET|socket/i,
    ],
    ['no TLS', undefined, /./],
  ])('met with %s is unavailable at once, and the message says why', async (_name, tls, message) => {
    const start = performance.now();
    const failure: unknown = await open(tls).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(message) });
    expect(String(failure)).toContain(host);
    expect(performance.now() - start).toBeLessThan(3_000);
  });
});
