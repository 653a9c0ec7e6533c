import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureEtcd } from '../../scripts/stores.ts';
import { freePorts } from './free-ports.ts';

const START_MS = 30_000;

/** Three members of one etcd cluster, each a process of its own. */
export class EtcdCluster implements AsyncDisposable {
  readonly hosts: readonly string[];
  readonly #home: string;
  readonly #members: readonly ChildProcess[];

  private constructor(home: string, hosts: readonly string[], members: readonly ChildProcess[]) {
    this.#home = home;
    this.hosts = hosts;
    this.#members = members;
  }

  static async start(): Promise<EtcdCluster> {
    const [program, ports, home] = await Promise.all([ensureEtcd(), freePorts(6), mkdtemp(path.join(tmpdir(), 'attune-etcd-'))]);
    const peers = ports.slice(3).map((port) => `http://127.0.0.1:${port}`);
    const hosts = ports.slice(0, 3).map((port) => `127.0.0.1:${port}`);
    const members = hosts.map((host, index) =>
      spawn(
        program,
        [
          `--name=m${index}`,
          `--data-dir=${path.join(home, `m${index}`)}`,
          `--listen-client-urls=http://${host}`,
          `--advertise-client-urls=http://${host}`,
          `--listen-peer-urls=${peers[index]}`,
          `--initial-advertise-peer-urls=${peers[index]}`,
          `--initial-cluster=${peers.map((peer, at) => `m${at}=${peer}`).join(',')}`,
          '--log-level=error',
        ],
        { stdio: 'ignore' },
      ),
    );
    const cluster = new EtcdCluster(home, hosts, members);
    const isHealthy = async (host: string): Promise<boolean> => {
      const answer = await fetch(`http://${host}/health`).catch(() => undefined);
      return answer?.ok === true;
    };
    for (const deadline = performance.now() + START_MS; !(await Promise.all(hosts.map(isHealthy))).every(Boolean); await sleep(50)) {
      if (performance.now() < deadline) continue;
      await cluster[Symbol.asyncDispose]();
      throw new Error(`the members of etcd did not find each other within ${START_MS} ms`);
    }
    return cluster;
  }

  async kill(index: number): Promise<void> {
    const member = this.#members[index];
    if (!member || member.exitCode !== null || member.signalCode !== null) return;
    const exited = once(member, 'exit');
    member.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map(async (_member, index) => this.kill(index)));
    await rm(this.#home, { recursive: true, force: true, maxRetries: 5 });
  }
}
