// Light, dark, or as the system: kept per browser, applied as an attribute that the style sheet reads.
export type Theme = 'system' | 'light' | 'dark';

const kKey = 'pixelfleet.theme';
const kCycle: Record<Theme, Theme> = { system: 'dark', dark: 'light', light: 'system' };

class ThemeChoice {
  value = $state<Theme>('system');

  /** Called before the first paint. */
  restore(): void {
    try {
      const saved = localStorage.getItem(kKey);
      if (saved === 'light' || saved === 'dark') this.value = saved;
    } catch {
      // No storage: as the system.
    }
    this.apply();
  }

  next(): void {
    this.value = kCycle[this.value];
    try {
      if (this.value === 'system') localStorage.removeItem(kKey);
      else localStorage.setItem(kKey, this.value);
    } catch {
      // Not kept; it still holds for this tab.
    }
    this.apply();
  }

  private apply(): void {
    if (this.value === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.value;
  }
}

export const theme = new ThemeChoice();
