// What the form holds, what a profile makes of it, and the request it becomes.
//
// The page follows the single-GPU lab: a profile's recommended steps and sampler replace the form's unless "keep
// mine" is on. The server applies the same rule by the same switch; it is repeated here only to show the outcome.
import type { Job, JobRequest, Model, Priority, Profile } from '../api/types';

export interface Draft {
  prompt: string;
  negative_prompt: string;
  /** Empty = the server's default model. */
  model: string;
  profile: string;
  width: number | null;
  height: number | null;
  steps: number | null;
  cfg_scale: number | null;
  /** Empty = the model's default. */
  sampler: string;
  scheduler: string;
  seed: number | null;
  count: number | null;
  priority: Priority;
  keep_mine: boolean;
}

export const kFirstDraft: Draft = {
  prompt: '',
  negative_prompt: '',
  model: '',
  profile: '',
  width: 1024,
  height: 576,
  steps: 26,
  cfg_scale: 7.5,
  sampler: '',
  scheduler: '',
  seed: -1,
  count: 4,
  priority: 'normal',
  keep_mine: false,
};

/** The form's ranges: what the sliders span. The server's own limits are wider and it has the last word. */
export const kRanges = {
  side: { min: 256, max: 1536, step: 8 },
  steps: { min: 4, max: 80, step: 1 },
  cfg_scale: { min: 0, max: 20, step: 0.5 },
  count: { min: 1, max: 10, step: 1 },
} as const;

export interface SizeGroup {
  ratio: string;
  sizes: readonly (readonly [number, number])[];
}

export const kSizeGroups: readonly SizeGroup[] = [
  { ratio: '16:9', sizes: [[768, 432], [1024, 576], [1280, 720]] },
  { ratio: '21:9', sizes: [[1024, 440], [1280, 544], [1536, 656]] },
  { ratio: '32:9', sizes: [[1280, 392], [1536, 472]] },
  { ratio: '2.35:1', sizes: [[1024, 432]] },
  { ratio: '1:1', sizes: [[512, 512], [768, 768], [1024, 1024]] },
];

/** The group a size belongs to, in either orientation; null for a free size. */
export function sizeGroupOf(width: number | null, height: number | null): SizeGroup | null {
  const fits = (w: number, h: number) => (w === width && h === height) || (w === height && h === width);
  return kSizeGroups.find((group) => group.sizes.some(([w, h]) => fits(w, h))) ?? null;
}

export interface Effective {
  prompt: string;
  negative_prompt: string;
  steps: number | null;
  steps_from_profile: boolean;
  /** Empty = the model's default. */
  sampler: string;
  sampler_from_profile: boolean;
}

function join(text: string, suffix: string): string {
  const trimmed = text.trim();
  if (suffix === '') return trimmed;
  return trimmed === '' ? suffix : `${trimmed}, ${suffix}`;
}

export function effective(draft: Draft, profile: Profile | null): Effective {
  const followsProfile = profile !== null && !draft.keep_mine;
  const stepsFromProfile = followsProfile && profile.steps !== null;
  const samplerFromProfile = followsProfile && profile.sampler !== null && profile.sampler !== '';
  return {
    prompt: join(draft.prompt, profile?.prompt_suffix ?? ''),
    negative_prompt: join(draft.negative_prompt, profile?.negative_suffix ?? ''),
    steps: stepsFromProfile ? profile.steps : draft.steps,
    steps_from_profile: stepsFromProfile,
    sampler: samplerFromProfile ? profile.sampler! : draft.sampler,
    sampler_from_profile: samplerFromProfile,
  };
}

/** Keys left empty are left out: the server's defaults then apply. */
export function toRequest(draft: Draft, model: Model | null, profile: Profile | null): JobRequest {
  const request = { prompt: draft.prompt.trim(), priority: draft.priority, keep_mine: draft.keep_mine } as JobRequest;
  if (draft.negative_prompt.trim() !== '') request.negative_prompt = draft.negative_prompt.trim();
  if (model) request.model = model.key;
  if (profile) request.profile = profile.key;
  if (draft.width !== null) request.width = draft.width;
  if (draft.height !== null) request.height = draft.height;
  if (draft.steps !== null) request.steps = draft.steps;
  if (draft.cfg_scale !== null) request.cfg_scale = draft.cfg_scale;
  if (draft.sampler !== '') request.sampler = draft.sampler;
  if (draft.scheduler !== '') request.scheduler = draft.scheduler;
  if (draft.seed !== null) request.seed = draft.seed;
  if (draft.count !== null) request.count = draft.count;
  return request;
}

/** The form that would make this job again. What the person asked for wins over what a profile made of it. */
export function fromJob(job: Job, seed: number): Draft {
  const { requested, settings } = job;
  return {
    prompt: requested.prompt ?? settings.prompt,
    negative_prompt: requested.negative_prompt ?? '',
    model: settings.model,
    profile: settings.profile,
    width: settings.width,
    height: settings.height,
    steps: settings.steps,
    cfg_scale: settings.cfg_scale,
    sampler: settings.sampler,
    scheduler: settings.scheduler,
    seed,
    count: job.count,
    priority: job.priority,
    // The steps and sampler in the form are the job's own; a profile edited since must not replace them.
    keep_mine: true,
  };
}

/** Fields a person has not touched follow the chosen model's defaults. */
export function followModel(draft: Draft, touched: ReadonlySet<keyof Draft>, model: Model): Draft {
  const next = { ...draft };
  const { defaults } = model;
  if (!touched.has('width') && !touched.has('height')) {
    next.width = defaults.width;
    next.height = defaults.height;
  }
  if (!touched.has('steps')) next.steps = defaults.steps;
  if (!touched.has('cfg_scale')) next.cfg_scale = defaults.cfg_scale;
  return next;
}

/** Jobs may name a model or a profile by its key, title or alias, as the person who submitted them did. */
export function findNamed<T extends { key: string; title: string; aliases?: string[] }>(
  list: readonly T[],
  name: string,
): T | null {
  return (
    list.find((item) => item.key === name) ??
    list.find((item) => item.title === name || item.aliases?.includes(name)) ??
    null
  );
}

/** The form starts with the lab's photographic look when it is installed, else with the first profile. */
export function firstProfile(profiles: readonly Profile[]): Profile | null {
  return profiles.find((profile) => profile.key === 'photoreal') ?? profiles[0] ?? null;
}
