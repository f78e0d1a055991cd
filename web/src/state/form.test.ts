import { describe, expect, it } from 'vitest';
import { effective, findNamed, firstProfile, followModel, fromJob, kFirstDraft, sizeGroupOf, toRequest, type Draft } from './draft';
import { fieldName, formErrors } from './problem';
import { backoffMs } from './backoff';
import { shownState } from './gpus';
import { imageRatio, jobProgress, neighboursOf, sortQueue } from './queue';
import { makeGpu, makeJob, makeModel, makeProfile } from './testing';

const cinematic = makeProfile('cinematic', {
  prompt_suffix: 'film still',
  negative_suffix: 'flat light',
  steps: 30,
  sampler: 'euler',
});

function draft(change: Partial<Draft> = {}): Draft {
  return { ...kFirstDraft, prompt: 'a fox', ...change };
}

describe('what will be used', () => {
  it("appends the profile's suffixes with a comma", () => {
    const used = effective(draft({ negative_prompt: ' text ' }), cinematic);
    expect(used.prompt).toBe('a fox, film still');
    expect(used.negative_prompt).toBe('text, flat light');
  });

  it('has no leading comma when the form is empty', () => {
    expect(effective(draft(), cinematic).negative_prompt).toBe('flat light');
  });

  it("takes the profile's steps and sampler unless the form's are kept", () => {
    expect(effective(draft({ steps: 12, sampler: 'heun' }), cinematic)).toMatchObject({
      steps: 30,
      steps_from_profile: true,
      sampler: 'euler',
      sampler_from_profile: true,
    });
    expect(effective(draft({ steps: 12, sampler: 'heun', keep_mine: true }), cinematic)).toMatchObject({
      steps: 12,
      steps_from_profile: false,
      sampler: 'heun',
    });
  });

  it("keeps the form's steps when the profile recommends none", () => {
    expect(effective(draft({ steps: 12 }), makeProfile('none'))).toMatchObject({ steps: 12, steps_from_profile: false });
  });
});

describe('the request', () => {
  it('carries what the form holds and whether the profile may replace it', () => {
    expect(toRequest(draft({ steps: 12 }), makeModel('xl'), cinematic)).toEqual({
      prompt: 'a fox',
      priority: 'normal',
      model: 'xl',
      profile: 'cinematic',
      width: 1024,
      height: 576,
      steps: 12,
      cfg_scale: 7.5,
      seed: -1,
      count: 4,
      keep_mine: false,
    });
  });

  it('leaves empty fields to the server', () => {
    const request = toRequest(draft({ cfg_scale: null, sampler: '' }), null, null);
    expect(request).not.toHaveProperty('cfg_scale');
    expect(request).not.toHaveProperty('sampler');
    expect(request).not.toHaveProperty('model');
  });

  it('made from a job asks for the same picture again', () => {
    const job = makeJob(3);
    const again = toRequest(fromJob(job, 1002), makeModel(job.settings.model), makeProfile(job.settings.profile, { steps: 99 }));
    expect(again).toMatchObject({ prompt: 'a fox', steps: 26, sampler: 'dpm++2m', seed: 1002, keep_mine: true });
  });
});

describe("the model's defaults", () => {
  const model = makeModel('xl');

  it('fill what nobody touched', () => {
    expect(followModel(draft(), new Set(), model)).toMatchObject({ width: 1024, height: 1024, steps: 30, cfg_scale: 7 });
  });

  it('leave alone what was touched', () => {
    const followed = followModel(draft({ steps: 8 }), new Set<keyof Draft>(['steps', 'height']), model);
    expect(followed).toMatchObject({ width: 1024, height: 576, steps: 8, cfg_scale: 7 });
  });
});

describe('sizes and profiles', () => {
  it('finds the aspect ratio of a size in both orientations', () => {
    expect(sizeGroupOf(1280, 544)?.ratio).toBe('21:9');
    expect(sizeGroupOf(544, 1280)?.ratio).toBe('21:9');
    expect(sizeGroupOf(1000, 1000)).toBeNull();
  });

  it('finds by key, title or alias, the key first', () => {
    const list = [makeProfile('a', { title: 'b' }), makeProfile('b', { title: 'B', aliases: ['bee'] })];
    expect(findNamed(list, 'b')?.title).toBe('B');
    expect(findNamed(list, 'bee')?.key).toBe('b');
    expect(findNamed(list, 'c')).toBeNull();
  });

  it('starts with the photographic profile when there is one', () => {
    expect(firstProfile([makeProfile('none'), makeProfile('photoreal')])?.key).toBe('photoreal');
    expect(firstProfile([makeProfile('none')])?.key).toBe('none');
    expect(firstProfile([])).toBeNull();
  });
});

