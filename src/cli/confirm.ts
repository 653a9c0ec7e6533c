import type { Invocation } from './invocation.ts';

/** Asks a yes-or-no question on stderr; no is the default, and what Ctrl-C and Escape mean. Only where `terminal.canAsk`. */
export async function confirm({ signal }: Invocation, question: string): Promise<boolean> {
  const prompts = await import('@clack/prompts');
  const answer = await prompts.confirm({ message: question, initialValue: false, output: process.stderr, signal });
  return answer === true;
}
