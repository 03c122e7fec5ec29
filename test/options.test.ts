import { expect } from 'chai';
import { OptionsError } from '../lib/errors.ts';
import type { SlurmOptions, SpawnerOptions } from '../lib/generated/options.ts';
import { checkOptions } from '../lib/options.ts';
import { thrown } from './helpers/errors.ts';
import { MinimalSpawner } from './helpers/minimal-spawner.ts';

const check = (options: unknown) => checkOptions<SpawnerOptions>('spawner.json', options as object);
const checkSlurm = (options: unknown) =>
  checkOptions<SlurmOptions>('slurm.json', options as object);

/** The error about options; they are Slurm's, which have all kinds of nesting. */
const wrong = (options: unknown) => thrown(OptionsError, () => checkSlurm(options));

const context = { user: { name: 'ada' } };

describe('Options', () => {
  it('have defaults', () => {
    expect(check({})).to.deep.equal({
      cmd: ['jupyterhub-singleuser'],
      args: [],
      ip: '127.0.0.1',
      port: 0,
      environment: {},
      envKeep: ['PATH', 'LANG', 'LC_ALL', 'TZ'],
      debug: false,
      disableUserConfig: false,
      startTimeout: 60_000,
      httpTimeout: 30_000,
      pollInterval: 30_000,
      hooks: {},
    });
  });

  it('have other defaults where a kind of spawner says so, also within objects', () => {
    expect(checkSlurm({ unknownBudget: { count: 3 } })).to.deep.include({
      cmd: ['jupyterhub-singleuser'],
      ip: '0.0.0.0',
      envKeep: [],
      startTimeout: 300_000,
      httpTimeout: 120_000,
      endpoint: 'callback',
      request: {},
      queueTimeout: null,
      unknownBudget: { time: 600_000, count: 3 },
    });
  });

  it('take their defaults where they are undefined', () => {
    expect(check({ ip: undefined, memLimit: undefined })).to.deep.equal(check({}));
  });

  it('are a copy, frozen at every depth, and those of the caller stay as they are', () => {
    const preSpawn = () => {};
    const given = { args: ['a'], environment: { A: 'b' }, hooks: { preSpawn }, cmd: undefined };
    const options = check(given);
    given.args.push('later');
    given.environment.A = 'later';
    expect(options).to.deep.include({ args: ['a'], environment: { A: 'b' }, hooks: { preSpawn } });
    expect(given).to.have.all.keys('args', 'environment', 'hooks', 'cmd');
    for (const part of [options, options.cmd, options.args, options.environment, options.hooks]) {
      expect(part).to.be.frozen;
    }
    for (const part of [given, given.args, given.environment, given.hooks, preSpawn]) {
      expect(part).not.to.be.frozen;
    }
  });

  it('do not share their defaults with each other', () => {
    expect(check({}).cmd).not.to.equal(check({}).cmd);
  });

  it('may be frozen already, and may share objects with each other', () => {
    const shared = Object.freeze(['x']);
    expect(check(Object.freeze({ args: shared, cmd: shared }))).to.deep.include({
      args: ['x'],
      cmd: ['x'],
    });
  });

  it('may be objects without a prototype, or of another realm', () => {
    const environment = Object.assign(Object.create(null), { A: 'b' });
    expect(check(Object.assign(Object.create(null), { environment })).environment).to.deep.equal({
      A: 'b',
    });
  });

  it('are read once where they are getters', () => {
    let reads = 0;
    const options = check({
      get ip() {
        reads += 1;
        return '0.0.0.0';
      },
    });
    expect([options.ip, options.ip, reads]).to.deep.equal(['0.0.0.0', '0.0.0.0', 1]);
  });

  it('may have functions as values of the environment and as hooks', () => {
    const A = () => 'a';
    const hooks = { preSpawn: async () => {}, postStop: () => {}, progressReady: () => {} };
    expect(check({ environment: { A }, hooks })).to.deep.include({ environment: { A }, hooks });
  });

  it('may have names that every object knows, where names are free', () => {
    const environment = { constructor: 'a', toString: 'b' };
    expect(check({ environment }).environment).to.deep.equal(environment);
  });

  const accepted: Readonly<Record<string, readonly unknown[]>> = {
    memLimit: [1024, 1, '4G', '512M', '1.5G', '1K', '2T', '0.5G'],
    cpuLimit: [0.5, 1, 64],
    port: [0, 8888, 65_535],
    ip: ['0.0.0.0', '::', 'node1'],
    cmd: [['a b', '']],
    rootDir: ['~/x', '/srv/{{username}}'],
    pollInterval: [0, 2_147_483_647],
  };
  for (const [name, values] of Object.entries(accepted)) {
    it(`take ${values.map((value) => JSON.stringify(value)).join(', ')} for ${name}`, () => {
      for (const value of values)
        expect(check({ [name]: value })).to.have.deep.property(name, value);
    });
  }

  const requests: Readonly<Record<string, readonly unknown[]>> = {
    memory: ['4G', '512M', '4g', '4GB', '1024'],
    runtime: ['90', '90:30', '12:00:00', '1:75:00', '1-0', '1-12:30', '3-05:10:10'],
    nprocs: [2, '2', '02'],
    ngpus: [0, '0'],
    homedir: ['/home/ada', '/home/ada lovelace'],
    keepvars: [[], ['A', 'B']],
  };
  for (const [name, values] of Object.entries(requests)) {
    it(`take ${values.map((value) => JSON.stringify(value)).join(', ')} for request.${name}`, () => {
      for (const value of values) {
        expect(checkSlurm({ request: { [name]: value } }).request).to.deep.equal({ [name]: value });
      }
    });
  }

  const refused: Readonly<Record<string, readonly unknown[]>> = {
    memLimit: [
      0,
      -1,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      '-1',
      '0G',
      '0.0M',
      '0.0001K',
      '0.00000009M',
      '4g',
      '4GB',
    ],
    memGuarantee: ['lots', '1024', '', '.5G', '4 G', null, true, {}, ['4G']],
    cpuLimit: [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '1'],
    port: [-1, 65_536, 1.5, '8888', null],
    startTimeout: [0, -1, 1.5, 2_147_483_648, '60s', Number.POSITIVE_INFINITY],
    pollInterval: [-1, 2_147_483_648],
    ip: ['', 5],
    rootDir: ['', 5],
    defaultUrl: ['lab', ''],
    cmd: ['jupyter lab', [], [5], ['a\0b'], () => ['jupyter'], null],
    args: [{ 0: 'a' }, [undefined]],
    envKeep: [['A', 'A'], ['A=B'], ['1A'], ['']],
    debug: [1, 'true', null],
    environment: [
      { A: 5 },
      { A: null },
      { A: ['b'] },
      { A: 'b\0c' },
      { 'A B': 'c' },
      { '': 'a' },
      [],
    ],
    hooks: [{ preSpawn: 'x' }, { preStart: () => {} }, () => {}],
    request: [null, 'x', { memory: 4 }, { runtime: 90 }, { keepvars: 'A' }, { queue: '' }],
    endpoint: ['file', null],
    states: [{ A: {} }, { A: { state: 'odd' } }, { A: 'running' }],
    patterns: [{ jobId: '(' }, { jobId: '' }],
  };
  for (const [name, values] of Object.entries(refused)) {
    it(`do not take another kind of value for ${name}, and name it`, () => {
      for (const value of values) {
        const error = wrong({ [name]: value });
        expect(error.path.split(/[.[]/)[0], error.message).to.equal(name);
        expect(error.message).to.include(name);
      }
    });
  }

  it('do not take a runtime that could be more than one', () => {
    for (const runtime of [
      'abc',
      '1:2:3:4',
      '12:00:00; rm -rf /',
      '1-',
      '-1',
      '1:222',
      '',
      '1-2-3',
      '12:00:00\n',
    ]) {
      expect(wrong({ request: { runtime } }).path).to.equal('request.runtime');
    }
  });

  it('do not take a memory that a batch system could not read', () => {
    for (const memory of ['lots', '-1', '', 'G', '4 G', '4P', '1e9', '4G\n']) {
      expect(wrong({ request: { memory } }).path).to.equal('request.memory');
    }
  });

  describe('that are wrong give an error that is for a person:', () => {
    const sentences: readonly (readonly [unknown, string, string])[] = [
      [{ reqest: {} }, 'reqest', 'There is no option reqest. Is request meant?'],
      [{ mem_limit: '4G' }, 'mem_limit', 'There is no option mem_limit. Is memLimit meant?'],
      [
        { request: { memroy: '4G' } },
        'request.memroy',
        'There is no option request.memroy. Is request.memory meant?',
      ],
      [
        { hooks: { onStart: () => {} } },
        'hooks.onStart',
        'There is no option hooks.onStart. Known are postStop, preSpawn, progressReady.',
      ],
      [
        { unknownBudget: { seconds: 5 } },
        'unknownBudget.seconds',
        'There is no option unknownBudget.seconds. Known are count, time.',
      ],
      [null, 'options', 'The options must be an object; they are null.'],
      [['a'], 'options', 'The options must be an object; they are a list.'],
      [
        { request: { memory: 'lots' } },
        'request.memory',
        'The option request.memory must be a text, such as "4G" or "512M"; it is "lots". Memory a node (--mem): a whole number of megabytes, or with K, M, G or T.',
      ],
      [
        { request: { memory: '1.5G' } }, // sbatch refuses it
        'request.memory',
        'The option request.memory must be a text, such as "4G" or "512M"; it is "1.5G". Memory a node (--mem): a whole number of megabytes, or with K, M, G or T.',
      ],
      [
        { request: { memory: 1024 } },
        'request.memory',
        'The option request.memory must be a text, such as "4G" or "512M"; it is 1024.',
      ],
      [
        { request: { runtime: 'abc' } },
        'request.runtime',
        'The option request.runtime must be a text, such as "12:00:00" or "3-05:10:10"; it is "abc". The walltime, for all batch systems alike: minutes, minutes:seconds, hours:minutes:seconds, or with days in front, as days-hours, days-hours:minutes or days-hours:minutes:seconds.',
      ],
      [
        { request: { nprocs: 0 } },
        'request.nprocs',
        'The option request.nprocs must be a whole number, 1 or more, or the same as a text; it is 0.',
      ],
      [
        { request: { partition: 'a\n#SBATCH --uid=0' } },
        'request.partition',
        'The option request.partition must be one line of text that is not empty, such as "batch"; it is "a\\n#SBATCH --uid=0".',
      ],
      [
        { memLimit: 'lots' },
        'memLimit',
        'The option memLimit must be a whole number, 1 or more, or a text, such as "4G"; it is "lots". The most memory that the server may use: bytes, or a number with K, M, G or T (powers of 1024).',
      ],
      [
        { memLimit: Number.NaN },
        'memLimit',
        'The option memLimit must be a whole number, 1 or more, or a text, such as "4G"; it is NaN.',
      ],
      [{ cpuLimit: 0 }, 'cpuLimit', 'The option cpuLimit must be a number above 0; it is 0.'],
      [
        { port: 70_000 },
        'port',
        'The option port must be a whole number from 0 to 65535; it is 70000.',
      ],
      [
        { queueTimeout: 'never' },
        'queueTimeout',
        'The option queueTimeout must be a whole number from 1 to 2147483647, or null; it is "never".',
      ],
      [{ debug: 'yes' }, 'debug', 'The option debug must be true or false; it is "yes".'],
      [
        { endpoint: 'calback' },
        'endpoint',
        'The option endpoint must be "callback" or "fixed"; it is "calback".',
      ],
      [
        { cmd: 'jupyter lab' },
        'cmd',
        'The option cmd must be a list that is not empty, such as ["jupyter","lab","--no-browser","--port={port}"]; it is "jupyter lab".',
      ],
      [
        { cmd: [] },
        'cmd',
        'The option cmd must be a list that is not empty, such as ["jupyter","lab","--no-browser","--port={port}"]; it is an empty list.',
      ],
      [
        { args: ['a', 'b', 3] },
        'args[2]',
        'The option args[2] must be a text without NUL characters; it is 3.',
      ],
      [
        { args: [undefined] },
        'args[0]',
        'The option args[0] must be a text without NUL characters; it is undefined.',
      ],
      [{ envKeep: ['A', 'B', 'A'] }, 'envKeep', 'The option envKeep has the same at [0] and [2].'],
      [
        { envKeep: ['LC-ALL'] },
        'envKeep[0]',
        'The option envKeep[0] must be a name of letters, digits and _ that does not begin with a digit, and that no shell keeps for itself, as it does UID; it is "LC-ALL".',
      ],
      [
        { environment: { UID: '1000' } },
        'environment.UID',
        'The name "UID" in environment must be a name of letters, digits and _ that does not begin with a digit, and that no shell keeps for itself, as it does UID.',
      ],
      [
        { environment: { '1X': 'a' } },
        'environment.1X',
        'The name "1X" in environment must be a name of letters, digits and _ that does not begin with a digit, and that no shell keeps for itself, as it does UID.',
      ],
      [
        { hooks: { preSpawn: 'notify' } },
        'hooks.preSpawn',
        'The option hooks.preSpawn must be a function; it is "notify".',
      ],
      [
        { states: { ODD: {} } },
        'states.ODD.state',
        'The option states.ODD.state is missing; it must be "pending", "held", "running", "suspended", "completing", "ended" or "unknown".',
      ],
      [
        { patterns: { jobId: '(' } },
        'patterns.jobId',
        'The option patterns.jobId must be a regular expression; it is "(".',
      ],
      [
        { logFile: '/scratch/%j.log' },
        'logFile',
        'The option logFile must be a path without %, \\ and line breaks, such as "/scratch/{{username}}/{{jobName}}.log"; it is "/scratch/%j.log".',
      ],
      [
        { ip: 'x'.repeat(1000), port: 'x'.repeat(1000) },
        'port',
        'The option port must be a whole number from 0 to 65535; it is a text.',
      ],
      [
        { rootDir: 10n },
        'rootDir',
        'The option rootDir must be a text that is not empty, such as "~/notebooks" or "/srv/data/{{username}}"; it is a bigint.',
      ],
      [
        { environment: new Map([['A', 'b']]) },
        'environment',
        'The option environment is an instance of Map; options are plain objects, lists, texts, numbers, truth values and functions.',
      ],
      [
        new MinimalSpawner(context),
        'options',
        'The options are an instance of MinimalSpawner; options are plain objects, lists, texts, numbers, truth values and functions.',
      ],
    ];
    for (const [options, path, message] of sentences) {
      it(message, () => {
        const error = wrong(options);
        expect(error.message).to.equal(message);
        expect(error.path).to.equal(path);
        expect(error.expected).to.match(/^[^A-Z]/);
      });
    }

    it('and that lists the names, where none looks like the one that was given', () => {
      const { message } = wrong({ gpu: 1 });
      expect(message).to.match(
        /^There is no option gpu\. Known are args, binDir, cmd, commandEnvironment, /,
      );
      expect(message).to.include('request').and.include('queueTimeout').and.include('ip,');
      expect(wrong({ request: { cores: 1 } }).message).to.match(
        /Known are account, cluster, .*, memory, .*, qos, .*, username\.$/,
      );
    });

    it('and that has no value which may be a secret', () => {
      const secret = 'hunter2';
      const secrets: readonly unknown[] = [
        { environment: { PASSWORD: `${secret}\0` } },
        { environment: { PASSWORD: { secret } } },
        { environment: { PASSWORD: [secret] } },
        { environment: `PASSWORD=${secret}` },
        { environment: { 'PASS WORD': secret } },
        { commandEnvironment: { PASSWORD: `${secret}\0` } },
        { commandEnvironment: secret },
        { request: { prologue: `export PASSWORD=${secret}\0` } },
        { script: { secret } },
        { pasword: secret },
      ];
      for (const options of secrets) expect(wrong(options).message).not.to.include(secret);
      expect(wrong({ environment: { PIN: 1234 } }).message).to.equal(
        'The option environment.PIN must be a text without NUL characters, or a function; it is a number.',
      );
    });

    it('and that knows no names from the prototype of all objects', () => {
      for (const name of ['constructor', 'toString', 'hasOwnProperty', '__proto__']) {
        const options: unknown = JSON.parse(`{ "${name}": { "cmd": ["x"] } }`);
        expect(wrong(options).path).to.equal(name);
        expect(wrong({ request: options }).path).to.equal(`request.${name}`);
      }
      expect(Object.prototype).not.to.have.property('cmd');
    });

    it('and that does not follow an object into itself for ever', () => {
      const request: Record<string, unknown> = {};
      request['inner'] = { request };
      const error = wrong({ request });
      expect(error.path).to.equal('request.inner.request');
      expect(error.message).to.equal(
        'The option request.inner.request is the same object as one that it stands in: such options have no end.',
      );
      const list: unknown[] = [];
      list.push(list);
      expect(wrong({ args: list }).path).to.equal('args[0]');
    });
  });

  describe("of a spawner of one's own", () => {
    const imageSchema = {
      title: 'ImageOptions',
      allOf: [{ $ref: 'spawner.json' }],
      properties: {
        image: { $ref: '#/$defs/name', examples: ['base-notebook'] },
        password: { type: 'string', writeOnly: true, pattern: '^.{8,}$' },
        weight: { type: 'integer', multipleOf: 5, default: 10 },
        level: { type: 'number', minimum: 1, exclusiveMaximum: 10 },
        size: { type: 'integer', maximum: 3 },
        code: { type: 'string', pattern: '^[A-Z]+$' },
        either: { type: ['string', 'boolean'] },
        ip: { default: '0.0.0.0' },
      },
      required: ['image'],
      $defs: { name: { type: 'string', title: 'the name of an image', pattern: '^[a-z-]+$' } },
    };
    class ImageSpawner extends MinimalSpawner {
      static override readonly schema = imageSchema;
    }
    class MadeAnewSpawner extends MinimalSpawner {
      static override get schema() {
        return {
          properties: { queue: { type: 'string' } },
          allOf: [{ $ref: 'batch.json' }],
        };
      }
    }
    const create = (options: object) => Reflect.construct(ImageSpawner, [context, options]);
    const problem = (options: object) => thrown(OptionsError, () => create(options)).message;

    it('are checked by its schema and by the one that it refers to', () => {
      expect(new ImageSpawner(context, Object.assign({ image: 'base' })).options).to.deep.include({
        image: 'base',
        weight: 10,
        cmd: ['jupyterhub-singleuser'],
        pollInterval: 30_000,
      });
      expect(problem({ image: 'base', port: -1 })).to.match(/^The option port must be a whole/);
      expect(problem({ image: 'base', imag: 'x' })).to.equal(
        'There is no option imag. Is image meant?',
      );
    });

    it('are told in the words of its schema', () => {
      expect(problem({})).to.equal(
        'The option image is missing; it must be the name of an image, such as "base-notebook".',
      );
      expect(problem({ image: 'A' })).to.equal(
        'The option image must be the name of an image, such as "base-notebook"; it is "A".',
      );
      expect(problem({ image: 'a', password: 'hunter2' })).to.equal(
        'The option password must be a text that matches ^.{8,}$; it is a text.',
      );
      expect(problem({ image: 'a', code: 'x' })).to.equal(
        'The option code must be a text that matches ^[A-Z]+$; it is "x".',
      );
      expect(problem({ image: 'a', level: 0 })).to.equal(
        'The option level must be a number below 10, 1 or more; it is 0.',
      );
      expect(problem({ image: 'a', size: 4 })).to.equal(
        'The option size must be a whole number, 3 or less; it is 4.',
      );
      expect(problem({ image: 'a', either: 3 })).to.equal(
        'The option either must be a text or true or false; it is 3.',
      );
    });

    it('are told in the words of ajv where its schema says what ours do not', () => {
      expect(problem({ image: 'a', weight: 3 })).to.equal(
        'The option weight must be multiple of 5.',
      );
    });

    it('can be checked by its schema where that of another is wrong', () => {
      const wrong = { type: 'object', properties: { own: { minimum: 'one' } } } as const;
      const right = { type: 'object', properties: { own: { minimum: 1 } } } as const;
      for (let time = 0; time < 2; time++) {
        expect(() => checkOptions(wrong, {})).to.throw(/minimum/);
      }
      expect(thrown(OptionsError, () => checkOptions(right, { own: 0 })).path).to.equal('own');
    });

    it('are never said to be meant where they are given, and another schema refuses them', () => {
      const properties = { request: { properties: { feature: { type: 'string' } } } };
      const own = { allOf: [{ $ref: 'slurm.json' }], properties };
      const options: object = { request: { feature: 'haswell' } };
      expect(thrown(OptionsError, () => checkOptions(own, options)).message).to.match(
        /^There is no option request\.feature\. Known are account, .*, username\.$/,
      );
    });

    it('do not get in the way of those of another, also where schemas are made anew', () => {
      const make = () => Reflect.construct(MadeAnewSpawner, [context, { queue: 'long' }]);
      for (const spawner of [make(), make()]) {
        expect(spawner.options).to.include({ queue: 'long', ip: '0.0.0.0' });
      }
      expect(create({ image: 'base' }).options).not.to.have.property('queue');
      expect(problem({ image: 'base', queue: 'long' })).to.match(/^There is no option queue/);
    });

    it('are those of every spawner where it has no schema', () => {
      expect(new MinimalSpawner(context, { port: 5 }).options.port).to.equal(5);
      const unknown = thrown(OptionsError, () =>
        Reflect.construct(MinimalSpawner, [context, { image: 'x' }]),
      );
      expect(unknown.path).to.equal('image');
    });
  });

  it('that are templates are filled in when the spawner is made, to find what is wrong', () => {
    const create = (options: Partial<SpawnerOptions>) => () => new MinimalSpawner(context, options);
    expect(thrown(OptionsError, create({ rootDir: '/srv/{{usrname}}' })).message).to.match(
      /^The template of the option rootDir uses the unknown name usrname; known are account,/,
    );
    expect(thrown(OptionsError, create({ defaultUrl: '/lab/{{#x' })).path).to.equal('defaultUrl');
    expect(thrown(OptionsError, create({ rootDir: '{{servername}}' })).path).to.equal('rootDir');
  });
});
