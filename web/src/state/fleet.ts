// The page's picture of the server: a pure reducer over one snapshot and the deltas after it.
//
// Durable messages carry consecutive sequence numbers. One that is already known is dropped; one that skips a number
// makes the picture `stale`: from then on durable messages wait in `pending` until a fresh snapshot arrives, and are
// replayed on top of it. Lossy messages (progress, previews, samples) only ever touch live decoration, never facts.
// Invariant, and test: a snapshot plus deltas equals the snapshot taken after them.
import type {
  Alarm,
  Counts,
  Gpu,
  Image,
  Job,
  JobState,
  Message,
  Model,
  Pauses,
  Profile,
  Progress,
  Reason,
  Server,
  Settings,
  Snapshot,
  StartInterval,
  Telemetry,
} from '../api/types';

export const kEndedKept = 50;
export const kGalleryPage = 60;
export const kSamplesKept = 60;

/** What one gpu is doing right now, as the last progress message told it. */
export interface Live {
  job_id: number;
  progress: Progress;
}

/** Why a job waits and when it will start, as of `at`. */
export interface Outlook {
  at: number;
  reason: Reason;
  predicted_start: StartInterval | null;
}

export interface Fleet {
  /** Null until the first snapshot. */
  seq: number | null;
  stale: boolean;
  pending: readonly Message[];
  server: Server | null;
  settings: Settings;
  gpus: readonly Gpu[];
  telemetry: Telemetry;
  /** Gpus that left together for one kind of fault. */
  alarms: readonly Alarm[];
  counts: Counts;
  pauses: Pauses;
  /** Every active job and the last kEndedKept that ended. */
  jobs: ReadonlyMap<number, Job>;
  /** Published images, newest id first, complete down to the last one held. */
  images: readonly Image[];
  gallery_limit: number;
  gallery_has_more: boolean;
  models: readonly Model[];
  profiles: readonly Profile[];
  default_model: string | null;
  /** By gpu uuid. */
  live: ReadonlyMap<string, Live>;
  /** Of jobs that wait, by id. */
  outlooks: ReadonlyMap<number, Outlook>;
  /** How far a model is loaded, 0 to 1, by gpu uuid. */
  loading: ReadonlyMap<string, number>;
  /** Data addresses by preview_key(). */
  previews: ReadonlyMap<string, string>;
  /** Utilisation history by gpu uuid, oldest first. */
  samples: ReadonlyMap<string, readonly number[]>;
}

export const kNoCounts: Counts = { queued: 0, held: 0, running: 0, done: 0, failed: 0, cancelled: 0 };

export const kDefaultSettings: Settings = {
  'multi_gpu.enabled': false,
  'multi_gpu.max_gpus': 4,
  'multi_gpu.gpus': [],
  'multi_gpu.single_gpu': '',
  'sharing.share': 'auto',
  'sharing.quiet_seconds': 60,
  'sharing.temperature_ceiling': 'auto',
  'sharing.gpus': {},
  'scheduler.policy': 'amp',
  'scheduler.objective': 'latency',
  'scheduler.load_beside_run': 'auto',
  worker_overhead_bytes: null,
  'models.pinned': [],
  'idle_unload.gpu_seconds': 0,
  'idle_unload.host_seconds': 0,
  'host_memory.limit': null,
};

export const kEmptyFleet: Fleet = {
  seq: null,
  stale: false,
  pending: [],
  server: null,
  settings: kDefaultSettings,
  gpus: [],
  telemetry: { state: 'ok', reason: null },
  alarms: [],
  counts: kNoCounts,
  pauses: { paused_all: false, paused_owners: [] },
  jobs: new Map(),
  images: [],
  gallery_limit: kGalleryPage,
  gallery_has_more: false,
  models: [],
  profiles: [],
  default_model: null,
  live: new Map(),
  outlooks: new Map(),
  loading: new Map(),
  previews: new Map(),
  samples: new Map(),
};

