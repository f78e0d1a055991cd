// How the queue reads: which jobs run, in which order the others come, how far each is.
import type { Job, Phase, Priority, Progress } from '../api/types';
import { newestEndedFirst, type Fleet, type Live } from './fleet';

const kOrder: Record<Priority, number> = { interactive: 0, normal: 1, background: 2 };

export interface Queue {
  running: Job[];
  /** In the order the scheduler takes them with one gpu: priority, rank, arrival. */
  queued: Job[];
  held: Job[];
  ended: Job[];
}

function inTurn(a: Job, b: Job): number {
  return kOrder[a.priority] - kOrder[b.priority] || a.rank - b.rank || a.id - b.id;
}

/** The jobs that a waiting one can be moved before or after; null where it stands at that end of its priority. */
export interface Neighbours {
  first: Job | null;
  before: Job | null;
  after: Job | null;
}

export function neighboursOf(job: Job, { queued, held }: Queue): Neighbours {
  const line = [...queued, ...held].filter((other) => other.priority === job.priority).sort(inTurn);
  const at = line.findIndex((other) => other.id === job.id);
  return {
    first: at > 0 ? line[0]! : null,
    before: at > 0 ? line[at - 1]! : null,
    after: (at >= 0 && line[at + 1]) || null,
  };
}

export function sortQueue(jobs: Iterable<Job>): Queue {
  const queue: Queue = { running: [], queued: [], held: [], ended: [] };
  for (const job of jobs) {
    if (job.state === 'running') queue.running.push(job);
    else if (job.state === 'queued') queue.queued.push(job);
    else if (job.state === 'held') queue.held.push(job);
    else queue.ended.push(job);
  }
  queue.running.sort((a, b) => (a.started_at_ms ?? 0) - (b.started_at_ms ?? 0) || a.id - b.id);
  queue.queued.sort(inTurn);
  queue.held.sort(inTurn);
  queue.ended.sort(newestEndedFirst);
  return queue;
}

export interface JobProgress {
  /** Of the whole job, 0 to 1. */
  ratio: number;
  gpus: string[];
  /** The one gpu's phase, or null when several work on the job or none reported yet. */
  phase: Phase | null;
  step: number;
  steps: number;
  image_index: number | null;
}

/** Of the one image a gpu works on, 0 to 1; null while the model loads, which is no part of any image. */
export function imageRatio({ phase, step, steps }: Progress): number | null {
  switch (phase) {
    case 'load':
      return null;
    case 'text':
      return 0;
    case 'sample':
      return steps > 0 ? Math.min(1, step / steps) : 0;
    case 'decode':
      return 1;
  }
}

export function jobProgress(job: Job, live: Fleet['live']): JobProgress {
  const mine: Live[] = [...live.values()].filter((entry) => entry.job_id === job.id);
  const underway = mine.reduce((sum, { progress }) => sum + (imageRatio(progress) ?? 0), 0);
  // The server counts pictures that are made but not yet on disk; what several gpus do at once only the page adds up.
  const told = mine.reduce((most, { progress }) => Math.max(most, progress.ratio), 0);
  const only = mine.length === 1 ? mine[0]!.progress : null;
  return {
    ratio: Math.min(1, Math.max(told, (job.published + underway) / Math.max(1, job.count))),
    gpus: mine.map(({ progress }) => progress.gpu),
    phase: only?.phase ?? null,
    step: only?.step ?? 0,
    steps: only?.steps ?? 0,
    image_index: only?.image_index ?? null,
  };
}
