"""Guarantee: a job may run on several gpus at once and a model may load while its gpu works, and nothing of a job's life
changes by it: every picture is made and published once, whatever dies or is cancelled on the way."""
import collections
import os
import signal
import sqlite3

from harness import wait_until

OTHER = "demo-portrait"


def gpu_of(server, **conditions):
    """The gpus whose row says so."""
    return [gpu for gpu in server.get("/gpus")["gpus"] if all(gpu[key] == value for key, value in conditions.items())]


def warm_up(server, model="demo-landscape"):
    """Every gpu holds the model."""
    gpus = [gpu["uuid"] for gpu in wait_until(lambda: server.get("/gpus")["gpus"], 10, "the gpus")]
    jobs = server.submit(*[{"gpu": uuid, "steps": 1, "model": model} for uuid in gpus])
    server.wait_for_jobs([job["id"] for job in jobs])
    wait_until(lambda: len(gpu_of(server, resident_models=[model], state="idle")) == len(gpus), 10, "idle gpus")


def works_at(job_id, count):
    """That so many gpus work at the job, by one event about them."""
    def check(event):
        gpus = event["data"].get("gpus", []) if event["type"] == "gpu.sample" else []
        return sum(gpu["state"] == "busy" and gpu["job"] == job_id for gpu in gpus) == count
    return check


def check_published_once(server, job_id, count):
    images = server.job(job_id)["images"]
    assert collections.Counter(image["index"] for image in images) == collections.Counter(range(count))
    assert {image["state"] for image in images} == {"published"}
    assert {image["seed"] - image["index"] for image in images} == {500}
    events = [event for event in replay(server) if event["type"] == "image.published"
              and event["data"]["job_id"] == job_id]
    assert sorted(event["data"]["image"]["index"] for event in events) == list(range(count)), "told once each"
    on_disk = [path for path in server.pictures() if path in {image["path"] for image in images}]
    assert len(on_disk) == count
    return images


def replay(server):
    """All durable events from the first one on."""
    last = server.get("/snapshot")["seq"]
    with server.events(last_event_id=0) as stream:
        stream.wait_for(lambda event: (event["seq"] or 0) >= last)
        return [event for event in stream.seen if event["seq"] is not None]


def split(server, **keys):
    """A job of eight pictures that four gpus work at."""
    warm_up(server)
    stream = server.events()
    stream.next()
    job_id = server.submit({"count": 8, "seed": 500, **keys})[0]["id"]
    stream.wait_for(works_at(job_id, 4))
    return job_id, stream


def test_four_gpus_work_at_one_job(make_server):
    server = make_server(gpus="4x24GiB", time_scale=5)
    job_id, stream = split(server, steps=60)
    with stream:
        stream.wait_for_jobs([job_id])
    images = check_published_once(server, job_id, 8)
    made = collections.Counter(image["gpu"] for image in images)
    assert len(made) == 4 and set(made.values()) == {2}, made
    told = {event["data"]["progress"]["gpu"] for event in stream.seen if event["type"] == "job.progress"}
    assert len(told) == 4, "a page sees all four at work"


def test_a_worker_that_dies_in_a_split_job_costs_only_its_part(make_server):
    server = make_server(gpus="4x24GiB", time_scale=5)
    job_id, stream = split(server, steps=100)
    with stream:
        first = stream.wait_for(lambda event: event["type"] == "image.published")["data"]["image"]
        inode = (server.output / first["path"]).stat().st_ino
        os.kill(server.workers()[0], signal.SIGKILL)
        ended = stream.wait_for_jobs([job_id])[job_id]
    assert ended["state"] == "done"
    check_published_once(server, job_id, 8)
    assert (server.output / first["path"]).stat().st_ino == inode, "what was published is not made again"


def test_a_cancel_ends_a_job_on_every_gpu(make_server):
    server = make_server(gpus="4x24GiB", time_scale=5)
    job_id, stream = split(server, steps=200)
    with stream:
        assert server.request("POST", f"/api/v1/jobs/{job_id}/cancel").status_code == 200
        ended = stream.wait_for_jobs([job_id])[job_id]
        assert ended["state"] == "cancelled"
        stream.wait_for(lambda event: event["type"] == "gpu.sample"
                        and all(gpu["state"] == "idle" for gpu in event["data"]["gpus"]))
    published = [image for image in server.job(job_id)["images"] if image["state"] == "published"]
    assert len(published) < 8
    assert len(server.workers()) == 4, "a cancel at a step ends no worker"
    after = server.submit({})[0]["id"]
    assert server.wait_for_jobs([after])[after]["state"] == "done"


def test_a_server_that_dies_in_a_split_job_makes_what_is_missing(make_server):
    server = make_server(gpus="4x24GiB", time_scale=5)
    job_id, stream = split(server, steps=100)
    with stream:
        stream.wait_for(lambda event: event["type"] == "image.published")
    server.kill()
    server.start()
    assert server.wait_for_jobs([job_id])[job_id]["state"] == "done"
    check_published_once(server, job_id, 8)


