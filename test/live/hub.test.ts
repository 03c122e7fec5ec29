import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { chromium } from 'playwright-core';
import type { Hub } from '../../examples/hub/hub.ts';
import { createHub } from '../../examples/hub/hub.ts';
import type { Program } from '../../examples/hub/kinds.ts';
import { builtIn, notebook } from '../../examples/hub/kinds.ts';
import { sleep } from '../../lib/sleep.ts';
import { startSlurm, stopSlurm } from '../engines/slurm.ts';

describe('The hub in examples/, in a browser', () => {
  let folder: string;
  let browser: Browser;
  let hub: Hub;
  let context: BrowserContext;
  let page: Page;

  before(async () => {
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
  });

  after(async () => {
    await browser.close();
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hub-test-'));
  });

  afterEach(async () => {
    await page.goto(hub.url);
    while (hub.alive > 0) {
      const stop = page.getByRole('button', { name: 'Stop' }).first();
      await Promise.race([stop.click({ timeout: 1000 }).catch(() => {}), sleep(1000)]);
    }
    await context.close();
    await hub.close();
    rmSync(folder, { recursive: true });
  });

  it('starts, opens and stops a server, and both tabs see it', async () => {
    await visit(builtIn);
    const second = await context.newPage();
    await second.goto(hub.url);
    await page.getByRole('button', { name: 'Start' }).first().click();
    await page.getByText('running', { exact: true }).waitFor();
    await second.getByText('running', { exact: true }).waitFor();

    const server = await open();
    await server.getByRole('heading', { name: 'It works, ann.' }).waitFor();
    await server.getByText(/^\d\d:\d\d:\d\d$/).waitFor();

    await second.getByRole('button', { name: 'Stop' }).click();
    await second.getByText('It was stopped.').waitFor();
    await page.getByText('It was stopped.').waitFor();
    expect(hub.alive).to.equal(0);
    await server.getByText('The server does not answer.').waitFor();
  });

  it('shows the progress from its beginning, however late the page is opened', async () => {
    await visit({
      name: 'a slow server',
      argv: () => [process.execPath, '--eval', 'setInterval(() => {}, 1000)'],
    });
    await page.getByRole('button', { name: 'Start' }).first().click();
    await page.getByText(/waiting for its first answer/).waitFor();
    const steps = await page.locator('.steps li').allTextContents();
    expect(steps.length).to.be.above(1);
    const second = await context.newPage();
    await second.goto(hub.url);
    await second.getByText(/waiting for its first answer/).waitFor();
    await second
      .locator('.steps li')
      .nth(steps.length - 1)
      .waitFor();
    expect(await second.locator('.steps li').allTextContents()).to.deep.equal(steps);
    await second.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('It was stopped.').waitFor();
  });

  it('opens a Jupyter Notebook, in which code can be run', async () => {
    await visit({
      ...notebook,
      argv: (ip, path) => [...notebook.argv(ip, path), `--notebook-dir=${folder}`],
    });
    await page.getByRole('button', { name: 'Start' }).first().click();
    const server = await open();
    await server.getByRole('button', { name: 'New' }).click();
    const opened = context.waitForEvent('page');
    await server.getByText('Python 3 (ipykernel)', { exact: true }).click();
    const book = await opened;
    await book.locator('.kernel_idle_icon').waitFor();
    await book.locator('.input .CodeMirror').click();
    await book.keyboard.type('6 * 7 * 100');
    await book.keyboard.press('Shift+Enter');
    await book.locator('.output_result').getByText('4200').waitFor();
    expect(new URL(book.url()).origin).to.equal(new URL(hub.url).origin);
  });

  describe('on a machine with Slurm', () => {
    before(() => startSlurm());
    after(() => stopSlurm());

    it('starts a server as a Slurm job', async () => {
      await visit(builtIn);
      await page.getByLabel('As a Slurm job').first().check();
      await page.getByLabel('Walltime').first().fill('soon');
      await page.getByRole('button', { name: 'Start' }).first().click();
      await page.getByRole('alert').getByText('request.runtime').waitFor();
      await page.getByLabel('Walltime').first().fill('10');
      await page.getByLabel('Partition').first().fill('batch');
      await page.getByRole('button', { name: 'Start' }).first().click();
      const server = await open();
      await server.getByText(/^\d+ on cn\d/).waitFor();
      await page.getByRole('button', { name: 'Stop' }).click();
      await page.getByText('It was stopped.').waitFor();
    });
  });

  async function visit(program: Program): Promise<void> {
    hub = await createHub({ port: 0, folder: join(folder, 'state'), program });
    context = await browser.newContext();
    page = await context.newPage();
    await page.goto(hub.url);
    await page.getByLabel('Your name').fill('ann');
    await page.getByRole('button', { name: 'Log in' }).click();
  }

  async function open(): Promise<Page> {
    const opened = context.waitForEvent('page', { timeout: 60_000 });
    await page.getByRole('link', { name: 'Open' }).click({ timeout: 60_000 });
    return opened;
  }
});

describe('The hub in examples/, as a command', () => {
  it('says where it is, and ends with Ctrl-C', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hub-test-'));
    const main = join(import.meta.dirname, '../../examples/hub/main.ts');
    const hub = spawn(
      process.execPath,
      ['--import', 'tsx', main, '--port', '0', '--state', join(folder, 'state')],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      let output = '';
      hub.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
      while (!/^Open http:.*\n/m.test(output)) {
        await sleep(20);
      }
      const [url = ''] = /http:\S+/.exec(output) ?? [];
      expect((await fetch(url)).status).to.equal(200);
      hub.kill('SIGINT');
      expect((await once(hub, 'close'))[0]).to.equal(0);
      expect(output).to.contain('The hub has ended.');
    } finally {
      hub.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });
});
