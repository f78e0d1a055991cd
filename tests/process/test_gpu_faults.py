"""Guarantee: whatever the NVIDIA driver does, the server answers, finished pictures stay, and jobs go on where they can.

The driver is the scripted one of tests/fake_nvml, the engine the synthetic one: no card is needed.
"""
import json
import os
import signal

import pytest

from harness import BINARY, clean_environment, command_line, descendants, run_program, wait_until

TWO = "gpu 0 uuid=GPU-aaaa-0000 name=\"Card A\"\ngpu 1 uuid=GPU-bbbb-1111 name=\"Card B\"\n"


def library():
    for folder in (BINARY.parent, BINARY.parent.parent):
        if (folder / "fake_nvml/libnvidia-ml.so.1").exists():
            return folder / "fake_nvml/libnvidia-ml.so.1"
    pytest.fail("the scripted driver is not built: cmake --build BUILD --target fake_nvml")


class Driver:
    """A script that the server's monitor follows."""

    def __init__(self, folder):
        self.file = folder / "driver.script"
        self.environment = {"PIXELFLEET_NVML_LIBRARY": str(library()), "FAKE_NVML_SCRIPT": str(self.file)}

    def says(self, script):
        following = self.file.with_suffix(".next")
        following.write_text(script)
        following.rename(self.file)


@pytest.fixture
def driver(tmp_path):
    return Driver(tmp_path)


@pytest.fixture
def make_nvidia_server(make_server, driver):
    """A server that detects its gpus by the scripted driver."""
    def make(script, time_scale=10):
        driver.says(script)
        server = make_server(start=False, environment=driver.environment)
        server.arguments = ["--time-scale", str(time_scale)]
        server.start()
        wait_until(lambda: any(gpu["kind"] == "nvidia" for gpu in gpus(server).values()), 20, "the first report")
        return server
    return make


def gpus(server):
    return {gpu["uuid"]: gpu for gpu in server.get("/gpus")["gpus"]}


def trouble(server):
    """Why there is no telemetry; None while there is."""
    telemetry = server.get("/gpus")["telemetry"]
    return telemetry["reason"] or "?" if telemetry["state"] == "unavailable" else None


def monitors(server):
    return [pid for pid in descendants(server.process.pid) if "gpu-monitor" in command_line(pid)[1:2]]


def finish(server, count=4, **job):
    ids = [accepted["id"] for accepted in server.submit(*[{"seed": seed, **job} for seed in range(count)])]
    ended = server.wait_for_jobs(ids)
    return [ended[job_id]["state"] for job_id in ids]


def test_scripted_gpus_are_listed_and_make_pictures(make_nvidia_server):
    server = make_nvidia_server(TWO + "gpu 0 temp 61 power 250.5 util none")
    wait_until(lambda: gpus(server).get("GPU-aaaa-0000", {}).get("temperature_celsius") == 61, 10, "a sample")
    card = gpus(server)["GPU-aaaa-0000"]
    assert (card["kind"], card["name"], card["index"]) == ("nvidia", "Card A", 0)
    assert card["power_watts"] == 250.5
    assert card["utilization_ratio"] is None, "not supported is unknown, not 0"
    assert finish(server) == ["done"] * 4


def test_a_lost_gpu_gives_its_job_back_and_returns(make_nvidia_server, driver):
    """N11."""
    server = make_nvidia_server(TWO, time_scale=2)
    jobs = server.submit(*[{"seed": seed, "count": 2} for seed in range(6)])
    wait_until(lambda: all(gpu["job"] for gpu in gpus(server).values()), 20, "both gpus to work")
    driver.says(TWO + "gpu 1 ret * 15 xid 79")
    wait_until(lambda: gpus(server).get("GPU-bbbb-1111", {}).get("state", "offline") == "offline", 10, "the loss")
    driver.says(TWO)
    wait_until(lambda: gpus(server).get("GPU-bbbb-1111", {}).get("state", "offline") != "offline", 10, "the return")
    ended = server.wait_for_jobs([job["id"] for job in jobs], seconds=120)
    assert {job["state"] for job in ended.values()} == {"done"}
    assert len(server.pictures()) == 12


