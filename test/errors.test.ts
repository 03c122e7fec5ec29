import { inspect } from 'node:util';
import { expect } from 'chai';
import {
  AbortError,
  CommandError,
  OptionsError,
  ParseError,
  SpawnerError,
  StartError,
  StartTimeoutError,
  StateError,
  StopError,
  StoreError,
} from '../lib/errors.ts';
import { crashed } from './helpers/test-spawner.ts';

describe('Errors', () => {
  const cause = new Error('behind it');
  const errors: Readonly<Record<string, readonly [SpawnerError, string]>> = {
    OptionsError: [
      new OptionsError('args[2]', 'a text', undefined, { cause }),
      'ERR_SPAWNER_OPTIONS',
    ],
    StateError: [new StateError('No state.', { cause }), 'ERR_SPAWNER_STATE'],
    CommandError: [
      new CommandError('No sbatch.', { command: 'sbatch', cause }),
      'ERR_SPAWNER_COMMAND',
    ],
    ParseError: [new ParseError('No number.', 'x', { cause }), 'ERR_SPAWNER_PARSE'],
    StartError: [new StartError('It ended.', { cause }), 'ERR_SPAWNER_START'],
    AbortError: [new AbortError('Aborted.', { cause }), 'ERR_SPAWNER_ABORTED'],
    StopError: [new StopError('It still runs.', { cause }), 'ERR_SPAWNER_STOP'],
    StoreError: [new StoreError('The disk is full.', { cause }), 'ERR_SPAWNER_STORE'],
  };
  for (const [name, [error, code]] of Object.entries(errors)) {
    it(`of the class ${name} can be told by class, name and code, and have a cause`, () => {
      expect(error).to.be.instanceOf(SpawnerError).and.instanceOf(Error);
      expect(error.name).to.equal(name);
      expect(error.code).to.equal(code);
      expect(error.cause).to.equal(cause);
      expect(error.retryable).to.equal(false);
      // What a log shows.
      expect(inspect(error).split('\n')[0]).to.equal(`${name}: ${error.message}`);
      expect(Object.keys(error)).not.to.include('name');
    });
  }

  it('without a cause have none, not one that is undefined', () => {
    expect(new StopError('It still runs.')).not.to.have.property('cause');
  });

  it('about options name the option and what was expected', () => {
    const error = new OptionsError('request.memory', 'a number of bytes');
    expect(error).to.include({ path: 'request.memory', expected: 'a number of bytes' });
    expect(error.message).to.equal('The option request.memory must be a number of bytes.');
  });

  it('about commands have defaults that say that nothing is known', () => {
    expect(new CommandError('No sbatch.', { command: 'sbatch', retryable: true })).to.include({
      command: 'sbatch',
      exitCode: null,
      signal: null,
      stderr: '',
      timedOut: false,
      retryable: true,
    });
  });

  it('about starts hold how the server ended and the end of its log, or neither', () => {
    const error = new StartError('It ended.', { exit: crashed, log: 'no module\n' });
    expect(error).to.include({ exit: crashed, log: 'no module\n' });
    expect(new StartError('It ended.')).to.include({ exit: undefined, log: undefined });
  });

  it('about time can be tried again, and tell the step and its limit', () => {
    const error = new StartTimeoutError('It took too long.', 'queue', 5000);
    expect(error).to.include({
      name: 'StartTimeoutError',
      code: 'ERR_SPAWNER_TIMEOUT',
      step: 'queue',
      timeout: 5000,
      retryable: true,
    });
  });
});
