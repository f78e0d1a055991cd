// What a person sees and does when gpus are shared, fall ill and come back: the page of a real server whose driver is
// the scripted one of tests/fake_nvml. Nothing here waits for time to pass: each step waits for what a person would see.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launchBrowser } from './browser.mjs';
import { Server, until } from './server.mjs';
import { assertAccessible, assertNoSideways, go, kLooks, visitPage } from './visit.mjs';

const kDesktop = kLooks[0];
const kPhone = kLooks[3];
const kA = 'GPU-aaaa-0000';
const kB = 'GPU-bbbb-1111';
const kTwo = `gpu 0 uuid=${kA} name="Card A" mem=24576 ; gpu 1 uuid=${kB} name="Card B" mem=24576\n`;
const kQuick = { prompt: 'a quick job', model: 'demo-landscape', steps: 4, width: 128, height: 128 };
// A chunk of it takes a second or two at the time scale of these tests.
const kLong = { ...kQuick, prompt: 'a long job', steps: 200, count: 4, width: 256, height: 256 };

const others = (gpu, gib) =>
  `gpu ${gpu} mem used=${gib}GiB process 4711 compute ${gib}GiB ; gpu ${gpu} process 4711 name train.py\n`;
const card = (page, index) => page.locator('#gpus article').nth(index);
const stateOf = (page, index) => card(page, index).locator('header .state');
const says = (page, index, hasText) => stateOf(page, index).filter({ hasText }).waitFor();

async function order(page, index, ...names) {
  await page.getByRole('button', { name: `Drain, resume or retire GPU ${index}` }).click();
  for (const name of names) await card(page, index).getByRole('button', { name, exact: true }).click();
}

let browser;
before(async () => {
  browser = await launchBrowser();
});
after(() => browser?.close());

/** A visit to a server of its own with these gpus. */
async function visit({ look = kDesktop, script = kTwo, expected, ...options }, steps) {
  const server = await Server.startWithDriver(script, options);
  try {
    await visitPage({ browser, server, look, expected, steps: (page) => steps(page, server) });
  } finally {
    await server.remove();
  }
}

const untilDone = (server, id) => until(`job ${id}`, async () => (await server.get(`/jobs/${id}`)).state === 'done');

describe('gpus that others compute on', () => {
  for (const look of kLooks) {
    test(`say who it is, and one is used anyway, at ${look.width} px, ${look.colorScheme}`, () =>
      visit({ look, script: kTwo + others(0, 3) + others(1, 3) }, async (page, server) => {
        await go(page, 'gpus');
        for (const index of [0, 1]) {
          await says(page, index, /^\s*Closed/);
          await card(page, index).getByText(/train\.py \(pid 4711\) uses 3 GiB; we come back 60 s after it has left/).waitFor();
        }
        await assertNoSideways(page);
        await assertAccessible(page, 'closed gpus');

        const { jobs } = await server.post('/jobs', kQuick);
        await go(page, 'queue');
        const row = page.locator(`#queue li[data-job="${jobs[0].id}"]`);
        await row.locator('.outlook').filter({ hasText: 'gpu 0' }).waitFor();
        await assertNoSideways(page);
        await assertAccessible(page, 'a job that waits for a closed gpu');
        await row.getByRole('button', { name: 'Use GPU 0 anyway' }).click();
        await untilDone(server, jobs[0].id);

        await go(page, 'gpus');
        await card(page, 0).getByText(/Used although others may be here, until \d\d:\d\d/).waitFor();
        await says(page, 0, 'Idle');
        await says(page, 1, 'Closed');
        await assertAccessible(page, 'a gpu that is used anyway');
        await card(page, 0).getByRole('button', { name: 'Share again' }).click();
        await says(page, 0, 'Closed');
        await card(page, 1).getByRole('button', { name: 'Use it anyway' }).click();
        await says(page, 1, 'Idle');
      }));
  }

  for (const look of [kDesktop, kPhone]) {
    test(`come back by themselves when these have left, at ${look.width} px`, () =>
      visit({ look, settings: { 'sharing.quiet_seconds': 3 } }, async (page, server) => {
        await go(page, 'gpus');
        await server.post('/jobs', { jobs: Array(40).fill(kLong) });
        for (const index of [0, 1]) await says(page, index, 'Working');
        await server.driverSays(kTwo + others(1, 12));
        await says(page, 1, 'Closed');
        await card(page, 1).getByText('train.py (pid 4711) uses 12 GiB').waitFor();
        await card(page, 1).getByText('no model in memory').waitFor();
        await says(page, 0, 'Working');
        await server.driverSays(kTwo);
        await card(page, 1).getByText(/Others have left; we come back in \d s/).waitFor();
        await says(page, 1, 'Working');
        assert.equal(await card(page, 1).locator('.sharing').count(), 0);
      }));
  }
});

