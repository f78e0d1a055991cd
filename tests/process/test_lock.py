"""Guarantee: one server owns a data folder and a port; whoever comes second is told, and the first does not notice."""
import os
import pathlib
import subprocess

import pytest

from harness import BINARY, PATIENCE, clean_environment, free_port, wait_until


def second_server(server, **changes):
    options = {"--data": server.data, "--output": server.output, "--port": free_port(), **changes}
    command = [BINARY, "serve", "--virtual-gpus", "1x24GiB"]
    for flag, value in options.items():
        command += [flag, str(value)]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=10 * PATIENCE,
                          env=clean_environment(), check=False)


def test_a_second_server_on_the_same_data_is_refused(server):
    refused = second_server(server)
    assert refused.returncode not in (0, None)
    assert str(server.data) in refused.stderr
    assert "already" in refused.stderr or "another" in refused.stderr, refused.stderr
    assert str(server.process.pid) in refused.stderr, "it names who holds the folder"
    [job] = server.submit({})
    assert server.wait_for_jobs([job["id"]])[job["id"]]["state"] == "done"


def test_a_taken_port_is_named(server, tmp_path):
    refused = second_server(server, **{"--data": tmp_path / "other", "--port": server.port})
    assert refused.returncode != 0
    assert str(server.port) in refused.stderr
    assert "--port" in refused.stderr, "it says what to do"


def test_a_killed_server_leaves_no_lock_behind(make_server):
    """The lock is close-on-exec: a worker that outlives the server by a moment does not hold it."""
    server = make_server()
    server.submit(*[{"seed": n, "steps": 100} for n in range(8)])
    wait_until(server.workers, what="a worker")
    server.kill()
    server.start()


def test_a_data_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "data").write_text("not a folder")
    refused = subprocess.run([BINARY, "serve", "--data", tmp_path / "data", "--output", tmp_path / "out", "--port",
                              str(free_port())], capture_output=True, text=True, timeout=10 * PATIENCE,
                             env=clean_environment(), check=False)
    assert refused.returncode != 0
    assert str(tmp_path / "data") in refused.stderr


def test_a_data_folder_without_write_permission_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir(mode=0o555)
    as_user = {}
    if os.geteuid() == 0:
        readable = all(os.stat(folder).st_mode & 0o001 for folder in [*BINARY.parents])
        if not readable:
            pytest.skip("root may write anywhere, and nobody else may read this build")
        as_user = {"user": 65534, "group": 65534}
        for folder in [tmp_path, *list(tmp_path.parents)[:3]]:
            folder.chmod(0o755)
    refused = subprocess.run([BINARY, "serve", "--data", data, "--output", tmp_path / "out", "--port", str(free_port())],
                             capture_output=True, text=True, timeout=10 * PATIENCE, env=clean_environment(), check=False,
                             **as_user)
    assert refused.returncode != 0
    assert str(data) in refused.stderr
    assert "permission" in refused.stderr.lower() or "read-only" in refused.stderr.lower(), refused.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 32 MiB: the server's own reserve for such times is 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield pathlib.Path(folder)
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_a_full_output_folder_delays_pictures_and_loses_none(make_server, small_disk):
    server = make_server(start=False, gpus="1x24GiB")
    server.output = small_disk / "pictures"
    server.start()
    fill(small_disk / "filler")
    jobs = server.submit({"seed": 1}, {"seed": 2})
    wait_until(lambda: "there is space" in server.log.read_text(), what="the warning that says what to do")
    assert server.pictures() == []
    assert {server.job(job["id"])["state"] for job in jobs} <= {"queued", "running"}

    (small_disk / "filler").unlink()
    ended = server.wait_for_jobs([job["id"] for job in jobs])
    assert {job["state"] for job in ended.values()} == {"done"}
    assert len(server.pictures()) == 2


def test_a_full_data_folder_refuses_and_recovers(make_server, small_disk):
    server = make_server(start=False, gpus="1x24GiB")
    server.data = small_disk / "data"
    server.start()
    fill(small_disk / "filler")
    accepted, refused = [], []
    while len(refused) < 3 and len(accepted) < 5000:  # the reserve is 4 MiB
        jobs = [{"prompt": "x" * 8000, "model": "demo-city", "steps": 1, "width": 64, "height": 64}] * 10
        answer = server.request("POST", "/api/v1/jobs", json={"jobs": jobs})
        if answer.status_code == 201:
            accepted += [job["id"] for job in answer.json()["jobs"]]
        else:
            refused.append(answer)
    assert server.is_running(), server.log_tail()
    assert refused and {answer.status_code for answer in refused} <= {507, 503}

    (small_disk / "filler").unlink()
    ended = server.wait_for_jobs(accepted)
    assert {job["state"] for job in ended.values()} <= {"done"}, "what was accepted is made"
    [after] = server.submit({})
    assert server.wait_for_jobs([after["id"]])[after["id"]]["state"] == "done"
