// Takes the pictures of the page for the documentation: node tests/browser/screenshots.mjs [folder]
//
// A server of its own on virtual gpus makes some demo pictures first; then it slows down, so that the gpus are seen
// at work.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchBrowser, openPage } from './browser.mjs';
import { Server, until } from './server.mjs';

const folder = process.argv[2] ?? fileURLToPath(new URL('../../docs/screenshots', import.meta.url));

const kPictures = [
  ['demo-landscape', 'A lighthouse above a stormy sea, first light', 1024, 576],
  ['demo-portrait', 'Portrait of an old clockmaker, window light', 768, 768],
  ['demo-city', 'A narrow street in the rain, paper lanterns', 1280, 544],
  ['demo-abstract', 'Slow waves of colour, silk and smoke', 768, 768],
  ['demo-landscape', 'Mountain lake, mirror calm, distant peaks', 1280, 720],
  ['demo-city', 'Harbour at night, cranes and reflections', 1024, 432],
  ['demo-landscape', 'Desert road at dusk, long shadows', 1024, 576],
  ['demo-portrait', 'A red fox in the snow, morning haze', 768, 768],
];
// Long enough that each picture of the page finds every gpu at work.
const kWork = [...kPictures, ...kPictures, ...kPictures].map(([model, prompt, width, height], i) => ({
  model, prompt, width, height, count: 2 + (i % 3), steps: 120, profile: 'cinematic', keep_mine: true,
}));

await mkdir(folder, { recursive: true });
const server = await Server.start({ timeScale: 40 });
const browser = await launchBrowser();
try {
  await server.put('/settings', { 'multi_gpu.enabled': true, 'multi_gpu.max_gpus': 4 });
  const jobs = kPictures.map(([model, prompt, width, height]) => ({ model, prompt, width, height, count: 2, steps: 20, profile: 'photoreal' }));
  await server.post('/jobs', { jobs });
  const done = async () => (await server.get('/jobs?state=queued,held,running')).jobs.length === 0;
  await until('the demo pictures', done, 120_000);

  await server.end();
  server.flags[server.flags.indexOf('--time-scale') + 1] = '1';
  await server.launch();
  await server.put('/settings', { 'multi_gpu.enabled': true, 'multi_gpu.max_gpus': 4 });
  await server.post('/jobs', { jobs: kWork });

  const shoot = async (name, look, prepare) => {
    const { context, page, complaints } = await openPage(browser, { ...look, address: server.address });
    await page.locator('#connection[data-status="live"]').waitFor();
    await prepare(page);
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await context.close();
    if (complaints.length > 0) throw new Error(`${name}: ${complaints.join('\n')}`);
    console.log(join(folder, `${name}.png`));
  };
  // Previews say most when the noise has half gone.
  const atWork = (page) =>
    until(
      'previews on the gpus',
      () =>
        page.evaluate(() => {
          const cards = [...document.querySelectorAll('#gpus article')];
          const clear = cards.filter((card) => {
            const done = Number(card.querySelector('[role="progressbar"]')?.getAttribute('aria-valuenow'));
            return card.querySelector('.screen img') && done >= 50;
          });
          return clear.length >= 3;
        }),
      120_000,
    );
  const onDesktop = async (page) => {
    await page.locator('#prompt').fill('A paper crane on a windowsill, soft light');
    await page.locator('#prompt').blur();
    const seen = page.locator('#gallery img').first();
    await until('the gallery', () => seen.evaluate((image) => image.complete && image.naturalWidth > 0));
    await atWork(page);
  };
  const desktop = { width: 1440, height: 1240 };
  await shoot('desktop-dark', { ...desktop, colorScheme: 'dark' }, onDesktop);
  await shoot('desktop-light', { ...desktop, colorScheme: 'light' }, onDesktop);
  await shoot('phone', { width: 390, height: 844, colorScheme: 'dark' }, async (page) => {
    await page.locator('nav a[href="#gpus"]').click();
    await atWork(page);
  });
} finally {
  await browser.close();
  await server.remove();
}
