import { describe, expect, it } from 'vitest';
import type { Image, Job, JobState, Message, Snapshot } from '../api/types';
import {
  addGalleryPage,
  isActive,
  kEmptyFleet,
  kEndedKept,
  kGalleryPage,
  kNoCounts,
  newestEndedFirst,
  previewKey,
  reduce,
  type Fleet,
} from './fleet';
import { makeGpu, makeImage, makeJob, makeModel, makeSnapshot, message, snapshotMessage } from './testing';

function after(...messages: Message[]): Fleet {
  return reduce(kEmptyFleet, messages);
}

const progress = (gpu: string, image_index: number) => ({
  gpu,
  image_index,
  phase: 'sample' as const,
  step: 5,
  steps: 10,
  ratio: 0.1,
});

const preview = (job_id: number, image_index: number, media_type = 'image/jpeg') =>
  message('image.preview', null, { job_id, image_index, step: 1, steps: 2, media_type: media_type as 'image/jpeg', base64: 'AAAA' });

// A server in miniature: it changes its own tables, says what changed, and can say everything at once. It shares no
// code with the reducer, so that both can only agree by being right.
class Server {
  seq = 0;
  readonly sent: Message[] = [];
  private jobs: Job[] = [];
  private images: Image[] = [];
  private readonly gpus = [makeGpu(0), makeGpu(1)];
  private settings = makeSnapshot().settings;
  private queue = makeSnapshot().queue;
  private clock = 1;

  constructor(private random: () => number) {}

  act(): void {
    this.clock += 1;
    const pick = <T>(list: T[]): T | undefined => list[Math.floor(this.random() * list.length)];
    const move = (from: JobState[], to: JobState) => {
      const job = pick(this.jobs.filter((other) => from.includes(other.state)));
      if (!job) return;
      const ended = !isActive(to);
      this.update({ ...job, state: to, finished_at_ms: ended ? this.clock : null });
    };
    const dice = this.random();
    if (dice < 0.3) {
      const job = makeJob(this.jobs.length + 1);
      this.jobs.push(job);
      this.tell('job.created', { job });
    } else if (dice < 0.5) move(['queued', 'held'], 'running');
    else if (dice < 0.55) move(['queued'], 'held');
    else if (dice < 0.65) move(['running'], 'done');
    else if (dice < 0.7) move(['queued', 'running', 'held'], 'cancelled');
    else if (dice < 0.75) move(['running'], 'failed');
    else if (dice < 0.92) {
      const job = pick(this.jobs.filter((other) => other.state === 'running' && other.published < other.count));
      if (!job) return;
      const image = makeImage(job.id * 10 + job.published, { job_id: job.id, index: job.published });
      this.images.push(image);
      this.tell('image.published', { image, job_id: job.id });
      this.update({ ...job, published: job.published + 1 });
    } else if (dice < 0.96) {
      const at = Math.floor(this.random() * this.gpus.length);
      const gpu = { ...this.gpus[at]!, resident_models: [`model-${this.clock}`] };
      this.gpus[at] = gpu;
      this.tell('gpu.changed', { gpu });
    } else if (dice < 0.97) {
      const paused_owners = this.random() < 0.5 ? [] : ['ada'];
      this.queue = { paused_all: this.random() < 0.5, paused_owners };
      this.tell('queue.changed', this.queue);
    } else if (dice < 0.98) {
      const job = pick(this.jobs.filter((other) => other.state === 'queued' || other.state === 'held'));
      if (job) this.update({ ...job, rank: -this.clock, priority: 'background' });
    } else {
      this.settings = { ...this.settings, 'multi_gpu.max_gpus': 1 + Math.floor(this.random() * 8) };
      this.tell('settings.changed', { settings: this.settings });
    }
  }

  snapshot(): Snapshot {
    const counts = { ...kNoCounts };
    for (const job of this.jobs) counts[job.state] += 1;
    const ended = this.jobs.filter((job) => !isActive(job.state)).sort(newestEndedFirst);
    return makeSnapshot({
      seq: this.seq,
      settings: this.settings,
      queue: this.queue,
      gpus: [...this.gpus],
      counts,
      jobs: [...this.jobs.filter((job) => isActive(job.state)), ...ended.slice(0, 50)],
      images: [...this.images].sort((a, b) => b.id - a.id).slice(0, 60),
    });
  }

