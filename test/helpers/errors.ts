type ErrorClass<E extends Error> = abstract new (...args: never[]) => E;

/** The error of a class that a function throws; anything else is a failure. */
export function thrown<E extends Error>(Class: ErrorClass<E>, call: () => unknown): E {
  let value: unknown;
  try {
    value = call();
  } catch (error) {
    return checked(Class, error);
  }
  throw new Error(`No ${Class.name} was thrown, but this came back: ${String(value)}`);
}

/** The error of a class that a promise rejects with; anything else is a failure. */
export async function rejected<E extends Error>(
  Class: ErrorClass<E>,
  promise: Promise<unknown>,
): Promise<E> {
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    return checked(Class, error);
  }
  throw new Error(`No ${Class.name} came, but the promise gave ${String(value)}`);
}

/** What promises reject with, during an action and just after it, while nobody waits for them. */
export async function unhandledDuring(action: () => unknown): Promise<ReadonlySet<unknown>> {
  const reasons = new Set<unknown>();
  const listener = (reason: unknown) => reasons.add(reason);
  process.on('unhandledRejection', listener);
  try {
    await action();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('unhandledRejection', listener);
  }
  return reasons;
}

function checked<E extends Error>(Class: ErrorClass<E>, error: unknown): E {
  if (error instanceof Class) {
    return error;
  }
  throw new Error(`Not a ${Class.name}`, { cause: error });
}
