// A visit to the page: at which size and in which theme, what is done there, and that the browser had nothing to
// complain about meanwhile.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { openPage } from './browser.mjs';

const kAxe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const kLooks = [
  { width: 1280, height: 900, colorScheme: 'dark' },
  { width: 1280, height: 900, colorScheme: 'light' },
  { width: 390, height: 844, colorScheme: 'dark' },
  { width: 390, height: 844, colorScheme: 'light' },
];

/** Opens the page, runs the steps, and checks that the browser had nothing to complain about but what is `expected`. */
export async function visitPage({ browser, server, look, steps, expected = [], address = server.address }) {
  const { context, page, complaints } = await openPage(browser, { ...look, address });
  page.setDefaultTimeout(20_000);
  try {
    if (address === server.address) await page.locator('#connection[data-status="live"]').waitFor();
    await steps(page);
    const surprises = complaints.filter((line) => !expected.some((pattern) => pattern.test(line)));
    assert.deepEqual(surprises, []);
  } catch (error) {
    error.message += `\n--- browser:\n${complaints.join('\n')}\n--- server:\n${server.output.slice(-4000)}`;
    throw error;
  } finally {
    await context.close();
  }
}

/** On a phone one section shows at a time. */
export async function go(page, section) {
  const link = page.locator(`nav a[href="#${section}"]`);
  if (await link.isVisible()) await link.click();
  await page.locator(`#${section}`).waitFor({ state: 'visible' });
}

export async function assertNoSideways(page) {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0, 'the page scrolls sideways');
}

/** What a rule-checker finds against WCAG 2.2 AA on what shows now. */
export async function assertAccessible(page, where) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(kAxe);
  const found = await page.evaluate(async () => {
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const { violations } = await window.axe.run(document, { runOnly: tags, resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`));
  });
  assert.deepEqual(found, [], where);
}