  private update(job: Job): void {
    this.jobs[job.id - 1] = job;
    this.tell('job.updated', { job });
  }

  private tell<T extends Message['type']>(type: T, data: Extract<Message, { type: T }>['data']): void {
    this.sent.push({ type, seq: ++this.seq, at: 0, data } as unknown as Message);
  }
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The facts, in a form that two ways to the same picture must share. */
function facts(fleet: Fleet) {
  return {
    seq: fleet.seq,
    stale: fleet.stale,
    settings: fleet.settings,
    pauses: fleet.pauses,
    gpus: fleet.gpus,
    counts: fleet.counts,
    jobs: [...fleet.jobs.values()].sort((a, b) => a.id - b.id),
    images: fleet.images,
    has_more: fleet.gallery_has_more,
  };
}

describe('alarms', () => {
  const alarm = { fault: 'lost' as const, suspect: 'driver' as const, gpus: ['gpu-0', 'gpu-1'], since_ms: 5 };

  it('come with the snapshot, change with the gpus, and go when a later list is empty', () => {
    const first = after(snapshotMessage({ alarms: [alarm] }));
    expect(first.alarms).toEqual([alarm]);
    const told = reduce(after(snapshotMessage()), [message('gpu.changed', 1, { gpus: [makeGpu(0)], alarms: [alarm] })]);
    expect(told.alarms).toEqual([alarm]);
    expect(reduce(told, [message('gpu.changed', 2, { gpus: [makeGpu(0)], alarms: [] })]).alarms).toEqual([]);
  });

  it('stay when a message says nothing of them', () => {
    const first = after(snapshotMessage({ alarms: [alarm] }));
    expect(reduce(first, [message('gpu.changed', 1, { gpu: makeGpu(0) })]).alarms).toEqual([alarm]);
    expect(reduce(first, [message('gpu.sample', null, { gpus: [makeGpu(0)] })]).alarms).toEqual([alarm]);
  });

  it('leave the health of a gpu to the newest message about it', () => {
    const health = { state: 'quarantined' as const, reason: 'failed_two_jobs', since_ms: 1, until_ms: 9, evidence: ['xid 79'] };
    const sick = reduce(after(snapshotMessage()), [message('gpu.changed', 1, { gpu: makeGpu(0, { state: 'closed', health }) })]);
    expect(sick.gpus[0]!.health).toEqual(health);
    expect(sick.gpus[1]!.health.state).toBe('healthy');
  });
});

describe('a snapshot plus deltas', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('equals the snapshot taken after them (history %i)', (seed) => {
    const random = seeded(seed);
    const server = new Server(random);
    for (let i = 0; i < 50; i++) server.act();
    let fleet = after(message('snapshot', server.seq, server.snapshot()));
    let told = server.sent.length;
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 10; i++) server.act();
      fleet = reduce(fleet, server.sent.slice(told));
      told = server.sent.length;
      expect(facts(fleet)).toEqual(facts(after(message('snapshot', server.seq, server.snapshot()))));
    }
  });
});

describe('a retried job', () => {
  it('waits again, and is counted where it is', () => {
    const failed = makeJob(1, { state: 'failed' });
    const fleet = after(
      snapshotMessage({ jobs: [failed], counts: { ...kNoCounts, failed: 1 } }),
      message('job.updated', 1, { job: { ...failed, state: 'queued', finished_at_ms: null } }),
    );
    expect(fleet.jobs.get(1)?.state).toBe('queued');
    expect(fleet.counts).toEqual({ ...kNoCounts, queued: 1 });
  });
});

