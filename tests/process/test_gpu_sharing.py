"""Guarantee: gpus are given to others when they come and taken back when they have left; a gpu that was out of order
gets work again only after it has shown that it can; what the operator says holds, across restarts too.

The driver is the scripted one of tests/fake_nvml, the engine the synthetic one.
"""
import pathlib

import pytest

from harness import run_program, wait_until
from test_gpu_faults import TWO, driver, finish, gpus, make_nvidia_server  # noqa: F401: fixtures

A, B = "GPU-aaaa-0000", "GPU-bbbb-1111"
SIZED = TWO + "gpu 0 mem=24576 ; gpu 1 mem=24576\n"


@pytest.fixture
def make_polite_server(make_nvidia_server):  # noqa: F811
    def make(script, quiet_seconds=2, **options):
        server = make_nvidia_server(script, **options)
        change(server, {"sharing.quiet_seconds": quiet_seconds})
        return server
    return make


def change(server, settings):
    answer = server.request("PUT", "/api/v1/settings", json=settings)
    assert answer.status_code == 200, answer.text


def others(gpu, gib):
    return f"gpu {gpu} mem used={gib}GiB process 4711 compute {gib}GiB ; gpu {gpu} process 4711 name train.py\n"


def verdict(server, uuid):
    return gpus(server)[uuid]["sharing"]["verdict"]


def health(server, uuid):
    return gpus(server)[uuid]["health"]["state"]


def test_a_gpu_is_left_to_others_within_a_chunk_and_taken_back(make_polite_server, driver):
    server = make_polite_server(SIZED, time_scale=2)
    jobs = [job["id"] for job in server.submit(*[{"seed": seed, "steps": 100} for seed in range(8)])]
    wait_until(lambda: all(gpu["state"] == "busy" for gpu in gpus(server).values()), 20, "both gpus to work")
    driver.says(SIZED + others(1, 12))
    wait_until(lambda: verdict(server, B) != "open", 10, "the others to be noticed")
    running, sharing = gpus(server)[B]["job"], gpus(server)[B]["sharing"]
    waiting = [job for job in jobs if server.job(job)["state"] == "queued"]
    assert [reason["kind"] for reason in sharing["reasons"]] == ["others_compute"]
    assert sharing["reasons"][0]["bytes"] > 4 << 30
    wait_until(lambda: verdict(server, B) == "closed", 20, "the gpu to be left")
    wait_until(lambda: gpus(server)[B]["resident_models"] == [], 10, "our worker to leave")
    ended = server.wait_for_jobs(jobs)
    assert {job["state"] for job in ended.values()} == {"done"}
    if running is not None:
        assert {image["gpu"] for image in server.job(running)["images"]} == {B}, "the running chunk was the last one"
    assert waiting
    late = {image["gpu"] for job in waiting for image in server.job(job)["images"]}
    assert late == {A}, "nothing started beside the others"
    driver.says(SIZED)
    wait_until(lambda: verdict(server, B) == "open", 15, "the return after the quiet time")


def workers_on(server, uuid):
    """Their processes, as the driver of a real card would list them."""
    pinned = f"CUDA_VISIBLE_DEVICES={uuid}".encode()
    return [pid for pid in server.workers() if pinned in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]


def test_at_most_one_picture_ends_there_once_a_sample_shows_the_others(make_polite_server, driver):
    server = make_polite_server(SIZED, time_scale=4)
    with server.events() as stream:
        stream.next()
        server.submit(*[{"seed": seed, "steps": 60} for seed in range(24)])  # 0.75 s each
        wait_until(lambda: all(gpu["state"] == "busy" for gpu in gpus(server).values()), 20, "both gpus to work")
        ours = "".join(f"gpu {i} process {pid} compute 4GiB\n" for i, uuid in ((0, A), (1, B)) for pid in workers_on(server, uuid))
        driver.says(SIZED + ours + "gpu 1 process 4711 compute 12GiB ; gpu 1 process 4711 name train.py\n")
        wait_until(lambda: workers_on(server, B) == [], 20, "our worker to leave")
        wait_until(lambda: verdict(server, B) == "closed", 10, "the gpu to be left")
        last = server.submit({"seed": 99, "gpu": A})[0]["id"]
        stream.wait_for_jobs([last])
    shown = next(event["at"] for event in stream.seen if event["type"] == "gpu.sample" for gpu in event["data"]["gpus"]
                 if gpu["uuid"] == B and (gpu["memory_used_bytes"] or 0) >= 12 << 30)
    pictures = [event["data"]["image"] for event in stream.seen if event["type"] == "image.published"]
    after = [image for image in pictures if image["gpu"] == B and image["published_at_ms"] > shown]
    assert len(after) <= 1, after
    assert server.jobs(state="failed") == []


def test_somebody_may_use_a_gpu_anyway_and_share_it_again(make_polite_server):
    server = make_polite_server(SIZED + others(0, 3) + "\n" + others(1, 3))
    wait_until(lambda: verdict(server, A) == "closed" and verdict(server, B) == "closed", 10, "both to be closed")
    job = server.submit({"seed": 1})[0]["id"]
    assert server.job(job)["held_reason"] == "no_gpu"
    wait_until(lambda: (server.job(job).get("reason") or {}).get("kind") == "gpu_closed", 10, "the reason")
    answer = server.request("POST", f"/api/v1/gpus/{B}/use-anyway", json={"minutes": 1})
    assert answer.status_code == 200 and answer.json()["sharing"]["overridden"], answer.text
    assert server.wait_for_jobs([job])[job]["state"] == "done"
    answer = server.request("POST", f"/api/v1/gpus/{B}/use-anyway", json={"minutes": 0})
    assert not answer.json()["sharing"]["overridden"]
    wait_until(lambda: verdict(server, B) == "closed", 10, "it to be shared again")


