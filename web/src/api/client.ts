// The typed HTTP client of /api/v1.
//
// Every answer that is not 2xx becomes an ApiError that carries the server's problem document, so that a form can put
// each message beside its field. Non-GET requests carry the header the server asks of browsers.
import type {
  Gpu,
  GpuHistory,
  ImagePage,
  Job,
  JobChange,
  JobMove,
  JobRequest,
  JobWithImages,
  Pauses,
  Problem,
  Samplers,
  Settings,
  SettingsChange,
  Snapshot,
  SubmitReceipt,
} from './types';

const base = '/api/v1';

export class ApiError extends Error {
  constructor(
    /** The HTTP status, or 0 when no answer came. */
    readonly status: number,
    readonly problem: Partial<Problem>,
  ) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.name = 'ApiError';
  }

  get needsLogin(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET') headers['X-PixelFleet'] = '1';
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(base + path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
    });
  } catch {
    throw new ApiError(0, {});
  }
  const text = await response.text();
  let parsed: unknown = null;
  try {
    parsed = text === '' ? null : JSON.parse(text);
  } catch {
    throw new ApiError(response.status, { detail: text.slice(0, 300) });
  }
  if (!response.ok) throw new ApiError(response.status, (parsed ?? {}) as Partial<Problem>);
  return parsed as T;
}

export const api = {
  snapshot: () => call<Snapshot>('GET', '/snapshot'),
  samplers: () => call<Samplers>('GET', '/samplers'),
  job: (id: number) => call<JobWithImages>('GET', `/jobs/${id}`),
  images: (limit: number, after: number | null) =>
    call<ImagePage>(
      'GET',
      `/images?limit=${limit}${after === null ? '' : `&after=${after}`}`,
    ),
  submit: (request: JobRequest) => call<SubmitReceipt>('POST', '/jobs', request),
  cancel: (id: number) => call<Job>('POST', `/jobs/${id}/cancel`, {}),
  hold: (id: number) => call<Job>('POST', `/jobs/${id}/hold`, {}),
  release: (id: number) => call<Job>('POST', `/jobs/${id}/release`, {}),
  move: (id: number, where: JobMove) => call<Job>('POST', `/jobs/${id}/move`, where),
  change: (id: number, change: JobChange) => call<Job>('PATCH', `/jobs/${id}`, change),
  retry: (id: number) => call<Job>('POST', `/jobs/${id}/retry`, {}),
  /** Without an owner: everybody. */
  pause: (owner?: string) => call<Pauses>('POST', '/queue/pause', owner === undefined ? {} : { owner }),
  resume: (owner?: string) => call<Pauses>('POST', '/queue/resume', owner === undefined ? {} : { owner }),
  /** No new work, and what runs finishes. */
  drainGpu: (uuid: string) => call<Gpu>('POST', `/gpus/${encodeURIComponent(uuid)}/drain`, {}),
  resumeGpu: (uuid: string) => call<Gpu>('POST', `/gpus/${encodeURIComponent(uuid)}/resume`, {}),
  retireGpu: (uuid: string) => call<Gpu>('POST', `/gpus/${encodeURIComponent(uuid)}/retire`, {}),
  /** For so many minutes; 0: no longer. */
  useGpuAnyway: (uuid: string, minutes: number) =>
    call<Gpu>('POST', `/gpus/${encodeURIComponent(uuid)}/use-anyway`, { minutes }),
  gpuHistory: (uuid: string, limit: number) =>
    call<GpuHistory>('GET', `/gpus/${encodeURIComponent(uuid)}/history?limit=${limit}`),
  changeSettings: (change: SettingsChange) => call<Settings>('PUT', '/settings', change),
  login: (token: string) => call<null>('POST', '/login', { token }),
};

/** The address of the event stream on the page's own origin. */
export function eventsAddress(location: Location): string {
  return `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${base}/ws`;
}
