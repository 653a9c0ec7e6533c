import { DEFAULT_WINDOW } from './cache/window.ts';
import { startHttpServer, type HttpServer } from './http-server.ts';
import { tryCommands } from './http/pages.ts';
import { createLog } from './logging.ts';
import { printSettings, resolveSettings, SettingsError, type ServerSettings, type SettingInputs } from './settings.ts';
import { VERSION } from './version.ts';
import { isAttuneError } from '../core/errors.ts';
import { openProvider, type ProviderAtUrl } from '../providers/open-provider.ts';

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

/**
 * Runs the service until SIGTERM or SIGINT; a second signal exits at once. Resolves when it has shut down in order.
 * @throws {ServeError} wrong settings, a port or data directory in use, a store that cannot be opened.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const print = options.print ?? ((line: string) => process.stdout.write(`${line}\n`));
  const settings = settingsOf(options);
  if (options.isPrintOnly) {
    print(printSettings(settings));
    return;
  }
  const log = createLog({ level: settings.logLevel, dir: settings.logDir });
  const { provider, namespace, describe } = providerOf(settings);
  try {
    await provider.open();
  } catch (error) {
    await provider.close().catch(() => undefined);
    throw new ServeError(error instanceof Error ? error.message : String(error), isAttuneError(error, 'UNAVAILABLE') ? 6 : 1, {
      cause: error,
    });
  }
  let server: HttpServer;
  try {
    server = await startHttpServer({
      provider,
      namespace,
      host: settings.host,
      port: settings.port,
      allowedHosts: settings.allowedHosts,
      corsOrigins: settings.corsOrigins,
      log,
      service: { maxValueBytes: settings.maxValueBytes, window: { ...DEFAULT_WINDOW, minBatches: settings.windowBatches } },
    });
  } catch (error) {
    await provider.close();
    throw listenError(error, settings);
  }
  printBanner(print, server, settings, describe());
  log.info({ version: VERSION, url: server.url, provider: provider.name }, 'serving');
  const signal = await nextSignal();
  log.info({ signal }, 'shutting down');
  process.once('SIGTERM', () => process.exit(128 + 15));
  process.once('SIGINT', () => process.exit(128 + 2));
  await server.close();
  await provider.close();
  log.info('shut down');
}

function settingsOf(options: ServeOptions): ServerSettings {
  try {
    return resolveSettings(options);
  } catch (error) {
    if (error instanceof SettingsError) throw new ServeError(error.problems.join('\nattune: '), 2, { cause: error });
    throw error;
  }
}

function providerOf(settings: ServerSettings): ProviderAtUrl {
  try {
    return openProvider(settings.provider, { dataDir: settings.dataDir, ...settings.store });
  } catch (error) {
    if (isAttuneError(error, 'INVALID_ARGUMENT')) throw new ServeError(error.message, 2, { cause: error });
    throw error;
  }
}

function printBanner(print: (line: string) => void, server: HttpServer, settings: ServerSettings, store: string): void {
  const guard = settings.isInsecure
    ? 'NO AUTHENTICATION: whoever reaches this address can change everything'
    : 'loopback only, no authentication';
  print(`attune ${VERSION}  ${store}  ${server.url}  ${guard}\n`);
  for (const { what, command } of tryCommands(server.url).slice(0, 3)) print(`  ${what.padEnd(7)} ${command}`);
  print('');
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

async function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}
