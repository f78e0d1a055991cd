// What a person does with the page, on a real server with virtual gpus, at two widths and in both themes. Nothing here
// waits for time to pass: each step waits for what a person would see.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { launchBrowser } from './browser.mjs';
import { Server, until } from './server.mjs';
import { assertAccessible, assertNoSideways, go, kLooks, visitPage } from './visit.mjs';

// About 5 s of work on one gpu at the test's time scale: long enough for others to wait behind it.
const kLongJob = { prompt: 'a long job', model: 'demo-landscape', steps: 200, count: 10, width: 256, height: 256 };

let server;
let browser;

before(async () => {
  server = await Server.start();
  browser = await launchBrowser();
});
after(async () => {
  await browser?.close();
  await server?.remove();
});
beforeEach(async () => {
  await server.settle();
  await server.put('/settings', { 'multi_gpu.enabled': false, 'multi_gpu.max_gpus': 4 });
});

const visit = (look, steps, expected, address) => visitPage({ browser, server, look, steps, expected, address });

async function fill(page, values) {
  await go(page, 'create');
  for (const [id, value] of Object.entries(values)) await page.locator(`#${id}`).fill(String(value));
}

const submit = (page) => page.locator('button[type="submit"]').click();

for (const look of kLooks) {
  describe(`at ${look.width} px, ${look.colorScheme}`, () => {
    test('the multi-GPU switch shows its limit and sets both', () =>
      visit(look, async (page) => {
        await go(page, 'gpus');
        const slider = page.locator('#max-gpus');
        const settings = (key, value) => until(`${key} = ${value}`, async () => (await server.get('/settings'))[key] === value);
        assert.equal(await slider.count(), 0, 'the slider shows although multi-GPU is off');
        assert.equal(await page.locator('#gpus article').count(), 4);

        await page.locator('#multi-gpu').check();
        await slider.waitFor();
        assert.equal(await slider.inputValue(), '4');
        assert.deepEqual([await slider.getAttribute('min'), await slider.getAttribute('max')], ['1', '8']);
        await settings('multi_gpu.enabled', true);

        await slider.focus();
        await page.keyboard.press('ArrowLeft');
        await settings('multi_gpu.max_gpus', 3);

        await page.locator('#multi-gpu').uncheck();
        await slider.waitFor({ state: 'detached' });
        await settings('multi_gpu.enabled', false);
      }));

    test('a setting made elsewhere shows here', () =>
      visit(look, async (page) => {
        await go(page, 'gpus');
        await server.put('/settings', { 'multi_gpu.enabled': true, 'multi_gpu.max_gpus': 2 });
        await page.locator('#max-gpus').waitFor();
        await until('the slider to follow', async () => (await page.locator('#max-gpus').inputValue()) === '2');
      }));

    test('a job shows its progress and then its pictures', () =>
      visit(look, async (page) => {
        await fill(page, { prompt: 'A lighthouse above a stormy sea', width: 512, height: 288, count: 10 });
        await page.locator('#profile').selectOption({ label: 'Cinematic' });
        await page.locator('#keep_mine').check();
        await fill(page, { steps: 200 });
        await submit(page);
        const accepted = page.locator('.notice', { hasText: /Job \d+ accepted/ });
        const id = Number(/Job (\d+)/.exec(await accepted.textContent())[1]);

        await go(page, 'queue');
        const row = page.locator(`#queue li[data-job="${id}"]`);
        await row.locator('[role="progressbar"]').waitFor();
        await go(page, 'gpus');
        const working = page.locator('#gpus article[data-state="busy"]');
        await working.first().waitFor();
        await working.locator('img').first().waitFor();

        await go(page, 'gallery');
        const published = await until('two pictures to be published', async () => {
          const images = (await server.get(`/jobs/${id}`)).images.filter((image) => image.state === 'published');
          return images.length >= 2 && images;
        });
        for (const image of published) {
          const tile = page.locator(`button[data-image="${image.id}"]`);
          await tile.waitFor();
          await tile.scrollIntoViewIfNeeded();
          await until('the thumbnail to load', () =>
            tile.locator('img').evaluate((picture) => picture.complete && picture.naturalWidth > 0),
          );
          assert.ok(await tile.getByText('demo', { exact: true }).isVisible(), 'a synthetic picture is not labelled');
        }
        const job = await server.get(`/jobs/${id}`);
        assert.equal(job.settings.steps, 200, 'the kept steps were replaced');
        assert.equal(job.requested.profile, 'cinematic');
      }));

    test('what a profile makes of the form shows before generating and is what is used', () =>
      visit(look, async (page) => {
        const profiles = (await server.get('/profiles')).profiles;
        const profile = profiles.find((other) => other.key === 'cinematic');
        await fill(page, { prompt: 'a clockmaker', negative_prompt: 'text', width: 256, height: 256, count: 1 });
        await page.locator('#profile').selectOption({ label: profile.title });
        const negative = `text, ${profile.negative_suffix}`;
        assert.equal((await page.locator('#effective-negative').textContent()).trim(), negative);
        assert.match(await page.locator('#effective-steps').textContent(), new RegExp(`^\\s*${profile.steps} steps`));
        assert.ok(await page.locator('#steps').isDisabled());

        await submit(page);
        const [job] = await until('the job', async () => {
          const { jobs } = await server.get('/jobs?limit=1');
          return jobs[0]?.requested.prompt === 'a clockmaker' && jobs;
        });
        assert.equal(job.settings.negative_prompt, negative);
        assert.equal(job.settings.steps, profile.steps);
      }));

    test('a waiting job can be cancelled', () =>
      visit(look, async (page) => {
        await server.post('/jobs', kLongJob);
        const { jobs } = await server.post('/jobs', { ...kLongJob, prompt: 'one too many' });
        const id = jobs[0].id;
        await go(page, 'queue');
        const row = page.locator(`#queue li[data-job="${id}"]`);
        await page.locator(`#queue li[data-job="${id}"][data-state="queued"]`).waitFor();
        await row.getByText('Next', { exact: true }).waitFor();
        await row.getByRole('button', { name: `Cancel job ${id}` }).click();
        await row.waitFor({ state: 'detached' });
        assert.equal((await server.get(`/jobs/${id}`)).state, 'cancelled');
        await page.getByRole('button', { name: /Show \d+ ended job/ }).click();
        await row.getByText('Cancelled', { exact: true }).waitFor();
      }));

    test('a waiting job says why it waits and when it will start', () =>
      visit(look, async (page) => {
        const { jobs } = await server.post('/jobs', { jobs: [kLongJob, { ...kLongJob, prompt: 'next' }, { ...kLongJob, prompt: 'then' }] });
        await go(page, 'queue');
        const outlook = (job) => page.locator(`#queue li[data-job="${job.id}"] .outlook`);
        await outlook(jobs[1]).filter({ hasText: /^Starts .+ · runs next on gpu \d+, free in \d+ s$/ }).waitFor();
        await outlook(jobs[2]).filter({ hasText: /^Starts (in about|within) .+ · one gpu takes the jobs in order: 1 job is in front of it$/ }).waitFor();
        assert.equal(await outlook(jobs[0]).count(), 0, 'a job that runs has no outlook');
        await assertNoSideways(page);
      }));

    test('a waiting job is moved, held and given a priority and a gpu, by keyboard', () =>
      visit(look, async (page) => {
        const { jobs } = await server.post('/jobs', { jobs: [1, 2, 3].map((n) => ({ ...kLongJob, prompt: `job ${n}` })) });
        const [, second, third] = jobs.map((job) => job.id);
        await go(page, 'queue');
        const rows = () => page.locator('#queue ul.list li').evaluateAll((all) => all.map((row) => Number(row.dataset.job)));
        const row = page.locator(`#queue li[data-job="${third}"]`);
        await row.getByText('#2 in line', { exact: true }).waitFor();
        await row.getByRole('button', { name: `Place, priority and GPU of job ${third}` }).focus();
        await page.keyboard.press('Enter');
        const dialog = page.locator('dialog[open]');
        await dialog.getByText('#2 in line', { exact: true }).waitFor();
        await dialog.getByRole('button', { name: 'Earlier' }).focus();
        await page.keyboard.press('Enter');
        await dialog.getByText('Next', { exact: true }).waitFor();
        await until('the row to move', async () => (await rows()).join() === [jobs[0].id, third, second].join());
        assert.ok((await server.get(`/jobs/${third}`)).rank < 0);

        await dialog.getByRole('button', { name: 'Hold' }).click();
        await dialog.getByText('Held by you', { exact: true }).waitFor();
        await dialog.getByRole('button', { name: 'Release' }).click();
        await dialog.getByText('Next', { exact: true }).waitFor();
        await dialog.getByLabel('Priority').selectOption('background');
        await dialog.getByText('#2 in line', { exact: true }).waitFor();
        await row.getByText('background', { exact: true }).waitFor();
        const gpu = (await server.get('/gpus')).gpus[1];
        await dialog.getByLabel('Runs on').selectOption(gpu.uuid);
        await until('the pin', async () => (await server.get(`/jobs/${third}`)).requested.gpu === gpu.uuid);
        await row.getByText('only on GPU 1', { exact: true }).waitFor();

        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'detached' });
        await until('the focus on what opened it', async () =>
          (await page.evaluate(() => document.activeElement?.getAttribute('aria-label')))?.endsWith(`of job ${third}`),
        );
      }));

    test('the queue pauses and goes on, for everybody and for one owner', () =>
      visit(look, async (page) => {
        await go(page, 'queue');
        await page.getByRole('button', { name: 'Pause', exact: true }).click();
        await page.getByText('Paused: no waiting job starts.', { exact: false }).waitFor();
        const { jobs } = await server.post('/jobs', { ...kLongJob, count: 1, steps: 4, owner: 'ada' });
        const row = page.locator(`#queue li[data-job="${jobs[0].id}"]`);
        await row.getByText('The queue is paused', { exact: true }).waitFor();
        await server.post('/queue/pause', { owner: 'ada' });
        await page.getByRole('button', { name: 'Resume', exact: true }).click();
        await page.getByText('Jobs of ada are paused.').waitFor();
        await page.getByRole('button', { name: 'Resume jobs of ada' }).click();
        await until('the job', async () => (await server.get(`/jobs/${jobs[0].id}`)).state === 'done');
        await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
      }));

    test('a cancelled job can be tried again', () =>
      visit(look, async (page) => {
        const { jobs } = await server.post('/jobs', { jobs: [kLongJob, { ...kLongJob, count: 2, steps: 4 }] });
        const [long, id] = jobs.map((job) => job.id);
        await server.post(`/jobs/${id}/cancel`);
        await go(page, 'queue');
        await page.getByRole('button', { name: /Show \d+ ended job/ }).click();
        const row = page.locator(`#queue li[data-job="${id}"]`);
        await row.getByRole('button', { name: `Try job ${id} again: 2 images to make` }).click();
        await page.locator(`#queue li[data-job="${id}"][data-state="queued"]`).waitFor();
        await server.post(`/jobs/${long}/cancel`);
        await until('the job', async () => (await server.get(`/jobs/${id}`)).state === 'done');
      }));

    test('a bad size is refused beside its field, and mending it clears the message', () =>
      visit(
        look,
        async (page) => {
          const before = (await server.get('/jobs?limit=1')).jobs[0]?.id;
          await fill(page, { prompt: 'too small', width: 7, height: 512 });
          await submit(page);
          const message = page.locator('#size-error');
          await message.waitFor();
          assert.match(await message.textContent(), /64/);
          assert.equal(await page.locator('#width').getAttribute('aria-invalid'), 'true');
          assert.equal(await page.locator('#width').getAttribute('aria-describedby'), 'size-error');
          assert.equal((await server.get('/jobs?limit=1')).jobs[0]?.id, before, 'a refused job was kept');
          await fill(page, { width: 512 });
          await message.waitFor({ state: 'detached' });
        },
        [/status of 400/],
      ));

    test('a picture opens large with its settings, by keyboard', () =>
      visit(look, async (page) => {
        const { jobs } = await server.post('/jobs', {
          prompt: 'a fox to look at', model: 'demo-landscape', width: 512, height: 288, steps: 4, count: 2, seed: 4711,
        });
        await until('the pictures', async () => (await server.get(`/jobs/${jobs[0].id}`)).state === 'done');
        const { images } = await server.get(`/jobs/${jobs[0].id}`);
        await go(page, 'gallery');
        await page.locator(`button[data-image="${images[1].id}"]`).focus();
        await page.keyboard.press('Enter');
        const dialog = page.locator('dialog[open]');
        await dialog.getByText('4712', { exact: true }).waitFor();
        await until('the picture to load', () =>
          dialog.locator('.stage img').evaluate((picture) => picture.complete && picture.naturalWidth === 512),
        );
        await page.keyboard.press('ArrowRight');
        await dialog.getByText('4711', { exact: true }).waitFor();
        await page.keyboard.press('Escape');
        await dialog.waitFor({ state: 'detached' });
        // A closed dialog gives the focus back to what opened it; the page then moves it to the picture shown last.
        await until('the focus on the picture shown last', async () => {
          const focused = await page.evaluate(() => document.activeElement?.getAttribute('data-image'));
          return focused === String(images[0].id);
        });

        await page.keyboard.press('Enter');
        await dialog.getByRole('button', { name: 'Reuse with this seed' }).click();
        await until('the form to be filled', async () => (await page.locator('#seed').inputValue()) === '4711');
        assert.equal(await page.locator('#prompt').inputValue(), 'a fox to look at');
        assert.equal(await page.locator('#steps').inputValue(), '4');
      }));

    test('every part can be used without seeing or pointing', () =>
      visit(look, async (page) => {
        const { jobs } = await server.post('/jobs', { prompt: 'a picture', steps: 4, width: 256, height: 256, count: 2 });
        await until('the pictures', async () => (await server.get(`/jobs/${jobs[0].id}`)).state === 'done');
        await server.put('/settings', { 'multi_gpu.enabled': true });
        await server.post('/jobs', { jobs: [kLongJob, { ...kLongJob, priority: 'background' }] });
        await server.post('/queue/pause', { owner: 'ada' });
        await server.post('/jobs', { ...kLongJob, owner: 'ada' });
        for (const section of ['create', 'queue', 'gallery', 'gpus']) {
          await go(page, section);
          await assertAccessible(page, section);
        }
        await go(page, 'queue');
        await page.getByRole('button', { name: /^Place, priority and GPU of job/ }).click();
        await page.locator('dialog[open]').waitFor();
        await assertAccessible(page, 'the menu of a job');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: 'Pause', exact: true }).click();
        await page.getByRole('button', { name: 'Resume', exact: true }).waitFor();
        await assertAccessible(page, 'a paused queue');
        await page.locator('#help').click();
        await page.locator('dialog[open]').waitFor();
        await assertAccessible(page, 'help');
        await page.keyboard.press('Escape');
        await go(page, 'gallery');
        await page.locator('button.tile').first().click();
        await page.locator('dialog[open] dl').waitFor();
        await assertAccessible(page, 'lightbox');
      }));

    test('nothing scrolls sideways, and the theme choice is kept', () =>
      visit(look, async (page) => {
        for (const section of ['create', 'queue', 'gallery', 'gpus']) {
          await go(page, section);
          await assertNoSideways(page);
        }
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const system = await ground();
        const other = look.colorScheme === 'dark' ? 'light' : 'dark';
        while ((await page.evaluate(() => document.documentElement.dataset.theme)) !== other) {
          await page.locator('#theme').click();
        }
        const chosen = await ground();
        assert.notEqual(chosen, system);
        await page.reload();
        await page.locator('#connection[data-status="live"]').waitFor();
        assert.equal(await ground(), chosen);
      }));
  });
}

