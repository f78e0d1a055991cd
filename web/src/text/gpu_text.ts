// What the page says of one gpu: its health, who else computes there, and what its driver tells, in plain English.
//
// Every function takes what the API gives and the time; unknown is a dash, never a zero. A code of a later server is
// shown as it is, with blanks.
import type { Alarm, Gpu, GpuHealth, GpuSharing, GpuState, HealthState, SharingReason } from '../api/types';
import { bytes, kUnknown } from './format';

/** For how long a gpu is used anyway, once somebody says so. */
export const kOverrideMinutes = 60;

const kMinuteMs = 60_000;
const kHourMs = 60 * kMinuteMs;

export const health_state = {
  healthy: 'Healthy',
  suspect: 'Suspect',
  draining: 'Draining',
  quarantined: 'In quarantine',
  probation: 'On probation',
  failed: 'Out of service',
  stuck: 'Stuck',
} satisfies Record<HealthState, string>;

const kHealthReasons: Record<string, string> = {
  fault: 'Something failed here.',
  faults_expired: 'Ten minutes have passed without another failure.',
  exonerated: "The failures were a job's or a model's, not the gpu's.",
  failed_two_jobs: 'Two different jobs failed here within ten minutes.',
  faults_of_three: 'The driver reported errors here during three different jobs within ten minutes.',
  failed_on_probation: 'It failed again while on probation.',
  drained: 'What ran here has ended.',
  canary_failed: 'The test picture did not come out.',
  canary_unanswered: 'The test picture took too long.',
  canary_passed: 'The test picture came out.',
  probation_passed: 'Its work went well again.',
  lost: 'The driver no longer sees it.',
  reset_needed: 'The driver says that it needs a reset.',
  reboot_needed: 'The driver says that the machine needs a restart.',
  seen_clean: 'The driver sees it again, without complaints.',
  no_other_gpu: 'No other gpu takes work, so it is tried early.',
  unreapable: 'A worker here cannot be ended.',
  reaped: 'The worker that could not be ended is gone.',
  operator_drained: 'Somebody drained it.',
  operator_retired: 'Somebody retired it.',
  operator_resumed: 'Somebody resumed it.',
};

/** "reset_needed" as a person would write it. */
export function words(code: string): string {
  return code.replaceAll('_', ' ');
}

export function reasonSentence(reason: string): string {
  return kHealthReasons[reason] ?? `${words(reason)}.`;
}

/** "in 45 s", "in 4 min": whole minutes upwards, so that it does not run out before its time. */
export function countdown(until_ms: number, now_ms: number): string {
  const left = until_ms - now_ms;
  if (left <= 0) return 'now';
  if (left <= kMinuteMs) return `in ${Math.ceil(left / 1000)} s`;
  if (left < 90 * kMinuteMs) return `in ${Math.ceil(left / kMinuteMs)} min`;
  return `in ${Math.ceil(left / kHourMs)} h`;
}

/** "18:00", with the day when that is not today. */
export function clockTime(at_ms: number, now_ms: number): string {
  const at = new Date(at_ms);
  const time = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  const today = at.toDateString() === new Date(now_ms).toDateString();
  return today ? time : `${at.toLocaleDateString('en-GB', { weekday: 'short' })} ${time}`;
}

/** What happens next, and when; empty when nothing will. */
export function nextStep({ state, reason, until_ms }: GpuHealth, now_ms: number): string {
  switch (state) {
    case 'healthy':
      return '';
    case 'suspect':
      return 'It works on; ten minutes without another failure clear it.';
    case 'draining':
      return reason === 'operator_drained'
        ? 'What runs finishes; nothing new starts until it is resumed.'
        : 'What runs finishes; nothing new starts.';
    case 'quarantined':
      if (until_ms !== null && until_ms > now_ms) return `Tried again with a test picture ${countdown(until_ms, now_ms)}.`;
      return 'It is tried with a test picture now.';
    case 'probation':
      return "It works again, but gets nobody's last attempt until three jobs went well.";
    case 'failed':
      switch (reason) {
        case 'operator_retired':
          return 'It takes no work until it is resumed.';
        case 'reset_needed':
          return 'Reset it, or restart the machine; it comes back by itself.';
        case 'reboot_needed':
          return 'Restart the machine; it comes back by itself.';
        default:
          return 'It comes back by itself when the driver sees it again.';
      }
    case 'stuck':
      return 'It comes back when that worker is gone; at worst the machine has to be restarted.';
  }
}

/** Null while there is nothing to say. */
export function healthSentence(health: GpuHealth, now_ms: number): string | null {
  if (health.state === 'healthy') return null;
  return [health.reason === null ? '' : reasonSentence(health.reason), nextStep(health, now_ms)].filter(Boolean).join(' ');
}

/** "python (pid 4711)", or what is known of it. */
export function processName(pid: number | null, name: string | null): string {
  const shown = name?.trim() ?? '';
  if (pid === null) return shown || 'another program';
  return shown ? `${shown} (pid ${pid})` : `pid ${pid}`;
}