export function previewKey(jobId: number, imageIndex: number): string {
  return `${jobId}/${imageIndex}`;
}

export function isActive(state: JobState): boolean {
  return state === 'queued' || state === 'held' || state === 'running';
}

/** Applies messages in order. Returns the same object when nothing changed. */
export function reduce(fleet: Fleet, messages: readonly Message[]): Fleet {
  const draft = new Draft(fleet);
  for (const message of messages) accept(draft, message);
  return draft.finish();
}

/** Adds an older page of the gallery below what is held. */
export function addGalleryPage(fleet: Fleet, page: readonly Image[], hasMore: boolean): Fleet {
  const images = mergeImages(fleet.images, page);
  return {
    ...fleet,
    images,
    gallery_limit: Math.max(fleet.gallery_limit, images.length),
    gallery_has_more: hasMore,
  };
}

// A mutable copy of the picture for one batch: maps are copied once, and only when something writes to them.
class Draft {
  readonly fleet: Fleet;
  private changed = false;
  private owned = new Set<string>();

  constructor(private readonly before: Fleet) {
    this.fleet = { ...before };
  }

  set<K extends keyof Fleet>(key: K, value: Fleet[K]): void {
    this.fleet[key] = value;
    this.changed = true;
  }

  map<K extends 'jobs' | 'live' | 'outlooks' | 'loading' | 'previews' | 'samples'>(key: K): Map<unknown, unknown> {
    if (!this.owned.has(key)) {
      this.owned.add(key);
      this.set(key, new Map(this.fleet[key] as ReadonlyMap<unknown, unknown>) as unknown as Fleet[K]);
    }
    return this.fleet[key] as unknown as Map<unknown, unknown>;
  }

  own(key: string): void {
    this.owned.add(key);
  }

  finish(): Fleet {
    if (!this.changed) return this.before;
    if (this.owned.has('jobs')) forgetOldJobs(this.map('jobs') as Map<number, Job>);
    return this.fleet;
  }
}

function accept(draft: Draft, message: Message): void {
  if (message.type === 'snapshot') {
    acceptSnapshot(draft, message.data, message.at);
    return;
  }
  const { fleet } = draft;
  if (message.seq === null) {
    applyLossy(draft, message);
    return;
  }
  if (fleet.seq === null || fleet.stale) {
    draft.set('pending', [...fleet.pending, message]);
    return;
  }
  if (message.seq <= fleet.seq) return;
  if (message.seq > fleet.seq + 1) {
    draft.set('stale', true);
    draft.set('pending', [message]);
    return;
  }
  draft.set('seq', message.seq);
  applyDurable(draft, message);
}

function acceptSnapshot(draft: Draft, snapshot: Snapshot, at: number): void {
  const waiting = draft.fleet.pending;
  const jobs = new Map<number, Job>();
  const live = new Map<string, Live>();
  const outlooks = new Map<number, Outlook>();
  for (const { reason, predicted_start, ...job } of snapshot.jobs) {
    jobs.set(job.id, job);
    if (reason) outlooks.set(job.id, { at, reason, predicted_start: predicted_start ?? null });
    if (job.state === 'running' && job.progress) live.set(job.progress.gpu, { job_id: job.id, progress: job.progress });
  }
  const previews = new Map([...draft.fleet.previews].filter(([key]) => jobs.get(parseInt(key, 10))?.state === 'running'));

  draft.set('seq', snapshot.seq);
  draft.set('stale', false);
  draft.set('pending', []);
  draft.set('server', snapshot.server);
  draft.set('settings', snapshot.settings);
  draft.set('gpus', byIndex(snapshot.gpus));
  draft.set('telemetry', snapshot.telemetry);
  draft.set('alarms', snapshot.alarms);
  draft.set('counts', { ...kNoCounts, ...snapshot.counts });
  draft.set('pauses', snapshot.queue);
  draft.set('models', snapshot.models);
  draft.set('profiles', snapshot.profiles);
  draft.set('default_model', snapshot.default_model);
  draft.set('jobs', jobs);
  draft.set('live', live);
  draft.set('outlooks', outlooks);
  draft.set('previews', previews);
  for (const key of ['jobs', 'live', 'outlooks', 'previews']) draft.own(key);
  restartGallery(draft, snapshot.images);
  rememberSamples(draft, snapshot.gpus);
  for (const message of waiting) accept(draft, message);
}

