import type { IncomingMessage, ServerResponse } from 'node:http';

const cookieName = 'hub_session';
/** In bytes. */
const maxFormLength = 8192;

/** For all that the hub itself answers: its pages need nothing from elsewhere. */
export const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; " +
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
};

/** An answer that is a page with one message. */
export class Refusal extends Error {
  readonly status: number;
  readonly title: string;

  constructor(status: number, title: string, message: string) {
    super(message);
    this.status = status;
    this.title = title;
  }
}

/**
 * Refuses what other web pages send: for a server, the token that is added to a request speaks
 * louder than the page that it comes from. The cookie alone does not keep out pages at other ports
 * of this machine, nor names that somebody has made to point to it.
 *
 * @throws Refusal
 */
export function checkOrigin(req: IncomingMessage): void {
  const { host = '', origin, upgrade } = req.headers;
  if (!/^(127\.0\.0\.1|localhost)(:[0-9]+)?$/.test(host)) {
    throw new Refusal(403, 'Wrong address', 'Open this hub as 127.0.0.1 or localhost.');
  }
  const changes = !['GET', 'HEAD'].includes(req.method ?? '') || upgrade !== undefined;
  if (changes && origin !== undefined && origin !== `http://${host}`) {
    throw new Refusal(403, 'Refused', 'This came from a page that is not of this hub.');
  }
}

/** @throws Refusal if it is far too long */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > maxFormLength) {
      throw new Refusal(413, 'Too much', 'No form of this hub is that long.');
    }
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

/** Without the query. */
export function pathOf({ url = '/' }: IncomingMessage): string {
  return url.replace(/\?.*$/s, '');
}

/** As it is where it can not be decoded: nobody and nothing is called like that. */
export function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The id of the session; '' where there is none. */
export function sessionOf({ headers: { cookie = '' } }: IncomingMessage): string {
  return new RegExp(`(?:^|; *)${cookieName}=([^;]*)`).exec(cookie)?.[1] ?? '';
}

/** Gives the browser the id of a session, for as long as it runs, and for no other web page. */
export function setSession(res: ServerResponse, id: string): void {
  res.setHeader('set-cookie', `${cookieName}=${id}; Path=/; HttpOnly; SameSite=Strict`);
}

/** Takes the cookie of the hub away from a request. */
export function dropSession({ headers }: IncomingMessage): void {
  const kept = (headers.cookie ?? '')
    .split(';')
    .filter((cookie) => !cookie.trim().startsWith(`${cookieName}=`));
  if (kept.length > 0) {
    headers.cookie = kept.join(';').trim();
  } else {
    delete headers.cookie;
  }
}

/** Answers with a page. */
export function send(res: ServerResponse, status: number, page: string): void {
  res.writeHead(status, { ...headers, 'content-type': 'text/html; charset=utf-8' }).end(page);
}

/** Makes the browser ask for another page, by GET. */
export function redirect(res: ServerResponse, to: string): void {
  res.writeHead(303, { ...headers, location: to }).end();
}
