import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureConsul, ensureEtcd } from '../../scripts/stores.ts';
import { freePorts } from './free-ports.ts';

const START_MS = 30_000;

export interface StoreServerOptions {
  /** More arguments of the program. */
  readonly args?: readonly string[];
  /** Words before the program, such as `taskset -c 0`; the last of them must become the program. */
  readonly before?: readonly string[];
}

/** What differs between etcd and Consul. */
interface Program {
  readonly name: string;
  readonly ensure: () => Promise<string>;
  /** Ports it needs; the first one is the one clients use. */
  readonly ports: number;
  readonly arguments: (ports: readonly number[], dataDir: string) => readonly string[];
  /** Answers once it can be written to. */
  readonly isReady: (url: string) => Promise<boolean>;
}

const ETCD: Program = {
  name: 'etcd',
  ensure: ensureEtcd,
  ports: 2,
  arguments: ([client, peer], dataDir) => [
    `--data-dir=${dataDir}`,
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--advertise-client-urls=http://127.0.0.1:${client}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=default=http://127.0.0.1:${peer}`,
    '--log-level=error',
  ],
  isReady: async (url) => {
    const answer = await fetch(`${url}/health`);
    return answer.ok && ((await answer.json()) as { readonly health: string }).health === 'true';
  },
};

const CONSUL: Program = {
  name: 'Consul',
  ensure: ensureConsul,
  ports: 3,
  arguments: ([http, server, serf], dataDir) => [
    'agent',
    '-server',
    '-bootstrap-expect=1',
    '-node=attune-test',
    '-bind=127.0.0.1',
    '-client=127.0.0.1',
    `-data-dir=${dataDir}`,
    `-http-port=${http}`,
    `-server-port=${server}`,
    `-serf-lan-port=${serf}`,
    '-serf-wan-port=-1',
    '-dns-port=-1',
    '-log-level=err',
    '-hcl=performance { raft_multiplier = 1 }',
  ],
  isReady: async (url) => {
    const leader = await fetch(`${url}/v1/status/leader`);
    if (!leader.ok || !(await leader.text()).includes(':')) return false;
    const read = await fetch(`${url}/v1/kv/attune-ready?consistent`);
    return read.status === 404 || read.status === 403 || read.ok;
  },
};

/** A real store server in a process of its own on loopback, with a data directory that outlives a restart. */
export class StoreServer implements AsyncDisposable {
  readonly #program: Program;
  readonly #options: StoreServerOptions;
  readonly #ports: readonly number[];
  readonly #home: string;
  #child: ChildProcess | undefined;
  #output = '';

  private constructor(program: Program, ports: readonly number[], home: string, options: StoreServerOptions) {
    this.#program = program;
    this.#ports = ports;
    this.#home = home;
    this.#options = options;
  }

  static async startEtcd(options: StoreServerOptions = {}): Promise<StoreServer> {
    return StoreServer.#create(ETCD, options);
  }

  static async startConsul(options: StoreServerOptions = {}): Promise<StoreServer> {
    return StoreServer.#create(CONSUL, options);
  }

  static async #create(program: Program, options: StoreServerOptions): Promise<StoreServer> {
    const home = await mkdtemp(path.join(tmpdir(), `attune-${program.name.toLowerCase()}-`));
    const server = new StoreServer(program, await freePorts(program.ports), home, options);
    try {
      await server.start();
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    return server;
  }

  get port(): number {
    return this.#ports[0] ?? 0;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  /** Where etcd's members speak with each other. */
  get peerUrl(): string {
    return `http://127.0.0.1:${this.#ports[1]}`;
  }

  get dataDir(): string {
    return path.join(this.#home, 'data');
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.#program.name} does not run`);
    return pid;
  }

  /** Starts it, again after {@link end}, on the same ports over the same data. Resolves when it can be written to. */
  async start(): Promise<void> {
    const program = await this.#program.ensure();
    const { before = [], args = [] } = this.#options;
    const [command = program, ...words] = [...before, program, ...this.#program.arguments(this.#ports, this.dataDir), ...args];
    const child = spawn(command, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (this.#output = `${this.#output}${chunk.toString()}`.slice(-10_000)));
    }
    for (const deadline = performance.now() + START_MS; ;) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        throw new Error(`${this.#program.name} did not start within ${START_MS} ms: ${this.#output}`);
      }
      if (await this.#program.isReady(this.url).catch(() => false)) return;
      await sleep(20);
    }
  }

  /** Ends it; the data stays. */
  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    // One that is stopped takes no other signal.
    child.kill('SIGCONT');
    await exited;
  }

  /** Stands still, connections open, until {@link thaw}. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await rm(this.#home, { recursive: true, force: true, maxRetries: 5 });
  }
}
