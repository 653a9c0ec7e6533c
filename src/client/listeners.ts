/** Called for every event, in the order of registration. */
export type Listener<A extends readonly unknown[]> = (...event: A) => unknown;

/** Ends a subscription; idempotent. A `using` declaration works where `Symbol.dispose` exists. */
export type StopFunction = (() => void) & Disposable;

/** Listeners under names. What one throws, at once or later, goes to `onFailure` and harms no other. */
export class Listeners<A extends readonly unknown[]> {
  readonly #byName = new Map<string, Set<Listener<A>>>();
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  add(name: string, listener: Listener<A>): StopFunction {
    const set = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, set);
    // Wrapped, so that a function registered twice is called twice and stopped once.
    const own: Listener<A> = (...event) => listener(...event);
    set.add(own);
    return toStopFunction(() => {
      set.delete(own);
      if (set.size === 0 && this.#byName.get(name) === set) this.#byName.delete(name);
    });
  }

  names(): Iterable<string> {
    return this.#byName.keys();
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  emit(name: string, ...event: A): void {
    // A copy: who is added by a listener hears the next event, who is removed hears nothing more.
    const set = this.#byName.get(name);
    for (const listener of [...(set ?? [])]) if (set?.has(listener)) this.call(listener, ...event);
  }

  call(listener: Listener<A>, ...event: A): void {
    try {
      const result = listener(...event);
      if (result instanceof Promise) result.catch(this.#onFailure);
    } catch (error) {
      this.#onFailure(error);
    }
  }

  /** Nobody hears anything more, not even of an event that is being told. */
  clear(): void {
    for (const set of this.#byName.values()) set.clear();
    this.#byName.clear();
  }
}

function toStopFunction(stop: () => void): StopFunction {
  const function_ = (() => stop()) as StopFunction;
  if (typeof Symbol.dispose === 'symbol') Object.defineProperty(function_, Symbol.dispose, { value: function_ });
  return function_;
}
