import { expect } from 'chai';
import sinon from 'sinon';
import { Failures } from '../../lib/supervisor/failures.ts';

describe('Failures', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = sinon.useFakeTimers({ now: 1_000_000 });
  });
  afterEach(() => clock.restore());

  it('make no pause below the limit, and none where there are none', () => {
    const failures = new Failures(60_000);
    expect(failures.pauseOf('a')).to.equal(undefined);
    failures.failed('a', 3, 'no');
    failures.failed('a', 3, 'no');
    failures.failed('b', 3, 'no');
    expect(failures.pauseOf('a')).to.equal(undefined);
  });

  it('make one at the limit, and another for each that follows', () => {
    const failures = new Failures(60_000);
    failures.failed('a', 2, 'first');
    failures.failed('a', 2, 'second');
    expect(failures.pauseOf('a')).to.equal(
      'the last 2 starts have failed, so that the next is possible in 60 s. The last one: second',
    );
    clock.tick(59_999);
    expect(failures.pauseOf('a')).to.include('possible in 1 s');
    clock.tick(1);
    expect(failures.pauseOf('a')).to.equal(undefined);
    failures.failed('a', 2, 'third');
    expect(failures.pauseOf('a')).to.include('the last 3 starts').and.include('third');
  });

  it('count once of each, where it is said whose they are', () => {
    const failures = new Failures(60_000);
    for (const who of ['ada', 'ada', 'ada']) failures.failed('a', 2, 'no', who);
    expect(failures.pauseOf('a')).to.equal(undefined);
    failures.failed('a', 2, 'no', 'bob');
    expect(failures.pauseOf('a')).to.include('the last 2');
  });

  it('remember no more than they need of whom they count once', () => {
    const failures = new Failures(60_000);
    for (const who of ['ada', 'bob', 'carol', 'dora']) failures.failed('a', 2, 'no', who);
    expect(failures.pauseOf('a')).to.include('the last 2');
    clock.tick(60_000);
    failures.failed('a', 2, 'still no', 'dora');
    expect(failures.pauseOf('a')).to.include('the last 2').and.include('still no');
  });

  it('are forgotten after a success', () => {
    const failures = new Failures(60_000);
    failures.failed('a', 1, 'no');
    failures.succeeded('a');
    expect(failures.pauseOf('a')).to.equal(undefined);
    failures.failed('a', 2, 'no');
    expect(failures.pauseOf('a')).to.equal(undefined);
  });

  it('are forgotten, the oldest first, where there are very many', () => {
    const failures = new Failures(60_000);
    failures.failed('first', 1, 'no');
    failures.failed('second', 1, 'no');
    failures.failed('first', 1, 'no');
    for (let index = 0; index < 9_999; index += 1) failures.failed(`key ${index}`, 1, 'no');
    expect(failures.pauseOf('second')).to.equal(undefined);
    expect(failures.pauseOf('first')).to.include('the last 2');
  });
});
