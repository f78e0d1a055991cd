// Starts the browser that is installed on the machine, with a profile of its own and nothing that calls home.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const kCandidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

export function browserPath() {
  const path = process.env.PIXELFLEET_BROWSER ?? kCandidates.find((candidate) => existsSync(candidate));
  if (!path) throw new Error('No browser found. Install the package chromium, or name one in PIXELFLEET_BROWSER.');
  return path;
}

export async function launchBrowser() {
  return chromium.launch({
    executablePath: browserPath(),
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** A page that remembers everything a visitor should never cause: console errors, exceptions, policy violations. */
export async function openPage(browser, { width, height, colorScheme, address }) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    reducedMotion: 'reduce',
    hasTouch: width < 600,
  });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (line) => {
    if (line.type() === 'error' || line.type() === 'warning') complaints.push(`console ${line.type()}: ${line.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`));
  await page.exposeFunction('reportPolicyViolation', (what) => complaints.push(`policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reportPolicyViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile ?? ''}`);
    });
  });
  if (address) await page.goto(address);
  return { context, page, complaints };
}
