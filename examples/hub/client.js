// Keeps the page of a person's servers up to date. Without it, the page is right when it is loaded.

const list = document.getElementById('servers');

const events = new EventSource('/events');

/** A server was started, ended or removed, here or in another tab. */
events.addEventListener('server', ({ data }) => {
  const { id, revision, html } = JSON.parse(data);
  const card = document.getElementById(id);
  if (card === null) {
    list.insertAdjacentHTML('beforeend', html);
  } else if (card.dataset.revision !== String(revision)) {
    const steps = card.querySelector('.steps');
    card.outerHTML = html;
    // Only the page has all of them.
    if (steps) {
      document.getElementById(id)?.querySelector('.steps')?.replaceWith(steps);
    }
  }
});

/** A start came further; the first event of a start has the index 0. */
events.addEventListener('progress', ({ data }) => {
  const { id, index, progress, message } = JSON.parse(data);
  const card = document.getElementById(id);
  const steps = card?.querySelector('.steps');
  if (!steps) {
    return;
  }
  card.querySelector('progress').value = progress;
  const step = document.createElement('li');
  step.textContent = message;
  if (index === 0) {
    steps.replaceChildren();
  }
  steps.append(step);
});

// A hub that was started anew knows nobody any more.
events.addEventListener('error', () => {
  if (events.readyState === EventSource.CLOSED) {
    location.reload();
  }
});
