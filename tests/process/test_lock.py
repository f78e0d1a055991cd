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
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield pathlib.Path(folder)
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_fails_the_job_clearly_and_the_server_goes_on(make_server, small_disk):
    server = make_server(start=False)
    server.output = small_disk / "pictures"
    server.start()
    filler = small_disk / "filler"
    with open(filler, "wb") as file:
        try:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        except OSError:
            pass
    [job] = server.submit({"width": 512, "height": 512})
    ended = server.wait_for_jobs([job["id"]])[job["id"]]
    assert ended["state"] == "failed"
    assert "space" in ended["error"]["message"] or "full" in ended["error"]["message"], ended["error"]

    filler.unlink()
    [after] = server.submit({})
    assert server.wait_for_jobs([after["id"]])[after["id"]]["state"] == "done"
