// A fake of the server for working on the page alone: `npm run build && npm run fake -- [port] [scene] [speed]`.
//
// It keeps the API's shapes and the content policy but decides nothing: jobs move along a clock, pictures are drawn
// as SVG. Scenes: busy (default), idle, empty, trouble, login. No test uses it; tests run against the real program.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { WebSocketServer } from 'ws';

const port = Number(process.argv[2] ?? 7865);
const scene = process.argv[3] ?? 'busy';
const stepsPerTick = Number(process.argv[4] ?? 1);
const dist = fileURLToPath(new URL('../dist', import.meta.url));
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const kGiB = 2 ** 30;
const kTickMs = 250;

const prompts = [
  'A lighthouse above a stormy sea, first light',
  'A red fox in the snow, morning haze',
  'Portrait of an old clockmaker, window light',
  'A narrow street in the rain, paper lanterns',
  'Mountain lake, mirror calm, distant peaks',
  'Desert road at dusk, long shadows',
];
const model = (key, title, change = {}) => ({
  key, title, family: 'sdxl', engine: 'synthetic', demo: true, state: 'installed', reason: null,
  memory_bytes: 7 * kGiB, file_bytes: 6.5 * kGiB, parts: [],
  defaults: { width: 1024, height: 576, steps: 26, cfg_scale: 7.5, sampler: 'default', scheduler: 'default' },
  limits: { min_side: 64, max_side: 4096, max_steps: 200, size_multiple: 8 }, ...change,
});
const profile = (key, title, prompt_suffix, negative_suffix, steps, sampler) => ({
  key, title, aliases: [], prompt_suffix, negative_suffix, steps, sampler,
});

const state = {
  seq: 100,
  settings: { 'multi_gpu.enabled': scene === 'busy', 'multi_gpu.max_gpus': 4, 'multi_gpu.single_gpu': '' },
  queue: { paused_all: false, paused_owners: [] },
  telemetry: { state: 'ok', reason: null },
  models: [
    model('demo-landscape', 'Demo Landscape'),
    model('demo-portrait', 'Demo Portrait'),
    model('demo-city', 'Demo City'),
    model('sdxl-base', 'SDXL Base 1.0', { demo: false, engine: 'sdcpp', state: 'not_installed', reason: 'no file' }),
  ],
  profiles: [
    profile('none', 'None / Raw', '', '', null, null),
    profile('photoreal', 'Photoreal', 'natural light, photograph', 'illustration, painting, cgi, oversaturated', 26, 'dpm++2m'),
    profile('cinematic', 'Cinematic', 'film still, anamorphic', 'flat light, snapshot, watermark', 30, 'euler'),
  ],
  jobs: new Map(),
  images: [],
  gpus: Array.from({ length: scene === 'empty' ? 1 : 4 }, (_, index) => ({
    uuid: `VIRTUAL-0000000${index}-24GiB`, index, name: 'Virtual GPU 24 GiB', kind: 'virtual', state: 'idle',
    memory_total_bytes: 24 * kGiB, memory_used_bytes: 0.4 * kGiB, memory_free_bytes: 23.6 * kGiB,
    utilization_ratio: 0, temperature_celsius: 38 + index, power_watts: 55, resident_models: [], loading_model: null, job: null,
  })),
};
let nextJob = 1;
let nextImage = 1;
const sockets = new Set();

function say(type, data, durable = true) {
  const frame = JSON.stringify({ seq: durable ? ++state.seq : null, type, at: Date.now(), data });
  for (const socket of sockets) socket.send(frame);
}

