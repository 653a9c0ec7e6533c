import type { Command } from 'commander';
import type { Api } from '../client/api.ts';
import { EXIT, exitCodeOf, UsageError, type ExitCode } from './exit-code.ts';
import { tellFailure } from './failure.ts';
import { Interruption, listenForInterruptions } from './interruption.ts';
import { openTerminal, type Terminal } from './terminal.ts';

/** What a command is given besides its arguments. */
export interface Invocation {
  readonly terminal: Terminal;
  /** Aborts when the process is asked to end. */
  readonly signal: AbortSignal;
  /** The server's API. Loaded and resolved at the first call; nothing is asked of the server yet. */
  readonly connect: () => Promise<Api>;
}

/** What a command does. Its exit code is 0 unless it returns another or throws. */
export type Perform<Options> = (invocation: Invocation, options: Options, ...operands: readonly string[]) => Promise<ExitCode | void>;

interface GlobalOptions {
  readonly url?: string;
  readonly output?: string;
}

/** As commander calls an action: the operands, the options, the command. */
type Action = (...given: readonly unknown[]) => Promise<void>;

/**
 * Runs a command: gives it what it needs, tells its failure, sets the exit code. An operand that was left out is undefined, a repeated one is spread.
 */
export function perform<Options>(run: Perform<Options>): Action {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals<Options & GlobalOptions>();
    const operands = (command.processedArgs as readonly (string | readonly string[])[]).flat();
    const terminal = openTerminal();
    using interruptions = listenForInterruptions();
    const { signal } = interruptions;
    try {
      const code = await run({ terminal, signal, connect: () => connect(options.url, terminal) }, options, ...operands);
      process.exitCode = code ?? EXIT.ok;
    } catch (error) {
      // A failure that the interruption did not cause is still worth telling.
      if (error !== signal.reason) tellFailure(terminal, error, options.output === 'json');
      process.exitCode = signal.reason instanceof Interruption ? signal.reason.exitCode : exitCodeOf(error);
    }
  };
}

async function connect(flagUrl: string | undefined, terminal: Terminal): Promise<Api> {
  const [{ createApi }, { resolveConnection }, { readVersion }] = await Promise.all([
    import('../client/api.ts'),
    import('./connection.ts'),
    import('./version.ts'),
  ]);
  const { url, token } = await resolveConnection(flagUrl, terminal.env);
  try {
    return createApi({ url, userAgent: `attune-cli/${readVersion()}`, ...(token === undefined ? {} : { token }) });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