def test_the_next_model_loads_while_the_gpu_works(make_server):
    server = make_server(gpus="1x24GiB", time_scale=5)
    warm_up(server)
    with server.events() as stream:
        stream.next()
        first = server.submit({"count": 8, "steps": 100})[0]["id"]  # 8 s
        stream.wait_for(works_at(first, 1))
        second = server.submit({"model": OTHER})[0]["id"]

        def loads_beside(event):
            gpus = event["data"].get("gpus", []) if event["type"] == "gpu.sample" else []
            return any(gpu["state"] == "busy" and gpu["job"] == first and gpu["loading_model"] == OTHER
                       and gpu["resident_models"] == ["demo-landscape"] for gpu in gpus)

        stream.wait_for(loads_beside)
        both = stream.wait_for(lambda event: event["type"] == "gpu.sample"
                               and len(event["data"]["gpus"][0]["resident_models"]) == 2)
        gpu = both["data"]["gpus"][0]
        assert gpu["state"] == "busy" and gpu["job"] == first and gpu["loading_model"] is None
        jobs = stream.wait_for_jobs([first, second])
    assert {job["state"] for job in jobs.values()} == {"done"}


def test_loading_beside_a_run_can_be_switched_off(make_server):
    server = make_server(gpus="1x24GiB", time_scale=5, arguments=["--load-beside-run", "off"])
    warm_up(server)
    with server.events() as stream:
        stream.next()
        first, second = (job["id"] for job in server.submit({"count": 4, "steps": 100}, {"model": OTHER}))
        stream.wait_for_jobs([first, second])
        for event in stream.seen:
            for gpu in event["data"].get("gpus", []) if event["type"] == "gpu.sample" else []:
                assert not (gpu["state"] == "busy" and gpu["loading_model"]), gpu


def test_an_idle_model_leaves_its_gpu_once_that_is_set(make_server):
    server = make_server(gpus="1x24GiB", time_scale=50)
    warm_up(server)
    with server.events() as stream:
        stream.next()
        server.settings(idle_unload__gpu_seconds=1, models__pinned=["demo-landscape"])
        warm_up_other = server.submit({"model": OTHER})[0]["id"]
        stream.wait_for_jobs([warm_up_other])
        stream.wait_for(lambda event: event["type"] == "gpu.sample"
                        and event["data"]["gpus"][0]["resident_models"] == ["demo-landscape"])
        server.settings(models__pinned=[])
        stream.wait_for(lambda event: event["type"] == "gpu.sample"
                        and event["data"]["gpus"][0]["resident_models"] == [])
    wait_until(lambda: server.workers() == [], what="the worker to end")  # it is told to before its gpu is shown free


def test_settings_of_distribution_outlast_a_kill_and_refuse_nonsense(make_server):
    server = make_server(gpus="2x24GiB", time_scale=50)
    set_to = {"scheduler.policy": "v18", "scheduler.objective": "throughput", "models.pinned": ["demo-city"],
              "idle_unload.host_seconds": 600, "host_memory.limit": 1_000_000, "worker_overhead_bytes": 5}
    assert server.request("PUT", "/api/v1/settings", json=set_to).status_code == 200
    server.kill()
    server.start()
    kept = server.get("/settings")
    assert {key: kept[key] for key in set_to} == set_to
    assert server.get("/gpus")["host_memory"]["limit_bytes"] == 1_000_000
    for key, value in {"scheduler.policy": "best", "models.pinned": ["no-such-model"], "host_memory.limit": -1}.items():
        refused = server.request("PUT", "/api/v1/settings", json={key: value})
        assert refused.status_code == 400 and refused.json()["errors"][0]["field"] == key, refused.text
    job_id = server.submit({})[0]["id"]
    assert server.wait_for_jobs([job_id])[job_id]["state"] == "done"


def test_what_was_learned_is_on_disk_and_predictions_get_good(make_server):
    server = make_server(gpus="1x24GiB", time_scale=10)
    ids = [server.submit({"steps": 40, "seed": seed})[0]["id"] for seed in range(6)]
    server.wait_for_jobs(ids)
    error = server.get("/gpus")["scheduler"]["prediction_error"]
    assert error["load"] is not None and error["run"] is not None
    assert server.stop() == 0
    with sqlite3.connect(f"file:{server.data / 'pixelfleet.db'}?mode=ro", uri=True) as database:
        rows = {(kind, subject): count for kind, subject, count in database.execute("SELECT kind, subject, count FROM costs")}
    assert rows[("run", "demo-landscape/default")] == len(ids)
    assert rows[("load_from_host", "demo-landscape")] == 1
    server.start()
    assert server.get("/snapshot")["scheduler"]["prediction_error"] == {"load": None, "run": None}
    again = server.submit({"steps": 40})[0]["id"]
    server.wait_for_jobs([again])
    wait_until(lambda: server.get("/gpus")["scheduler"]["prediction_error"]["run"] is not None, 5, "a measured run")
