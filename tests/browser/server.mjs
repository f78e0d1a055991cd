// Starts the real program on virtual gpus, or on those of the scripted driver, in a folder of its own, and takes both
// away again.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const kReadyMs = 30_000;
const kPollMs = 25;

export function programPath() {
  const path = process.env.PIXELFLEET_BINARY ?? fileURLToPath(new URL('../../build/release/pixelfleet', import.meta.url));
  if (!existsSync(path)) throw new Error(`${path} is not there: build it with ./quickstart or name it in PIXELFLEET_BINARY.`);
  return path;
}

function scriptedDriver() {
  const beside = dirname(programPath());
  const path = [beside, dirname(beside)].map((folder) => join(folder, 'fake_nvml/libnvidia-ml.so.1')).find(existsSync);
  if (!path) throw new Error(`No scripted driver beside ${programPath()}: build its target fake_nvml.`);
  return path;
}

/** Calls `probe` until it gives something true; says what was waited for when it never does. */
export async function until(what, probe, limitMs = 20_000) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`Waited ${limitMs / 1000} s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, kPollMs));
  }
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

export class Server {
  output = '';
  #child = null;

  constructor(folder, port, flags, environment = {}) {
    this.folder = folder;
    this.port = port;
    this.flags = flags;
    this.environment = environment;
    this.address = `http://127.0.0.1:${port}/`;
  }

  static async start({ gpus = '4x24GiB', timeScale = 20, more = [] } = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'pixelfleet-browser-'));
    const flags = ['--virtual-gpus', gpus, '--time-scale', String(timeScale), ...more];
    const server = new Server(folder, await freePort(), flags);
    await server.launch();
    return server;
  }

  /** One whose gpus are what `script` says, in the language of tests/fake_nvml; ready once it has seen them. */
  static async startWithDriver(script, { timeScale = 20, settings = {} } = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'pixelfleet-browser-'));
    const environment = {
      PIXELFLEET_NVML_LIBRARY: scriptedDriver(),
      FAKE_NVML_SCRIPT: join(folder, 'driver.script'),
      PIXELFLEET_MULTI_GPU: '1',
    };
    const server = new Server(folder, await freePort(), ['--time-scale', String(timeScale)], environment);
    await server.driverSays(script);
    await server.launch();
    await until('the first report', async () => (await server.get('/gpus')).gpus.some(({ kind }) => kind === 'nvidia'));
    await server.put('/settings', settings);
    return server;
  }

  /** The driver tells this from now on. */
  async driverSays(script) {
    const file = this.environment.FAKE_NVML_SCRIPT;
    await writeFile(`${file}.next`, script);
    await rename(`${file}.next`, file);
  }

  async launch() {
    const places = ['--data', join(this.folder, 'data'), '--output', join(this.folder, 'output'), '--port', String(this.port)];
    const child = spawn(programPath(), ['serve', ...places, ...this.flags], {
      cwd: this.folder,
      env: { ...process.env, ...this.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdout.on('data', (bytes) => (this.output += bytes));
    child.stderr.on('data', (bytes) => (this.output += bytes));
    let ended = null;
    child.once('exit', (code, signal) => (ended = `exit ${code ?? signal}`));
    child.once('error', (error) => (ended = error.message));
    await until(
      'the server to be ready',
      async () => {
        if (ended) throw new Error(`The server ended early (${ended}):\n${this.output}`);
        return fetch(`${this.address}readyz`).then((answer) => answer.ok, () => false);
      },
      kReadyMs,
    );
  }

  /** Ends the process; `SIGKILL` is a crash. */
  async end(signal = 'SIGTERM') {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const insist = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(insist);
  }

  async remove() {
    await this.end();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  async call(method, path, body) {
    const answer = await fetch(`${this.address}api/v1${path}`, {
      method,
      headers: body ? { 'Content-Type': 'application/json' } : {},
      body: body ? JSON.stringify(body) : undefined,
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  get = (path) => this.call('GET', path);
  post = (path, body) => this.call('POST', path, body);
  put = (path, body) => this.call('PUT', path, body);

  /** Cancels what has not ended, lifts pauses, and waits until nothing runs. */
  async settle() {
    await this.post('/queue/resume');
    for (const owner of (await this.get('/queue')).paused_owners) await this.post('/queue/resume', { owner });
    const kActive = '/jobs?state=queued,held,running&limit=200';
    for (const job of (await this.get(kActive)).jobs) await this.post(`/jobs/${job.id}/cancel`).catch(() => null);
    await until('the queue to be empty', async () => (await this.get(kActive)).jobs.length === 0);
  }
}