describe('the service of a gpu', () => {
  const card = (page, index) => page.locator('#gpus article').nth(index);
  const act = async (page, index, ...names) => {
    await page.getByRole('button', { name: `Drain, resume or retire GPU ${index}` }).click();
    for (const name of names) await card(page, index).getByRole('button', { name, exact: true }).click();
  };

  for (const look of [kLooks[0], kLooks[3]]) {
    test(`drain and resume, at ${look.width} px`, () =>
      visit(look, async (page) => {
        await go(page, 'gpus');
        await act(page, 1, 'Drain');
        await card(page, 1).getByText('nothing new starts until it is resumed').waitFor();
        assert.equal((await server.get('/gpus')).gpus[1].health.reason, 'operator_drained');
        await assertAccessible(page, 'a drained gpu');
        await assertNoSideways(page);
        await act(page, 1, 'Resume');
        await card(page, 1).locator('.health').waitFor({ state: 'detached' });
      }));
  }

  test('retire asks first', () =>
    visit(kLooks[0], async (page) => {
      await act(page, 1, 'Retire', 'Keep it');
      assert.equal((await server.get('/gpus')).gpus[1].health.state, 'healthy');
      await page.keyboard.press('Escape');
      await act(page, 1, 'Retire', 'Yes, retire it');
      await card(page, 1).getByText('It takes no work until it is resumed').waitFor();
      await server.post('/gpus/1/resume');
      await card(page, 1).getByText('It takes no work until it is resumed').waitFor({ state: 'detached' });
    }));

  test('the terms of sharing are set, and a refusal stays beside its field', () =>
    visit(kLooks[0], async (page) => {
      await page.getByText('Which GPUs, and sharing them with others').click();
      await page.locator('#gpu-share').selectOption('idle_only');
      await until('the share', async () => (await server.get('/settings'))['sharing.share'] === 'idle_only');
      await page.locator('#gpu-quiet').locator('xpath=ancestor::details[1]/summary').click();
      await page.locator('#gpu-quiet').fill('-5');
      await page.locator('#gpu-quiet').blur();
      await page.locator('#gpu-quiet-error').waitFor();
      assert.equal(await page.locator('#gpu-quiet').inputValue(), '-5');
      await server.put('/settings', { 'sharing.share': 'auto' });
    }, [/status of 4\d\d/]));
});