describe('sequence numbers', () => {
  it('drops a message that the snapshot already contains', () => {
    const fleet = after(snapshotMessage({ seq: 5 }), message('job.created', 5, { job: makeJob(1) }));
    expect(fleet.jobs.size).toBe(0);
    expect(fleet.stale).toBe(false);
  });

  it('becomes stale at a gap and applies nothing after it', () => {
    const fleet = after(
      snapshotMessage({ seq: 5 }),
      message('job.created', 7, { job: makeJob(2) }),
      message('job.created', 8, { job: makeJob(3) }),
    );
    expect(fleet.stale).toBe(true);
    expect(fleet.seq).toBe(5);
    expect(fleet.jobs.size).toBe(0);
  });

  it('replays what waited on top of the snapshot that closes the gap', () => {
    const fleet = after(
      snapshotMessage({ seq: 5 }),
      message('job.created', 7, { job: makeJob(2) }),
      message('job.created', 8, { job: makeJob(3) }),
      snapshotMessage({ seq: 7, jobs: [makeJob(2), makeJob(1)] }),
    );
    expect(fleet.stale).toBe(false);
    expect(fleet.seq).toBe(8);
    expect([...fleet.jobs.keys()].sort()).toEqual([1, 2, 3]);
  });

  it('stays stale when the fresh snapshot is older than the gap', () => {
    const fleet = after(
      snapshotMessage({ seq: 5 }),
      message('job.created', 9, { job: makeJob(2) }),
      snapshotMessage({ seq: 6 }),
    );
    expect(fleet.stale).toBe(true);
  });

  it('keeps durable messages that come before the first snapshot', () => {
    const fleet = after(message('job.created', 6, { job: makeJob(1) }), snapshotMessage({ seq: 5 }));
    expect(fleet.jobs.has(1)).toBe(true);
  });

  it('returns the same object when nothing changed', () => {
    const fleet = after(snapshotMessage({ seq: 5 }));
    expect(reduce(fleet, [message('job.created', 3, { job: makeJob(1) })])).toBe(fleet);
  });

  it('leaves the picture before it untouched', () => {
    const before = after(snapshotMessage({ jobs: [makeJob(1)] }));
    reduce(before, [message('job.updated', 1, { job: makeJob(1, { state: 'running' }) })]);
    expect(before.jobs.get(1)?.state).toBe('queued');
    expect(before.counts.running).toBe(0);
  });

  it('ignores a type it does not know', () => {
    const unknown = { type: 'weather.changed', seq: 1, at: 0, data: {} } as unknown as Message;
    expect(after(snapshotMessage(), unknown).seq).toBe(1);
  });
});

describe('live decoration', () => {
  const running = snapshotMessage({ jobs: [makeJob(1, { state: 'running' })] });

  it('shows progress by gpu and the preview by image', () => {
    const fleet = after(running, message('job.progress', null, { job_id: 1, progress: progress('gpu-1', 2) }), preview(1, 2));
    expect(fleet.live.get('gpu-1')?.progress.image_index).toBe(2);
    expect(fleet.previews.get(previewKey(1, 2))).toBe('data:image/jpeg;base64,AAAA');
  });

  it('forgets both when the image is published', () => {
    const fleet = after(
      running,
      message('job.progress', null, { job_id: 1, progress: progress('gpu-1', 2) }),
      preview(1, 2),
      message('image.published', 1, { image: makeImage(7, { job_id: 1, index: 2 }), job_id: 1 }),
    );
    expect(fleet.live.size).toBe(0);
    expect(fleet.previews.size).toBe(0);
  });

  it('counts a published image once, and not when the snapshot had it', () => {
    const image = makeImage(7, { job_id: 1 });
    const job = makeJob(1, { state: 'running' });
    const news = message('image.published', 1, { image, job_id: 1 });
    expect(after(snapshotMessage({ jobs: [job] }), news).jobs.get(1)?.published).toBe(1);
    const known = snapshotMessage({ jobs: [{ ...job, published: 1 }], images: [image] });
    expect(after(known, news).jobs.get(1)?.published).toBe(1);
  });

  it('forgets all of a job that ended, and nothing of another', () => {
    const fleet = after(
      snapshotMessage({ jobs: [makeJob(1, { state: 'running' }), makeJob(11, { state: 'running' })] }),
      message('job.progress', null, { job_id: 1, progress: progress('gpu-0', 0) }),
      message('job.progress', null, { job_id: 11, progress: progress('gpu-1', 0) }),
      preview(1, 0),
      preview(11, 0),
      message('job.updated', 1, { job: makeJob(1, { state: 'cancelled' }) }),
    );
    expect([...fleet.live.keys()]).toEqual(['gpu-1']);
    expect([...fleet.previews.keys()]).toEqual([previewKey(11, 0)]);
  });

  it('takes no progress and no preview of a job that is not running', () => {
    const fleet = after(
      snapshotMessage({ jobs: [makeJob(1, { state: 'done' })] }),
      message('job.progress', null, { job_id: 1, progress: progress('gpu-0', 0) }),
      preview(1, 0),
    );
    expect(fleet.live.size + fleet.previews.size).toBe(0);
  });

  it('takes only pictures as previews', () => {
    expect(after(running, preview(1, 0, 'text/html')).previews.size).toBe(0);
  });

  it('remembers a bounded history of utilisation', () => {
    const samples = Array.from({ length: 200 }, (_, i) =>
      message('gpu.sample', null, { gpus: [makeGpu(0, { utilization_ratio: i / 200 })] }),
    );
    const history = after(snapshotMessage(), ...samples).samples.get('gpu-0')!;
    expect(history.length).toBe(60);
    expect(history.at(-1)).toBeCloseTo(199 / 200);
  });

  it('keeps unknown readings out of the history', () => {
    const fleet = after(snapshotMessage({ gpus: [makeGpu(0, { utilization_ratio: null })] }));
    expect(fleet.samples.has('gpu-0')).toBe(false);
  });
});

