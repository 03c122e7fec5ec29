import { expect } from 'chai';
import type { SpawnerContext } from '../lib/context.ts';
import { servicePrefix } from '../lib/environment.ts';
import { OptionsError } from '../lib/errors.ts';
import type { SpawnerOptions } from '../lib/generated/options.ts';
import type { Spawner } from '../lib/spawner.ts';
import { thrown, unhandledDuring } from './helpers/errors.ts';
import { MinimalSpawner } from './helpers/minimal-spawner.ts';
import { TestSpawner } from './helpers/test-spawner.ts';

const token = 'b7a0c4d1e2';
const hub = { apiUrl: 'http://10.0.0.1:8081/hub/api' };

/** With a hub and a token, and nothing kept of this process, unless the test says otherwise. */
function spawnerOf(context: Partial<SpawnerContext>, options: Partial<SpawnerOptions> = {}) {
  return new MinimalSpawner(
    { user: { name: 'ada' }, hub, apiToken: token, ...context },
    { envKeep: [], ...options },
  );
}

describe('The environment of a server', () => {
  it('says what else the hub has said of administrators and cookies', () => {
    const facts = { adminAccess: true, cookieOptions: { secure: true } };
    const environment = spawnerOf({ hub: { ...hub, ...facts } }).environment();

    expect(environment).to.include({
      JUPYTERHUB_ADMIN_ACCESS: '1',
      JUPYTERHUB_COOKIE_OPTIONS: '{"secure":true}',
    });
    expect(spawnerOf({}).environment()).not.to.have.any.keys(
      'JUPYTERHUB_ADMIN_ACCESS',
      'JUPYTERHUB_COOKIE_OPTIONS',
    );
  });

  // What JupyterHub gives for the same user, server and options.
  it('is that of JupyterHub where there is a hub', () => {
    const user = { name: 'Ada Lovelace' };
    const scopes =
      '["access:servers!server=Ada Lovelace/lab 1","access:servers!user=Ada Lovelace"]';
    const spawner = spawnerOf(
      {
        user,
        serverName: 'lab 1',
        hub: { apiUrl: 'http://10.0.0.1:8081/jupyter/hub/api', baseUrl: '/jupyter/' },
      },
      {
        port: 4000,
        memLimit: '1.5G',
        memGuarantee: '512M',
        cpuLimit: 2,
        cpuGuarantee: 0.5,
        rootDir: '/srv/{{username}}',
        defaultUrl: '/lab/{{servername}}',
        debug: true,
        disableUserConfig: true,
      },
    );
    expect(spawner.environment()).to.deep.equal({
      JUPYTERHUB_API_TOKEN: token,
      JPY_API_TOKEN: token,
      JUPYTERHUB_API_URL: 'http://10.0.0.1:8081/jupyter/hub/api',
      JUPYTERHUB_ACTIVITY_URL: 'http://10.0.0.1:8081/jupyter/hub/api/users/Ada%20Lovelace/activity',
      JUPYTERHUB_BASE_URL: '/jupyter/',
      JUPYTERHUB_CLIENT_ID: 'jupyterhub-user-Ada%20Lovelace-lab%201',
      JUPYTERHUB_HOST: '',
      JUPYTERHUB_OAUTH_CALLBACK_URL: '/jupyter/user/Ada%20Lovelace/lab%201/oauth_callback',
      JUPYTERHUB_OAUTH_SCOPES: scopes,
      JUPYTERHUB_OAUTH_ACCESS_SCOPES: scopes,
      JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES: '[]',
      JUPYTERHUB_USER: 'Ada Lovelace',
      JUPYTERHUB_SERVER_NAME: 'lab 1',
      JUPYTERHUB_SERVICE_PREFIX: '/jupyter/user/Ada%20Lovelace/lab%201/',
      JUPYTERHUB_SERVICE_URL: 'http://127.0.0.1:4000/jupyter/user/Ada%20Lovelace/lab%201/',
      JUPYTERHUB_ROOT_DIR: '/srv/Ada Lovelace',
      JUPYTERHUB_DEFAULT_URL: '/lab/lab 1',
      JUPYTERHUB_DEBUG: '1',
      JUPYTERHUB_DISABLE_USER_CONFIG: '1',
      MEM_LIMIT: '1610612736',
      MEM_GUARANTEE: '536870912',
      CPU_LIMIT: '2',
      CPU_GUARANTEE: '0.5',
    });
  });

  it('has nothing that no one has asked for', () => {
    expect(spawnerOf({}).environment()).to.have.all.keys(
      'JUPYTERHUB_API_TOKEN',
      'JPY_API_TOKEN',
      'JUPYTERHUB_API_URL',
      'JUPYTERHUB_ACTIVITY_URL',
      'JUPYTERHUB_BASE_URL',
      'JUPYTERHUB_CLIENT_ID',
      'JUPYTERHUB_HOST',
      'JUPYTERHUB_OAUTH_CALLBACK_URL',
      'JUPYTERHUB_OAUTH_SCOPES',
      'JUPYTERHUB_OAUTH_ACCESS_SCOPES',
      'JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES',
      'JUPYTERHUB_USER',
      'JUPYTERHUB_SERVER_NAME',
      'JUPYTERHUB_SERVICE_PREFIX',
      'JUPYTERHUB_SERVICE_URL',
    );
  });

  it('has nothing about a hub where there is none, nor its token', () => {
    const context = { user: { name: 'ada' }, apiToken: token };
    const options = { memLimit: 1024, rootDir: '~', envKeep: [] };
    expect(new MinimalSpawner(context, options).environment()).to.deep.equal({
      MEM_LIMIT: '1024',
      JUPYTERHUB_ROOT_DIR: '~',
    });
    expect(servicePrefix(context)).to.equal('/');
  });

  it('has no token where the hub gives none', () => {
    const spawner = new MinimalSpawner({ user: { name: 'ada' }, hub }, { envKeep: [] });
    expect(spawner.environment()).not.to.have.any.keys('JUPYTERHUB_API_TOKEN', 'JPY_API_TOKEN');
  });

  // By `quote(name, safe='@~')` of Python in paths, and by `quote(name)` in the client id.
  const escaped: Readonly<Record<string, readonly [path: string, clientId: string]>> = {
    ada: ['ada', 'ada'],
    'Ada Lovelace': ['Ada%20Lovelace', 'Ada%20Lovelace'],
    'ada@example.org': ['ada@example.org', 'ada%40example.org'],
    jürgen: ['j%C3%BCrgen', 'j%C3%BCrgen'],
    '💡': ['%F0%9F%92%A1', '%F0%9F%92%A1'],
    '50%': ['50%25', '50%25'],
    'a/../b': ['a%2F..%2Fb', 'a%2F..%2Fb'],
    "_'(a)*!.-~+&=?#": [
      '_%27%28a%29%2A%21.-~%2B%26%3D%3F%23',
      '_%27%28a%29%2A%21.-~%2B%26%3D%3F%23',
    ],
  };
  for (const [name, [path, clientId]] of Object.entries(escaped)) {
    it(`writes the name ${name} as JupyterHub does, in paths and elsewhere`, () => {
      const spawner = spawnerOf({ user: { name }, serverName: name });
      expect(spawner.environment()).to.include({
        JUPYTERHUB_USER: name,
        JUPYTERHUB_SERVER_NAME: name,
        JUPYTERHUB_SERVICE_PREFIX: `/user/${path}/${path}/`,
        JUPYTERHUB_OAUTH_CALLBACK_URL: `/user/${path}/${path}/oauth_callback`,
        JUPYTERHUB_ACTIVITY_URL: `${hub.apiUrl}/users/${path}/activity`,
        JUPYTERHUB_CLIENT_ID: `jupyterhub-user-${clientId}-${clientId}`,
      });
      const scopes: unknown = JSON.parse(
        spawner.environment()['JUPYTERHUB_OAUTH_ACCESS_SCOPES'] ?? '',
      );
      expect(scopes).to.deep.equal([
        `access:servers!server=${name}/${name}`,
        `access:servers!user=${name}`,
      ]);
    });
  }

  it('leaves out the name of a server that has none', () => {
    expect(spawnerOf({}).environment()).to.include({
      JUPYTERHUB_SERVER_NAME: '',
      JUPYTERHUB_SERVICE_PREFIX: '/user/ada/',
      JUPYTERHUB_CLIENT_ID: 'jupyterhub-user-ada',
      JUPYTERHUB_OAUTH_ACCESS_SCOPES: '["access:servers!server=ada/","access:servers!user=ada"]',
    });
  });

  it('joins URLs with one slash, however many the hub gives', () => {
    for (const baseUrl of ['jupyter', '/jupyter', '/jupyter/', '//jupyter//']) {
      const given = { apiUrl: `${hub.apiUrl}//`, baseUrl };
      expect(spawnerOf({ hub: given }).environment()).to.include({
        JUPYTERHUB_API_URL: hub.apiUrl,
        JUPYTERHUB_ACTIVITY_URL: `${hub.apiUrl}/users/ada/activity`,
        JUPYTERHUB_BASE_URL: '/jupyter/',
        JUPYTERHUB_SERVICE_PREFIX: '/jupyter/user/ada/',
      });
    }
    for (const baseUrl of [undefined, '', '/']) {
      const given = { ...hub, ...(baseUrl !== undefined && { baseUrl }) };
      expect(spawnerOf({ hub: given }).environment()).to.include({
        JUPYTERHUB_BASE_URL: '/',
        JUPYTERHUB_SERVICE_PREFIX: '/user/ada/',
      });
    }
  });

  it('has the public URLs of JupyterHub 5 where the hub knows where browsers see it', () => {
    const given = {
      ...hub,
      baseUrl: '/jupyter/',
      publicUrl: 'https://hub.example.org:8443/jupyter/',
    };
    expect(spawnerOf({ hub: given, serverName: 'lab' }).environment()).to.include({
      JUPYTERHUB_HOST: 'https://hub.example.org:8443',
      JUPYTERHUB_PUBLIC_URL: 'https://hub.example.org:8443/jupyter/user/ada/lab/',
      JUPYTERHUB_PUBLIC_HUB_URL: 'https://hub.example.org:8443/jupyter/hub/',
    });
  });

  it('has the OAuth facts that the hub gives', () => {
    const oauth = { clientId: 'server-7', accessScopes: ['a', 'b'], clientAllowedScopes: ['c'] };
    expect(spawnerOf({ hub: { ...hub, oauth } }).environment()).to.include({
      JUPYTERHUB_CLIENT_ID: 'server-7',
      JUPYTERHUB_OAUTH_SCOPES: '["a","b"]',
      JUPYTERHUB_OAUTH_ACCESS_SCOPES: '["a","b"]',
      JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES: '["c"]',
    });
  });

  it('says where to listen, an IPv6 address in brackets', async () => {
    const url = (options: Partial<SpawnerOptions>) =>
      spawnerOf({}, options).environment()['JUPYTERHUB_SERVICE_URL'];
    expect(url({})).to.equal('http://127.0.0.1:0/user/ada/');
    expect(url({ ip: '::', port: 8888 })).to.equal('http://[::]:8888/user/ada/');
    const spawner = spawnerOf({}, { pollInterval: 0 });
    await spawner.start();
    expect(spawner.environment()['JUPYTERHUB_SERVICE_URL']).to.equal(
      'http://127.0.0.1:4000/user/ada/',
    );
  });

  it('knows the account in templates, where it is not the name of the user', () => {
    const user = { name: 'ada@example.org', account: 'ada1' };
    const options = { rootDir: '/home/{{account}}/{{username}}{{#servername}}/x{{/servername}}' };
    expect(spawnerOf({ user }, options).environment()).to.include({
      JUPYTERHUB_ROOT_DIR: '/home/ada1/ada@example.org',
    });
  });

  describe('of a hub with variables of its own', () => {
    const before = { ...process.env };
    beforeEach(() => {
      Object.assign(process.env, { HUB_SECRET: 'hunter2', HUB_LANG: 'de', HUB_EMPTY: '' });
    });
    afterEach(() => {
      for (const name of ['HUB_SECRET', 'HUB_LANG', 'HUB_EMPTY']) delete process.env[name];
      expect(process.env).to.deep.equal(before);
    });

    it('has those that are named and set, and no others', () => {
      const envKeep = ['HUB_LANG', 'HUB_EMPTY', 'HUB_NONE'];
      const environment = new MinimalSpawner({ user: { name: 'ada' } }, { envKeep }).environment();
      expect(environment).to.deep.equal({ HUB_LANG: 'de', HUB_EMPTY: '' });
    });

    it('has by default what programs need to be found and to speak the right language', () => {
      const names = Object.keys(new MinimalSpawner({ user: { name: 'ada' } }).environment());
      expect(names).to.include('PATH');
      expect(['PATH', 'LANG', 'LC_ALL', 'TZ']).to.include.members(names);
    });

    it('has none of what every object of JavaScript has', () => {
      const envKeep = ['constructor', 'toString', '__proto__'];
      const environment = new MinimalSpawner({ user: { name: 'ada' } }, { envKeep }).environment();
      expect(environment).to.deep.equal({});
      expect(Object.getPrototypeOf(environment)).to.equal(Object.prototype);
    });
  });

  describe('by the option environment', () => {
    it('wins over everything else', () => {
      process.env['HUB_LANG'] = 'de';
      const options = {
        envKeep: ['HUB_LANG'],
        environment: { HUB_LANG: 'en', JUPYTERHUB_API_URL: 'http://other/', MEM_LIMIT: () => '5' },
        memLimit: 1024,
      };
      const environment = spawnerOf({}, options).environment();
      delete process.env['HUB_LANG'];
      expect(environment).to.include({
        HUB_LANG: 'en',
        JUPYTERHUB_API_URL: 'http://other/',
        MEM_LIMIT: '5',
      });
    });

    it('may have functions, which get the spawner and are called each time', () => {
      let calls = 0;
      const WHO = ({ context }: Spawner) => {
        calls += 1;
        return `${context.user.name} ${calls}`;
      };
      const spawner = spawnerOf({}, { environment: { WHO } });
      expect(calls).to.equal(0);
      expect(spawner.environment()['WHO']).to.equal('ada 1');
      expect(spawner.environment()['WHO']).to.equal('ada 2');
    });

    const failing: Readonly<Record<string, readonly [() => unknown, string]>> = {
      throws: [
        () => {
          throw new Error('The vault is sealed.');
        },
        'The function of the option environment.KEY failed: The vault is sealed.',
      ],
      'throws what is no error': [
        () => {
          throw 'sealed';
        },
        'The function of the option environment.KEY failed: sealed',
      ],
      'returns nothing': [
        () => undefined,
        'The option environment.KEY must be a function that returns a text without NUL; it has returned undefined.',
      ],
      'is asynchronous': [
        async () => 'hunter2',
        'The option environment.KEY must be a function that returns a text without NUL; it has returned an instance of Promise.',
      ],
      'returns a number': [
        () => 1234,
        'The option environment.KEY must be a function that returns a text without NUL; it has returned a number.',
      ],
      'returns a text with NUL': [
        () => 'hunter2\0',
        'The option environment.KEY must be a function that returns a text without NUL; it has returned a text.',
      ],
    };
    for (const [what, [KEY, message]] of Object.entries(failing)) {
      it(`gives a clear error, without a value, where a function ${what}`, () => {
        const spawner = Reflect.construct(MinimalSpawner, [
          { user: { name: 'ada' } },
          { environment: { KEY } },
        ]);
        const error = thrown(OptionsError, () => spawner.environment());
        expect(error).to.include({ message, path: 'environment.KEY' });
      });
    }

    it('leaves no rejection in the air where an asynchronous function fails', async () => {
      const KEY = () => Promise.reject(new Error('The vault is sealed.'));
      const spawner = Reflect.construct(MinimalSpawner, [
        { user: { name: 'ada' } },
        { environment: { KEY } },
      ]);
      const unhandled = await unhandledDuring(() => {
        thrown(OptionsError, () => spawner.environment());
      });
      expect(unhandled).to.be.empty;
    });

    it('keeps the error behind the error', () => {
      const cause = new Error('The vault is sealed.');
      const KEY = () => {
        throw cause;
      };
      const spawner = new TestSpawner({ environment: { KEY } });
      expect(thrown(OptionsError, () => spawner.environment()).cause).to.equal(cause);
    });
  });
});
