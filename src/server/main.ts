import { DEFAULT_WINDOW } from './cache/window.ts';
import { startHttpServer, type HttpServer } from './http-server.ts';
import { maskUrl } from '../core/mask-url.ts';
import { tryCommands } from './http/pages.ts';
import { createLog } from './logging.ts';
import { printSettings, resolveSettings, SettingsError, type ServerSettings, type SettingInputs } from './settings.ts';
import { LateProvider, OPEN_MS } from './store/late-provider.ts';
import { loadYaml } from './store/yaml-syntax.ts';
import { confusionWith } from './twin-namespace.ts';
import type { SharedMetrics } from './http/metrics.ts';
import { killWorkers, linkToPrimary, runWorkers, type WorkerLink } from './workers.ts';
import { VERSION } from './version.ts';
import type { Logger } from 'pino';
import { isAttuneError, type ErrorCode } from '../core/errors.ts';
import type { ConfigProvider } from '../core/provider.ts';
import { openProvider, type ProviderAtUrl } from '../providers/open-provider.ts';

/** Those who waited for the start have been served by then. */
const YAML_AFTER_MS = 1_000;

export { openProvider };

export interface ServeOptions extends SettingInputs {
  /** Print every setting with its source and do nothing else. */
  readonly isPrintOnly?: boolean;
  /** Where the banner goes; default standard output. */
  readonly print?: (line: string) => void;
}

/** A start that failed for a reason the operator can mend; shown without a stack. */
export class ServeError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ServeError';
    this.exitCode = exitCode;
  }
}

/** As the command line ends after the same errors of a server. */
const EXIT_OF: Readonly<Partial<Record<ErrorCode, number>>> = { UNAUTHENTICATED: 5, PERMISSION_DENIED: 5, UNAVAILABLE: 6 };

/**
 * Runs the service until SIGTERM or SIGINT; a second signal exits at once. Resolves when it has shut down in order. A store that runs elsewhere
 * and cannot be reached is waited for, while the service tells so.
 * @throws {ServeError} wrong settings, a port or data directory in use, a store that refuses, now or when it is reached at last.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const print = options.print ?? ((line: string) => process.stdout.write(`${line}\n`));
  const settings = settingsOf(options);
  if (options.isPrintOnly) {
    print(printSettings(settings));
    return;
  }
  const link = linkToPrimary(options.env);
  if (link) return serveAsWorker(settings, link);
  const store = await providerOf(settings);
  if (settings.workers > 1) return serveWithWorkers(settings, store, print);
  await serveNode(settings, store, {
    log: await logOf(settings),
    announce: (banner) => banner.forEach(print),
    nextStop: nextSignal,
    onStopping: () => exitAtNextSignal(),
  });
}

/** What a node is to the process it runs in. */
interface NodeRole {
  readonly log: Logger;
  /** Told once, when the node answers. */
  readonly announce: (banner: readonly string[]) => void;
  /** Settles when the node shall stop. Called before anybody knows that the node is there. */
  readonly nextStop: () => Promise<NodeJS.Signals | undefined>;
  readonly onStopping: () => void;
  readonly sharedMetrics?: SharedMetrics;
}

/** Processes that share the port, each a whole node. */
async function serveWithWorkers(settings: ServerSettings, store: ProviderAtUrl, print: (line: string) => void): Promise<void> {
  const { workers: count, logLevel: level } = settings;
  await store.provider.close();
  if (store.hosts.length === 0) {
    const message = `--workers ${count} needs a store that several processes can use, etcd:// or consul://; ${maskUrl(settings.provider)} is used by one process`;
    throw new ServeError(message, 2);
  }
  const stop = nextSignal();
  void stop.then(() => exitAtNextSignal(killWorkers));
  const failure = await runWorkers({
    count,
    stop,
    // Its few lines go to standard error; the files are the workers'.
    log: await createLog({ level, dir: undefined }),
    onServing: (banner) => [...banner, `  ${count} workers share the port`, ''].forEach(print),
  });
  if (failure) throw new ServeError(failure.message, failure.exitCode);
}

async function serveAsWorker(settings: ServerSettings, link: WorkerLink): Promise<void> {
  try {
    await serveNode(settings, await providerOf(settings), {
      log: await logOf(settings, link.id),
      announce: (banner) => link.announce(banner),
      nextStop: () => link.stop,
      // The primary ends it.
      onStopping: () => undefined,
      sharedMetrics: link.metrics,
    });
  } catch (error) {
    if (!(error instanceof ServeError)) throw error;
    await link.fail({ message: error.message, exitCode: error.exitCode });
  }
  link.close();
}

