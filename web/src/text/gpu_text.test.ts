import { describe, expect, it } from 'vitest';
import type { GpuHealth, GpuSharing, HealthState, SharingReason } from '../api/types';
import { ceilingKind, isNamed, typedCeiling, whyUnused, withListed, withWish } from '../state/gpus';
import { makeDetail, makeGpu } from '../state/testing';
import {
  alarmSentence,
  countdown,
  detailRows,
  healthSentence,
  health_state,
  mayOverride,
  memoryParts,
  memoryWords,
  processName,
  reasonSentence,
  sharingSentence,
  stateWord,
  throttleWords,
} from './gpu_text';
import { text } from './text';

const kGiB = 2 ** 30;

const health = (state: HealthState, change: Partial<GpuHealth> = {}): GpuHealth => ({
  state, reason: null, since_ms: 0, until_ms: null, evidence: [], ...change,
});
const reason = (kind: SharingReason['kind'], change: Partial<SharingReason> = {}): SharingReason => ({
  kind, pid: null, name: null, bytes: null, utilization_ratio: null, celsius: null, ceiling_celsius: null, until_ms: null,
  ...change,
});
const sharing = (verdict: GpuSharing['verdict'], reasons: SharingReason[], change: Partial<GpuSharing> = {}): GpuSharing => ({
  share: 'polite', verdict, reasons, since_ms: 0, overridden: false, override_until_ms: null, ...change,
});

describe('the health of a gpu', () => {
  it('says nothing while all is well', () => {
    expect(healthSentence(health('healthy', { reason: 'canary_passed' }), 0)).toBeNull();
  });

  it('says why, and counts down to the next try', () => {
    const sick = health('quarantined', { reason: 'failed_two_jobs', until_ms: 240_000 });
    expect(healthSentence(sick, 0)).toBe(
      'Two different jobs failed here within ten minutes. Tried again with a test picture in 4 min.',
    );
    expect(healthSentence(sick, 200_000)).toContain('in 40 s');
    expect(healthSentence(sick, 240_000)).toContain('It is tried with a test picture now.');
  });

  it('tells a drain, a retirement and a loss apart', () => {
    expect(healthSentence(health('draining', { reason: 'operator_drained' }), 0)).toContain('until it is resumed');
    expect(healthSentence(health('failed', { reason: 'operator_retired' }), 0)).toContain('until it is resumed');
    expect(healthSentence(health('failed', { reason: 'lost' }), 0)).toContain('comes back by itself');
  });

  it('has words for every state, and shows the reason of a later server as it is', () => {
    for (const state of Object.keys(health_state) as HealthState[]) {
      if (state !== 'healthy') expect(healthSentence(health(state), 0)).not.toBe('');
    }
    expect(reasonSentence('fan_fell_off')).toBe('fan fell off.');
  });

  it('names a closed gpu by what closed it', () => {
    const gpu = makeGpu(0, { health: health('failed', { reason: 'operator_retired' }) });
    expect(stateWord('closed', gpu, text.gpu_state)).toBe('Retired');
    expect(stateWord('closed', makeGpu(0, { sharing: sharing('closed', [reason('too_hot')]) }), text.gpu_state)).toBe('Cooling down');
    expect(stateWord('closed', makeGpu(0), text.gpu_state)).toBe('Closed');
  });
});

describe('sharing', () => {
  it('names the program, its memory, and when we come back', () => {
    const others = sharing('closed', [reason('others_compute', { pid: 4711, name: 'python', bytes: 20 * kGiB })]);
    expect(sharingSentence(others, 60, 0)).toBe('python (pid 4711) uses 20 GiB; we come back 60 s after it has left.');
    expect(mayOverride(others)).toBe(true);
  });

  it('gives heat its figures and does not offer to ignore it', () => {
    const hot = sharing('closed', [reason('too_hot', { celsius: 91, ceiling_celsius: 87 })]);
    expect(sharingSentence(hot, 60, 0)).toBe('91 °C, above 87 °C: cooling down.');
    expect(mayOverride(hot)).toBe(false);
    expect(mayOverride(sharing('closed', [reason('quiet_hours'), reason('too_hot')]))).toBe(false);
  });

  it('ends quiet hours at a time of the clock', () => {
    const until_ms = new Date(2026, 10, 24, 18, 0).getTime();
    const now = new Date(2026, 10, 24, 9, 0).getTime();
    expect(sharingSentence(sharing('closed', [reason('quiet_hours', { until_ms })]), 60, now)).toBe('Quiet hours until 18:00.');
    expect(sharingSentence(sharing('leaving', [reason('quiet_hours', { until_ms })]), 60, now)).toBe(
      'Finishes what runs, then leaves: quiet hours until 18:00.',
    );
  });

  it('knows an override, and is silent while the gpu is ours', () => {
    expect(sharingSentence(sharing('open', []), 60, 0)).toBeNull();
    expect(sharingSentence(sharing('open', [], { overridden: true }), 60, 0)).toBe('Used although others may be here.');
  });

  it('never shows an unknown figure as zero', () => {
    const said = sharingSentence(sharing('closed', [reason('others_compute'), reason('busy_by_others'), reason('too_hot')]), 60, 0)!;
    expect(said).toContain('Another program uses memory here');
    expect(said).not.toMatch(/\b0 /);
    expect(said).toContain('Too hot: cooling down');
  });

  it('keeps a hostile name as plain text', () => {
    expect(processName(7, '<img src=x onerror=alert(1)>')).toBe('<img src=x onerror=alert(1)> (pid 7)');
    expect(processName(7, '  ')).toBe('pid 7');
    expect(processName(null, null)).toBe('another program');
  });
});