describe('gpus', () => {
  it('follow one that changed, and the whole list when it is told', () => {
    const one = after(snapshotMessage(), message('gpu.changed', 1, { gpu: makeGpu(1, { state: 'busy' }) }));
    expect(one.gpus.map((gpu) => gpu.state)).toEqual(['idle', 'busy']);
    const all = reduce(one, [
      { type: 'gpu.changed', seq: 2, at: 0, data: { gpus: [makeGpu(0)], telemetry: { state: 'unavailable', reason: 'x' } } },
    ] as unknown as Message[]);
    expect(all.gpus.length).toBe(1);
    expect(all.telemetry.reason).toBe('x');
  });

  it('show how far a model is loaded until the gpu does something else', () => {
    const loading = { type: 'worker.loading', seq: null, at: 0, data: { gpu: 'gpu-0', model: 'm', ratio: 0.5 } } as const;
    const fleet = after(snapshotMessage({ gpus: [makeGpu(0, { state: 'loading', loading_model: 'm' })] }), loading);
    expect(fleet.loading.get('gpu-0')).toBe(0.5);
    const beside = reduce(fleet, [message('gpu.changed', 1, { gpu: makeGpu(0, { state: 'busy', loading_model: 'm' }) })]);
    expect(beside.loading.get('gpu-0')).toBe(0.5);
    const done = reduce(fleet, [message('gpu.changed', 1, { gpu: makeGpu(0, { state: 'busy' }) })]);
    expect(done.loading.size).toBe(0);
  });

  it('forget what a gpu did of a job that goes on elsewhere', () => {
    const job = makeJob(1, { state: 'running' });
    const busy = (index: number) => makeGpu(index, { state: 'busy', job: 1 });
    const progress = (gpu: string, image_index: number) =>
      message('job.progress', null, {
        job_id: 1,
        progress: { gpu, image_index, phase: 'sample', step: 3, steps: 20, ratio: 0.1 },
      });
    const both = after(
      snapshotMessage({ jobs: [job], gpus: [busy(0), busy(1)] }),
      progress('gpu-0', 0),
      progress('gpu-1', 4),
    );
    expect([...both.live.keys()]).toEqual(['gpu-0', 'gpu-1']);
    const one = reduce(both, [message('gpu.sample', null, { gpus: [makeGpu(0), busy(1)] })]);
    expect([...one.live.keys()]).toEqual(['gpu-1']);
  });
});

describe('the catalogue', () => {
  it('is replaced as a whole', () => {
    const fleet = after(
      snapshotMessage({ models: [makeModel('a')], default_model: 'a' }),
      message('models.changed', 1, { models: [makeModel('b')], default_model: 'b' }),
    );
    expect(fleet.models.map((model) => model.key)).toEqual(['b']);
    expect(fleet.default_model).toBe('b');
  });
});