function counts() {
  const result = { queued: 0, held: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
  for (const job of state.jobs.values()) result[job.state] += 1;
  return result;
}

function snapshot() {
  const jobs = [...state.jobs.values()].sort((a, b) => b.id - a.id);
  return {
    seq: state.seq,
    server: {
      version: '0.1.0', instance_id: 'fake', started_at_ms: Date.now(), output_dir: '/srv/output_images',
      multi_gpu_available: state.gpus.length > 1,
    },
    settings: state.settings, gpus: state.gpus, telemetry: state.telemetry,
    host_memory: { limit_bytes: 0, used_bytes: 0, staging: null, staged: [], disk_bytes_per_second: null },
    scheduler: { prediction_error: { load: null, run: null } }, counts: counts(), queue: state.queue, jobs,
    images: state.images.slice(-60).reverse(), models: state.models, profiles: state.profiles,
    default_model: 'demo-landscape',
  };
}

function addJob(request, change = {}) {
  const id = nextJob++;
  const used = state.profiles.find((other) => other.key === (request.profile ?? 'none')) ?? state.profiles[0];
  const join = (a, b) => [a, b].filter(Boolean).join(', ');
  const mine = request.keep_mine !== false;
  const job = {
    id, run_id: id, state: 'queued', held_reason: null, priority: request.priority ?? 'normal', rank: 0, owner: 'local',
    requested: request,
    settings: {
      prompt: join(request.prompt, used.prompt_suffix),
      negative_prompt: join(request.negative_prompt, used.negative_suffix),
      model: request.model ?? 'demo-landscape', profile: used.key, mode: 'txt2img',
      width: request.width ?? 1024, height: request.height ?? 576,
      generate_width: Math.ceil((request.width ?? 1024) / 64) * 64,
      generate_height: Math.ceil((request.height ?? 576) / 64) * 64,
      steps: (mine ? request.steps : (used.steps ?? request.steps)) ?? 26, cfg_scale: request.cfg_scale ?? 7.5,
      sampler: (mine ? request.sampler : (used.sampler ?? request.sampler)) ?? 'default', scheduler: 'default', strength: null,
    },
    seed_base: 1000 + id * 17, count: request.count ?? 1, published: 0, partial: false,
    cancel_requested: false, error: null, warnings: [],
    run_dir: 'run_20261124_091530', created_at_ms: Date.now(), started_at_ms: null, finished_at_ms: null, progress: null,
    ...change,
  };
  if (request.seed >= 0) job.seed_base = request.seed;
  state.jobs.set(id, job);
  say('job.created', { job });
  return job;
}

function changeJob(job, change) {
  const next = { ...state.jobs.get(job.id), ...change };
  state.jobs.set(job.id, next);
  say('job.updated', { job: next });
  return next;
}

function publish(job, gpu) {
  const id = nextImage++;
  const image = {
    id, job_id: job.id, index: job.published, state: 'published', seed: job.seed_base + job.published,
    path: `${job.run_dir}/20261124_091530_photoreal_picture_seed${job.seed_base}_0${job.published + 1}.png`,
    url: `/api/v1/images/${id}/file`, thumbnail_url: `/api/v1/images/${id}/thumbnail`,
    width: job.settings.width, height: job.settings.height, bytes: 1_300_000, gpu, seconds: 3.4,
    published_at_ms: Date.now(), demo: true,
  };
  state.images.push(image);
  say('image.published', { image, job_id: job.id });
}

function drawing(seed, width, height, clear = 1) {
  const hue = (seed * 47) % 360;
  const wave = (base, swing, phase) => {
    let path = `M0 ${height}`;
    for (let x = 0; x <= width; x += width / 24) {
      path += ` L${x.toFixed(0)} ${(base + swing * Math.sin(x / (width / 7) + phase) + (swing / 2) * Math.sin(x / (width / 19) + phase * 3)).toFixed(0)}`;
    }
    return `${path} L${width} ${height}Z`;
  };
  const blur = (1 - clear) * 40;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<defs><linearGradient id="s" x2="0" y2="1"><stop stop-color="hsl(${hue} 45% 38%)"/><stop offset=".65" stop-color="hsl(${(hue + 40) % 360} 70% 76%)"/></linearGradient>
<filter id="b"><feGaussianBlur stdDeviation="${blur}"/></filter></defs>
<g filter="url(#b)"><rect width="${width}" height="${height}" fill="url(#s)"/>
<circle cx="${width * (0.25 + ((seed * 13) % 50) / 100)}" cy="${height * 0.42}" r="${height * 0.09}" fill="hsl(${(hue + 30) % 360} 90% 90%)"/>
<path d="${wave(height * 0.62, height * 0.06, seed)}" fill="hsl(${(hue + 10) % 360} 32% 46%)"/>
<path d="${wave(height * 0.74, height * 0.05, seed * 2)}" fill="hsl(${hue} 34% 30%)"/>
<path d="${wave(height * 0.88, height * 0.03, seed * 3)}" fill="hsl(${(hue + 350) % 360} 40% 15%)"/></g></svg>`;
}

// A small PNG: noise that clears into the drawing's sky and hills.
function preview(seed, clear) {
  const [width, height] = [96, 54];
  const rows = Buffer.alloc(height * (1 + width * 3));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const hill = height * (0.6 + 0.12 * Math.sin(x / 14 + seed) + 0.05 * Math.sin(x / 5 + seed * 3));
      const light = y < hill ? 0.45 + (0.45 * y) / height : 0.55 - (0.4 * y) / height;
      for (let c = 0; c < 3; c++) {
        const hue = 0.75 + 0.25 * Math.sin((seed * 0.82) + c * 2.1);
        const value = 255 * (light * hue * clear + Math.random() * (1 - clear));
        rows[y * (1 + width * 3) + 1 + x * 3 + c] = Math.max(0, Math.min(255, value));
      }
    }
  }
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const edge = Buffer.alloc(8);
    edge.writeUInt32BE(data.length, 0);
    edge.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([edge.subarray(0, 4), body, edge.subarray(4)]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const parts = [magic, chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat(parts).toString('base64');
}

function tick() {
  for (const gpu of state.gpus) {
    if (gpu.job === null) {
      const job = [...state.jobs.values()].filter((other) => other.state === 'queued').sort((a, b) => a.id - b.id)[0];
      const allowed = gpu.index < (state.settings['multi_gpu.enabled'] ? state.settings['multi_gpu.max_gpus'] : 1);
      if (job && allowed) {
        const cold = !gpu.resident_models.includes(job.settings.model);
        Object.assign(gpu, { job: job.id, state: cold ? 'loading' : 'busy', step: cold ? -6 : 0 });
        changeJob(job, { state: 'running', started_at_ms: Date.now() });
        say('gpu.changed', { gpu });
      }
    } else {
      let job = state.jobs.get(gpu.job);
      if (job.state === 'running') {
        const before = gpu.step;
        gpu.step += stepsPerTick;
        if (before < 0 && gpu.step >= 0) {
          Object.assign(gpu, { state: 'busy', resident_models: [job.settings.model], memory_used_bytes: 7.9 * kGiB });
          say('gpu.changed', { gpu });
        }
        const steps = job.settings.steps;
        const phase = gpu.step < 0 ? 'load' : gpu.step > steps ? 'decode' : 'sample';
        say('job.progress', {
          job_id: job.id,
          progress: { gpu: gpu.uuid, image_index: job.published, phase, step: Math.max(0, Math.min(gpu.step, steps)), steps, ratio: 0 },
        }, false);
        if (gpu.step > 0) {
          const clear = Math.min(1, gpu.step / steps);
          const frame = { job_id: job.id, image_index: job.published, step: gpu.step, steps, media_type: 'image/png' };
          say('image.preview', { ...frame, base64: preview(job.seed_base + job.published, clear) }, false);
        }
        if (gpu.step > steps + 1) {
          publish(job, gpu.uuid);
          job = changeJob(job, { published: job.published + 1 });
          gpu.step = 0;
          if (job.published === job.count) job = changeJob(job, { state: 'done', finished_at_ms: Date.now() });
        }
      }
      if (job.state !== 'running') {
        Object.assign(gpu, { job: null, state: 'idle' });
        say('gpu.changed', { gpu });
      }
    }
    const busy = gpu.state === 'busy';
    gpu.utilization_ratio = busy ? 0.9 + 0.1 * Math.random() : gpu.state === 'loading' ? 0.1 : 0.01;
    gpu.temperature_celsius += (busy ? 71 - gpu.temperature_celsius : 38 - gpu.temperature_celsius) * 0.05;
    gpu.power_watts = busy ? 290 + 20 * Math.random() : 55;
  }
  say('gpu.sample', { gpus: state.gpus }, false);
}

function fillScene() {
  if (['idle', 'empty', 'login'].includes(scene)) return;
  const sizes = [[1024, 576], [768, 768], [1280, 544], [576, 1024], [1024, 432], [1536, 472]];
  for (let i = 0; i < 14; i++) {
    const [width, height] = sizes[i % sizes.length];
    const job = addJob({ prompt: prompts[i % prompts.length], profile: 'photoreal', width, height, count: 2, keep_mine: false });
    const ended = Date.now() - (15 - i) * 90_000;
    for (let n = 0; n < 2; n++) publish({ ...job, published: n }, state.gpus[i % 4].uuid);
    changeJob(job, { state: 'done', published: 2, started_at_ms: ended - 8_000, finished_at_ms: ended });
  }
  const failed = addJob({ prompt: 'A cathedral of ice, wide angle', profile: 'cinematic', width: 1536, height: 656, count: 4 });
  changeJob(failed, {
    state: 'failed', finished_at_ms: Date.now(), partial: true, published: 1, started_at_ms: Date.now() - 30_000,
    error: {
      code: 'out_of_memory', message: 'The gpu had no room for 1536 x 656 after three attempts.',
      evidence: ['attempt 1 on gpu 0: asked 9.1 GiB, 6.2 GiB free', 'attempt 2 on gpu 2: asked 9.1 GiB, 7.0 GiB free'],
    },
  });
  for (let i = 0; i < 9; i++) {
    addJob({ prompt: prompts[(i * 5 + 1) % prompts.length], profile: i % 2 ? 'cinematic' : 'photoreal', model: `demo-${['landscape', 'portrait', 'city'][i % 3]}`, count: 1 + (i % 4), keep_mine: false });
  }
  changeJob(addJob({ prompt: 'A paper crane on a windowsill', count: 2 }), { state: 'held', held_reason: 'no_gpu' });
  if (scene === 'trouble') {
    state.telemetry = { state: 'unavailable', reason: 'the driver does not answer' };
    Object.assign(state.gpus[1], { state: 'offline', utilization_ratio: null, temperature_celsius: null, power_watts: null, memory_used_bytes: null });
  }
}

function json(response, status, body) {
  response.writeHead(status, { 'Content-Type': status >= 400 ? 'application/problem+json' : 'application/json' });
  response.end(JSON.stringify(body));
}

function problem(response, status, detail, errors = []) {
  json(response, status, { type: 'about:blank', title: 'Refused', status, detail, code: 'invalid_argument', errors, request_id: 'fake' });
}

async function bodyOf(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body === '' ? {} : JSON.parse(body);
}

let loggedIn = scene !== 'login';

async function handleApi(request, response, path) {
  if (path === '/login') {
    loggedIn = (await bodyOf(request)).token === 'letmein';
    if (loggedIn) return response.writeHead(204).end();
    return problem(response, 403, 'That is not the token.');
  }
  if (!loggedIn) return problem(response, 401, 'A token is needed.');
  const byBrowser = request.headers['sec-fetch-site'] !== undefined;
  if (byBrowser && request.method !== 'GET' && request.headers['x-pixelfleet'] !== '1') return problem(response, 403, 'The header X-PixelFleet is missing.');
  const picture = /^\/images\/(\d+)\/(file|thumbnail)$/.exec(path);
  if (picture) {
    const image = state.images.find((other) => other.id === Number(picture[1]));
    response.writeHead(200, { 'Content-Type': 'image/svg+xml' });
    return response.end(drawing(image.seed, image.width, image.height));
  }
  if (path === '/snapshot') return json(response, 200, snapshot());
  if (path === '/samplers') return json(response, 200, { samplers: ['default', 'euler', 'euler_a', 'heun', 'dpm++2m'], schedulers: ['default', 'discrete', 'karras'] });
  if (path === '/settings') {
    if (request.method === 'PUT') {
      Object.assign(state.settings, await bodyOf(request));
      say('settings.changed', { settings: state.settings });
    }
    return json(response, 200, state.settings);
  }
  const paused = /^\/queue\/(pause|resume)$/.exec(path);
  if (paused) {
    state.queue = { ...state.queue, paused_all: paused[1] === 'pause' };
    say('queue.changed', state.queue);
    for (const job of state.jobs.values()) {
      if (state.queue.paused_all && job.state === 'queued') changeJob(job, { state: 'held', held_reason: 'paused' });
      if (!state.queue.paused_all && job.held_reason === 'paused') changeJob(job, { state: 'queued', held_reason: null });
    }
    return json(response, 200, state.queue);
  }
  const order = /^\/jobs\/(\d+)\/(hold|release|retry|move)$/.exec(path);
  if (order) {
    const body = await bodyOf(request);
    const beside = state.jobs.get(body.before ?? body.after);
    const change = {
      hold: { state: 'held', held_reason: 'user' },
      release: { state: 'queued', held_reason: null },
      retry: { state: 'queued', error: null, started_at_ms: null, finished_at_ms: null, cancel_requested: false },
      move: { rank: (beside?.rank ?? 0) + (body.before ? -0.5 : 0.5) },
    }[order[2]];
    return json(response, 200, changeJob({ id: Number(order[1]) }, change));
  }
  const changed = request.method === 'PATCH' && state.jobs.get(Number(/^\/jobs\/(\d+)$/.exec(path)?.[1]));
  if (changed) {
    const { priority = changed.priority, gpu = changed.requested.gpu } = await bodyOf(request);
    const requested = { ...changed.requested, gpu: gpu ?? undefined };
    return json(response, 200, changeJob(changed, { priority, requested }));
  }
  const cancelled = /^\/jobs\/(\d+)\/cancel$/.exec(path);
  if (cancelled) return json(response, 200, changeJob({ id: Number(cancelled[1]) }, { state: 'cancelled', cancel_requested: true, finished_at_ms: Date.now() }));
  if (path === '/jobs' && request.method === 'POST') {
    const body = await bodyOf(request);
    const wanted = body.jobs ?? [body];
    const bad = wanted.find(({ width = 1024 }) => !(width >= 64 && width <= 4096));
    if (bad) {
      const error = { field: 'width', value: String(bad.width), message: `width ${bad.width} is too small`, allowed: '64 to 4096' };
      return problem(response, 400, 'width is wrong', [error]);
    }
    return json(response, 201, { jobs: wanted.map((job) => addJob(job)), run_dir: 'run' });
  }
  if (path === '/profiles') return json(response, 200, { profiles: state.profiles });
  if (path === '/jobs') {
    const query = new URL(request.url, 'http://fake').searchParams;
    const states = query.get('state')?.split(',');
    const jobs = [...state.jobs.values()].reverse().filter((job) => !states || states.includes(job.state));
    return json(response, 200, { jobs: jobs.slice(0, Number(query.get('limit') ?? 50)), next_after: null });
  }
  const single = state.jobs.get(Number(/^\/jobs\/(\d+)$/.exec(path)?.[1]));
  if (single) return json(response, 200, { ...single, images: state.images.filter((image) => image.job_id === single.id) });
  if (path === '/images') return json(response, 200, { images: [], next_after: null });
  return problem(response, 404, `No route ${path}`);
}

const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' };

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://fake');
  response.setHeader('Content-Security-Policy', policy);
  try {
    if (pathname === '/readyz') return json(response, 200, { status: 'ok' });
    if (pathname.startsWith('/api/v1')) return await handleApi(request, response, pathname.slice('/api/v1'.length));
    const file = pathname === '/' ? 'index.html' : normalize(pathname).replace(/^(\.\.[/\\])+/, '');
    const bytes = await readFile(join(dist, file));
    response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream' });
    response.end(bytes);
  } catch (error) {
    problem(response, 404, String(error));
  }
});
const events = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  if (!loggedIn) return socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n');
  events.handleUpgrade(request, socket, head, (client) => {
    client.send(JSON.stringify({ seq: state.seq, type: 'snapshot', at: Date.now(), data: snapshot() }));
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
  });
});

fillScene();
setInterval(tick, kTickMs);
server.listen(port, '127.0.0.1', () => console.log(`fake server on http://127.0.0.1:${port}/ (${scene})`));
