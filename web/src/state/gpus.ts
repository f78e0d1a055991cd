// What state a gpu shows: samples come once a second, progress at once, so the fresher of the two decides.
import type { Gpu, GpuState } from '../api/types';
import type { Fleet } from './fleet';

export function shownState(gpu: Gpu, { live, loading, jobs }: Pick<Fleet, 'live' | 'loading' | 'jobs'>): GpuState {
  if (gpu.state === 'offline' || gpu.state === 'draining' || gpu.state === 'closed') return gpu.state;
  const work = live.get(gpu.uuid);
  if (work) return work.progress.phase === 'load' ? 'loading' : 'busy';
  if (loading.has(gpu.uuid)) return 'loading';
  const ended = gpu.job !== null && jobs.get(gpu.job)?.state !== 'running';
  return gpu.state === 'busy' && ended ? 'idle' : gpu.state;
}
