import { condor } from '../../lib/batch/condor.ts';
import type { AskedJob } from '../helpers/damage.ts';
import { fuzzReaders } from '../helpers/damage.ts';
import { Fixtures } from '../helpers/fixtures.ts';

type Ad = Readonly<Record<string, unknown>>;

/** The list that is all of a text, or all of it from a line that is nothing but a bracket. */
function adsIn(text: string): readonly Ad[] | undefined {
  for (const list of [text, `[\n${text.split(/^\[\n/m).slice(1).join('[\n')}`]) {
    try {
      const ads = JSON.parse(list);
      return Array.isArray(ads) ? Array.from(ads, (one) => Object(one)) : undefined;
    } catch {
      // The other one, or none.
    }
  }
  return undefined;
}

function isOf(id: string): (ad: Ad) => boolean {
  return ({ ClusterId, ProcId }) => `${ClusterId}.${ProcId}` === id;
}

/** Completed, failed, or held for what it has used; removed, as far as the records may say it. */
function saysEnded(text: string, { id, jobName }: AskedJob): boolean {
  const ours = (adsIn(text) ?? []).filter(isOf(id));
  const [{ JobStatus, HoldReasonCode, HoldReasonSubCode, JobBatchName } = {}] = ours;
  const byHold =
    [34, 46, 47].includes(Number(HoldReasonCode)) ||
    (HoldReasonCode === 21 && HoldReasonSubCode === 102);
  return (
    ours.length === 1 &&
    (JobStatus === 4 ||
      JobStatus === 8 ||
      (JobStatus === 5 && byHold) ||
      (JobStatus === 3 && jobName !== '')) &&
    (jobName === '' || JobBatchName === jobName)
  );
}

/** Nothing at all, or one list without a word before it, in which each job is once. */
function mayBeWhole(text: string): boolean {
  if (text === '') {
    return true;
  }
  const ads = /^\s*\[/.test(text) ? (adsIn(text) ?? [{}]) : [{}];
  const ids = ads.map(({ ClusterId, ProcId }) => `${ClusterId}.${ProcId}`);
  return new Set(ids).size === ids.length && ids.every((id) => /^\d+\.\d+$/.test(id));
}

/** In two attributes of an ad, or as condor_submit prints it. */
function holdsId(text: string, id: string): boolean {
  return text.includes(id) || (adsIn(text) ?? []).some(isOf(id));
}

describe('The readers of HTCondor', () => {
  fuzzReaders({
    scheduler: condor,
    fixtures: new Fixtures('condor'),
    jobs: [
      { id: '24.0', jobName: 'jupyter-alice-failed' },
      { id: '26.0', jobName: 'jupyter-alice-cancelled' },
      { id: '29.0', jobName: 'jupyter-alice-memory' },
      { id: '2.0', jobName: 'exit7' },
      { id: '9.0', jobName: 'prem' },
      { id: '15.0', jobName: 'jupyter-alice-running' },
      { id: '7.0', jobName: 'jupyter-alice-failed' },
    ],
    saysEnded,
    mayBeWhole,
    holdsId,
  });
});
