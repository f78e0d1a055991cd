import { describe, expect, it } from 'vitest';
import { ago, bytes, duration, percent, plural, shortUuid, startsIn } from './format';

describe('format', () => {
  it('writes sizes in binary units and unknown as a dash', () => {
    expect(bytes(24 * 2 ** 30)).toBe('24 GiB');
    expect(bytes(6.25 * 2 ** 30)).toBe('6.3 GiB');
    expect(bytes(1.5 * 2 ** 20)).toBe('1.5 MiB');
    expect(bytes(2048)).toBe('2 KiB');
    expect(bytes(null)).toBe('–');
  });

  it('writes ratios and durations', () => {
    expect(percent(0.256)).toBe('26 %');
    expect(percent(null)).toBe('–');
    expect(duration(3.14)).toBe('3.1 s');
    expect(duration(125)).toBe('2 min 5 s');
    expect(duration(3720)).toBe('1 h 2 min');
  });

  it('writes how long ago', () => {
    expect(ago(null, 0)).toBe('');
    expect(ago(1_000, 3_000)).toBe('just now');
    expect(ago(0, 120_000)).toBe('2 min ago');
    expect(ago(0, 3 * 3_600_000)).toBe('3 h ago');
  });

  it('writes when something will start', () => {
    expect(startsIn(120_000, 240_000, 0)).toBe('in about 2–4 min');
    expect(startsIn(11_000, 12_000, 1_000)).toBe('in about 10–11 s');
    expect(startsIn(10_000, 10_200, 0)).toBe('in about 10 s');
    expect(startsIn(0, 30_000, 1_000)).toBe('within 29 s');
    expect(startsIn(0, 1_000, 5_000)).toBe('any moment now');
    expect(startsIn(600_000, null, 0)).toBe('in 10 min at the earliest');
    expect(startsIn(2 * 3_600_000, 3 * 3_600_000, 0)).toBe('in about 2–3 h');
  });

  it('writes counts and short identities', () => {
    expect(plural(1, 'image')).toBe('1 image');
    expect(plural(4, 'image')).toBe('4 images');
    expect(shortUuid('GPU-1234abcd-0000-1111-2222-99aabbccddee')).toBe('bbccddee');
    expect(shortUuid('cpu')).toBe('cpu');
  });
});