def test_a_driver_that_hangs_for_ever_costs_the_telemetry_only(make_nvidia_server, driver):
    """N20: one replacement, and no more within a minute."""
    server = make_nvidia_server(TWO)
    driver.says(TWO + "call nvmlDeviceGetMemoryInfo hang")
    assert finish(server) == ["done"] * 4
    wait_until(lambda: trouble(server), 40, "the telemetry to be given up")
    assert "does not answer" in trouble(server)
    assert monitors(server) == []
    assert set(gpus(server)) == {"GPU-aaaa-0000", "GPU-bbbb-1111"}
    assert finish(server) == ["done"] * 4


def test_a_driver_that_hangs_slows_nobody_down(make_server, tmp_path):
    """N20: the same work, at the same time, with and without; each server's clock tells how long it took."""
    servers = {}
    for name in ("hangs", "is well"):
        (tmp_path / name).mkdir()
        driver = Driver(tmp_path / name)
        driver.says(TWO)
        server = make_server(name, start=False, environment=driver.environment)
        server.arguments = ["--time-scale", "4"]
        servers[name] = (server.start(), driver)
        wait_until(lambda server=server: len(gpus(server)) == 2 and all(gpu["kind"] == "nvidia" for gpu in gpus(server).values()),
                   20, "the first report")
    jobs = {}
    for name, (server, driver) in servers.items():
        assert finish(server, 2) == ["done"] * 2  # the model is loaded
        jobs[name] = [job["id"] for job in server.submit(*[{"seed": seed, "steps": 60} for seed in range(12)])]
        if name == "hangs":
            driver.says(TWO + "call nvmlDeviceGetMemoryInfo hang 60s")
    took = {}
    for name, (server, _) in servers.items():
        ended = server.wait_for_jobs(jobs[name])
        assert {job["state"] for job in ended.values()} == {"done"}
        took[name] = (max(job["finished_at_ms"] for job in ended.values())
                      - min(job["started_at_ms"] for job in ended.values()))
    assert took["hangs"] <= 1.25 * took["is well"], took


def test_a_monitor_that_crashes_or_is_killed_takes_nothing_with_it(make_nvidia_server):
    """N21."""
    server = make_nvidia_server(TWO)
    for _ in range(2):
        wait_until(lambda: monitors(server), 10, "a monitor")
        [monitor] = monitors(server)
        os.kill(monitor, signal.SIGKILL)
        wait_until(lambda monitor=monitor: monitor not in monitors(server), 10, "its end to be noticed")
    wait_until(lambda: trouble(server), 10, "the telemetry to be given up")
    assert finish(server) == ["done"] * 4


def test_a_driver_upgraded_under_us_leaves_the_workers_alone(make_nvidia_server, driver):
    """N27."""
    server = make_nvidia_server(TWO)
    assert finish(server) == ["done"] * 4
    before = sorted(server.workers())
    driver.says(TWO + "ret * 18 ; init ret 18")
    wait_until(lambda: trouble(server), 10, "the mismatch")
    assert "restart the machine" in trouble(server)
    assert finish(server) == ["done"] * 4
    assert set(before) <= set(server.workers()), "new contexts may fail: healthy workers are kept"


def test_garbage_of_a_sick_driver_is_unknown(make_nvidia_server):
    """N16, N17, N18."""
    server = make_nvidia_server("gpu 0 uuid=GPU-aaaa-0000 name=\"\\x1b[31m\\xff" + "x" * 120 + "\" temp 255 util 4000 "
                                "mem used=18446744073709551615 mem free=18446744073709551615")
    card = gpus(server)["GPU-aaaa-0000"]
    for key in ("temperature_celsius", "utilization_ratio", "memory_used_bytes", "memory_free_bytes"):
        assert card[key] is None, key
    assert card["name"].startswith("[31m?x")
    assert finish(server) == ["done"] * 4


def test_the_command_line_shows_the_same_gpus_without_a_server(driver):
    driver.says("count 16")
    result = run_program("gpus", "--json", environment=clean_environment(**driver.environment))
    assert result.returncode == 0, result.stderr
    assert [gpu["index"] for gpu in json.loads(result.stdout)["gpus"]] == list(range(16))
