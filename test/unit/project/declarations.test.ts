import { describe, expect, it } from 'vitest';
import { Declarations } from '../../../scripts/declarations.ts';

const FILES: Readonly<Record<string, string>> = {
  'a/index': `export * from './deep.ts';
export { Thing as Renamed, type Other } from './thing.ts';
/** Its own. */
export declare const LIMIT = 5;
`,
  'a/deep': `export interface Deep {}\n`,
  'a/thing': `import type { Base as Root } from '../b/base.ts';
/** Of the file. */
/** A thing. */
export declare class Thing extends Root<string> {
    #private;
    /** Makes it. */
    constructor(name: string);
    /** First. */
    take(one: string): void;
    take(one: number): void;
    private readonly hidden;
    readonly bare: number;
    [Symbol.dispose](): void;
}
export type Other = Hidden;
interface Hidden {
    readonly x: 1;
}
export {};
`,
  'b/base': `/** Below. */\nexport declare class Base<T> {}\n`,
};

const declarations = new Declarations((path) => {
  const text = FILES[path];
  if (text === undefined) throw new Error(`${path} was asked for`);
  return text;
});
const [thing] = declarations.exportsOf('a/index').get('Renamed') ?? [];

describe('declarations', () => {
  it('are found under the names an entry exports, but for those of `export *`', () => {
    expect([...declarations.exportsOf('a/index').keys()]).toEqual(['LIMIT', 'Renamed', 'Other']);
    expect(declarations.exportsOf('a/index').get('LIMIT')).toMatchObject([{ kind: 'constant', doc: 'Its own.', text: 'const LIMIT = 5;' }]);
  });

  it('have the doc comment that stands next to them', () => {
    expect(thing).toMatchObject({ kind: 'class', doc: 'A thing.', head: 'class Thing extends Root<string>' });
  });

  it('of a class list what is public, overloads each', () => {
    expect(thing?.members.map(({ name, doc }) => [name, doc])).toEqual([
      ['constructor', 'Makes it.'],
      ['take', 'First.'],
      ['take', undefined],
      ['bare', undefined],
      ['[Symbol.dispose]', undefined],
    ]);
  });

  it('are looked up as the file that names them means it', () => {
    if (!thing) throw new Error('there is no Thing');
    expect(declarations.lookUp(thing.file, 'Root')).toMatchObject([{ name: 'Base', doc: 'Below.' }]);
    expect(declarations.lookUp(thing.file, 'Hidden')).toMatchObject([{ kind: 'interface' }]);
    expect(declarations.lookUp(thing.file, 'Map')).toEqual([]);
  });
});
