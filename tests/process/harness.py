"""A PixelFleet server as a test sees it: a process to start, ask, watch and kill.

Every server gets its own data and output folder and a free port, virtual GPUs and a fast clock for the synthetic engine.
Nothing here knows how the program is built inside: only its command line, its HTTP interface and its files.
"""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PIXELFLEET_BINARY", ROOT / "build/release/pixelfleet")).resolve()
# A sanitizer build is several times slower; deadlines grow with it.
PATIENCE = 4 if "asan" in str(BINARY) or "tsan" in str(BINARY) else 1
DEMO = "demo-landscape"
ENDED = ("done", "failed", "cancelled")


def clean_environment(**changes):
    """The environment without anything that configures PixelFleet or steers its choice of GPUs."""
    names = ("PIXELFLEET_", "HEADLESS", "PROMPT", "MODEL", "STEPS", "SEED", "BATCH_SIZE", "INSTANCE_ID")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(names)}
    return {**kept, **changes}


def run_program(*arguments, timeout=60, environment=None, **options):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=timeout * PATIENCE, env=environment or clean_environment(), check=False, **options)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, seconds=20, what="the condition"):
    """Polls for what has no event of its own (a process gone, a port open); returns the condition's value."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds * PATIENCE} s in vain for {what}"
        time.sleep(0.02)


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def children(pid):
    """Of all its threads. One that ends meanwhile has none, nor has a process."""
    pids = []
    try:
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                pids += [int(child) for child in path.read_text().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
    except FileNotFoundError:  # the folder itself
        pass
    return pids


class EventStream:
    """Server-sent events, read in the test's own thread; every event seen so far is kept."""

    def __init__(self, port, last_event_id=None):
        self.port = port
        self.seen = []
        self.last_event_id = last_event_id
        self.connect()

    def connect(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20 * PATIENCE)
        headers = {"Accept": "text/event-stream"}
        if self.last_event_id is not None:
            headers["Last-Event-ID"] = str(self.last_event_id)
        self.connection.request("GET", "/api/v1/events", headers=headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        assert self.response.headers["Content-Type"].startswith("text/event-stream")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def next(self):
        data = []
        while True:
            line = self.response.readline()
            if not line:
                # The server drops who reads too slowly; like a browser, come back where it stopped.
                self.connection.close()
                self.connect()
                data = []
                continue
            text = line.decode().rstrip("\r\n")
            if text.startswith("data:"):
                data.append(text[5:].lstrip(" "))
            elif not text and data:
                event = json.loads("\n".join(data))
                if event["seq"] is not None:
                    self.last_event_id = event["seq"]
                self.seen.append(event)
                return event

    def wait_for(self, condition, seconds=30):
        """The first event, from now on, for which `condition(event)` holds."""
        deadline = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < deadline:
            event = self.next()
            if condition(event):
                return event
        raise AssertionError(f"no such event in {seconds * PATIENCE} s; last: {self.seen[-1:]}")

    def wait_for_jobs(self, ids, states=ENDED, seconds=60):
        """Waits until each job was seen in one of `states`; returns {id: job}."""
        open_ids, jobs = set(ids), {}

        def note(event):
            data = event["data"]
            for job in data.get("jobs", []) + ([data["job"]] if "job" in data else []):
                if job["id"] in open_ids and job.get("state") in states:  # a forecast tells no states
                    jobs[job["id"]] = job
                    open_ids.discard(job["id"])
            return not open_ids

        for event in self.seen:
            note(event)
        if open_ids:
            self.wait_for(note, seconds)
        return jobs


class Server:
    def __init__(self, folder, gpus="4x24GiB", time_scale=10, arguments=(), environment=None):
        self.folder = pathlib.Path(folder)
        self.data, self.output = self.folder / "data", self.folder / "output"
        self.port = free_port()
        self.log = self.folder / "server.log"
        self.arguments = ["--virtual-gpus", gpus, "--time-scale", str(time_scale), *map(str, arguments)]
        self.environment = environment or {}
        self.process = None

    @property
    def command(self):
        return [str(BINARY), "serve", "--data", str(self.data), "--output", str(self.output), "--port", str(self.port),
                *self.arguments]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=clean_environment(**self.environment))
        if wait:
            wait_until(self.is_ready, 15, f"{self.url}/readyz; its log ends: {self.log_tail()}")
        return self

    def log_tail(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log_tail()}")
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As the out-of-memory killer would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """As an administrator would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20 * PATIENCE)

    # Processes -------------------------------------------------------------------------------------------------

    def workers(self):
        return [pid for pid in descendants(self.process.pid) if "worker" in command_line(pid)[1:2]]

    # HTTP ------------------------------------------------------------------------------------------------------

    def request(self, method, path, **options):
        return requests.request(method, self.url + path, timeout=30 * PATIENCE, **options)

    def get(self, path, **params):
        answer = self.request("GET", "/api/v1" + path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def submit(self, *jobs, **common):
        """Submits jobs that differ from a quick demo picture by what is given; returns the accepted jobs."""
        base = {"prompt": "a quiet lake at dawn", "model": DEMO, "width": 128, "height": 128, "steps": 20, "seed": 1}
        answer = self.request("POST", "/api/v1/jobs", json={"jobs": [{**base, **common, **job} for job in jobs or ({},)]})
        assert answer.status_code == 201, answer.text
        return answer.json()["jobs"]

    def job(self, job_id):
        return self.get(f"/jobs/{job_id}")

    def jobs(self, **params):
        return self.pages("jobs", **params)

    def images(self, **params):
        return self.pages("images", **params)

    def pages(self, noun, **params):
        """Every row of a paged list, newest first."""
        rows, after = [], None
        while True:
            page = self.get(f"/{noun}", limit=200, **params, **({} if after is None else {"after": after}))
            rows += page[noun]
            after = page["next_after"]
            if after is None:
                return rows

    def settings(self, **changes):
        keys = {key.replace("__", "."): value for key, value in changes.items()}
        answer = self.request("PUT", "/api/v1/settings", json=keys)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def events(self, last_event_id=None):
        return EventStream(self.port, last_event_id)

    def wait_for_jobs(self, ids, states=ENDED, seconds=60):
        with self.events() as stream:
            stream.next()  # the snapshot: what ends from here on is told; it lists the latest ended jobs only
            jobs = {job["id"]: job for job in self.jobs(state=",".join(states)) if job["id"] in set(ids)}
            return {**stream.wait_for_jobs(set(ids) - set(jobs), states, seconds), **jobs}

    # Files -----------------------------------------------------------------------------------------------------

    def pictures(self):
        return sorted(str(path.relative_to(self.output)) for path in self.output.rglob("*.png"))

    def log_records(self):
        return [json.loads(line) for path in self.output.glob("jobs_*.log") for line in path.read_text().splitlines()]


STAMP = r"\d{8}_\d{6}"
PICTURE_NAME = re.compile(rf"^run_{STAMP}(_\d+)?/{STAMP}_[a-z0-9-]+_[a-z0-9-]+_seed\d+_\d\d+(_\d+)?\.png$")
