// What the page shows and can do: the fleet, the connection, the form, notices. One instance per tab.
//
// Facts change only through the event stream; a command's answer is shown as pending until the stream confirms it.
import { api, ApiError } from '../api/client';
import type { Image, Job, Message, Model, Profile, Samplers, Settings, SettingsChange } from '../api/types';
import { text } from '../text/text';
import { Connection, type Status } from './connection';
import {
  effective,
  findNamed,
  firstProfile,
  followModel,
  fromJob,
  kFirstDraft,
  toRequest,
  type Draft,
} from './draft';
import { addGalleryPage, kEmptyFleet, kGalleryPage, reduce, type Fleet } from './fleet';
import { formErrors, kNoErrors, type FormErrors } from './problem';
import { sortQueue } from './queue';

export interface Notice {
  id: number;
  kind: 'info' | 'error';
  message: string;
}

const kNoticeMs = 6_000;
const kDraftKey = 'pixelfleet.draft';
const kFormFields = [
  'prompt', 'negative_prompt', 'model', 'profile', 'width', 'height', 'steps', 'cfg_scale', 'sampler', 'scheduler',
  'seed', 'count', 'priority',
] as const satisfies readonly (keyof Draft)[];
const kNumberFields = ['width', 'height', 'steps', 'cfg_scale', 'seed', 'count'] as const;

class Page {
  fleet = $state.raw<Fleet>(kEmptyFleet);
  status = $state.raw<Status>({ kind: 'connecting' });
  samplers = $state.raw<Samplers>({ samplers: [], schedulers: [] });
  notices = $state.raw<readonly Notice[]>([]);
  now_ms = $state(Date.now());

  draft = $state<Draft>({ ...kFirstDraft });
  errors = $state.raw<FormErrors>(kNoErrors);
  submitting = $state(false);
  cancelling = $state.raw<ReadonlySet<number>>(new Set());
  pendingSettings = $state.raw<SettingsChange>({});
  openImage = $state<number | null>(null);
  /** The waiting job whose place, priority and gpu are being changed. */
  openJob = $state<number | null>(null);
  loadingMore = $state(false);

  private touched = new Set<keyof Draft>();
  private connection: Connection;
  private noticeId = 0;

  queue = $derived(sortQueue(this.fleet.jobs.values()));
  installed = $derived(this.fleet.models.filter((model) => model.state === 'installed'));
  onlyDemo = $derived(this.installed.length > 0 && this.installed.every((model) => model.demo));
  settings = $derived<Settings>({ ...this.fleet.settings, ...this.pendingSettings });

  model = $derived<Model | null>(
    this.modelNamed(this.draft.model) ??
      this.modelNamed(this.fleet.default_model ?? '') ??
      this.installed[0] ??
      null,
  );
  profile = $derived<Profile | null>(this.profileNamed(this.draft.profile) ?? firstProfile(this.fleet.profiles));
  effective = $derived(effective(this.draft, this.profile));

  constructor() {
    this.connection = new Connection({
      onMessages: (messages) => this.onMessages(messages),
      onStatus: (status) => (this.status = status),
    });
    this.restoreDraft();
  }

  modelNamed(name: string): Model | null {
    return findNamed(this.fleet.models, name);
  }

  profileNamed(name: string): Profile | null {
    return findNamed(this.fleet.profiles, name);
  }

  async start(): Promise<void> {
    setInterval(() => (this.now_ms = Date.now()), 1_000);
    await this.tradeToken();
    this.connection.start();
  }

  retry(): void {
    this.connection.retryNow();
  }

  /** Returns whether the server took the token. */
  async login(token: string): Promise<boolean> {
    try {
      await api.login(token.trim());
    } catch {
      return false;
    }
    this.connection.retryNow();
    return true;
  }

  // --- the form -------------------------------------------------------------------------------------------------

  touch(field: keyof Draft): void {
    this.touched.add(field);
    if (this.errors.fields[field]) {
      const fields = { ...this.errors.fields };
      delete fields[field];
      this.errors = { fields, general: Object.keys(fields).length > 0 ? this.errors.general : null };
    }
    this.saveDraft();
  }

