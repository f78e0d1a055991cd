// What state a gpu shows: samples come once a second, progress at once, so the fresher of the two decides.
import type { Ceiling, Gpu, GpuSharingSettings, GpuState, Settings } from '../api/types';
import type { Fleet } from './fleet';

export function shownState(gpu: Gpu, { live, loading, jobs }: Pick<Fleet, 'live' | 'loading' | 'jobs'>): GpuState {
  if (gpu.state === 'offline' || gpu.state === 'draining' || gpu.state === 'closed') return gpu.state;
  const work = live.get(gpu.uuid);
  if (work) return work.progress.phase === 'load' ? 'loading' : 'busy';
  if (loading.has(gpu.uuid)) return 'loading';
  const ended = gpu.job !== null && jobs.get(gpu.job)?.state !== 'running';
  return gpu.state === 'busy' && ended ? 'idle' : gpu.state;
}

/** Whether an entry of `multi_gpu.gpus` names this gpu: by UUID, the beginning of it, or its number. */
export function isNamed(entry: string, { uuid, index }: Pick<Gpu, 'uuid' | 'index'>): boolean {
  return entry === uuid || entry === String(index) || (entry.length >= 8 && uuid.startsWith(entry));
}

/** Why a gpu is not among those that work. A list that names nobody here is left aside, as the server does. */
export function whyUnused(
  gpu: Pick<Gpu, 'uuid' | 'index'>,
  settings: Pick<Settings, 'multi_gpu.enabled' | 'multi_gpu.gpus'>,
  all: readonly Pick<Gpu, 'uuid' | 'index'>[],
): 'off' | 'unlisted' | 'limit' {
  if (!settings['multi_gpu.enabled']) return 'off';
  const names = (one: Pick<Gpu, 'uuid' | 'index'>) => settings['multi_gpu.gpus'].some((entry) => isNamed(entry, one));
  return all.some(names) && !names(gpu) ? 'unlisted' : 'limit';
}

/** The list with one gpu ticked or not. Entries for gpus that are away stay. */
export function withListed(list: readonly string[], gpu: Pick<Gpu, 'uuid' | 'index'>, listed: boolean): string[] {
  const others = list.filter((entry) => !isNamed(entry, gpu));
  return listed ? [...others, gpu.uuid] : others;
}

/** `sharing.gpus` with one gpu's wish set, or taken back when it is empty. */
export function withWish(
  all: Readonly<Record<string, GpuSharingSettings>>,
  uuid: string,
  wish: Partial<GpuSharingSettings>,
): Record<string, GpuSharingSettings> {
  const { [uuid]: before, ...others } = all;
  const kept = Object.entries({ ...before, ...wish }).filter(([, value]) => value !== '' && value !== undefined);
  return kept.length === 0 ? others : { ...others, [uuid]: Object.fromEntries(kept) };
}

/** How a temperature ceiling is given; empty: not at all, so that the one of all gpus holds. */
export type CeilingKind = '' | 'auto' | 'off' | 'number';

export function ceilingKind(value: Ceiling | undefined): CeilingKind {
  if (value === undefined) return '';
  if (typeof value === 'number') return 'number';
  return value === 'off' ? 'off' : 'auto';
}

/** Degrees as typed; what is no number goes to the server as it is, which says what is allowed. */
export function typedCeiling(text: string): Ceiling {
  const degrees = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(degrees) ? degrees : text;
}