describe('figures', () => {
  it('are dashes where the driver says nothing', () => {
    const unknown = makeGpu(0, { memory_total_bytes: null, memory_used_bytes: null, memory_free_bytes: null });
    const rows = Object.fromEntries(detailRows(unknown));
    for (const name of ['Temperature', 'Power / limit', 'Energy', 'Clocks, core / memory', 'PCIe, now / most', 'Held back by']) {
      expect(rows[name], name).toBe('–');
    }
    expect(memoryParts(unknown)).toBeNull();
    expect(memoryWords(unknown)).toBe('– ours, – others, – free of –');
  });

  it('say what is known, a zero too', () => {
    const detail = makeDetail({ ecc_corrected: 0, ecc_uncorrected: 2, power_limit_watts: 350, temperature_slowdown_celsius: 92 });
    const rows = Object.fromEntries(detailRows(makeGpu(0, { power_watts: 120.4, temperature_celsius: 61, detail })));
    expect(rows['Memory errors, corrected / not']).toBe('0 / 2');
    expect(rows['Power / limit']).toBe('120 W / 350 W');
    expect(rows['Temperature']).toBe('61 °C, slows down at 92 °C');
  });

  it('decode what holds a gpu back', () => {
    expect(throttleWords(null)).toBe('–');
    expect(throttleWords([])).toBe('full speed');
    expect(throttleWords(['sw_power_cap', 'new_reason'])).toBe('power limit reached, new reason');
  });

  it('split the memory and never draw past its end', () => {
    const memory = { plan_bytes: 12 * kGiB, others_bytes: 6 * kGiB, believed_bytes: 7 * kGiB, discrepancy_bytes: null };
    const parts = memoryParts(makeGpu(0, { memory_used_bytes: 12 * kGiB, memory }));
    expect(parts).toEqual({ ours: 0.25, others: 0.25, plan: 0.5, tight: false });
    const wrong = memoryParts(makeGpu(0, { memory_used_bytes: 90 * kGiB, memory: { ...memory, others_bytes: 30 * kGiB } }))!;
    expect(wrong.ours + wrong.others).toBe(1);
  });

  it('count down in whole units, upwards', () => {
    expect([countdown(1, 1), countdown(1_001, 1), countdown(181_000, 1_000), countdown(3 * 3_600_000, 0)]).toEqual([
      'now', 'in 1 s', 'in 3 min', 'in 3 h',
    ]);
  });

  it('say what an alarm is about', () => {
    expect(alarmSentence({ fault: 'lost', suspect: 'driver', gpus: ['a', 'b'], since_ms: 0 })).toBe(
      '2 gpus left for the same kind of fault (lost by the driver): look at the driver.',
    );
  });
});

describe('the settings of gpus', () => {
  const gpu = makeGpu(1, { uuid: 'GPU-bbbb-1111' });

  it('know a gpu by its UUID, the beginning of it, or its number', () => {
    expect(['GPU-bbbb-1111', 'GPU-bbbb', '1'].map((entry) => isNamed(entry, gpu))).toEqual([true, true, true]);
    expect(['GPU-', '11', 'GPU-aaaa'].map((entry) => isNamed(entry, gpu))).toEqual([false, false, false]);
  });

  it('tick and untick a gpu and keep those that are away', () => {
    expect(withListed(['GPU-away', '1'], gpu, false)).toEqual(['GPU-away']);
    expect(withListed(['GPU-away'], gpu, true)).toEqual(['GPU-away', 'GPU-bbbb-1111']);
  });

  it('say why a gpu does not work', () => {
    const other = makeGpu(0);
    const why = (enabled: boolean, list: string[]) =>
      whyUnused(gpu, { 'multi_gpu.enabled': enabled, 'multi_gpu.gpus': list }, [other, gpu]);
    expect(why(false, ['0'])).toBe('off');
    expect(why(true, [])).toBe('limit');
    expect(why(true, ['0'])).toBe('unlisted');
    expect(why(true, ['0', '1'])).toBe('limit');
    expect(why(true, ['GPU-away'])).toBe('limit');
  });

  it('forget a wish that is empty', () => {
    const some = withWish({}, 'a', { quiet_hours: '22:00-7:00' });
    expect(withWish(some, 'a', { share: 'always' })).toEqual({ a: { quiet_hours: '22:00-7:00', share: 'always' } });
    expect(withWish(some, 'a', { quiet_hours: '' })).toEqual({});
  });

  it('keep a ceiling beside the other wishes, and forget it when the one of all gpus is to hold', () => {
    const some = withWish({ a: { share: 'polite' } }, 'a', { temperature_ceiling: 75 });
    expect(some).toEqual({ a: { share: 'polite', temperature_ceiling: 75 } });
    expect(withWish(some, 'a', { temperature_ceiling: undefined })).toEqual({ a: { share: 'polite' } });
  });

  it('tell how a ceiling is given', () => {
    expect([undefined, 'auto', 'off', 75].map(ceilingKind)).toEqual(['', 'auto', 'off', 'number']);
  });

  it('leave it to the server to refuse degrees that are no number', () => {
    expect(['75', ' 81.5 ', '-4', 'hot', ' '].map(typedCeiling)).toEqual([75, 81.5, -4, 'hot', ' ']);
  });
});