  chooseModel(key: string): void {
    this.draft.model = key;
    const model = this.modelNamed(key);
    if (model) this.draft = followModel(this.draft, this.touched, model);
    this.touch('model');
  }

  resetForm(): void {
    const { prompt } = this.draft;
    this.touched.clear();
    this.draft = { ...kFirstDraft, prompt };
    if (this.model) this.draft = followModel(this.draft, this.touched, this.model);
    this.errors = kNoErrors;
    this.saveDraft();
  }

  reuse(job: Job, seed: number): void {
    this.draft = fromJob(job, seed);
    this.touched = new Set(kFormFields);
    this.errors = kNoErrors;
    this.saveDraft();
    this.notify('info', text.form.reused);
  }

  async submit(): Promise<boolean> {
    if (this.submitting) return false;
    const local = this.localErrors();
    if (local) {
      this.errors = local;
      return false;
    }
    this.submitting = true;
    this.errors = kNoErrors;
    try {
      const { jobs } = await api.submit(toRequest(this.draft, this.model, this.profile));
      const job = jobs[0];
      if (job) this.notify('info', text.form.submitted(job.id, job.count));
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.errors =
        error.status === 0
          ? { fields: {}, general: text.form.unreachable }
          : formErrors(error.problem, kFormFields, text.form.failed);
      return false;
    } finally {
      this.submitting = false;
    }
  }

  // Only what cannot be said in JSON, or would surely be refused, is caught here: the server's validator is the one
  // place that knows the limits.
  private localErrors(): FormErrors | null {
    const fields: Record<string, string> = {};
    if (this.draft.prompt.trim() === '') fields['prompt'] = text.form.prompt_needed;
    for (const field of kNumberFields) {
      if (field === 'steps' && this.effective.steps_from_profile) continue;
      const value = this.draft[field];
      if (value === null || value === undefined || !Number.isFinite(value)) fields[field] = text.form.number_needed;
    }
    return Object.keys(fields).length > 0 ? { fields, general: null } : null;
  }

  private saveDraft(): void {
    try {
      localStorage.setItem(kDraftKey, JSON.stringify({ draft: this.draft, touched: [...this.touched] }));
    } catch {
      // A browser that keeps nothing loses the draft on reload, nothing else.
    }
  }

  private restoreDraft(): void {
    try {
      const saved = JSON.parse(localStorage.getItem(kDraftKey) ?? 'null') as {
        draft: Partial<Draft>;
        touched: (keyof Draft)[];
      } | null;
      if (!saved) return;
      const draft: Record<string, unknown> = { ...kFirstDraft };
      for (const [key, value] of Object.entries(saved.draft)) {
        const first = draft[key];
        if (typeof value === typeof first) draft[key] = value;
      }
      this.draft = draft as unknown as Draft;
      this.touched = new Set(saved.touched.filter((key) => key in kFirstDraft));
    } catch {
      // Unreadable: start with the first draft.
    }
  }

  // --- commands -------------------------------------------------------------------------------------------------

  async cancel(job: Job): Promise<void> {
    this.cancelling = new Set(this.cancelling).add(job.id);
    try {
      await api.cancel(job.id);
    } catch (error) {
      this.forgetCancelling(job.id);
      // Ended while the request was on its way: the queue shows it already.
      if (error instanceof ApiError && error.status === 409) return;
      this.notify('error', text.queue.cancel_failed(job.id, describe(error)));
    }
  }

