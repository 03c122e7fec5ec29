import { EventEmitter } from 'eventemitter3';

/** An emitter whose listeners can do it no harm. */
export abstract class Announcer<E extends object> extends EventEmitter<E, undefined> {
  /**
   * Emits an event. A listener that throws does not keep the event from the listeners after it, as
   * it would in `emit`.
   */
  protected announce<N extends EventEmitter.EventNames<E>>(
    event: N,
    ...details: EventEmitter.EventArgs<E, N>
  ): void {
    this.announced(event, ...details);
  }

  /** The same; returns the promises that listeners have returned. */
  protected announced<N extends EventEmitter.EventNames<E>>(
    event: N,
    ...details: EventEmitter.EventArgs<E, N>
  ): readonly Promise<unknown>[] {
    const promises: Promise<unknown>[] = [];
    for (const listener of this.listeners(event)) {
      // Removes it only if it was added by `once`.
      this.off(event, listener, undefined, true);
      try {
        const result: unknown = listener.apply(this, details);
        if (isThenable(result)) {
          const promise = Promise.resolve(result);
          promises.push(promise);
          promise.catch((cause: unknown) => this.listenerFailed(event, cause));
        }
      } catch (cause) {
        this.listenerFailed(event, cause);
      }
    }
    return promises;
  }

  /** A listener has thrown, or the promise that it returned has rejected. */
  protected abstract listenerFailed(event: EventEmitter.EventNames<E>, cause: unknown): void;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}
