import type { ExitCause, ExitStatus } from '../events.ts';

/** What systemd knows of the end of a service: see `SERVICE_RESULT` in systemd.exec(5). */
export interface ServiceEnd {
  /** As in `success`, `exit-code` or `oom-kill`. */
  readonly result: string;
  /** `exited`, `killed` or `dumped`; '' where it never ran. */
  readonly code: string;
  /** An exit code, or a signal's name without SIG. */
  readonly status: string;
  /** How many of its processes the kernel killed for want of memory. */
  readonly oomKills: number;
}

/** Which limits the options ask for. */
export interface AskedLimits {
  readonly memory: boolean;
  readonly runtime: boolean;
}

const sentences: Readonly<Record<ExitCause, string>> = {
  completed: 'The server ended by itself',
  failed: 'The server failed',
  cancelled: 'The server was stopped',
  timeout: 'The server ran as long as it may (maxRuntime)',
  'out-of-memory': 'The server was killed for want of memory',
  preempted: 'The server had to make room',
  'node-failure': 'The machine failed',
  unknown: 'The server has ended, and nothing says how',
};

/** How a service ended, for people; undefined is the end of one that left no word of it. */
export function exitOfService(end: ServiceEnd | undefined, asked: AskedLimits): ExitStatus {
  if (end === undefined) {
    return { code: null, signal: null, cause: 'unknown', message: `${sentences.unknown}.` };
  }
  const { result, code, status } = end;
  const cause = causeOf(end, asked);
  const exitCode = code === 'exited' && /^\d+$/.test(status) ? Number(status) : null;
  const signal = code === 'killed' || code === 'dumped' ? `SIG${status.replace(/^SIG/, '')}` : null;
  const facts = [
    ...(exitCode === null || cause === 'completed' ? [] : [`exit code ${exitCode}`]),
    ...(signal === null ? [] : [signal]),
    ...(details[result] === undefined ? [] : [details[result]]),
    ...(cause === 'out-of-memory' && asked.memory ? ['memLimit'] : []),
    ...(result === 'timeout' && !asked.runtime
      ? ['it did not end in time when it was told to']
      : []),
  ];
  const message = `${sentences[cause]}${facts.length === 0 ? '' : ` (${facts.join(', ')})`}.`;
  return { code: exitCode, signal, cause, message };
}

const details: Readonly<Record<string, string>> = {
  watchdog: 'it no longer reported to the watchdog',
  'start-limit-hit': 'it was restarted too often',
  resources: 'systemd lacked what it takes to run it',
  protocol: 'it did not do what its Type asks',
};

function causeOf({ result, code, status, oomKills }: ServiceEnd, asked: AskedLimits): ExitCause {
  switch (result) {
    case 'success':
      // A service that ends by SIGTERM was told to.
      return code === 'exited' ? 'completed' : 'cancelled';
    case 'timeout':
      // So ends, too, what a stop has to kill: systemd has one word for both.
      return asked.runtime ? 'timeout' : 'cancelled';
    case 'oom-kill':
      return 'out-of-memory';
    case 'signal':
      // On cgroup v1 nothing but the kernel's count tells who sent the SIGKILL.
      return status.endsWith('KILL') && oomKills > 0 ? 'out-of-memory' : 'failed';
    default:
      return 'failed';
  }
}
