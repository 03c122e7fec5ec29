import { userInfo } from 'node:os';
import type { ProgressEvent } from 'hubspawner';
import { Html, html } from './html.ts';
import type { Choices, Field, Kind } from './kinds.ts';
import { kinds } from './kinds.ts';
import type { Server } from './servers.ts';
import { serverPath } from './servers.ts';

/** What was filled in. */
interface Filled {
  /** The name of the kind. */
  readonly kind: string;
  readonly choices: Choices;
}

/** What is wrong with a form that was sent, to be shown beside it with what was filled in. */
export interface Problem extends Filled {
  /** Whether it is the form for another server, with a field for its name. */
  readonly another: boolean;
  readonly name: string;
  readonly message: string;
  /** The option that is wrong, as errors name it. */
  readonly option: string | undefined;
}

/** The page of someone who is not logged in. */
export function loginPage(message?: string): string {
  return page(
    'Log in',
    html`<main class="narrow">
  <h1>Demo hub</h1>
  <form method="post" action="/login" class="card">
    <label>Your name
      <input name="name" required maxlength="40" autocomplete="username" autofocus>
    </label>
    ${message && trouble(message)}
    <button class="primary">Log in</button>
    <p class="quiet">Any name will do, and there is no password: this is a demo. All servers run as
      the account <b>${userInfo().username}</b>: use it only on a machine whose users you trust.</p>
  </form>
</main>`,
  );
}

/** A person's servers. */
export function homePage(
  user: string,
  servers: readonly Server[],
  program: string,
  problem?: Problem,
): string {
  const named = servers.filter(({ name }) => name !== '');
  const first = servers.find(({ name }) => name === '');
  const card = (name: string, server?: Server) =>
    serverCard(user, name, server, problem?.another === false ? problem : undefined);
  const busy = servers.some((server) =>
    ['waiting', 'starting', 'stopping'].includes(wordFor(server)),
  );
  return page(
    `Servers of ${user}`,
    html`<header class="bar">
  <strong>Demo hub</strong>
  <span class="who">${user}</span>
  <form method="post" action="/logout"><button>Log out</button></form>
</header>
<main>
  <div id="servers">${card('', first)}${named.map((server) => card(server.name, server))}</div>
  <details class="another" ${problem?.another ? new Html('open') : undefined}>
    <summary>Another server</summary>
    ${startForm(undefined, problem?.another ? problem : undefined)}
  </details>
  <footer class="quiet">A demo without passwords. Each server is ${program}, run as the account
    ${userInfo().username}.</footer>
</main>
${busy ? new Html('<noscript><meta http-equiv="refresh" content="3"></noscript>') : undefined}
<script src="/client.js"></script>`,
  );
}

/** A page that says one thing. */
export function messagePage(title: string, message: string): string {
  return page(
    title,
    html`<main class="narrow"><div class="card">
  <h1>${title}</h1>
  <p>${message}</p>
  <p><a class="button" href="/">To the hub</a></p>
</div></main>`,
  );
}

/** The element that shows a server; see client.js. */
export function cardId(name: string): string {
  return `server-${encodeURIComponent(name)}`;
}

/** What a person may do with a server, and why it is as it is. */
export function serverCard(user: string, name: string, server?: Server, problem?: Problem): Html {
  const mine = problem?.name === name ? problem : undefined;
  const is = server === undefined ? 'stopped' : wordFor(server);
  return html`<article class="card ${is}" id="${cardId(name)}" data-revision="${server?.revision ?? 0}">
  <header>
    <h2>${name === '' ? 'Your server' : name}</h2>
    <span class="status">${is === 'stopped' ? 'not started' : is}</span>
  </header>
  ${server?.notice && trouble(server.notice)}
  ${server && details(user, server)}
  ${server?.current === undefined ? startForm(name, mine, server) : undefined}
</article>`;
}