describe('problems', () => {
  const error = { field: 'width', value: '7', message: 'width is too small', allowed: '64 to 4096' };

  it('go to their fields with what is allowed', () => {
    const { fields, general } = formErrors({ errors: [error] }, ['width'], 'refused');
    expect(fields).toEqual({ width: 'width is too small. Allowed: 64 to 4096' });
    expect(general).toBeNull();
  });

  it('do not repeat what is allowed', () => {
    const said = { ...error, message: 'width must be 64 to 4096' };
    expect(formErrors({ errors: [said] }, ['width'], '').fields['width']).toBe('width must be 64 to 4096');
  });

  it('show once for everything that has no field here', () => {
    const { fields, general } = formErrors({ errors: [{ ...error, field: 'loras' }] }, ['width'], '');
    expect(fields).toEqual({});
    expect(general).toContain('too small');
  });

  it('fall back to the detail', () => {
    expect(formErrors({ detail: 'The queue is full.' }, [], 'refused').general).toBe('The queue is full.');
    expect(formErrors({}, [], 'refused').general).toBe('refused');
  });

  it('name fields inside lists', () => {
    expect(fieldName('jobs[0].width')).toBe('width');
    expect(fieldName('/jobs/0/width')).toBe('width');
    expect(fieldName('width')).toBe('width');
  });
});

describe('the queue', () => {
  it('orders by priority, rank, arrival', () => {
    const jobs = [
      makeJob(1, { priority: 'background' }),
      makeJob(2),
      makeJob(3, { rank: -1 }),
      makeJob(4, { priority: 'interactive' }),
    ];
    expect(sortQueue(jobs).queued.map((job) => job.id)).toEqual([4, 3, 2, 1]);
  });

  it("adds up what several gpus have done of one job's images", () => {
    const live = new Map(
      [0, 1].map((i) => [
        `gpu-${i}`,
        { job_id: 1, progress: { gpu: `gpu-${i}`, image_index: i, phase: 'sample' as const, step: 5, steps: 10, ratio: 0 } },
      ]),
    );
    const progress = jobProgress(makeJob(1, { state: 'running', published: 1 }), live);
    expect(progress.ratio).toBeCloseTo(0.5);
    expect(progress.gpus).toEqual(['gpu-0', 'gpu-1']);
    expect(progress.phase).toBeNull();
  });

  it('does not count loading as part of an image', () => {
    expect(imageRatio({ gpu: '', image_index: 0, phase: 'load', step: 1, steps: 2, ratio: 0.5 })).toBeNull();
  });
});

describe('where a waiting job can go', () => {
  const jobs = [
    makeJob(1),
    makeJob(2, { state: 'held', held_reason: 'user' }),
    makeJob(3),
    makeJob(4, { priority: 'background' }),
    makeJob(5, { state: 'running' }),
    makeJob(6, { rank: -1 }),
  ];
  const near = (id: number) => {
    const { first, before, after } = neighboursOf(jobs.find((job) => job.id === id)!, sortQueue(jobs));
    return [first?.id, before?.id, after?.id];
  };
  it('is beside the others of its priority in their order, held ones too', () => {
    expect(near(6)).toEqual([undefined, undefined, 1]);
    expect(near(1)).toEqual([6, 6, 2]);
    expect(near(2)).toEqual([6, 1, 3]);
    expect(near(3)).toEqual([6, 2, undefined]);
  });
  it('is nowhere for the only one of its priority and for one that runs', () => {
    expect(near(4)).toEqual([undefined, undefined, undefined]);
    expect(near(5)).toEqual([undefined, undefined, undefined]);
  });
});

describe('the state a gpu shows', () => {
  const jobs = new Map([[1, makeJob(1, { state: 'running' })], [2, makeJob(2, { state: 'done' })]]);
  const at = (phase: 'load' | 'sample') =>
    new Map([['gpu-0', { job_id: 1, progress: { gpu: 'gpu-0', image_index: 0, phase, step: 1, steps: 2, ratio: 0 } }]]);
  const none = { live: new Map(), loading: new Map(), jobs };

  it('follows progress that is fresher than the last sample', () => {
    expect(shownState(makeGpu(0), { ...none, live: at('sample') })).toBe('busy');
    expect(shownState(makeGpu(0), { ...none, live: at('load') })).toBe('loading');
    expect(shownState(makeGpu(0), { ...none, loading: new Map([['gpu-0', 0.2]]) })).toBe('loading');
  });

  it('is idle again when its job has ended', () => {
    expect(shownState(makeGpu(0, { state: 'busy', job: 2 }), none)).toBe('idle');
    expect(shownState(makeGpu(0, { state: 'busy', job: 1 }), none)).toBe('busy');
  });

  it('never hides that a gpu is lost', () => {
    expect(shownState(makeGpu(0, { state: 'offline' }), { ...none, live: at('sample') })).toBe('offline');
  });
});

describe('pauses between attempts', () => {
  it('grow to a limit', () => {
    const pauses = [0, 1, 2, 3, 4, 5, 6, 50].map((attempt) => backoffMs(attempt, 0.5));
    expect(pauses).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  });
});
