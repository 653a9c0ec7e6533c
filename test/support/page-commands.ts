import { readFileSync } from 'node:fs';
import { parseMarkdown } from './markdown.ts';
import { stepsOf } from './shell-session.ts';

/**
 * One thing a reader of a page does: runs a command, leaves one running (`console open`), looks at what one has shown by the end of its section,
 * or saves a file (a block of code that begins with its name: `// app.mjs`).
 */
export type PageStep = { readonly name: string; readonly line: number } & (
  | { readonly does: 'run' | 'open' | 'look'; readonly command: string; readonly output: string | undefined }
  | { readonly does: 'save'; readonly file: string; readonly text: string }
);

const SHELL_LANGUAGES: ReadonlySet<string> = new Set(['sh', 'console']);
const FILE_NAME = /^(?:\/\/|#) (\S+\.\w+)\n/;

/** What the blocks of a page have its reader do, in order. */
export function pageSteps(path: string): readonly PageStep[] {
  const steps: PageStep[] = [];
  let open: { readonly heading: string; readonly step: PageStep }[] = [];
  const lookBefore = (heading: string | undefined): void => {
    if (open[0]?.heading === heading) return;
    steps.push(...open.map(({ step }) => step));
    open = [];
  };
  for (const { language, words, text, line, heading } of parseMarkdown(readFileSync(path, 'utf8')).blocks) {
    lookBefore(heading);
    const file = FILE_NAME.exec(text)?.[1];
    if (file !== undefined && !SHELL_LANGUAGES.has(language)) steps.push({ name: `${line}: ${file}`, line, does: 'save', file, text });
    if (!SHELL_LANGUAGES.has(language)) continue;
    const isOpen = words.includes('open');
    for (const { command, output } of stepsOf(text)) {
      steps.push({ name: `${line}: ${command}`, line, does: isOpen ? 'open' : 'run', command, output });
      if (isOpen) open.push({ heading, step: { name: `${line}: what '${command}' has shown`, line, does: 'look', command, output } });
    }
  }
  lookBefore(undefined);
  return steps;
}
