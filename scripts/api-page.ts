import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

import { existingEntries, withDeclarations, type Declaration, type Declarations, type Member } from './declarations.ts';

export const API_PAGE = 'docs/client-api.md';

interface Door {
  readonly name: string;
  readonly entry: string;
  readonly says: string;
}

const DOORS: readonly Door[] = [
  { name: 'attune-client', entry: 'client/index', says: 'Runs wherever there is `fetch`: Node.js, browsers, edge.' },
  {
    name: 'attune-client/node',
    entry: 'client/node/index',
    says: 'All of `attune-client`, with these in place of those of the same name, or in addition. `attune.X` is the `X` of `attune-client`.',
  },
  { name: 'attune-client/tabs', entry: 'client/tabs/index', says: 'For pages: the tabs of one origin share one stream.' },
  { name: 'attune-client/testing', entry: 'client/testing/index', says: 'For the tests of an application.' },
];

const INTRO = `# API of the client SDK

Written by \`npm run docs:api\` from the doc comments in [src/client](../src/client); not to be edited. The guide is [client.md](client.md). The codes of errors are in [errors.md](errors.md).
`;

const KINDS: readonly Declaration['kind'][] = ['class', 'function', 'constant', 'interface', 'type'];

/** As headings have it: `name` alone where that is the first of its name. */
interface Title {
  readonly name: string;
  readonly suffix: string;
}

/** Hears of an exported name, or the member of one, without a doc comment. */
type Report = (undocumented: string) => void;

/** The reference of every door there is; formatted as the project's pages are. */
export function formatApiPage(report: Report = () => undefined): string {
  const entries = existingEntries(DOORS.map(({ entry }) => entry));
  const doors = DOORS.filter(({ entry }) => entries.includes(entry));
  const text = withDeclarations(entries, (declarations) => {
    const page = new ApiPage(declarations, report);
    return [INTRO, ...doors.map((door) => page.door(door))].join('\n');
  });
  return execFileSync(resolve('node_modules/.bin/oxfmt'), ['--stdin-filepath', API_PAGE], { input: text, encoding: 'utf8' });
}

class ApiPage {
  readonly #declarations: Declarations;
  readonly #report: Report;
  readonly #shown = new Set<Declaration>();
  /** Anchors of exported names, for links. */
  readonly #names = new Map<string, string>();

  constructor(declarations: Declarations, report: Report) {
    this.#declarations = declarations;
    this.#report = report;
  }

