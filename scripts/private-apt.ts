import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';

import { parseInstallPlan } from './apt-plan.ts';
import { type SourceFile, sourcesForSuite } from './debian-sources.ts';

const APT_TIMEOUT_MS = 300_000;

const execute = promisify(execFile);

function readMachineSources(): readonly SourceFile[] {
  const parts = '/etc/apt/sources.list.d';
  const paths = ['/etc/apt/sources.list', ...(existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [])];
  return paths
    .filter((path) => existsSync(path) && ['.list', '.sources'].includes(extname(path)))
    .map((path) => ({ format: extname(path) === '.list' ? 'list' : 'sources', text: readFileSync(path, 'utf8') }));
}

function readCodename(): string {
  const codename = /^VERSION_CODENAME="?(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  if (codename === undefined) throw new Error('/etc/os-release names no VERSION_CODENAME: is this a Debian?');
  return codename;
}

/** The folder of source files that send apt to `suite`, written under `work`. */
function writeSources(work: string, suite: string): string {
  const codename = readCodename();
  const files = sourcesForSuite(readMachineSources(), codename, suite);
  if (files.length === 0) throw new Error(`no source in /etc/apt serves ${codename}, so that ${suite} cannot be found beside it`);
  const folder = join(work, 'sources');
  mkdirSync(folder);
  for (const [index, { format, text }] of files.entries()) writeFileSync(join(folder, `${index}.${format}`), text);
  return folder;
}

/**
 * Downloads a package, and those it needs and this machine lacks, and unpacks them all into `root`. Needs no rights, installs
 * nothing and leaves apt's own state alone; `work` is an empty folder for what lies around meanwhile. Packages come from where
 * the machine gets its own, from the release `suite` if one is given.
 */
export async function unpackDebianPackage(name: string, suite: string | undefined, work: string, root: string): Promise<void> {
  const packages = join(work, 'packages');
  for (const folder of [packages, join(work, 'state/lists/partial'), join(work, 'cache/archives/partial'), root]) {
    mkdirSync(folder, { recursive: true });
  }
  const settings: Readonly<Record<string, string>> = {
    'Dir::State': join(work, 'state'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': join(work, 'cache'),
    // Without rights there is no lock to take on what is only read, and no other user to become.
    'Debug::NoLocking': '1',
    'APT::Sandbox::User': 'root',
    'Acquire::Retries': '3',
    'Acquire::Languages': 'none',
    ...(suite === undefined ? {} : { 'Dir::Etc::sourcelist': '/dev/null', 'Dir::Etc::sourceparts': writeSources(work, suite) }),
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const apt = async (...args: readonly string[]): Promise<string> => {
    const context = { cwd: packages, env: { ...process.env, LC_ALL: 'C' }, timeout: APT_TIMEOUT_MS, maxBuffer: 2 ** 24 };
    return (await execute('apt-get', [...options, ...args], context)).stdout;
  };

  process.stderr.write(`${name}: reading Debian's package lists\n`);
  // Some other maker's source may be out of reach; what counts is whether the package is found.
  const unread = await apt('update').then(
    () => '',
    (error: unknown) => `; besides, ${String(error)}`,
  );
  const plan = await apt('--simulate', '--yes', '--no-install-recommends', 'install', name).catch((error: unknown) => {
    throw new Error(`Debian's package ${name} cannot be had here${unread}`, { cause: error });
  });
  const missing = parseInstallPlan(plan);
  if (missing.length === 0) throw new Error(`Debian's package ${name} is installed on this machine, but its program is not on the PATH`);
  process.stderr.write(`${name}: downloading ${missing.length} packages\n`);
  await apt('download', ...missing);
  for (const file of readdirSync(packages)) await execute('dpkg', ['-x', join(packages, file), root]);
}