// Pages a person loaded before a reconnect stay when the snapshot reaches down to them; otherwise there is a hole
// between, and the gallery starts again from the top.
function restartGallery(draft: Draft, newest: readonly Image[]): void {
  const { images, gallery_has_more } = draft.fleet;
  const fresh = mergeImages([], newest);
  const lowest = fresh.at(-1)?.id;
  const overlaps = lowest !== undefined && images.some((image) => image.id >= lowest);
  const older = overlaps ? images.filter((image) => image.id < lowest) : [];
  draft.set('images', [...fresh, ...older]);
  draft.set('gallery_has_more', older.length > 0 ? gallery_has_more : newest.length >= kGalleryPage);
  draft.set('gallery_limit', Math.max(kGalleryPage, fresh.length + older.length));
}

function applyDurable(draft: Draft, message: Message): void {
  switch (message.type) {
    case 'job.created':
    case 'job.updated':
      putJob(draft, message.data.job);
      return;
    case 'image.published':
      publish(draft, message.data.image);
      return;
    case 'settings.changed':
      draft.set('settings', { ...draft.fleet.settings, ...message.data.settings });
      return;
    case 'queue.changed':
      draft.set('pauses', message.data);
      return;
    case 'gpu.changed':
      hearGpus(draft, message.data);
      return;
    case 'models.changed':
      draft.set('models', message.data.models);
      draft.set('default_model', message.data.default_model);
      return;
  }
}

function applyLossy(draft: Draft, message: Message): void {
  switch (message.type) {
    case 'job.progress': {
      const { job_id, progress } = message.data;
      const state = draft.fleet.jobs.get(job_id)?.state;
      if (state !== undefined && state !== 'running') return;
      draft.map('live').set(progress.gpu, { job_id, progress });
      return;
    }
    case 'image.preview': {
      const { job_id, image_index, media_type, base64 } = message.data;
      if (!/^image\/(jpeg|png|webp)$/.test(media_type)) return;
      if (draft.fleet.jobs.get(job_id)?.state !== 'running') return;
      draft.map('previews').set(previewKey(job_id, image_index), `data:${media_type};base64,${base64}`);
      return;
    }
    case 'worker.loading':
      draft.map('loading').set(message.data.gpu, message.data.ratio);
      return;
    case 'gpu.sample':
      hearGpus(draft, { ...message.data, partial: true });
      rememberSamples(draft, message.data.gpus);
      return;
    case 'counts':
      draft.set('counts', { ...kNoCounts, ...message.data.counts });
      return;
    case 'queue.forecast':
      hearForecast(draft, message.data.jobs, message.at);
      return;
    default:
      // A type of a later server.
      return;
  }
}

function putJob(draft: Draft, job: Job): void {
  const before = draft.fleet.jobs.get(job.id);
  draft.map('jobs').set(job.id, job);
  if (job.state !== 'running') forgetLive(draft, job.id);
  // The reason of the state before says nothing any more.
  if (before?.state !== job.state && draft.fleet.outlooks.has(job.id)) draft.map('outlooks').delete(job.id);
  if (before?.state === job.state) return;
  const counts = { ...draft.fleet.counts };
  if (before) counts[before.state] = Math.max(0, counts[before.state] - 1);
  counts[job.state] += 1;
  draft.set('counts', counts);
}

function hearForecast(draft: Draft, told: readonly ({ id: number } & Omit<Outlook, 'at'>)[], at: number): void {
  const outlooks = new Map<number, Outlook>();
  for (const { id, reason, predicted_start } of told) {
    const state = draft.fleet.jobs.get(id)?.state;
    if (state === 'queued' || state === 'held') outlooks.set(id, { at, reason, predicted_start });
  }
  draft.set('outlooks', outlooks);
  draft.own('outlooks');
}