export function sharingReason(reason: SharingReason, quietSeconds: number, now_ms: number): string {
  const { pid, name, until_ms } = reason;
  switch (reason.kind) {
    case 'others_compute':
      return `${processName(pid, name)} uses ${reason.bytes === null ? 'memory here' : bytes(reason.bytes)}; we come back ${quietSeconds} s after it has left`;
    case 'busy_by_others': {
      const load = reason.utilization_ratio === null ? '' : ` at ${Math.round(reason.utilization_ratio * 100)} %`;
      return `others keep it busy${load}; we come back ${quietSeconds} s after that ends`;
    }
    case 'others_left':
      return until_ms === null ? 'others have left; we come back soon' : `others have left; we come back ${countdown(until_ms, now_ms)}`;
    case 'quiet_hours':
      return until_ms === null ? 'quiet hours' : `quiet hours until ${clockTime(until_ms, now_ms)}`;
    case 'too_hot': {
      if (reason.celsius === null) return 'too hot: cooling down';
      const ceiling = reason.ceiling_celsius === null ? '' : `, above ${Math.round(reason.ceiling_celsius)} °C`;
      return `${degrees(reason.celsius)}${ceiling}: cooling down`;
    }
    case 'not_seen_yet':
      return 'its driver has not told yet who computes here';
    default:
      return words(String(reason.kind));
  }
}

/** Null while it is ours to use and nobody said otherwise. */
export function sharingSentence(sharing: GpuSharing, quietSeconds: number, now_ms: number): string | null {
  if (sharing.verdict === 'open') {
    if (!sharing.overridden) return null;
    const until = sharing.override_until_ms;
    return until === null ? 'Used although others may be here.' : `Used although others may be here, until ${clockTime(until, now_ms)}.`;
  }
  const start = sharing.verdict === 'leaving' ? 'Finishes what runs, then leaves' : '';
  const why = sharing.reasons.map((reason, i) => {
    const said = sharingReason(reason, quietSeconds, now_ms);
    // A program's name stays as it is.
    const named = reason.kind === 'others_compute' && !!reason.name?.trim();
    return named || (start && i === 0) ? said : `${said.charAt(0).toUpperCase()}${said.slice(1)}`;
  });
  return `${[start, why.join('. ')].filter(Boolean).join(': ') || 'Not ours to use now'}.`;
}

/** Whether somebody may say to use it anyway: against others and quiet hours, never against heat. */
export function mayOverride({ verdict, reasons }: GpuSharing): boolean {
  return verdict !== 'open' && reasons.length > 0 && reasons.every(({ kind }) => kind !== 'too_hot' && kind !== 'not_seen_yet');
}

/** What the gpu's state says in a word, with the word that its health or sharing has for it where that says more. */
export function stateWord(state: GpuState, { health, sharing }: Pick<Gpu, 'health' | 'sharing'>, plain: Record<GpuState, string>): string {
  if (state !== 'closed') return plain[state];
  switch (health.state) {
    case 'quarantined':
    case 'failed':
    case 'stuck':
      return health.reason === 'operator_retired' ? 'Retired' : health_state[health.state];
    case 'draining':
      return 'Drained';
    default:
      return sharing.reasons.some(({ kind }) => kind === 'too_hot') ? 'Cooling down' : plain.closed;
  }
}

const kThrottleReasons: Record<string, string> = {
  idle: 'nothing to do',
  clocks_setting: 'clocks set by hand',
  sw_power_cap: 'power limit reached',
  hw_slowdown: 'slowed down by its hardware',
  sync_boost: 'in step with other gpus',
  sw_thermal: 'too warm, slowed down by the driver',
  hw_thermal: 'too hot, slowed down by its hardware',
  hw_power_brake: 'power brake from outside',
  display: 'clocks set by the display',
};

export function throttleWords(reasons: readonly string[] | null): string {
  if (reasons === null) return kUnknown;
  if (reasons.length === 0) return 'full speed';
  return reasons.map((reason) => kThrottleReasons[reason] ?? words(reason)).join(', ');
}

export function degrees(celsius: number | null): string {
  return celsius === null ? kUnknown : `${Math.round(celsius)} °C`;
}

export function watts(value: number | null): string {
  return value === null ? kUnknown : `${Math.round(value)} W`;
}

function clockRate(hertz: number | null): string {
  return hertz === null ? kUnknown : `${Math.round(hertz / 1e6)} MHz`;
}

function count(value: number | null): string {
  return value === null ? kUnknown : String(value);
}

// "a / b", and one dash when neither is known.
function pair(first: string, second: string): string {
  return first === kUnknown && second === kUnknown ? kUnknown : `${first} / ${second}`;
}

function pcie(generation: number | null, width: number | null): string {
  if (generation === null && width === null) return kUnknown;
  return `${generation === null ? '' : `gen ${generation} `}×${width ?? kUnknown}`;
}

