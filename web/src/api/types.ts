// The JSON shapes of /api/v1 under short names. Everything comes from api/openapi.yaml (`npm run types`).
import type { components } from './openapi';

type Schemas = components['schemas'];

export type Job = Schemas['Job'];
export type JobState = Schemas['JobState'];
export type JobRequest = Schemas['JobRequest'];
export type Reason = Schemas['WaitingReason'];
export type StartInterval = Schemas['StartInterval'];
export type Progress = Schemas['JobProgress'];
export type HeldReason = Schemas['HeldReason'];
export type Priority = Schemas['Priority'];
export type Phase = Schemas['Phase'];
export type Image = Schemas['Image'];
export type Model = Schemas['Model'];
export type Profile = Schemas['Profile'];
export type Samplers = Schemas['SamplerList'];
export type Gpu = Schemas['Gpu'];
export type GpuKind = Schemas['GpuKind'];
export type GpuState = Schemas['GpuState'];
export type GpuHealth = Schemas['GpuHealth'];
export type HealthState = Schemas['HealthState'];
export type GpuSharing = Schemas['GpuSharing'];
export type SharingReason = GpuSharing['reasons'][number];
export type GpuSharingSettings = Schemas['GpuSharingSettings'];
/** Degrees Celsius, `auto` or `off`. */
export type Ceiling = NonNullable<GpuSharingSettings['temperature_ceiling']>;
export type GpuHistory = Schemas['GpuHistory'];
export type Alarm = Schemas['Alarm'];
export type Telemetry = Schemas['Telemetry'];
export type Settings = Schemas['Settings'];
export type SettingsChange = Schemas['SettingsChange'];
export type Counts = Schemas['Counts'];
/** What is paused. */
export type Pauses = Schemas['Queue'];
export type JobMove = Schemas['JobMove'];
export type JobChange = Schemas['JobChange'];
export type Server = Schemas['Server'];
export type Snapshot = Schemas['Snapshot'];
export type Message = Schemas['EventEnvelope'];
export type FieldError = Schemas['FieldError'];
export type Problem = Schemas['Problem'];

export type JobWithImages = Schemas['JobWithImages'];
export type ImagePage = Schemas['ImagePage'];
export type SubmitReceipt = Schemas['SubmitReceipt'];