  door({ name, entry, says }: Door): string {
    const exported = inOrder(this.#declarations.exportsOf(entry));
    const titles = exported.map(([key]) => ({ name: key, suffix: this.#names.has(key) ? ` (${name})` : '' }));
    for (const [index, title] of titles.entries()) {
      if (title.suffix === '') this.#names.set(title.name, anchorOf(title.name));
      for (const one of exported[index]?.[1] ?? []) this.#shown.add(one);
    }
    const sections = exported.map(([key, ours], index) => this.#declaration(titles[index] ?? { name: key, suffix: '' }, ours));
    const hidden = this.#alsoNamed(exported.flatMap(([, ours]) => ours));
    const index = titles.map((title) => `[${title.name}](#${anchorOf(title.name + title.suffix)})`).join(' · ');
    return [
      `## ${name}\n\n${says}\n\n${index}\n`,
      ...sections,
      ...(hidden.length > 0 ? [`### Also named by ${name}\n\nNot exported.\n\n${hidden.map((one) => this.#code(one)).join('\n')}`] : []),
    ].join('\n');
  }

  #declaration(title: Title, overloads: readonly Declaration[]): string {
    const [first] = overloads;
    if (!first) return '';
    const heading = `### ${title.name}${title.suffix}\n`;
    const doc = overloads.find((one) => one.doc !== undefined)?.doc;
    if (doc === undefined) this.#report(`${title.name}${title.suffix}`);
    switch (first.kind) {
      case 'class':
        return [heading, fence(this.#head(first)), this.#prose(doc), ...this.#members(title, first)].join('\n');
      case 'function':
        return [heading, fence(overloads.map(oneLine).join('\n')), this.#prose(doc)].join('\n');
      default:
        return [heading, this.#prose(doc), this.#code(first)].join('\n');
    }
  }

  #head(declaration: Declaration): string {
    return this.#withoutAliases(declaration, declaration.head).replaceAll(/\s+/g, ' ');
  }

  #members(title: Title, declaration: Declaration): readonly string[] {
    const names = [...new Set(declaration.members.map(({ name }) => name))];
    return names.map((name) => {
      const overloads = declaration.members.filter((member) => member.name === name);
      const own = name === 'constructor' ? `new ${title.name}` : `${title.name}${name.startsWith('[') ? name : `.${name}`}`;
      const heading = `${own}${title.suffix}`;
      const doc = overloads.find((one) => one.doc !== undefined)?.doc ?? this.#inheritedDoc(declaration, name);
      // What a symbol of the language means, and how an error is made, need no words.
      if (doc === undefined && !name.startsWith('[') && !(name === 'constructor' && declaration.name.endsWith('Error')))
        this.#report(heading);
      return [`#### ${heading}\n`, fence(overloads.map(oneLine).join('\n')), this.#prose(doc)].join('\n');
    });
  }

  #inheritedDoc(declaration: Declaration, name: string): string | undefined {
    const base = /\bextends (\w+)<[^<]*> *$/.exec(declaration.head)?.[1];
    const [parent] = base === undefined ? [] : this.#declarations.lookUp(declaration.file, base);
    return parent?.members.find((member) => member.name === name && member.doc !== undefined)?.doc;
  }

  /** An alias of an import reads as what it stands for. */
  #withoutAliases({ file }: Declaration, text: string): string {
    return text.replaceAll(/\b[A-Z]\w+\b/g, (name) => {
      const origin = file.imports.get(name);
      return origin && origin.name !== name ? `attune.${origin.name}` : name;
    });
  }

  #code(declaration: Declaration): string {
    const text = this.#withoutAliases(declaration, declaration.text).replaceAll(/\{@link (\w+)\}/g, '$1');
    return fence(declaration.kind === 'constant' ? `declare ${text}` : text);
  }

  /** The promise, then a list of what may be thrown. */
  #prose(doc: string | undefined): string {
    if (doc === undefined) return '';
    const [promise = '', ...failures] = doc.split(/\s*@throws\s+/);
    const list = failures.map(
      (failure) =>
        `- ${this.#linked(
          failure
            .replace(/^\{(\w+)\}(?=.)/s, '{@link $1}:')
            .replace(/^\{(\w+)\}$/, '{@link $1}')
            .replaceAll('\n', ' '),
        )}`,
    );
    const throws = list.length > 0 ? `\nThrows, or rejects with:\n\n${list.join('\n')}\n` : '';
    return `${this.#linked(outsideFences(promise, (text) => text.replaceAll(/(?<!\n)\n(?!\n)/g, ' ')))}\n${throws}`;
  }

  #linked(text: string): string {
    return text.replaceAll(/\{@link (\w+)\}/g, (_match, name: string) => {
      const anchor = this.#names.get(name);
      return anchor === undefined ? `\`${name}\`` : `[${name}](#${anchor})`;
    });
  }

  /** What signatures name that is not exported, in the order in which they name it. */
  #alsoNamed(exported: readonly Declaration[]): readonly Declaration[] {
    const found = new Set<Declaration>();
    const visit = (declaration: Declaration): void => {
      for (const [name] of signatureOf(declaration).matchAll(/\b[A-Z]\w+\b/g)) {
        for (const one of this.#declarations.lookUp(declaration.file, name)) {
          if (this.#shown.has(one) || found.has(one)) continue;
          found.add(one);
          visit(one);
        }
      }
    };
    for (const declaration of exported) visit(declaration);
    for (const one of found) this.#shown.add(one);
    return [...found];
  }
}

/** What is the SDK's own before what comes from below it, of each kind. */
function inOrder(exported: ReadonlyMap<string, readonly Declaration[]>): readonly (readonly [string, readonly Declaration[]])[] {
  const rank = ([, [first]]: readonly [string, readonly Declaration[]]): number =>
    first ? KINDS.indexOf(first.kind) + (first.file.path.startsWith('core/') ? 0.5 : 0) : KINDS.length;
  return [...exported].sort((a, b) => rank(a) - rank(b));
}

const withoutComments = (text: string): string => text.replaceAll(/\/\*\*.*?\*\//gs, '');

const signatureOf = ({ kind, head, members, text }: Declaration): string =>
  withoutComments(kind === 'class' ? [head, ...members.map((member) => member.text)].join('\n') : text);

const MAX_LINE = 120;

/** On one line if there is room. */
function oneLine({ text }: Pick<Member, 'text'>): string {
  const joined = withoutComments(text).replaceAll(/\s+/g, ' ').replaceAll('; }', ' }');
  if (joined.length <= MAX_LINE) return joined;
  return joined.replace(/\((.+)\): /s, (_match, parameters: string) => `(\n  ${splitParameters(parameters).join(',\n  ')},\n): `);
}

/** At commas that stand within no bracket. */
function splitParameters(text: string): readonly string[] {
  const parts: string[] = [''];
  let depth = 0;
  for (const [index, character] of [...text].entries()) {
    if ('([{<'.includes(character)) depth++;
    // Not the end of an arrow.
    if (')]}'.includes(character) || (character === '>' && text[index - 1] !== '=')) depth--;
    if (character === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts.map((part) => part.trim());
}

const fence = (text: string): string => `\`\`\`ts\n${text.trimEnd()}\n\`\`\`\n`;

/** Blocks of code in a comment stay as they are. */
const outsideFences = (text: string, change: (text: string) => string): string =>
  text
    .split(/(```.*?```)/s)
    .map((part, index) => (index % 2 === 1 ? part : change(part)))
    .join('');

/** As GitHub makes it of a heading. */
const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