function rows(detail: Gpu['detail']): string {
  const { rows_remapped_corrected: corrected, rows_remapped_uncorrected: uncorrected } = detail;
  const notes = [
    detail.rows_remapping_pending ? 'a reset is pending' : '',
    detail.rows_remapping_failed ? 'remapping failed' : '',
  ].filter(Boolean);
  return [pair(count(corrected), count(uncorrected)), ...notes].join('; ');
}

function energy(joules: number | null): string {
  return joules === null ? kUnknown : `${(joules / 3.6e6).toFixed(1)} kWh`;
}

/** The figures of the details, in reading order. */
export function detailRows(gpu: Gpu): [string, string][] {
  const { detail, memory } = gpu;
  const slow = detail.temperature_slowdown_celsius;
  const off = detail.temperature_shutdown_celsius;
  const hints = [slow === null ? '' : `slows down at ${degrees(slow)}`, off === null ? '' : `off at ${degrees(off)}`];
  return [
    ['Planned for us', bytes(memory.plan_bytes)],
    ['Held by us', bytes(memory.believed_bytes)],
    ['Held by others', bytes(memory.others_bytes)],
    ...(memory.discrepancy_bytes === null
      ? []
      : [['Not accounted for', signedBytes(memory.discrepancy_bytes)] as [string, string]]),
    ['Temperature', [degrees(gpu.temperature_celsius), ...hints].filter(Boolean).join(', ')],
    ['Power / limit', pair(watts(gpu.power_watts), watts(detail.power_limit_watts))],
    ['Energy', energy(detail.energy_joules)],
    ['Clocks, core / memory', pair(clockRate(detail.sm_clock_hertz), clockRate(detail.memory_clock_hertz))],
    ['Held back by', throttleWords(detail.throttle_reasons)],
    ['PCIe, now / most', pair(pcie(detail.pcie_generation, detail.pcie_width), pcie(detail.pcie_generation_max, detail.pcie_width_max))],
    ['Memory errors, corrected / not', pair(count(detail.ecc_corrected), count(detail.ecc_uncorrected))],
    ['Rows remapped, corrected / not', rows(detail)],
    ...(detail.recovery_action && detail.recovery_action !== 'none'
      ? [['The driver asks for', words(detail.recovery_action)] as [string, string]]
      : []),
    ['Bus', detail.pci_bus_id ?? kUnknown],
    ['UUID', gpu.uuid],
  ];
}

function signedBytes(value: number): string {
  return value < 0 ? `${bytes(-value)} less than we think` : `${bytes(value)} more than we think`;
}

/** Shares of the memory bar, each 0 to 1; null where the driver does not say. */
export interface MemoryParts {
  ours: number;
  others: number;
  plan: number | null;
  tight: boolean;
}

export function memoryParts(gpu: Gpu): MemoryParts | null {
  const total = gpu.memory_total_bytes;
  if (!total) return null;
  const share = (value: number) => Math.min(1, Math.max(0, value / total));
  const used = gpu.memory_used_bytes;
  const { others_bytes, believed_bytes, plan_bytes } = gpu.memory;
  if (used === null && others_bytes === null && believed_bytes === null) return null;
  const others = share(others_bytes ?? 0);
  const mine = used === null ? (believed_bytes ?? 0) : used - (others_bytes ?? 0);
  const ours = Math.min(share(mine), 1 - others);
  return { ours, others, plan: plan_bytes === null ? null : share(plan_bytes), tight: ours + others > 0.9 };
}

/** "7 GiB ours, 20 GiB others, 24 GiB in all": the bar in words. */
export function memoryWords(gpu: Gpu): string {
  const { memory_used_bytes: used, memory_total_bytes: total } = gpu;
  const others = gpu.memory.others_bytes;
  const ours = used !== null && others !== null ? Math.max(0, used - others) : gpu.memory.believed_bytes;
  return `${bytes(ours)} ours, ${bytes(others)} others, ${bytes(gpu.memory_free_bytes)} free of ${bytes(total)}`;
}

const kFaults: Record<Alarm['fault'], string> = {
  device: 'device errors',
  crash: 'crashes',
  hung: 'workers that hang',
  invalid_output: 'broken pictures',
  protocol: 'workers that talk nonsense',
  lost: 'lost by the driver',
  reset: 'in need of a reset',
  reboot: 'in need of a restart of the machine',
};

const kSuspects: Record<Alarm['suspect'], string> = {
  driver: 'look at the driver',
  model: 'look at the model',
  disk: 'look at the disk that the models lie on',
};

export function alarmSentence({ fault, suspect, gpus }: Alarm): string {
  const many = gpus.length === 1 ? '1 gpu' : `${gpus.length} gpus`;
  return `${many} left for the same kind of fault (${kFaults[fault] ?? words(fault)}): ${kSuspects[suspect] ?? words(suspect)}.`;
}