describe('on an address that others reach', () => {
  let open;
  before(async () => {
    open = await Server.start({ gpus: '1x24GiB', more: ['--bind', '0.0.0.0'] });
  });
  after(() => open?.remove());
  const token = async () => (await readFile(join(open.folder, 'data', 'token'), 'utf8')).trim();
  const visitOpen = (hash, steps, expected) => visit(kLooks[0], steps, expected, open.address + hash);

  test('the printed address opens the page and leaves no token behind', async () =>
    visitOpen(`#token=${await token()}`, async (page) => {
      await page.locator('#connection[data-status="live"]').waitFor();
      assert.equal(await page.evaluate(() => location.href), open.address);
    }));

  test('without a token the page asks for it, refuses a wrong one and takes the right one', async () =>
    visitOpen(
      '',
      async (page) => {
        await page.locator('#token').fill('not the token');
        await page.keyboard.press('Enter');
        await page.getByText('did not accept this token').waitFor();
        await page.locator('#token').fill(await token());
        await page.keyboard.press('Enter');
        await page.locator('#connection[data-status="live"]').waitFor();
        await page.locator('#prompt').waitFor();
      },
      [/status of 40[13]/, /WebSocket/],
    ));
});

describe('when the server dies', () => {
  test('the page says so, comes back by itself and has lost nothing', () =>
    visit(
      kLooks[0],
      async (page) => {
        const { jobs } = await server.post('/jobs', { prompt: 'before', steps: 4, width: 256, height: 256 });
        const id = jobs[0].id;
        await until('the picture', async () => (await server.get(`/jobs/${id}`)).state === 'done');
        const [image] = (await server.get(`/jobs/${id}`)).images;
        await server.end('SIGKILL');
        await page.getByRole('button', { name: 'Try now' }).waitFor();
        await server.launch();
        await page.locator('#connection[data-status="live"]').waitFor();
        await page.locator(`button[data-image="${image.id}"]`).waitFor();

        await fill(page, { prompt: 'after', width: 256, height: 256, count: 1 });
        await submit(page);
        await page.locator('.notice', { hasText: /Job \d+ accepted/ }).waitFor();
      },
      [/WebSocket/, /ERR_CONNECTION_REFUSED/, /ERR_EMPTY_RESPONSE/, /ERR_CONNECTION_RESET/],
    ));
});
