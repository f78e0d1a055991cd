import { describe, expect, it } from 'vitest';
import { ago, bytes, duration, percent, plural, shortUuid } from './format';

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

  it('writes counts and short identities', () => {
    expect(plural(1, 'image')).toBe('1 image');
    expect(plural(4, 'image')).toBe('4 images');
    expect(shortUuid('GPU-1234abcd-0000-1111-2222-99aabbccddee')).toBe('bbccddee');
    expect(shortUuid('cpu')).toBe('cpu');
  });
});
