// Numbers and times as people read them.
/** What stands for a figure that nobody knows. */
export const kUnknown = '–';

const kGiB = 2 ** 30;
const kMiB = 2 ** 20;

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return kUnknown;
  if (value >= kGiB) {
    const gib = value / kGiB;
    return `${gib >= 100 || Number.isInteger(gib) ? gib.toFixed(0) : gib.toFixed(1)} GiB`;
  }
  if (value >= kMiB) return `${(value / kMiB).toFixed(value >= 10 * kMiB ? 0 : 1)} MiB`;
  return `${Math.max(0, Math.round(value / 1024))} KiB`;
}

export function percent(ratio: number | null | undefined): string {
  return ratio === null || ratio === undefined ? kUnknown : `${Math.round(ratio * 100)} %`;
}

export function ago(then_ms: number | null, now_ms: number): string {
  if (then_ms === null) return '';
  const seconds = Math.max(0, Math.round((now_ms - then_ms) / 1000));
  if (seconds < 10) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  if (hours < 36) return `${hours} h ago`;
  return new Date(then_ms).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}

export function duration(seconds: number | null): string {
  if (seconds === null) return kUnknown;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** When something will happen, from now: "in about 2–4 min". */
export function startsIn(earliest_ms: number, latest_ms: number | null, now_ms: number): string {
  const earliest = Math.max(0, (earliest_ms - now_ms) / 1000);
  const latest = latest_ms === null ? null : (latest_ms - now_ms) / 1000;
  const [unit, size] = unitOf(latest ?? earliest);
  const first = Math.round(earliest / size);
  if (latest === null) return first === 0 ? 'at an unknown time' : `in ${first} ${unit} at the earliest`;
  if (latest <= 0) return 'any moment now';
  const last = Math.max(1, Math.round(latest / size));
  if (first === 0) return `within ${last} ${unit}`;
  return first === last ? `in about ${last} ${unit}` : `in about ${first}–${last} ${unit}`;
}

function unitOf(seconds: number): [string, number] {
  if (seconds < 90) return ['s', 1];
  return seconds < 90 * 60 ? ['min', 60] : ['h', 3600];
}

export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** The tail that tells two cards of the same name apart. */
export function shortUuid(uuid: string): string {
  return uuid.length <= 10 ? uuid : uuid.slice(-8);
}
