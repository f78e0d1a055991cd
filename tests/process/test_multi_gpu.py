"""Guarantee: the switch and its limit work while jobs run: raising adds gpus, lowering lets chunks finish and workers
end; a list of gpus is kept to, and one that names nobody keeps nothing from running."""
from harness import wait_until

LONG = {"steps": 100}


def states(server):
    return [gpu["state"] for gpu in server.get("/gpus")["gpus"]]


def test_the_limit_goes_up_and_down_under_load_and_no_picture_is_lost(make_server):
    server = make_server(gpus="4x24GiB", time_scale=20)
    server.settings(multi_gpu__max_gpus=1)
    stream = server.events()
    stream.next()
    jobs = [job["id"] for job in server.submit(*[LONG] * 24)]
    wait_until(lambda: states(server).count("busy") == 1, what="the one gpu to work")
    assert states(server)[1:] == ["unused"] * 3
    server.settings(multi_gpu__max_gpus=4)
    wait_until(lambda: states(server).count("busy") == 4, what="all four to work")
    server.settings(multi_gpu__max_gpus=1)
    assert set(states(server)[1:]) <= {"draining", "unused"}, "chunks finish, nothing new begins"
    wait_until(lambda: states(server)[1:] == ["unused"] * 3, what="three to drain")
    wait_until(lambda: len(server.workers()) == 1, what="their workers to end")
    with stream:
        done = stream.wait_for_jobs(jobs)
    assert {job["state"] for job in done.values()} == {"done"}
    assert all(job["published"] == job["count"] for job in done.values())
    told = [event["data"]["job"] for event in stream.seen if event["type"] == "job.updated"]
    for job_id in jobs:
        states_of_job = [job["state"] for job in told if job["id"] == job_id]
        assert "running" in states_of_job, f"the stream did not tell that job {job_id} began: {states_of_job}"
        assert "queued" not in states_of_job[states_of_job.index("running"):], f"a chunk of job {job_id} was given back"


def test_only_listed_gpus_are_used_and_a_list_of_strangers_is_told_and_left_aside(make_server):
    server = make_server(gpus="4x24GiB", time_scale=50)
    server.settings(multi_gpu__gpus=["virtual-2", "3"])
    jobs = [job["id"] for job in server.submit(*[LONG] * 8)]
    server.wait_for_jobs(jobs)
    assert states(server)[:2] == ["unused", "unused"]
    assert {image["gpu"] for image in server.images()} == {"virtual-2", "virtual-3"}
    server.settings(multi_gpu__gpus=["GPU-of-somebody-else"])
    assert states(server) == ["idle"] * 4
    wait_until(lambda: any("GPU-of-somebody-else" in line and "virtual-0" in line for line in [server.log_tail()]),
               what="the log to name it")
    answer = server.request("PUT", "/api/v1/settings", json={"multi_gpu.gpus": "virtual-1"})
    assert answer.status_code == 400 and "list" in answer.text