describe('bounds', () => {
  it('keeps the last ended jobs and every active one', () => {
    const messages: Message[] = [snapshotMessage()];
    for (let id = 1; id <= 200; id++) {
      messages.push(message('job.created', messages.length, { job: makeJob(id) }));
      if (id > 20) {
        const job = makeJob(id, { state: 'done', finished_at_ms: id });
        messages.push(message('job.updated', messages.length, { job }));
      }
    }
    const fleet = after(...messages);
    expect(fleet.jobs.size).toBe(20 + kEndedKept);
    expect(fleet.jobs.has(151)).toBe(true);
    expect(fleet.jobs.has(150)).toBe(false);
    expect(fleet.counts.done).toBe(180);
  });

  it('drops the oldest pictures beyond what was asked for and offers them again', () => {
    const messages: Message[] = [snapshotMessage()];
    for (let id = 1; id <= kGalleryPage + 5; id++) {
      messages.push(message('image.published', id, { image: makeImage(id), job_id: 1 }));
    }
    const fleet = after(...messages);
    expect(fleet.images.length).toBe(kGalleryPage);
    expect(fleet.images[0]?.id).toBe(kGalleryPage + 5);
    expect(fleet.gallery_has_more).toBe(true);
  });
});

describe('pages of the gallery', () => {
  const newest = Array.from({ length: kGalleryPage }, (_, i) => makeImage(200 - i));
  const older = Array.from({ length: 60 }, (_, i) => makeImage(140 - i));
  const loaded = addGalleryPage(after(snapshotMessage({ images: newest })), older, true);

  it('lie below what is shown', () => {
    expect(loaded.images.length).toBe(120);
    expect(loaded.images.at(-1)?.id).toBe(81);
    expect(loaded.gallery_has_more).toBe(true);
  });

  it('survive a reconnect whose snapshot reaches down to them', () => {
    const next = Array.from({ length: kGalleryPage }, (_, i) => makeImage(210 - i));
    const fleet = reduce(loaded, [snapshotMessage({ images: next })]);
    expect(fleet.images[0]?.id).toBe(210);
    expect(fleet.images.at(-1)?.id).toBe(81);
    expect(fleet.images.length).toBe(130);
  });

  it('are dropped when pictures between are missing', () => {
    const next = Array.from({ length: kGalleryPage }, (_, i) => makeImage(900 - i));
    const fleet = reduce(loaded, [snapshotMessage({ images: next })]);
    expect(fleet.images.length).toBe(kGalleryPage);
    expect(fleet.gallery_has_more).toBe(true);
  });
});

describe('the outlook of waiting jobs', () => {
  const reason = { kind: 'runs_next' as const, text: 'runs next on gpu 0, free in 4 s' };
  const forecast = (...ids: number[]) =>
    message('queue.forecast', null, {
      jobs: ids.map((id) => ({ id, reason, predicted_start: { earliest_ms: 1_000, latest_ms: 2_000 } })),
    });

  it('comes with the snapshot', () => {
    const job = makeJob(1, { reason, predicted_start: null });
    const fleet = after(snapshotMessage({ jobs: [job] }));
    expect(fleet.outlooks.get(1)).toEqual({ at: 0, reason, predicted_start: null });
  });

  it('is replaced by each forecast', () => {
    const fleet = after(snapshotMessage({ jobs: [makeJob(1), makeJob(2)] }), forecast(1), forecast(2));
    expect([...fleet.outlooks.keys()]).toEqual([2]);
    expect(fleet.outlooks.get(2)?.predicted_start).toEqual({ earliest_ms: 1_000, latest_ms: 2_000 });
  });

  it('ends when the job starts, also for a forecast that comes late', () => {
    const started = message('job.updated', 1, { job: makeJob(1, { state: 'running' }) });
    const fleet = after(snapshotMessage({ jobs: [makeJob(1)] }), forecast(1), started);
    expect(fleet.outlooks.size).toBe(0);
    expect(reduce(fleet, [forecast(1)]).outlooks.size).toBe(0);
  });
});