  /** Asks for something about a job; the stream tells what came of it. */
  async order(id: number, ask: () => Promise<unknown>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      this.notify('error', text.queue.refused(id, describe(error)));
    }
  }

  /** Asks for something about a gpu; the stream tells what came of it. */
  async orderGpu(index: number, ask: () => Promise<unknown>): Promise<void> {
    try {
      await ask();
    } catch (error) {
      this.notify('error', text.gpus.refused(index, describe(error)));
    }
  }

  /** Without an owner: everybody. */
  async setPaused(paused: boolean, owner?: string): Promise<void> {
    try {
      await (paused ? api.pause(owner) : api.resume(owner));
    } catch (error) {
      this.notify('error', text.queue.pause_failed(describe(error)));
    }
  }

  async changeSettings(change: SettingsChange): Promise<void> {
    const why = await this.trySettings(change);
    if (why !== null) this.notify('error', `${text.gpus.locked} ${why}`);
  }

  /** Returns why the server did not take the change, for the field that asked for it; null: it did. */
  async trySettings(change: SettingsChange): Promise<string | null> {
    this.pendingSettings = { ...this.pendingSettings, ...change };
    try {
      await api.changeSettings(change);
      return null;
    } catch (error) {
      this.forgetPending(Object.keys(change) as (keyof SettingsChange)[]);
      if (!(error instanceof ApiError) || error.status === 0) return describe(error);
      return formErrors(error.problem, [], describe(error)).general;
    }
  }

  async loadMore(): Promise<void> {
    const last = this.fleet.images.at(-1);
    if (this.loadingMore || !last) return;
    this.loadingMore = true;
    try {
      const { images, next_after } = await api.images(kGalleryPage, last.id);
      this.fleet = addGalleryPage(this.fleet, images, next_after !== null && images.length > 0);
    } catch (error) {
      this.notify('error', `${text.gallery.failed} ${describe(error)}`);
    } finally {
      this.loadingMore = false;
    }
  }

  /** The job behind an image, from the fleet or from the server. Null when it cannot be read. */
  async jobOf(image: Image): Promise<Job | null> {
    const known = this.fleet.jobs.get(image.job_id);
    if (known) return known;
    try {
      return await api.job(image.job_id);
    } catch {
      return null;
    }
  }

  notify(kind: Notice['kind'], message: string): void {
    const notice = { id: ++this.noticeId, kind, message };
    this.notices = [...this.notices.slice(-3), notice];
    setTimeout(() => this.dismiss(notice.id), kind === 'error' ? kNoticeMs * 2 : kNoticeMs);
  }

  dismiss(id: number): void {
    this.notices = this.notices.filter((notice) => notice.id !== id);
  }

  // --- the stream -----------------------------------------------------------------------------------------------

  private onMessages(messages: Message[]): void {
    const first = this.fleet.seq === null;
    this.fleet = reduce(this.fleet, messages);
    if (this.fleet.stale) void this.connection.refetch();
    if (first && this.fleet.seq !== null) this.onFirstSnapshot();
    for (const id of this.cancelling) {
      const state = this.fleet.jobs.get(id)?.state;
      if (state !== 'queued' && state !== 'held' && state !== 'running') this.forgetCancelling(id);
    }
    const confirmed = messages.some(({ type }) => type === 'settings.changed' || type === 'snapshot');
    if (confirmed) this.pendingSettings = {};
  }

  private onFirstSnapshot(): void {
    if (this.model) this.draft = followModel(this.draft, this.touched, this.model);
    api.samplers().then(
      (samplers) => (this.samplers = samplers),
      (error: unknown) => this.notify('error', describe(error)),
    );
  }

  private forgetCancelling(id: number): void {
    const next = new Set(this.cancelling);
    next.delete(id);
    this.cancelling = next;
  }

  private forgetPending(keys: readonly (keyof SettingsChange)[]): void {
    const next = { ...this.pendingSettings };
    for (const key of keys) delete next[key];
    this.pendingSettings = next;
  }

  // `#token=` must not stay in the address bar, the history or a shared screenshot.
  private async tradeToken(): Promise<void> {
    const match = /^#token=(.+)$/.exec(location.hash);
    if (!match) return;
    history.replaceState(null, '', location.pathname + location.search);
    let token = match[1]!;
    try {
      token = decodeURIComponent(token);
    } catch {
      // Not encoded: the raw text is the token.
    }
    if (!(await this.login(token))) this.notify('error', text.login.wrong);
  }
}

export function describe(error: unknown): string {
  if (error instanceof ApiError) return error.status === 0 ? text.form.unreachable : error.message;
  return String(error);
}

export const page = new Page();
