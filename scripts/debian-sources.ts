/** One file of apt's sources: `list` has one source a line, `sources` has stanzas (deb822). */
export interface SourceFile {
  readonly format: 'list' | 'sources';
  readonly text: string;
}

// A machine that follows a class of releases names the class instead of its code name.
const RELEASE_CLASSES = ['stable', 'oldstable', 'oldoldstable', 'testing', 'unstable', 'sid'];

const ONE_LINE_SOURCE = /^deb\s+(?<options>\[[^\]]*\]\s+)?(?<uri>\S+)\s+(?<suite>\S+)(?<components>\s+.*)?$/;

function fieldOf(stanza: string, name: string): string | undefined {
  return new RegExp(`^${name}:[ \\t]*(.*)$`, 'im').exec(stanza)?.[1];
}

const words = (text: string | undefined): readonly string[] => (text ?? '').split(/\s+/).filter((word) => word !== '');

function listForSuite(text: string, own: ReadonlySet<string>, suite: string): string {
  const lines = text.split('\n').map((line) => ONE_LINE_SOURCE.exec(line.trim())?.groups);
  return lines
    .filter((groups) => groups?.['suite'] !== undefined && own.has(groups['suite']))
    .map((groups) => `deb ${groups?.['options'] ?? ''}${groups?.['uri'] ?? ''} ${suite}${groups?.['components'] ?? ''}\n`)
    .join('');
}

function stanzasForSuite(text: string, own: ReadonlySet<string>, suite: string): string {
  const stanzas = text.split(/\n(?:[ \t]*\n)+/);
  return stanzas
    .filter((stanza) => words(fieldOf(stanza, 'Types')).includes('deb') && fieldOf(stanza, 'Enabled')?.trim() !== 'no')
    .filter((stanza) => words(fieldOf(stanza, 'Suites')).some((name) => own.has(name)))
    .map((stanza) => `${stanza.replace(/^Suites:.*$/im, `Suites: ${suite}`).trim()}\n`)
    .join('\n');
}

/**
 * The sources from which a machine of release `codename` gets its own packages, asked for `suite` instead: the same hosts, keys and
 * components. Sources of other makers, and of updates to the release, are left out; empty if nothing is left.
 */
export function sourcesForSuite(files: readonly SourceFile[], codename: string, suite: string): readonly SourceFile[] {
  const own = new Set([codename, ...RELEASE_CLASSES]);
  return files
    .map(({ format, text }) => ({ format, text: (format === 'list' ? listForSuite : stanzasForSuite)(text, own, suite) }))
    .filter(({ text }) => text !== '');
}
