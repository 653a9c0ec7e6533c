/** The reason of a signal that was aborted because the process was asked to end. */
export class Interruption extends Error {
  readonly signalName: NodeJS.Signals;
  readonly exitCode: number;

  constructor(signalName: keyof typeof NUMBERS) {
    super(`stopped by ${signalName}`);
    this.signalName = signalName;
    this.exitCode = 128 + NUMBERS[signalName];
  }
}

const NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

export interface Interruptions extends Disposable {
  /** Aborts with an {@link Interruption} at the first signal. */
  readonly signal: AbortSignal;
}

/** Turns SIGINT, SIGTERM and SIGHUP into an abort, so that a command ends in order; a second one ends the process at once. */
export function listenForInterruptions(): Interruptions {
  const controller = new AbortController();
  const names = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[];
  const listeners = names.map((name) => {
    const listener = (): void => {
      const interruption = new Interruption(name);
      if (controller.signal.aborted) process.exit(interruption.exitCode);
      controller.abort(interruption);
    };
    process.on(name, listener);
    return () => void process.off(name, listener);
  });
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const release of listeners) release();
    },
  };
}
