import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { throwIfAborted } from './abort.ts';
import { sleep } from './sleep.ts';

/** In ms: the first and the longest pause before a server that does not answer yet is asked again. */
const pauses = { first: 25, longest: 500 };

/** How `answersHttp` asks. */
export interface AnswersHttpOptions {
  /** Ends the question early, with the answer false. */
  readonly signal?: AbortSignal;
  /** The time for connection and answer together, in ms. Default: 5000. */
  readonly timeout?: number;
}

/**
 * Asks once whether a web server answers at an address. Any answer with a status below 500 says
 * yes: a redirect to a login page, 403 or 404 come from a server that is up, 502 and 503 from a
 * proxy in front of one that is not. No redirect is followed, no proxy and no credentials are used;
 * nothing is sent that a certificate would have to protect, so a self-signed one is good enough.
 *
 * @param url an http or https address, usually the server's base URL
 * @returns false as well where nothing listens, the connection is reset, the time is over, the
 *   signal aborts, or what comes is no HTTP
 * @throws TypeError if `url` is no http or https address
 */
export async function answersHttp(
  url: string,
  { signal, timeout = 5000 }: AnswersHttpOptions = {},
): Promise<boolean> {
  const target = new URL(url);
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    throw new TypeError(
      `Only http and https addresses can be asked, but this one is ${target.protocol}`,
    );
  }
  target.username = '';
  target.password = '';
  if (signal?.aborted) return false;
  return new Promise((resolve) => {
    const request =
      target.protocol === 'https:'
        ? httpsRequest(target, { agent: false, rejectUnauthorized: false })
        : httpRequest(target, { agent: false });
    const settle = (answers: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', no);
      resolve(answers);
      request.destroy();
    };
    const no = () => settle(false);
    const timer = setTimeout(no, timeout);
    signal?.addEventListener('abort', no, { once: true });
    request.on('response', (response) => {
      response.on('error', () => {});
      settle((response.statusCode ?? 500) < 500);
    });
    request.on('error', no);
    request.on('close', no);
    request.end();
  });
}

/** Asks until the answer is yes, ever more rarely. Throws when the signal is aborted. */
export async function untilTrue(ask: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  for (let pause = pauses.first; ; pause = Math.min(pause * 1.5, pauses.longest)) {
    throwIfAborted(signal);
    if (await ask()) {
      return;
    }
    await sleep(pause, signal);
  }
}
