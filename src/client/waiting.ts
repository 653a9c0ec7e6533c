import type { StopFunction } from './listeners.ts';

/** Calls back until it is stopped; perhaps at once. */
type Subscribe<T> = (listener: (value: T) => void) => StopFunction;

/** What `subscribe` tells next. @throws the reason of `signal`. */
export function nextChange<T>(subscribe: Subscribe<T>, signal: AbortSignal): Promise<T> {
  return untilValue(subscribe, () => true, signal);
}

/** The first value for which `predicate` holds. @throws what it throws; the reason of `signal`. */
export function untilValue<T>(subscribe: Subscribe<T>, predicate: (value: T) => boolean, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    let stop = (): void => undefined;
    let isOver = false;
    const end = (settle: () => void): void => {
      if (isOver) return;
      isOver = true;
      stop();
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onAbort = (): void => end(() => reject(signal.reason as Error));
    signal.addEventListener('abort', onAbort);
    stop = subscribe((value) => {
      try {
        if (!isOver && predicate(value)) end(() => resolve(value));
      } catch (error) {
        // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- what a predicate throws is passed on as it is
        end(() => reject(error));
      }
    });
    if (isOver) stop();
  });
}
