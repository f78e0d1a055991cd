"""Guarantee: `gpus --watch` shows a terminal what the server's gpus do and leaves it as it was; `gpus pick` names idle
gpus or says why it cannot."""
import os
import pty
import select
import subprocess
import time

from harness import BINARY, PATIENCE, clean_environment, run_program


def read_until(terminal, wanted, seconds=20):
    text, deadline = b"", time.monotonic() + seconds * PATIENCE
    while wanted not in text:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"waited in vain for {wanted}; the terminal shows {text[-500:]}"
        text += os.read(terminal, 65536)
    return text


def test_watch_shows_a_running_job_and_leaves_the_terminal_as_it_was(make_server):
    server = make_server(gpus="2x24GiB", time_scale=5)
    job = server.submit({"steps": 200})[0]["id"]
    server.wait_for_jobs([job], states=("running",))
    ours, theirs = pty.openpty()
    watch = subprocess.Popen([str(BINARY), "gpus", "--watch", "--data", str(server.data)], stdin=theirs, stdout=theirs,
                             stderr=theirs, env=clean_environment())
    os.close(theirs)
    shown = read_until(ours, f"job {job}".encode())
    assert shown.startswith(b"\x1b[?1049h") and b"PixelFleet  2 gpus" in shown
    os.write(ours, b"q")
    assert read_until(ours, b"\x1b[?1049l")
    assert watch.wait(timeout=10 * PATIENCE) == 0
    os.close(ours)


def test_pick_says_what_is_idle_or_why_it_cannot(tmp_path, make_server):
    server = make_server(gpus="2x24GiB", time_scale=50)
    done = run_program("gpus", "pick", "--idle", "--count", "2", "--data", server.data)
    assert (done.returncode, done.stdout) == (0, "virtual-0,virtual-1\n"), done.stderr
    done = run_program("gpus", "pick", "--count", "3", "--data", server.data)
    assert done.returncode == 5 and "2 of 2 gpus are idle" in done.stderr and "--wait" in done.stderr
    done = run_program("gpus", "pick", "--count", "17", "--data", server.data)
    assert done.returncode == 2 and "1 to 16" in done.stderr


def test_pick_waits_until_a_gpu_is_idle(make_server):
    server = make_server(gpus="1x24GiB", time_scale=20)
    job = server.submit({"steps": 100})[0]["id"]
    server.wait_for_jobs([job], states=("running",))
    done = run_program("gpus", "pick", "--wait", "--idle-memory-mb", "1000000", "--data", server.data)
    assert (done.returncode, done.stdout) == (0, "virtual-0\n"), done.stderr
    assert server.job(job)["finished_at_ms"] or server.wait_for_jobs([job]), "its last picture may be on the way"
