// How long to wait before the next attempt to reach the server.
const kFirstMs = 500;
const kLongestMs = 15_000;

/** `attempt` counts from 0; `random` in [0, 1) spreads many tabs after a restart. */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(kLongestMs, kFirstMs * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.75 + 0.5 * random));
}
