// Small valid values for tests; each takes what the test is about.
import type { Gpu, Image, Job, JobState, Message, Model, Profile, Snapshot } from '../api/types';
import { kDefaultSettings, kNoCounts } from './fleet';

export function makeJob(id: number, change: Partial<Job> = {}): Job {
  const state: JobState = change.state ?? 'queued';
  return {
    id,
    run_id: id,
    state,
    held_reason: null,
    priority: 'normal',
    rank: 0,
    owner: 'local',
    requested: { prompt: 'a fox', seed: -1, count: 4, rank: 0, owner: 'local', allow_smaller: false, keep_mine: false },
    settings: {
      prompt: 'a fox, photograph',
      negative_prompt: 'blurry',
      model: 'demo-landscape',
      profile: 'photoreal',
      mode: 'txt2img',
      width: 1024,
      height: 576,
      generate_width: 1024,
      generate_height: 576,
      steps: 26,
      cfg_scale: 7.5,
      sampler: 'dpm++2m',
      scheduler: 'karras',
      strength: 0.6,
      init_image: null,
      mask_image: null,
      mask_feather: 4,
    },
    seed_base: 1000,
    count: 4,
    published: 0,
    partial: false,
    cancel_requested: false,
    error: null,
    warnings: [],
    run_dir: 'run_20261124_091530',
    created_at_ms: id,
    started_at_ms: state === 'queued' ? null : id,
    finished_at_ms: ['done', 'failed', 'cancelled'].includes(state) ? id : null,
    progress: null,
    ...change,
  };
}

export function makeImage(id: number, change: Partial<Image> = {}): Image {
  return {
    id,
    job_id: 1,
    index: 0,
    state: 'published',
    seed: 1000,
    path: `run_20261124_091530/${id}.png`,
    url: `/api/v1/images/${id}/file`,
    thumbnail_url: `/api/v1/images/${id}/thumbnail`,
    width: 1024,
    height: 576,
    bytes: 1_000_000,
    gpu: 'gpu-0',
    seconds: 1.5,
    published_at_ms: id,
    demo: true,
    ...change,
  };
}

/** As of a gpu whose driver tells nothing. */
export function makeDetail(change: Partial<Gpu['detail']> = {}): Gpu['detail'] {
  return {
    pci_bus_id: null,
    memory_reserved_bytes: null,
    memory_utilization_ratio: null,
    temperature_slowdown_celsius: null,
    temperature_shutdown_celsius: null,
    power_limit_watts: null,
    energy_joules: null,
    sm_clock_hertz: null,
    memory_clock_hertz: null,
    throttle_reasons: null,
    pcie_generation: null,
    pcie_width: null,
    pcie_generation_max: null,
    pcie_width_max: null,
    ecc_corrected: null,
    ecc_uncorrected: null,
    rows_remapped_corrected: null,
    rows_remapped_uncorrected: null,
    rows_remapping_pending: null,
    rows_remapping_failed: null,
    mig_enabled: null,
    display_active: null,
    processes: null,
    recovery_action: null,
    xids: [],
    driver_code: null,
    ...change,
  };
}

export function makeGpu(index: number, change: Partial<Gpu> = {}): Gpu {
  return {
    uuid: `gpu-${index}`,
    index,
    name: 'Virtual 24 GiB',
    kind: 'virtual',
    state: 'idle',
    memory_total_bytes: 24 * 2 ** 30,
    memory_used_bytes: 0,
    memory_free_bytes: 24 * 2 ** 30,
    utilization_ratio: 0,
    temperature_celsius: null,
    power_watts: null,
    resident_models: [],
    loading_model: null,
    job: null,
    health: { state: 'healthy', reason: null, since_ms: null, until_ms: null, evidence: [] },
    sharing: { share: 'polite', verdict: 'open', reasons: [], since_ms: null, overridden: false, override_until_ms: null },
    memory: { plan_bytes: null, others_bytes: null, believed_bytes: null, discrepancy_bytes: null },
    detail: makeDetail(),
    ...change,
  };
}

export function makeModel(key: string, change: Partial<Model> = {}): Model {
  return {
    key,
    title: key,
    family: 'sdxl',
    engine: 'sdcpp',
    demo: false,
    state: 'installed',
    reason: null,
    memory_bytes: 2 ** 33,
    file_bytes: 2 ** 33,
    parts: [],
    defaults: { width: 1024, height: 1024, steps: 30, cfg_scale: 7, sampler: 'default', scheduler: 'default' },
    limits: { min_side: 64, max_side: 4096, max_steps: 200, size_multiple: 8 },
    ...change,
  };
}

export function makeProfile(key: string, change: Partial<Profile> = {}): Profile {
  return { key, title: key, aliases: [], prompt_suffix: '', negative_suffix: '', steps: null, sampler: null, ...change };
}

export function makeSnapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    seq: 0,
    server: { version: '1', instance_id: 'test', started_at_ms: 0, output_dir: '/out', multi_gpu_available: true },
    settings: kDefaultSettings,
    gpus: [makeGpu(0), makeGpu(1)],
    telemetry: { state: 'ok', reason: null },
    alarms: [],
    host_memory: { limit_bytes: 0, used_bytes: 0, staging: null, staged: [], disk_bytes_per_second: null },
    scheduler: { prediction_error: { load: null, run: null } },
    counts: { ...kNoCounts },
    queue: { paused_all: false, paused_owners: [] },
    jobs: [],
    images: [],
    models: [],
    profiles: [],
    default_model: null,
    ...change,
  };
}

type DataOf<T extends Message['type']> = Extract<Message, { type: T }>['data'];

export function message<T extends Message['type']>(type: T, seq: number | null, data: DataOf<T>): Message {
  return { type, seq, at: 0, data } as unknown as Message;
}

export function snapshotMessage(change: Partial<Snapshot> = {}): Message {
  const data = makeSnapshot(change);
  return message('snapshot', data.seq, data);
}
