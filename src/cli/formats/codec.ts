import { extname, basename } from 'node:path';
import type { Tree, TreeObject } from './tree.ts';

/** What a nested file says. */
export interface ParsedTree {
  readonly tree: Tree;
  /** What the file meant and the tree cannot hold, with what it holds instead. For people. */
  readonly notes: readonly string[];
}

/** What a flat file says: names with texts, in the order of the file. */
export interface ParsedEntries {
  readonly entries: ReadonlyMap<string, string>;
  readonly notes: readonly string[];
}

/**
 * One file format, both ways: `parse(format(x))` is `x`, or `format` throws. All throw INVALID_BODY, naming `source` and the place where it is known.
 * A nested format has objects in objects; a flat one has names and texts, and a customary `separator` of the parts of a name.
 */
export type Codec =
  | { readonly kind: 'nested'; parse(text: string, source: string): ParsedTree; format(tree: TreeObject): string }
  | {
      readonly kind: 'flat';
      readonly separator: string;
      parse(text: string, source: string): ParsedEntries;
      format(entries: ReadonlyMap<string, string>): string;
    };

export const FORMATS = ['json', 'yaml', 'toml', 'properties', 'env'] as const;
export type Format = (typeof FORMATS)[number];

/** Loads a codec and the library behind it. */
export async function loadCodec(format: Format): Promise<Codec> {
  switch (format) {
    case 'json': {
      const { parseJson, formatJson } = await import('./json.ts');
      return {
        kind: 'nested',
        parse: (text, source) => ({ tree: parseJson(text, source), notes: [] }),
        format: (tree) => `${formatJson(tree, 2)}\n`,
      };
    }
    case 'yaml': {
      const { parseYaml, formatYaml } = await import('./yaml.ts');
      return { kind: 'nested', parse: parseYaml, format: formatYaml };
    }
    case 'toml': {
      const { parseToml, formatToml } = await import('./toml.ts');
      return { kind: 'nested', parse: parseToml, format: formatToml };
    }
    case 'properties': {
      const { parseProperties, formatProperties } = await import('./properties.ts');
      return { kind: 'flat', separator: '.', parse: parseProperties, format: formatProperties };
    }
    case 'env': {
      const { parseEnv, formatEnv } = await import('./env.ts');
      return { kind: 'flat', separator: '__', parse: parseEnv, format: formatEnv };
    }
  }
}

const FORMAT_OF_EXTENSION: ReadonlyMap<string, Format> = new Map<string, Format>([
  ['.json', 'json'],
  ['.yaml', 'yaml'],
  ['.yml', 'yaml'],
  ['.toml', 'toml'],
  ['.properties', 'properties'],
  ['.env', 'env'],
]);

/** The format a file's name tells: `app.yml`, `.env`, `.env.production`; undefined if it tells none. */
export function formatOfName(path: string): Format | undefined {
  if (/^\.env(?:\..+)?$/.test(basename(path))) return 'env';
  return FORMAT_OF_EXTENSION.get(extname(path).toLowerCase());
}

const CONTENT_TYPE: Readonly<Record<Format, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  toml: 'application/toml',
  properties: 'application/x-properties',
  env: 'text/plain',
};

const CONTENT_TYPE_OF_EXTENSION: ReadonlyMap<string, string> = new Map([
  ['.xml', 'application/xml'],
  ['.js', 'application/javascript'],
  ['.sh', 'application/x-sh'],
  ['.sql', 'application/sql'],
  ['.graphql', 'application/graphql'],
  ['.pem', 'application/x-pem-file'],
  ['.md', 'text/markdown'],
  ['.html', 'text/html'],
  ['.css', 'text/css'],
  ['.csv', 'text/csv'],
]);

/** The content type of a whole file; `text/plain` if neither a format nor the name says more. */
export function contentTypeOf(path: string, format: Format | undefined): string {
  const known = format ?? formatOfName(path);
  return known === undefined ? (CONTENT_TYPE_OF_EXTENSION.get(extname(path).toLowerCase()) ?? 'text/plain') : CONTENT_TYPE[known];
}