/** What a server is doing, or how it has ended. */
function wordFor({ current, end }: Server) {
  return current?.status === 'ready' ? 'running' : (current?.status ?? end?.is ?? 'ended');
}

/** What is shown of an event of `progress()`. */
export function progressText({ message, estimatedStart }: ProgressEvent): string {
  return estimatedStart === undefined
    ? message
    : `${message} (expected to start: ${estimatedStart.toLocaleString()})`;
}

function details(user: string, { name, kind, current, end, progress }: Server): Html {
  const label = kinds.find((one) => one.name === kind)?.label;
  const where = html`<p class="quiet">${label}${current?.address && `, at ${current.address.host}:${current.address.port}`}</p>`;
  const why = (text: string | undefined) => text && html`<p class="why">${text}</p>`;
  const stop = html`<form method="post" action="/stop"><input type="hidden" name="name" value="${name}"><button>Stop</button></form>`;
  switch (current?.status) {
    case 'waiting':
    case 'starting':
      return html`<progress max="100" value="${progress?.progress ?? 0}" aria-label="Progress"></progress>
  <ol class="steps" aria-live="polite">${progress && html`<li>${progressText(progress)}</li>`}</ol>
  ${where}<div class="actions">${stop}</div>`;
    case 'ready':
    case 'unhealthy':
      return html`${why(current.problem)}${where}<div class="actions">
    <a class="button primary" href="${serverPath(user, name)}" target="_blank" rel="noopener">Open</a>${stop}</div>`;
    case 'stopping':
      return html`${why(current.problem)}${where}`;
    case undefined:
      return html`${why(end?.why)}
  ${end?.log && html`<pre tabindex="0" aria-label="The end of its log">${end.log}</pre>`}`;
  }
}

/**
 * @param name of the server; undefined lets the person choose it
 * @param last what was asked for before
 */
function startForm(name: string | undefined, problem?: Problem, last?: Filled): Html {
  const offered = kinds.filter((kind) => kind.offered());
  const filled = problem ?? last;
  const chosen = offered.find((kind) => kind.name === filled?.kind) ?? offered[0];
  const shown = chosen?.fields.some(({ option }) => option === problem?.option);
  return html`<form method="post" action="/start">
  ${
    name === undefined
      ? html`<input type="hidden" name="another" value="yes">
  <label>Its name <input name="name" required maxlength="40" value="${problem?.name}"></label>`
      : html`<input type="hidden" name="name" value="${name}">`
  }
  ${
    offered.length === 1
      ? html`<input type="hidden" name="kind" value="${chosen?.name}">`
      : offered.map((kind) => kindChoice(kind, kind === chosen, filled, problem))
  }
  ${problem && !shown ? trouble(problem.message) : undefined}
  <div class="actions"><button class="primary">Start</button>${name ? removeButton() : undefined}</div>
</form>`;
}

function kindChoice(kind: Kind, checked: boolean, filled?: Filled, problem?: Problem): Html {
  const field = ({ name, label, hint, option }: Field) => {
    const wrong = option === problem?.option ? problem.message : undefined;
    return html`<label>${label}
      <input name="${name}" value="${filled?.choices[name]}" placeholder="${hint}"${wrong && new Html(' aria-invalid="true" autofocus')}>
      ${wrong && trouble(wrong)}</label>`;
  };
  return html`<div class="kind">
    <label><input type="radio" name="kind" value="${kind.name}"${checked ? new Html(' checked') : undefined}> ${kind.label}</label>
    ${kind.fields.length > 0 ? html`<div class="fields">${kind.fields.map(field)}</div>` : undefined}
  </div>`;
}

/** Sends the form that it stands in to another address, whatever is filled in. */
function removeButton(): Html {
  return html`<button formaction="/remove" formnovalidate>Remove</button>`;
}

function trouble(message: string): Html {
  return html`<p class="alert" role="alert">${message}</p>`;
}

function page(title: string, body: Html): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">
</head>
<body>
${body}
</body>
</html>
`.text;
}
