"""Guarantee: the death of a worker costs one attempt of one chunk; the server and every other job go on."""
import collections
import os
import signal

from harness import is_alive, wait_until


def is_sampling(job_id):
    def check(event):
        return (event["type"] == "job.progress" and event["data"]["job_id"] == job_id
                and event["data"]["progress"]["phase"] == "sample")
    return check


def kill_workers(server):
    workers = server.workers()
    assert workers, "no worker to kill"
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return workers


def test_the_attempt_is_repeated_and_only_missing_images_are_made(make_server):
    server = make_server(gpus="1x24GiB", time_scale=5)
    [job] = server.submit({"count": 6})
    with server.events() as stream:
        first = [stream.wait_for(lambda event: event["type"] == "image.published")["data"]["image"] for _ in range(2)]
        inodes = {image["path"]: (server.output / image["path"]).stat().st_ino for image in first}
        stream.wait_for(is_sampling(job["id"]))
        kill_workers(server)
        ended = stream.wait_for_jobs([job["id"]])
    assert ended[job["id"]]["state"] == "done"
    images = server.job(job["id"])["images"]
    assert collections.Counter(image["index"] for image in images) == collections.Counter(range(6))
    assert {image["state"] for image in images} == {"published"}
    assert {path: (server.output / path).stat().st_ino for path in inodes} == inodes
    assert server.pictures() == sorted(image["path"] for image in images)
    assert server.is_running()


def test_a_death_on_one_gpu_leaves_the_others_alone(make_server):
    server = make_server(gpus="4x24GiB", time_scale=5)
    jobs = server.submit(*[{"count": 2, "seed": n} for n in range(16)])
    with server.events() as stream:
        stream.wait_for(lambda event: event["type"] == "image.published")
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        ended = stream.wait_for_jobs([job["id"] for job in jobs])
    assert {job["state"] for job in ended.values()} == {"done"}
    assert len(server.pictures()) == 32


def test_a_job_that_kills_three_workers_fails_with_the_evidence(make_server):
    server = make_server(gpus="1x24GiB", time_scale=5)
    [poison] = server.submit({"steps": 100})
    with server.events() as stream:
        for _ in range(3):
            stream.wait_for(is_sampling(poison["id"]), seconds=60)
            for pid in kill_workers(server):
                wait_until(lambda pid=pid: not is_alive(pid), 5, f"worker {pid} to end")
        ended = stream.wait_for_jobs([poison["id"]])[poison["id"]]
    assert ended["state"] == "failed"
    assert ended["error"]["message"] and ended["error"]["evidence"], ended["error"]
    assert "9" in str(ended["error"]) or "SIGKILL" in str(ended["error"]), "the evidence names the signal"

    [healthy] = server.submit({})
    assert server.wait_for_jobs([healthy["id"]])[healthy["id"]]["state"] == "done"


def test_the_death_of_an_idle_worker_harms_no_job(make_server):
    server = make_server(gpus="1x24GiB")
    [first] = server.submit({})
    server.wait_for_jobs([first["id"]])
    for pid in kill_workers(server):
        wait_until(lambda pid=pid: not is_alive(pid), 5, f"worker {pid} to end")
    [second] = server.submit({})
    assert server.wait_for_jobs([second["id"]])[second["id"]]["state"] == "done"


def test_cancel_ends_a_running_job_at_a_step(make_server):
    server = make_server(gpus="1x24GiB", time_scale=5)
    [job, after] = server.submit({"steps": 200, "count": 50}, {})
    with server.events() as stream:
        stream.wait_for(is_sampling(job["id"]))
        answer = server.request("POST", f"/api/v1/jobs/{job['id']}/cancel")
        assert answer.status_code == 200, answer.text
        ended = stream.wait_for_jobs([job["id"], after["id"]], seconds=20)
    assert ended[job["id"]]["state"] == "cancelled"
    assert ended[after["id"]]["state"] == "done"
    assert server.request("POST", f"/api/v1/jobs/{job['id']}/cancel").status_code == 409