async function serveNode(settings: ServerSettings, store: ProviderAtUrl, role: NodeRole): Promise<void> {
  const { log } = role;
  const refusal = once<unknown>();
  const live = once<undefined>();
  const provider = await openStore(store, log, refusal.settle);
  let server: HttpServer;
  try {
    server = await startHttpServer({
      provider,
      namespace: store.namespace,
      storeHosts: store.hosts,
      host: settings.host,
      port: settings.port,
      allowedHosts: settings.allowedHosts,
      corsOrigins: settings.corsOrigins,
      admission: settings.admission,
      sharedMetrics: role.sharedMetrics,
      log,
      onLive: () => live.settle(undefined),
      service: { maxValueBytes: settings.maxValueBytes, window: { ...DEFAULT_WINDOW, minBatches: settings.windowBatches } },
    });
  } catch (error) {
    await provider.close();
    throw listenError(error, settings);
  }
  const { service } = server;
  const isLive = service.state === 'live';
  const checked = live.settled.then(async () => store.twin && warnOf(await confusionWith(store.twin, service), log));
  const warning = isLive ? await checked : undefined;
  // Whoever sees the banner may send the signal.
  const stopped = role.nextStop();
  role.announce(bannerOf(server, settings, isLive ? store.describe() : `${store.describe()} (not reached yet, trying again)`, warning));
  log.info({ version: VERSION, url: server.url, provider: provider.name, storeHosts: store.hosts, namespace: store.namespace }, 'serving');
  void live.settled.then(() => setTimeout(loadYamlAhead, YAML_AFTER_MS).unref());
  const refused = refusal.settled.then((reason) => ({ reason }));
  const ended = await Promise.race([stopped, refused]);
  log.info({ signal: typeof ended === 'string' ? ended : undefined }, 'shutting down');
  role.onStopping();
  await server.close();
  await provider.close();
  log.info('shut down');
  if (typeof ended === 'object') throw openError(ended.reason);
}

/** So that the first YAML holds nobody up. One that cannot be loaded is told to who brings it. */
function loadYamlAhead(): void {
  try {
    loadYaml();
  } catch {
    // Nobody needs it yet.
  }
}

/** Open, or one that opens as soon as it can be reached. */
async function openStore(store: ProviderAtUrl, log: Logger, onRefused: (reason: unknown) => void): Promise<ConfigProvider> {
  const { provider, hosts } = store;
  try {
    await provider.open({ deadlineMs: OPEN_MS });
    return provider;
  } catch (error) {
    // What lies in a folder here, and is in use or damaged, does not mend by waiting.
    if (hosts.length > 0 && isAttuneError(error, 'UNAVAILABLE')) {
      log.warn({ cause: error.message, storeHosts: hosts }, 'the store cannot be reached; serving without it until it can');
      return new LateProvider(provider, onRefused);
    }
    await provider.close().catch(() => undefined);
    throw openError(error);
  }
}

function openError(error: unknown): ServeError {
  const code = isAttuneError(error) ? error.code : undefined;
  const message = error instanceof Error ? error.message : String(error);
  return new ServeError(message, (code && EXIT_OF[code]) ?? 1, { cause: error });
}

function warnOf(confusion: string | undefined, log: Logger): string | undefined {
  if (confusion !== undefined) log.warn(confusion);
  return confusion;
}

/** Something that happens at most once; `settle` may be called again in vain. */
function once<Value>(): { readonly settled: Promise<Value>; readonly settle: (value: Value) => void } {
  let settle: (value: Value) => void = () => undefined;
  const settled = new Promise<Value>((resolve) => (settle = resolve));
  return { settled, settle };
}

async function logOf({ logLevel: level, logDir: dir }: ServerSettings, worker?: number): Promise<Logger> {
  try {
    return await createLog({ level, dir, worker });
  } catch (error) {
    throw new ServeError(`cannot keep log files in ${dir ?? ''}: ${(error as Error).message}; choose another --log-dir`, 1, {
      cause: error,
    });
  }
}

function settingsOf(options: ServeOptions): ServerSettings {
  try {
    return resolveSettings(options);
  } catch (error) {
    if (error instanceof SettingsError) throw new ServeError(error.problems.join('\nattune: '), 2, { cause: error });
    throw error;
  }
}

async function providerOf(settings: ServerSettings): Promise<ProviderAtUrl> {
  try {
    return await openProvider(settings.provider, { dataDir: settings.dataDir, ...settings.store });
  } catch (error) {
    if (isAttuneError(error, 'INVALID_ARGUMENT')) throw new ServeError(error.message, 2, { cause: error });
    throw error;
  }
}

function bannerOf(server: HttpServer, settings: ServerSettings, store: string, warning: string | undefined): readonly string[] {
  const guard = settings.isInsecure
    ? 'NO AUTHENTICATION: whoever reaches this address can change everything'
    : 'loopback only, no authentication';
  return [
    `attune ${VERSION}  ${store}  ${server.url}  ${guard}\n`,
    ...tryCommands(server.url)
      .slice(0, 3)
      .map(({ what, command }) => `  ${what.padEnd(7)} ${command}`),
    ...(warning === undefined ? [] : [`\n  warning: ${warning}`]),
    '',
  ];
}

function listenError(error: unknown, { port, host }: ServerSettings): ServeError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const message =
    code === 'EADDRINUSE'
      ? `port ${port} is in use; choose another with --port, or --port 0 for any free one`
      : code === 'EADDRNOTAVAIL'
        ? `${host} is not an address of this machine; choose one with --host`
        : code === 'EACCES'
          ? `port ${port} needs more rights; choose one above 1023 with --port`
          : `cannot listen on ${host}:${port}: ${error instanceof Error ? error.message : String(error)}`;
  return new ServeError(message, 1, { cause: error });
}

/** Who asks twice does not want to wait. */
function exitAtNextSignal(before: () => void = () => undefined): void {
  const exit = (code: number) => (): never => {
    before();
    return process.exit(code);
  };
  process.once('SIGTERM', exit(128 + 15));
  process.once('SIGINT', exit(128 + 2));
}

async function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}
