import { readFileSync } from 'node:fs';
import { Ajv, type SchemaObject } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseStoreUrl } from '../../../src/providers/store-url.ts';
import { resolveSettings, SETTINGS } from '../../../src/server/settings.ts';
import { parseMarkdown } from '../../support/markdown.ts';

interface ComposeService {
  readonly image?: string;
  readonly build?: string;
  readonly profiles?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
}

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const text = readFileSync('docker-compose.yml', 'utf8');
const compose = parse(text) as ComposeFile;
const services = Object.entries(compose.services);
const dockerfile = readFileSync('Dockerfile', 'utf8');

/** As Compose fills in `${NAME}` and `${NAME:-default}`. */
const interpolate = (value: string, env: Readonly<Record<string, string>>): string =>
  value.replaceAll(/\$\{(\w+)(?::-([^}]*))?\}/g, (_all, name: string, byDefault = '') => env[name] || byDefault);

/** What the service gets to see of its environment when a command line of the file's head is typed. */
function environmentOf(env: Readonly<Record<string, string>>): Record<string, string> {
  const given = Object.entries(compose.services['attune']?.environment ?? {});
  return Object.fromEntries(given.map(([name, value]) => [name, interpolate(value, env)]));
}

interface Start {
  readonly line: string;
  readonly env: Readonly<Record<string, string>>;
  readonly profile: string | undefined;
}

function startsIn(page: string): readonly Start[] {
  const lines = [...page.matchAll(/((?:\w+=\S+ )*)docker compose ((?:--profile \w+ )?)up\b/g)];
  return lines.map(([line, assignments = '', profile = '']) => ({
    line,
    env: Object.fromEntries(
      assignments
        .trim()
        .split(' ')
        .flatMap((part) => (part === '' ? [] : [part.split('=') as [string, string]])),
    ),
    profile: profile.trim().split(' ')[1],
  }));
}

const starts = startsIn(text);

describe('docker-compose.yml', () => {
  // The schema of the Compose specification, as the package carries it.
  const { $schema: _, ...schema } = JSON.parse(readFileSync('node_modules/dclint/schemas/compose.schema.json', 'utf8')) as SchemaObject;
  const isValid = new Ajv({ strict: false, validateFormats: false }).compile(schema);

  it('is of the form the Compose specification asks for', () => {
    isValid(compose);
    expect(isValid.errors ?? []).toEqual([]);
  });

  it.each([
    ['an unknown member of a service', text.replace('healthcheck:', 'healthchek:')],
    ['a restart that is no text', text.replace('restart: unless-stopped', 'restart: [always]')],
    ['profiles that are no list', text.replace('profiles: [etcd]', 'profiles: etcd')],
    ['a volume that is a list', text.replace('  attune-data:\n  etcd', '  attune-data: []\n  etcd')],
  ])('would be refused with %s', (_what, wrong) => {
    expect(wrong).not.toBe(text);
    expect(isValid(parse(wrong))).toBe(false);
  });

  it('has Attune alone without a profile, and a store in each profile', () => {
    expect(services.map(([name, { profiles = [] }]) => [name, profiles])).toEqual([
      ['attune', []],
      ['etcd', ['etcd']],
      ['consul', ['consul']],
    ]);
  });

  it('pins every image to one version', () => {
    for (const [, { image, build }] of services) {
      if (build === undefined) expect(image).toMatch(/^[\w./-]+:v?\d+\.\d+\.\d+$/);
    }
  });

  it('has an etcd without the known faults of older ones', () => {
    const [, major, minor, patch] = (/:v(\d+)\.(\d+)\.(\d+)$/.exec(compose.services['etcd']?.image ?? '') ?? []).map(Number);
    expect(major).toBe(3);
    expect(minor === 5 ? (patch ?? 0) >= 33 : (minor ?? 0) >= 6).toBe(true);
  });

  it('publishes to this machine only', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports);
    expect(published).not.toEqual([]);
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('looks after the health of every service', () => {
    for (const [, { healthcheck }] of services) expect(healthcheck?.test[0]).toBe('CMD');
  });

  it('mounts the volumes it declares', () => {
    const mounted = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0]));
    expect(mounted.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
  });

  it('sets only variables that are settings', () => {
    const known: readonly string[] = SETTINGS.map(({ env }) => env);
    const set = services.flatMap(([, { environment = {} }]) => Object.keys(environment));
    expect(set.filter((name) => !known.includes(name))).toEqual([]);
    const asked = [...text.matchAll(/\$\{(\w+)/g)].map(([, name]) => name);
    expect(asked.filter((name) => !known.includes(name ?? ''))).toEqual([]);
    const documented = readFileSync('docs/settings.md', 'utf8');
    for (const name of set) expect(documented).toContain(`\`${name}\``);
  });

  it('shows how to start with each store', () => {
    expect(starts.map(({ profile }) => profile)).toEqual([undefined, 'etcd', 'consul']);
  });

  it.each(starts)('started with $line has settings the service takes, and a store that is there', ({ env, profile }) => {
    const settings = resolveSettings({ flags: {}, env: environmentOf(env) });
    if (profile === undefined) {
      expect(compose.services['attune']?.volumes).toEqual(['attune-data:/data']);
      expect(settings.provider).toBe('embedded:/data');
      return;
    }
    const { kind, hosts } = parseStoreUrl(settings.provider);
    expect([kind, hosts]).toEqual([profile, [`${profile}:${profile === 'etcd' ? 2379 : 8500}`]]);
    expect(compose.services[profile]?.profiles).toEqual([profile]);
  });

  it('is started in docs/operations.md as it says itself', () => {
    const shown = parseMarkdown(readFileSync('docs/operations.md', 'utf8')).blocks.flatMap((block) => startsIn(block.text));
    expect(shown.map(({ line }) => line)).toEqual(starts.map(({ line }) => line));
  });
});

describe('Dockerfile', () => {
  const instructions = dockerfile.split('\n').filter((line) => /^[A-Z]+ /.test(line));
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));

  it('builds in one stage and runs in another, as a user who is not root', () => {
    expect(instructions.filter((line) => line.startsWith('FROM '))).toHaveLength(2);
    expect(last.some((line) => /npm (?:ci|install)/.test(line))).toBe(false);
    expect(last.findLast((line) => line.startsWith('USER '))).toBe('USER node');
  });

  it('sets only variables that are settings, to values they take', () => {
    const words = last.flatMap((line) => (line.startsWith('ENV ') ? line.slice(4).split(' ') : []));
    const env = Object.fromEntries(words.map((word) => word.split('=') as [string, string]).filter(([name]) => name.startsWith('ATTUNE_')));
    expect(Object.keys(env)).not.toEqual([]);
    for (const name of Object.keys(env)) expect(SETTINGS.map((setting): string => setting.env)).toContain(name);
    expect(() => resolveSettings({ flags: {}, env: { ...env, ATTUNE_INSECURE_NO_AUTH: 'true' } })).not.toThrow();
    // Without the word of who runs it nothing is served to a network.
    expect(() => resolveSettings({ flags: {}, env })).toThrow('--insecure-no-auth');
  });

  it('keeps what it stores in its volume', () => {
    expect(last).toContain('VOLUME /data');
    expect(last.join('\n')).toContain('ATTUNE_PROVIDER=embedded:/data');
  });
});
