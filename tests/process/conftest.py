"""Fixtures of the process tests: servers that are stopped, and whose death is noticed, whatever a test does."""
import os
import signal
import subprocess
import sys

import pytest

from harness import BINARY, ROOT, Server, is_alive, wait_until


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"no program at {BINARY}: build it first (cmake --preset release && "
                    "cmake --build build/release), or set PIXELFLEET_BINARY", returncode=3)


@pytest.fixture
def make_server(tmp_path):
    """Starts servers: make_server(gpus="1x24GiB", time_scale=10, start=False, ...)."""
    servers = []

    def make(name="server", start=True, multi_gpu=True, **options):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        environment = {"PIXELFLEET_MULTI_GPU": "1" if multi_gpu else "0", "PIXELFLEET_MAX_GPUS": "8",
                       **options.pop("environment", {})}
        server = Server(folder, environment=environment, **options)
        servers.append(server)
        return server.start() if start else server

    yield make
    leftovers = []
    for server in servers:
        if server.is_running():
            leftovers += server.workers()
            server.process.send_signal(signal.SIGTERM)
            try:
                server.process.wait(timeout=15)
            except Exception:  # a server that does not stop must not stop the tests
                server.kill()
                raise
    for pid in leftovers:
        wait_until(lambda pid=pid: not is_alive(pid), 5, f"worker {pid} to end with its server")


@pytest.fixture
def server(make_server):
    return make_server()


def engine_expected():
    """required: a missing engine fails; absent: its tests are skipped; unset: decided by what was built."""
    return os.environ.get("PIXELFLEET_TEST_ENGINE", "unset")


@pytest.fixture(scope="session")
def real_engine():
    module = BINARY.parent / "engines" / "libpixelfleet_engine_sdcpp.so"
    if not module.exists():
        if engine_expected() == "required":
            pytest.fail(f"the engine is installed, but {module} was not built")
        pytest.skip("stable-diffusion.cpp is not installed here: tools/get-engine says why")
    return module


@pytest.fixture(scope="session")
def tiny_checkpoint(real_engine):
    """A checkpoint of random weights that the engine accepts, made once for all builds."""
    folder = ROOT / "build" / "engine" / "checkpoints"
    paths = {"checkpoint": folder / "sd1old.safetensors", "taesd": folder / "taesd.safetensors"}
    for path in paths.values():
        subprocess.run([sys.executable, ROOT / "tests/tools/tiny_sd.py", path.stem, path, "--keep"], check=True)
    return paths
