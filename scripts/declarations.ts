import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { parseAst } from 'rolldown/parseAst';

type Program = ReturnType<typeof parseAst>;
type Statement = Program['body'][number];
type Node = { readonly type: string; readonly start: number; readonly end: number };

/** What a file of declarations declares under one name; overloads of a function are one declaration each. */
export interface Declaration {
  readonly name: string;
  readonly file: DeclarationFile;
  readonly kind: 'class' | 'interface' | 'type' | 'function' | 'constant';
  /** The doc comment's text; undefined if there is none. */
  readonly doc: string | undefined;
  /** As the compiler wrote it, comments too, without `export declare`. */
  readonly text: string;
  /** Of a class, those that are its own and public. */
  readonly members: readonly Member[];
  /** Of a class, from the name up to its body. */
  readonly head: string;
}

export interface Member {
  readonly name: string;
  readonly doc: string | undefined;
  readonly text: string;
}

/** Where a name of another file comes from. */
interface Origin {
  readonly path: string;
  readonly name: string;
}

export interface DeclarationFile {
  readonly path: string;
  readonly declarations: readonly Declaration[];
  readonly imports: ReadonlyMap<string, Origin>;
  readonly reExports: ReadonlyMap<string, Origin>;
  readonly exportsAllOf: readonly string[];
}

/** What an entry point, and everything it imports, declares. */
export class Declarations {
  readonly #read: (path: string) => string;
  readonly #files = new Map<string, DeclarationFile>();

  /** `read` gives the text of a file of declarations, by its path without ending. */
  constructor(read: (path: string) => string) {
    this.#read = read;
  }

  /** By the name under which each is exported; those that come by `export *` are left out. */
  exportsOf(path: string): ReadonlyMap<string, readonly Declaration[]> {
    const file = this.#file(path);
    const own = new Map(file.declarations.map(({ name }) => [name, this.#resolve({ path, name })]));
    return new Map([...own, ...[...file.reExports].map(([name, origin]) => [name, this.#resolve(origin)] as const)]);
  }

  /** What `name` means in `file`; empty if it is not declared in these files. */
  lookUp(file: DeclarationFile, name: string): readonly Declaration[] {
    const origin = file.imports.get(name);
    if (origin) return this.#resolve(origin);
    return file.declarations.filter((one) => one.name === name);
  }

  #resolve({ path, name }: Origin): readonly Declaration[] {
    const file = this.#file(path);
    const own = file.declarations.filter((one) => one.name === name);
    if (own.length > 0) return own;
    const origin = file.reExports.get(name);
    if (origin) return this.#resolve(origin);
    return file.exportsAllOf.flatMap((other) => this.#resolve({ path: other, name }));
  }

  #file(path: string): DeclarationFile {
    const known = this.#files.get(path) ?? parseFile(path, this.#read(path));
    this.#files.set(path, known);
    return known;
  }
}

/** Has the compiler write the declarations of `entries` (paths below src, without ending), and hands them to `use`. */
export function withDeclarations<T>(entries: readonly string[], use: (declarations: Declarations) => T): T {
  mkdirSync('.cache', { recursive: true });
  const folder = mkdtempSync(resolve('.cache', 'declarations-'));
  try {
    const tsconfig = {
      extends: resolve('tsconfig.build.json'),
      compilerOptions: {
        emitDeclarationOnly: true,
        noCheck: true,
        incremental: false,
        tsBuildInfoFile: null,
        rootDir: resolve('src'),
        outDir: folder,
      },
      include: [],
      files: entries.map((entry) => resolve('src', `${entry}.ts`)),
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(tsconfig));
    execFileSync(resolve('node_modules/.bin/tsc'), ['-p', join(folder, 'tsconfig.json')], { stdio: ['ignore', 2, 2] });
    return use(new Declarations((path) => readFileSync(join(folder, `${path}.d.ts`), 'utf8')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function parseFile(path: string, text: string): DeclarationFile {
  const declarations: Declaration[] = [];
  const imports = new Map<string, Origin>();
  const reExports = new Map<string, Origin>();
  const exportsAllOf: string[] = [];
  const file: DeclarationFile = { path, declarations, imports, reExports, exportsAllOf };
  let end = 0;
  for (const statement of parseAst(text, { lang: 'dts' }).body) {
    const doc = docBefore(text.slice(end, statement.start));
    end = statement.end;
    if (statement.type === 'ImportDeclaration') {
      for (const one of statement.specifiers) {
        if (one.type !== 'ImportSpecifier' || !isFile(statement.source.value)) continue;
        imports.set(one.local.name, { path: resolveFrom(path, statement.source.value), name: nameOf(one.imported) });
      }
    } else if (statement.type === 'ExportAllDeclaration') exportsAllOf.push(resolveFrom(path, statement.source.value));
    else if (statement.type === 'ExportNamedDeclaration' && statement.source) {
      for (const one of statement.specifiers)
        reExports.set(nameOf(one.exported), { path: resolveFrom(path, statement.source.value), name: nameOf(one.local) });
    } else declarations.push(...declarationsIn(statement, file, text, doc));
  }
  return file;
}

function declarationsIn(statement: Statement, file: DeclarationFile, text: string, doc: string | undefined): readonly Declaration[] {
  const node = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
  if (!node) return [];
  const own = text.slice(node.start, node.end).replace(/^declare /, '');
  const common = { file, doc, text: own, members: [], head: '' };
  switch (node.type) {
    case 'ClassDeclaration': {
      const head = text.slice(node.start, node.body.start).replace(/^declare /, '');
      return node.id ? [{ ...common, name: node.id.name, kind: 'class', head: head.trim(), members: membersOf(node.body, text) }] : [];
    }
    case 'TSInterfaceDeclaration':
      return [{ ...common, name: node.id.name, kind: 'interface' }];
    case 'TSTypeAliasDeclaration':
      return [{ ...common, name: node.id.name, kind: 'type' }];
    case 'TSDeclareFunction':
    case 'FunctionDeclaration':
      return node.id ? [{ ...common, name: node.id.name, kind: 'function' }] : [];
    case 'VariableDeclaration':
      return node.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? { ...common, name: id.name, kind: 'constant' } : []));
    default:
      return [];
  }
}

function membersOf(body: Node & { readonly body: readonly Node[] }, text: string): readonly Member[] {
  let end = body.start + 1;
  return body.body.flatMap((member) => {
    const doc = docBefore(text.slice(end, member.start));
    end = member.end;
    const own = text.slice(member.start, member.end);
    const name = /^(?:(?:static|override|readonly|async|get|set) )*(\[[^\]]+\]|[#\w]+)/.exec(own)?.[1];
    return name === undefined || name.startsWith('#') || own.startsWith('private ') ? [] : [{ name, doc, text: own }];
  });
}

function docBefore(gap: string): string | undefined {
  const inside = gap
    .match(/\/\*\*.*?\*\//gs)
    ?.at(-1)
    ?.slice(3, -2);
  return inside
    ?.split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim();
}

const isFile = (specifier: string): boolean => specifier.startsWith('.');

const resolveFrom = (path: string, specifier: string): string => relative('.', join(dirname(path), specifier)).replace(/\.[jt]s$/, '');

function nameOf(node: { readonly type: string; readonly name?: string; readonly value?: unknown }): string {
  return node.name ?? String(node.value);
}

/** The entries there are: a door that is not built yet has none. */
export const existingEntries = (entries: readonly string[]): readonly string[] =>
  entries.filter((entry) => existsSync(join('src', `${entry}.ts`)));
