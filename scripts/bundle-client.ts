import { SourceMap } from 'node:module';

import { rolldown, type OutputChunk, type Plugin } from 'rolldown';

/** What one file of the sources came to in a bundle. */
export interface BundledModule {
  /** Relative to the working directory. */
  readonly name: string;
  readonly code: string;
}

export interface Bundle {
  readonly code: string;
  readonly modules: readonly BundledModule[];
}

/** What an application loads of an entry. */
export interface SplitBundle {
  /** In one file, as if nothing of it were shared with what comes later. */
  readonly initial: Bundle;
  /** What is fetched only when an `import()` asks for it. */
  readonly later: readonly Bundle[];
}

/** Makes anything that is said about bundling `entry` the end of it. */
export const refuseLogs =
  (entry: string) =>
  (_level: string, log: { readonly message: string }): never => {
    throw new Error(`bundling ${entry}: ${log.message}`);
  };

/** Everything that `entry` and its files import, now or later, and that is not a file of theirs: packages, Node's own modules. */
export async function findImports(entry: string): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const external = (specifier: string): boolean => {
    const isFile = /^[./]/.test(specifier);
    if (!isFile) found.add(specifier);
    return !isFile;
  };
  await using bundle = await rolldown({ input: entry, platform: 'neutral', external, onLog: refuseLogs(entry) });
  await bundle.generate({ format: 'esm' });
  return found;
}

/** Bundles `entry` with its dependency, minified, as an application's bundler does. */
export async function bundleSplit(entry: string): Promise<SplitBundle> {
  const options = { format: 'esm', minify: true, sourcemap: true } as const;
  await using whole = await rolldown({ input: entry, platform: 'browser', onLog: refuseLogs(entry) });
  const chunks = (await whole.generate(options)).output.filter((one) => one.type === 'chunk');
  const initial = initialOf(chunks);
  await using first = await rolldown({ input: entry, platform: 'browser', onLog: refuseLogs(entry), plugins: [WITHOUT_LATER] });
  const { output } = await first.generate(options);
  return { initial: bundleOf(output[0]), later: chunks.filter(({ fileName }) => !initial.has(fileName)).map(bundleOf) };
}

const WITHOUT_LATER: Plugin = {
  name: 'without-later',
  resolveId: (source, _importer, { kind }) => (kind === 'dynamic-import' ? { id: source, external: true } : undefined),
};

/** Bundles `entry` into one script that defines `globalName`; whatever it imports later is in it too. */
export async function bundleScript(entry: string, globalName: string): Promise<string> {
  await using bundle = await rolldown({ input: entry, platform: 'browser', onLog: refuseLogs(entry) });
  const { output } = await bundle.generate({ format: 'iife', name: globalName, minify: true, codeSplitting: false });
  return output[0].code;
}

/** The entry and what it imports statically, by name. */
function initialOf(chunks: readonly OutputChunk[]): ReadonlySet<string> {
  const names = new Set(chunks.filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName));
  for (const name of names) for (const other of chunks.find(({ fileName }) => fileName === name)?.imports ?? []) names.add(other);
  return names;
}

/** A chunk's code, divided among its sources by its source map. */
function bundleOf({ code, map }: OutputChunk): Bundle {
  if (!map) throw new Error('the bundle has no source map');
  const sources = new SourceMap({ ...map, file: map.file ?? '', sourceRoot: '', sourcesContent: [...(map.sourcesContent ?? [])] });
  const codes = new Map<string, string>();
  for (const [lineIndex, line] of code.split('\n').entries()) {
    for (let column = 0; column < line.length; column++) {
      const { originalSource } = sources.findEntry(lineIndex, column) as { readonly originalSource?: string };
      const name = originalSource === undefined ? '(bundler)' : nameOf(originalSource);
      codes.set(name, (codes.get(name) ?? '') + line.charAt(column));
    }
  }
  return { code, modules: [...codes].map(([name, text]) => ({ name, code: text })) };
}

const nameOf = (source: string): string => source.replace(/^(?:\.\.\/)+/, '').replace(/^.*node_modules\//, '');