describe('gpus that fall ill', () => {
  for (const look of kLooks) {
    test(`say what happened with evidence, and are resumed from the menu, at ${look.width} px, ${look.colorScheme}`, () =>
      visit({ look }, async (page, server) => {
        await go(page, 'gpus');
        await says(page, 1, 'Idle');
        await server.driverSays(`${kTwo}gpu 1 recovery reset\n`);
        await says(page, 1, 'Out of service');
        await card(page, 1).getByText('The driver says that it needs a reset. Reset it, or restart the machine').waitFor();
        await card(page, 1).locator('.health summary').click();
        await card(page, 1).locator('.health pre').filter({ hasText: /reset/ }).waitFor();
        await assertNoSideways(page);
        await assertAccessible(page, 'a gpu that needs a reset');

        await server.driverSays(`${kTwo}gpu 1 recovery none\n`);
        await says(page, 1, 'In quarantine');
        await card(page, 1).getByText(/Tried again with a test picture in \d+ s/).waitFor();
        await assertAccessible(page, 'a gpu in quarantine');
        await order(page, 1, 'Resume');
        await card(page, 1).getByText('On probation.').waitFor();
        await says(page, 1, 'Idle');
        const { jobs } = await server.post('/jobs', { jobs: [1, 2, 3].map((seed) => ({ ...kQuick, seed, gpu: kB })) });
        for (const { id } of jobs) await untilDone(server, id);
        await card(page, 1).locator('.health').waitFor({ state: 'detached' });
        await card(page, 1).locator('.details > summary').click();
        await card(page, 1).locator('.details').getByText('Its work went well again.').waitFor();
        await assertAccessible(page, 'the details of a gpu');
      }));
  }

  test('several at once raise an alarm, which is gone after the restart of the machine that it asks for', () =>
    visit({ expected: [/WebSocket/, /ERR_CONNECTION_REFUSED/, /ERR_EMPTY_RESPONSE/, /ERR_CONNECTION_RESET/] }, async (page, server) => {
      await says(page, 1, 'Idle');
      assert.equal(await page.locator('#gpus .alarm').count(), 0);
      await server.driverSays(`${kTwo}gpu 0 recovery reboot ; gpu 1 recovery reboot\n`);
      const alarm = page.locator('#gpus [role="alert"] .alarm');
      await alarm.filter({ hasText: '2 gpus left for the same kind of fault (in need of a restart of the machine): look at the driver.' }).waitFor();
      for (const index of [0, 1]) await card(page, index).getByText('Restart the machine; it comes back by itself.').waitFor();
      await assertNoSideways(page);
      await assertAccessible(page, 'an alarm');

      await server.end();
      await page.getByRole('button', { name: 'Try now' }).waitFor();
      await server.driverSays(kTwo);
      await server.launch();
      await alarm.waitFor({ state: 'detached' });
      for (const index of [0, 1]) await says(page, index, /In quarantine|Idle/);
      const { jobs } = await server.post('/jobs', kQuick);
      await order(page, 0, 'Resume');
      await untilDone(server, jobs[0].id);
    }));

  test('are drained while they work, retired while they work, and resumed, from the menu', () =>
    visit({}, async (page, server) => {
      await server.post('/jobs', { jobs: Array(40).fill(kLong) });
      for (const index of [0, 1]) await says(page, index, 'Working');
      await order(page, 1, 'Drain');
      await says(page, 1, 'Drained');
      await says(page, 0, 'Working');
      await order(page, 1, 'Resume');
      await says(page, 1, 'Working');
      await order(page, 0, 'Retire', 'Yes, retire it');
      await says(page, 0, 'Retired');
      await card(page, 0).getByText('Somebody retired it. It takes no work until it is resumed.').waitFor();
      await says(page, 1, 'Working');
      await order(page, 0, 'Resume');
      await says(page, 0, 'Working');
      const failed = (await server.get('/jobs?state=failed')).jobs;
      assert.deepEqual(failed, [], 'nobody is charged for what the operator does');
    }));
});