function forgetLive(draft: Draft, jobId: number): void {
  for (const [gpu, live] of draft.fleet.live) if (live.job_id === jobId) draft.map('live').delete(gpu);
  for (const key of draft.fleet.previews.keys()) if (parseInt(key, 10) === jobId) draft.map('previews').delete(key);
}

function publish(draft: Draft, image: Image): void {
  const { fleet } = draft;
  const known = fleet.images.some((other) => other.id === image.id);
  const images = mergeImages([image], fleet.images);
  if (images.length >= fleet.gallery_limit) {
    images.length = fleet.gallery_limit;
    draft.set('gallery_has_more', true);
  }
  draft.set('images', images);

  const key = previewKey(image.job_id, image.index);
  if (fleet.previews.has(key)) draft.map('previews').delete(key);
  for (const [gpu, live] of fleet.live) {
    if (live.job_id === image.job_id && live.progress.image_index === image.index) draft.map('live').delete(gpu);
  }
  // A snapshot may hold rows that are newer than its number: an image known before is counted already.
  const job = fleet.jobs.get(image.job_id);
  if (!job || known || job.published >= job.count) return;
  draft.map('jobs').set(job.id, { ...job, published: job.published + 1 });
}

interface GpuNews {
  gpu?: Gpu;
  /** The whole list, unless `partial`. */
  gpus?: readonly Gpu[];
  telemetry?: Telemetry;
  alarms?: readonly Alarm[];
  partial?: boolean;
}

function hearGpus(draft: Draft, { gpu, gpus: list, telemetry, alarms, partial = !list }: GpuNews): void {
  const gpus = new Map(partial ? draft.fleet.gpus.map((known) => [known.uuid, known]) : []);
  for (const heard of list ?? (gpu ? [gpu] : [])) {
    gpus.set(heard.uuid, heard);
    // Its part of a job is over or lost while the job goes on elsewhere.
    const live = draft.fleet.live.get(heard.uuid);
    if (live && live.job_id !== heard.job) draft.map('live').delete(heard.uuid);
  }
  draft.set('gpus', byIndex([...gpus.values()]));
  for (const uuid of draft.fleet.loading.keys()) {
    if (!gpus.get(uuid)?.loading_model) draft.map('loading').delete(uuid);
  }
  if (telemetry) draft.set('telemetry', telemetry);
  if (alarms) draft.set('alarms', alarms);
}

function rememberSamples(draft: Draft, gpus: readonly Gpu[]): void {
  for (const gpu of gpus) {
    if (gpu.utilization_ratio === null) continue;
    const before = draft.fleet.samples.get(gpu.uuid) ?? [];
    draft.map('samples').set(gpu.uuid, [...before, gpu.utilization_ratio].slice(-kSamplesKept));
  }
}

function byIndex(gpus: readonly Gpu[]): Gpu[] {
  return [...gpus].sort((a, b) => a.index - b.index || (a.uuid < b.uuid ? -1 : 1));
}

function mergeImages(first: readonly Image[], second: readonly Image[]): Image[] {
  const byId = new Map<number, Image>();
  for (const image of second) byId.set(image.id, image);
  for (const image of first) byId.set(image.id, image);
  return [...byId.values()].sort((a, b) => b.id - a.id);
}

function forgetOldJobs(jobs: Map<number, Job>): void {
  const ended = [...jobs.values()].filter((job) => !isActive(job.state));
  if (ended.length <= kEndedKept) return;
  ended.sort(newestEndedFirst);
  for (const job of ended.slice(kEndedKept)) jobs.delete(job.id);
}

export function newestEndedFirst(a: Job, b: Job): number {
  return (b.finished_at_ms ?? 0) - (a.finished_at_ms ?? 0) || b.id - a.id;
}
