import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { parse as parseToml } from 'smol-toml';
import { quoteForMessage } from '../core/key.ts';
import { maskUrl } from '../core/mask-url.ts';
import { DEFAULT_MAX_VALUE_BYTES } from './config-service.ts';
import { DEFAULT_WINDOW } from './cache/window.ts';
import { DEFAULT_ADMISSION, type AdmissionLimits } from './http/admission.ts';

/** What one setting is made of; docs/settings.md has a row for each, checked by a test. */
export interface SettingDefinition {
  /** As in a settings file, and after `--`. */
  readonly name: string;
  readonly env: string;
  readonly type: 'text' | 'integer' | 'flag' | 'list' | 'choice';
  readonly unit?: string;
  /** As it would be written. */
  readonly default: string;
  readonly effect: string;
  /** What `--help` shows for the value. */
  readonly placeholder?: string;
  readonly choices?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly isSecret?: boolean;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

export const SETTINGS = [
  {
    name: 'provider',
    env: 'ATTUNE_PROVIDER',
    type: 'text',
    default: 'embedded',
    placeholder: 'url',
    effect: 'Where the truth lives: embedded, embedded:PATH or memory:',
  },
  {
    name: 'data-dir',
    env: 'ATTUNE_DATA_DIR',
    type: 'text',
    default: './data',
    placeholder: 'path',
    effect: 'Folder of the embedded store; refused beside embedded:PATH',
  },
  {
    name: 'store-user',
    env: 'ATTUNE_STORE_USER',
    type: 'text',
    default: '',
    placeholder: 'name',
    effect: 'User of etcd, unless the URL names one',
  },
  {
    name: 'store-password',
    env: 'ATTUNE_STORE_PASSWORD',
    type: 'text',
    default: '',
    placeholder: 'password',
    effect: 'Password of that user; better from a file: ATTUNE_STORE_PASSWORD_FILE',
    isSecret: true,
  },
  {
    name: 'store-token',
    env: 'ATTUNE_STORE_TOKEN',
    type: 'text',
    default: '',
    placeholder: 'token',
    effect: 'ACL token for Consul; better from a file: ATTUNE_STORE_TOKEN_FILE',
    isSecret: true,
  },
  {
    name: 'store-datacenter',
    env: 'ATTUNE_STORE_DATACENTER',
    type: 'text',
    default: '',
    placeholder: 'name',
    effect: "Consul's datacenter, if not that of the agent",
  },
  {
    name: 'store-ca-file',
    env: 'ATTUNE_STORE_CA_FILE',
    type: 'text',
    default: '',
    placeholder: 'path',
    effect: "PEM file with the authorities trusted for etcds:// and consuls://, instead of the system's",
  },
  {
    name: 'store-cert-file',
    env: 'ATTUNE_STORE_CERT_FILE',
    type: 'text',
    default: '',
    placeholder: 'path',
    effect: 'PEM file with the client certificate shown to the store',
  },
  {
    name: 'store-key-file',
    env: 'ATTUNE_STORE_KEY_FILE',
    type: 'text',
    default: '',
    placeholder: 'path',
    effect: 'PEM file with the key of that certificate',
  },
  {
    name: 'host',
    env: 'ATTUNE_HOST',
    type: 'text',
    default: '127.0.0.1',
    placeholder: 'address',
    effect: 'Address to listen on; other than loopback only with --insecure-no-auth',
  },
  {
    name: 'port',
    env: 'ATTUNE_PORT',
    type: 'integer',
    default: '8080',
    min: 0,
    max: 65_535,
    placeholder: 'number',
    effect: 'Port to listen on; 0 picks a free one and prints it',
  },
  {
    name: 'max-value-bytes',
    env: 'ATTUNE_MAX_VALUE_BYTES',
    type: 'integer',
    unit: 'bytes',
    default: String(DEFAULT_MAX_VALUE_BYTES),
    min: 1,
    max: 8 * 1024 * 1024,
    placeholder: 'bytes',
    effect: 'Largest value; less where the store takes less',
  },
  {
    name: 'window',
    env: 'ATTUNE_WINDOW',
    type: 'integer',
    unit: 'batches',
    default: String(DEFAULT_WINDOW.minBatches),
    min: 16,
    max: 10_000_000,
    placeholder: 'batches',
    effect: 'Batches kept for resuming clients, at least (and 75 s; at most 64 MiB)',
  },
  {
    name: 'workers',
    env: 'ATTUNE_WORKERS',
    type: 'integer',
    default: '1',
    min: 1,
    max: 128,
    placeholder: 'number',
    effect: 'Processes that share the port, each a whole node; more than one only over etcd or Consul',
  },
  {
    name: 'max-streams',
    env: 'ATTUNE_MAX_STREAMS',
    type: 'integer',
    default: String(DEFAULT_ADMISSION.maxStreams),
    min: 1,
    max: 1_000_000,
    placeholder: 'number',
    effect: 'Event streams open at once; more are sent away inside a 200',
  },
  {
    name: 'max-polls',
    env: 'ATTUNE_MAX_POLLS',
    type: 'integer',
    default: String(DEFAULT_ADMISSION.maxPolls),
    min: 1,
    max: 1_000_000,
    placeholder: 'number',
    effect: 'Long-polls held at once; more are answered 503',
  },
  {
    name: 'max-held-per-client',
    env: 'ATTUNE_MAX_HELD_PER_CLIENT',
    type: 'integer',
    default: String(DEFAULT_ADMISSION.maxHeldPerClient),
    min: 0,
    max: 1_000_000,
    placeholder: 'number',
    effect: 'Streams and polls of one address; polls above it are answered 429; 0 is no limit',
  },
  {
    name: 'max-snapshots',
    env: 'ATTUNE_MAX_SNAPSHOTS',
    type: 'integer',
    default: String(DEFAULT_ADMISSION.maxSnapshots),
    min: 1,
    max: 10_000,
    placeholder: 'number',
    effect: 'Snapshots sent at once; streams that want one more wait',
  },
  {
    name: 'allowed-hosts',
    env: 'ATTUNE_ALLOWED_HOSTS',
    type: 'list',
    default: '',
    placeholder: 'names',
    effect: 'Host names answered for beside loopback, separated by commas',
  },
  {
    name: 'cors-origins',
    env: 'ATTUNE_CORS_ORIGINS',
    type: 'list',
    default: '',
    placeholder: 'origins',
    effect: 'Origins whose pages may read and write, exact, separated by commas',
  },
  {
    name: 'log-level',
    env: 'ATTUNE_LOG_LEVEL',
    type: 'choice',
    default: 'info',
    choices: LOG_LEVELS,
    placeholder: 'level',
    effect: `Least level that is logged: ${LOG_LEVELS.join(', ')}`,
  },
  {
    name: 'log-dir',
    env: 'ATTUNE_LOG_DIR',
    type: 'text',
    default: '',
    placeholder: 'path',
    effect: 'Folder for rotated log files (daily, 10 MiB, 30 kept), beside standard error',
  },
  {
    name: 'insecure-no-auth',
    env: 'ATTUNE_INSECURE_NO_AUTH',
    type: 'flag',
    default: 'false',
    effect: 'Serve an address other than loopback although there is no authentication',
  },
] as const satisfies readonly SettingDefinition[];

export type SettingName = (typeof SETTINGS)[number]['name'];
type SettingSource = 'flag' | 'environment' | 'environment file' | 'settings file' | 'default';

/** One setting as it was found. */
export interface ResolvedSetting {
  readonly text: string;
  readonly source: SettingSource;
}

export interface StoreSettings {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  readonly datacenter: string | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
}

export interface ServerSettings {
  /** May hold a password: never shown as it is. */
  readonly provider: string;
  /** Undefined if it was not given: it then means the default, and nothing beside `embedded:PATH`. */
  readonly dataDir: string | undefined;
  /** How a store that runs elsewhere is entered. Undefined: not given, or empty. */
  readonly store: StoreSettings;
  readonly host: string;
  readonly port: number;
  readonly maxValueBytes: number;
  readonly windowBatches: number;
  readonly workers: number;
  readonly admission: AdmissionLimits;
  readonly allowedHosts: readonly string[];
  readonly corsOrigins: readonly string[];
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly logDir: string | undefined;
  readonly isInsecure: boolean;
  /** Every setting with its source, in the order of the table. */
  readonly sources: ReadonlyMap<SettingName, ResolvedSetting>;
}

export interface SettingInputs {
  /** By name, without dashes. A flag given bare is `true`. */
  readonly flags: Readonly<Record<string, string | true | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of a TOML file with settings by name. */
  readonly file?: string | undefined;
}

/** Every setting that is wrong, at once. */
export class SettingsError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

/**
 * Resolves settings: flag, environment, environment's `_FILE` (secrets), settings file, default, in this order.
 * @throws {SettingsError} listing every problem, before anything is opened.
 */
export function resolveSettings(inputs: SettingInputs): ServerSettings {
  const problems: string[] = [];
  const fromFile = readSettingsFile(inputs.file, problems);
  const sources = new Map<SettingName, ResolvedSetting>();
  for (const definition of SETTINGS) {
    const found = find(definition, inputs, fromFile, problems);
    const problem = problemOf(definition, found.text);
    if (problem !== undefined) problems.push(`${labelOf(definition, found.source)}: ${problem}`);
    sources.set(definition.name, found);
  }
  const text = (name: SettingName): string => sources.get(name)?.text ?? '';
  const list = (name: SettingName): string[] =>
    text(name)
      .split(',')
      .flatMap((part) => part.trim() || []);
  const isInsecure = isTrue(text('insecure-no-auth'));
  const host = text('host');
  if (!isLoopback(host) && !isInsecure) {
    problems.push(
      `--host ${host} is reachable from outside and there is no authentication: anybody could change the configuration; listen on 127.0.0.1, or add --insecure-no-auth if the network itself is trusted`,
    );
  }
  for (const origin of list('cors-origins')) {
    if (!/^https?:\/\/[^/\s*]+$/.test(origin))
      problems.push(`--cors-origins: ${quoteForMessage(origin)} is not an origin; write https://console.example`);
  }
  for (const name of list('allowed-hosts')) {
    if (/[\s/*]|:\d+$/.test(name))
      problems.push(`--allowed-hosts: ${quoteForMessage(name)} is not a host name; write it without scheme and port`);
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return {
    provider: text('provider'),
    dataDir: sources.get('data-dir')?.source === 'default' ? undefined : text('data-dir'),
    store: {
      username: text('store-user') || undefined,
      password: text('store-password') || undefined,
      token: text('store-token') || undefined,
      datacenter: text('store-datacenter') || undefined,
      caFile: text('store-ca-file') || undefined,
      certFile: text('store-cert-file') || undefined,
      keyFile: text('store-key-file') || undefined,
    },
    host,
    port: Number(text('port')),
    maxValueBytes: Number(text('max-value-bytes')),
    windowBatches: Number(text('window')),
    workers: Number(text('workers')),
    admission: {
      maxStreams: Number(text('max-streams')),
      maxPolls: Number(text('max-polls')),
      maxHeldPerClient: Number(text('max-held-per-client')),
      maxSnapshots: Number(text('max-snapshots')),
    },
    allowedHosts: list('allowed-hosts').map((name) => name.toLowerCase()),
    corsOrigins: list('cors-origins'),
    logLevel: LOG_LEVELS.find((level) => level === text('log-level')) ?? 'info',
    logDir: text('log-dir') || undefined,
    isInsecure,
    sources,
  };
}

/** `--print-settings`: every value with its source, secrets masked. */
export function printSettings(settings: ServerSettings): string {
  const rows = SETTINGS.map((definition: SettingDefinition) => {
    const found = settings.sources.get(definition.name as SettingName);
    return [definition.name, shownText(definition, found?.text ?? ''), found?.source ?? ''];
  });
  const width = (column: number): number => Math.max(...rows.map((row) => (row[column] ?? '').length));
  return rows.map(([name = '', shown = '', source = '']) => `${name.padEnd(width(0))}  ${shown.padEnd(width(1))}  ${source}`).join('\n');
}

function shownText({ name, isSecret }: SettingDefinition, text: string): string {
  if (text === '') return '-';
  if (isSecret) return '***';
  // A URL may hold a password, whatever is wrong with the rest of it.
  return name === 'provider' ? maskUrl(text) : text;
}

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function find(
  definition: SettingDefinition,
  { flags, env }: SettingInputs,
  fromFile: ReadonlyMap<string, string>,
  problems: string[],
): ResolvedSetting {
  const flag = flags[definition.name];
  if (flag !== undefined) return { text: flag === true ? 'true' : flag, source: 'flag' };
  const direct = env[definition.env];
  if (direct !== undefined) return { text: direct, source: 'environment' };
  const path = definition.isSecret ? env[`${definition.env}_FILE`] : undefined;
  if (path !== undefined) {
    try {
      return { text: readFileSync(path, 'utf8').trimEnd(), source: 'environment file' };
    } catch (error) {
      problems.push(`${definition.env}_FILE: cannot read ${path}: ${(error as Error).message}`);
    }
  }
  const filed = fromFile.get(definition.name);
  return filed === undefined ? { text: definition.default, source: 'default' } : { text: filed, source: 'settings file' };
}

function readSettingsFile(path: string | undefined, problems: string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (path === undefined) return found;
  try {
    for (const [name, value] of Object.entries(parseToml(readFileSync(path, 'utf8')))) {
      if (!SETTINGS.some((definition) => definition.name === name)) {
        problems.push(
          `${path}: unknown setting ${quoteForMessage(name)}; known are ${SETTINGS.map((definition) => definition.name).join(', ')}`,
        );
      } else if (Array.isArray(value)) found.set(name, value.filter((part) => typeof part === 'string').join(','));
      else if (['string', 'number', 'bigint', 'boolean'].includes(typeof value))
        found.set(name, `${value as string | number | bigint | boolean}`);
      else problems.push(`${path}: ${name} is not a text, number, true, false or list of texts`);
    }
  } catch (error) {
    problems.push(`cannot read the settings file ${path}: ${(error as Error).message.split('\n')[0]}`);
  }
  return found;
}

function problemOf(definition: SettingDefinition, text: string): string | undefined {
  const { type, min = 0, max = Number.MAX_SAFE_INTEGER, choices = [] } = definition;
  if (type === 'integer' && !(/^\d{1,16}$/.test(text) && Number(text) >= min && Number(text) <= max)) {
    return `${quoteForMessage(text)} is not an integer from ${min} to ${max}`;
  }
  if (type === 'choice' && !choices.includes(text)) return `${quoteForMessage(text)} is none of ${choices.join(', ')}`;
  if (type === 'flag' && !['true', 'false', '1', '0', ''].includes(text)) return `${quoteForMessage(text)} is neither true nor false`;
  return undefined;
}

const isTrue = (text: string): boolean => text === 'true' || text === '1';

const labelOf = (definition: SettingDefinition, source: SettingSource): string =>
  source.startsWith('environment') ? definition.env : `--${definition.name}`;