def test_a_foreign_allocation_shrinks_the_plan_and_turns_nobody_away(make_polite_server, driver):
    server = make_polite_server(SIZED + others(0, 23))
    change(server, {"sharing.share": "always", "multi_gpu.max_gpus": 1})
    wait_until(lambda: gpus(server)[A]["memory"]["plan_bytes"] < 1 << 30, 10, "the plan to shrink")
    job = server.submit({"seed": 9})[0]["id"]
    assert server.job(job)["state"] == "held", "no oversell, and nobody is turned away"
    driver.says(SIZED)
    assert server.wait_for_jobs([job], seconds=90)[job]["state"] == "done"


def test_a_gpu_that_needed_a_reset_proves_itself_before_it_gets_work(make_nvidia_server, driver):
    """N30, across a restart of the server."""
    server = make_nvidia_server(TWO)
    driver.says(TWO + "gpu 1 recovery reset")
    wait_until(lambda: health(server, B) == "failed", 10, "the driver's wish to be noticed")
    assert gpus(server)[B]["health"]["reason"] == "reset_needed"
    assert finish(server) == ["done"] * 4
    assert server.stop() == 0
    server.start()
    wait_until(lambda: B in gpus(server), 20, "the gpus")
    assert health(server, B) == "failed", "a restart forgets nothing"
    assert finish(server) == ["done"] * 4
    driver.says(TWO + "gpu 1 recovery none")
    wait_until(lambda: health(server, B) == "quarantined", 10, "the reset to be noticed")
    wait_until(lambda: health(server, B) == "probation", 60, "the canary")
    ids = [job["id"] for job in server.submit(*[{"seed": seed, "gpu": B} for seed in range(3)])]
    server.wait_for_jobs(ids)
    wait_until(lambda: health(server, B) == "healthy", 10, "three good jobs to count")
    history = server.get(f"/gpus/{B}/history")["history"]
    assert [row["state"] for row in reversed(history)] == ["failed", "quarantined", "probation", "healthy"]


def test_the_loss_of_a_gpu_is_acted_upon_within_two_seconds(make_nvidia_server, driver):
    server = make_nvidia_server(TWO, time_scale=1)
    server.submit(*[{"seed": seed, "count": 4, "steps": 100} for seed in range(3)])
    wait_until(lambda: all(gpu["state"] == "busy" for gpu in gpus(server).values()), 30, "both gpus to work")
    with server.events() as stream:
        stream.next()
        driver.says(TWO + "gpu 1 ret * 15")
        stream.wait_for(lambda event: event["type"] == "gpu.changed")
        requeued = [event for event in stream.seen if event["type"] == "job.updated"
                    and event["data"]["job"]["state"] == "queued"]
        first_sign = [event for event in stream.seen if event["type"] == "gpu.changed"][0]
        again = requeued[0] if requeued else stream.wait_for(
            lambda event: event["type"] == "job.updated" and event["data"]["job"]["state"] == "queued")
    assert again["at"] - first_sign["at"] <= 2000, "by the server's own clock"


def test_the_operator_drains_retires_and_resumes(make_server):
    server = make_server(gpus="2x24GiB", time_scale=2)
    jobs = [job["id"] for job in server.submit(*[{"seed": seed, "count": 2} for seed in range(4)])]
    wait_until(lambda: all(gpu["state"] == "busy" for gpu in gpus(server).values()), 20, "both gpus to work")

    def gpu(*arguments):
        return run_program("gpus", *arguments, "--data", server.data)

    drained = gpu("drain", "virtual-1")
    assert drained.returncode == 0, drained.stderr
    assert gpus(server)["virtual-1"]["state"] == "draining"
    wait_until(lambda: gpus(server)["virtual-1"]["state"] == "closed", 30, "its chunk to finish")
    assert gpu("resume", "1").returncode == 0
    retired = gpu("retire", "virtual-0")
    assert retired.returncode == 0, retired.stderr
    assert gpus(server)["virtual-0"]["state"] == "closed"
    ended = server.wait_for_jobs(jobs)
    assert {job["state"] for job in ended.values()} == {"done"}, "nobody is charged for what the operator does"
    server.stop()
    server.start()
    wait_until(lambda: health(server, "virtual-0") == "failed", 10, "the retirement to be remembered")
    unknown = gpu("drain", "virtual-9")
    assert unknown.returncode != 0 and "no gpu is called virtual-9; here are" in unknown.stderr


def test_bad_wishes_are_refused_with_what_is_allowed(make_server):
    server = make_server(gpus="1x24GiB")
    for changes, field in (({"sharing.share": "mine"}, "sharing.share"),
                           ({"sharing.temperature_ceiling": 500}, "sharing.temperature_ceiling"),
                           ({"sharing.gpus": {"virtual-0": {"quiet_hours": "25:00-3:00"}}}, "sharing.gpus"),
                           ({"sharing.gpus": {"virtual-0": {"colour": "red"}}}, "sharing.gpus"),
                           ({"sharing.quiet_seconds": -1}, "sharing.quiet_seconds")):
        answer = server.request("PUT", "/api/v1/settings", json=changes)
        assert answer.status_code == 400, answer.text
        [error] = answer.json()["errors"]
        assert error["field"] == field and error["allowed"]
    answer = server.request("POST", "/api/v1/gpus/virtual-0/use-anyway", json={"minutes": 99999999})
    assert answer.status_code == 400