test('the list of gpus says which ones work, and is kept', () =>
  visit({}, async (page, server) => {
    const open = () => page.getByText('Which GPUs, and sharing them with others').click();
    const tick = () => page.locator(`input[data-gpu="${kB}"]`);
    await server.post('/jobs', { jobs: Array(40).fill(kLong) });
    for (const index of [0, 1]) await says(page, index, 'Working');
    await open();
    await tick().check();
    await card(page, 0).getByText('Not used: others were chosen').waitFor();
    await says(page, 1, 'Working');
    await page.reload();
    await open();
    assert.ok(await tick().isChecked());
    await tick().uncheck();
    await says(page, 0, 'Working');
    assert.deepEqual((await server.get('/settings'))['multi_gpu.gpus'], []);
  }));

for (const look of kLooks) {
  test(`the one gpu while multi-GPU is off, and each one's ceiling, are chosen, at ${look.width} px, ${look.colorScheme}`, () =>
    visit(
      { look, settings: { 'multi_gpu.enabled': false }, expected: [/status of 400/] },
      async (page, server) => {
        await go(page, 'gpus');
        await page.getByText('Which GPUs, and sharing them with others').click();
        await page.getByLabel('While multi-GPU is off, use').selectOption({ label: '1 Card B' });
        await server.post('/jobs', { jobs: Array(40).fill(kLong) });
        await says(page, 1, 'Working');
        await card(page, 0).getByText('Not used: multi-GPU is off').waitFor();

        const ceiling = page.getByLabel('Temperature ceiling of GPU 1');
        await ceiling.selectOption('A number');
        const degrees = page.getByLabel('Ceiling of GPU 1 in degrees Celsius');
        await degrees.fill('900');
        await degrees.blur();
        await page.getByRole('alert').filter({ hasText: 'whole degrees Celsius from 30 to 120' }).waitFor();
        assert.equal(await degrees.inputValue(), '900', 'what was refused stays as it was typed');
        await assertNoSideways(page);
        await assertAccessible(page, 'the settings of gpus, with an error');
        await degrees.fill('40');
        await degrees.blur();
        await server.driverSays(`${kTwo}gpu 1 temp 55\n`);
        await says(page, 1, 'Cooling down');
        await card(page, 1).getByText('55 °C, above 40 °C: cooling down').waitFor();
        await ceiling.selectOption('Off');
        await says(page, 1, 'Working');
        await ceiling.selectOption('As above');
        await until('no wish for that gpu', async () => !((await server.get('/settings'))['sharing.gpus'][kB]));
        await assertAccessible(page, 'the settings of gpus');
      },
    ));
}

for (const look of [kDesktop, kPhone]) {
  test(`a driver that hangs costs the readings only, at ${look.width} px`, () =>
    visit({ look }, async (page, server) => {
      await go(page, 'gpus');
      await says(page, 1, 'Idle');
      await server.driverSays(`${kTwo}call nvmlDeviceGetMemoryInfo hang\n`);
      const notice = page.locator('#gpus .notice').filter({ hasText: /^No live readings: .*does not answer/ });
      await notice.waitFor();
      await assertNoSideways(page);
      await assertAccessible(page, 'without telemetry');
      const { jobs } = await server.post('/jobs', { jobs: [kQuick, kQuick] });
      for (const { id } of jobs) await untilDone(server, id);
      await go(page, 'gallery');
      const [image] = (await server.get(`/jobs/${jobs[1].id}`)).images;
      await page.locator(`button[data-image="${image.id}"]`).waitFor();
    }));
}
