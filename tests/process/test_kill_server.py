"""Guarantee: an accepted job is never lost and no picture is published twice, whatever kills the server."""
import collections
import os
import signal

import pytest
from PIL import Image

from harness import PICTURE_NAME, is_alive, wait_until


def finished_count(stream, wanted):
    """Reads events until `wanted` jobs are done; returns how many were seen done."""
    done = set()

    def note(event):
        job = event["data"].get("job")
        if event["type"] == "job.updated" and job["state"] == "done":
            done.add(job["id"])
        return len(done) >= wanted

    stream.wait_for(note)
    return len(done)


def check_every_picture_once(server, jobs, per_job, kills):
    wanted = {(job["id"], index) for job in jobs for index in range(per_job)}
    images = server.images()
    published = [(image["job_id"], image["index"]) for image in images if image["state"] == "published"]
    assert collections.Counter(published) == collections.Counter(wanted)
    paths = sorted(image["path"] for image in images)
    assert server.pictures() == paths, "the output folder holds exactly what the database says"
    assert all(PICTURE_NAME.match(path) for path in paths), paths[:3]
    for path in paths:
        with Image.open(server.output / path) as picture:
            picture.verify()
    leftovers = [p for p in server.output.rglob("*") if p.is_file() and p.suffix != ".png" and not p.name.startswith("jobs_")]
    assert leftovers == []
    logged = collections.Counter(path for record in server.log_records() for path in record["paths"])
    assert set(logged) <= {str(server.output / path) for path in paths} and set(logged.values()) == {1}, "no line twice"
    # The log is written after the job's end is on disk: a kill in between costs the lines of the jobs that just ended.
    assert len(paths) - len(logged) <= kills * 4 * per_job, "the log lacks more than one moment's jobs"


@pytest.mark.parametrize("done_before", [10, 25, 38])
def test_killed_with_some_of_fifty_jobs_done(make_server, done_before):
    server = make_server()
    with server.events() as stream:
        jobs = server.submit(*[{"prompt": f"hill number {n}", "seed": n} for n in range(50)])
        done = finished_count(stream, done_before)
        server.kill()
    assert 10 <= done <= 40

    server.start()
    ended = server.wait_for_jobs([job["id"] for job in jobs])
    assert {job["state"] for job in ended.values()} == {"done"}
    check_every_picture_once(server, jobs, per_job=1, kills=1)


def test_killed_in_the_middle_of_jobs_with_many_images(make_server):
    """A repeated attempt makes the missing pictures only: those on disk before the kill keep their bytes."""
    server = make_server(gpus="2x24GiB")
    with server.events() as stream:
        jobs = server.submit(*[{"count": 5, "seed": 100 * n} for n in range(4)])
        images = [stream.wait_for(lambda event: event["type"] == "image.published") for _ in range(7)]
        server.kill()
    before = {event["data"]["image"]["path"]: None for event in images}
    for path in before:
        stat = (server.output / path).stat()
        before[path] = (stat.st_ino, stat.st_mtime_ns)

    server.start()
    server.wait_for_jobs([job["id"] for job in jobs], states=("done",))
    check_every_picture_once(server, jobs, per_job=5, kills=1)
    after = {path: (stat.st_ino, stat.st_mtime_ns) for path in before for stat in [(server.output / path).stat()]}
    assert after == before, "a published picture was written again"


def test_killed_again_and_again(make_server):
    server = make_server()
    jobs = server.submit(*[{"seed": n, "count": 2} for n in range(12)])
    for _ in range(3):
        with server.events() as stream:
            try:
                stream.wait_for(lambda event: event["type"] == "image.published", seconds=10)
            except AssertionError:
                pass  # all pictures are made already: killing an idle server is a case too
        server.kill()
        server.start()
    ended = server.wait_for_jobs([job["id"] for job in jobs])
    assert {job["state"] for job in ended.values()} == {"done"}, "the server's own death is no failed attempt"
    check_every_picture_once(server, jobs, per_job=2, kills=3)


def test_a_cancel_outlives_the_server(make_server):
    """Killed between the answer to the cancel and the end of the chunk: the job is cancelled, not made again."""
    server = make_server(gpus="1x24GiB", time_scale=5)
    [job] = server.submit({"steps": 100, "count": 20})
    with server.events() as stream:
        stream.wait_for(lambda event: event["type"] == "image.published")
        workers = server.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)  # the chunk cannot end now
        answer = server.request("POST", f"/api/v1/jobs/{job['id']}/cancel").json()
        assert (answer["state"], answer["cancel_requested"]) == ("running", True), answer
        told = stream.wait_for(lambda event: event["type"] == "job.updated")["data"]["job"]
        assert (told["state"], told["cancel_requested"]) == ("running", True), told
        server.kill()
    for pid in workers:
        wait_until(lambda pid=pid: not is_alive(pid), 5, f"worker {pid} to end")
    before = server.pictures()
    assert before

    server.start()
    ended = server.wait_for_jobs([job["id"]])[job["id"]]
    assert (ended["state"], ended["cancel_requested"], ended["partial"]) == ("cancelled", True, True)
    assert ended["published"] == len(before)
    [after] = server.submit({})
    server.wait_for_jobs([after["id"]], states=("done",))
    assert [image["path"] for image in server.images(job_id=job["id"])][::-1] == before, "what was published stays"
    assert len(server.pictures()) == len(before) + 1, "nothing of the cancelled job was made again"

    def logged():
        return [record["state"] for record in server.log_records() if record["job_id"] == job["id"]]

    wait_until(logged, 5, "the line of the cancelled job")
    assert logged() == ["cancelled"]


def test_workers_end_with_the_server(make_server):
    server = make_server()
    with server.events() as stream:
        server.submit(*[{"seed": n} for n in range(8)])
        stream.wait_for(lambda event: event["type"] == "image.published")
        workers = server.workers()
        assert workers
        server.kill()
    for pid in workers:
        wait_until(lambda pid=pid: not is_alive(pid), 5, f"worker {pid} to end")


def test_a_stopped_server_ends_cleanly_and_keeps_its_queue(make_server):
    server = make_server(gpus="1x24GiB")
    jobs = server.submit(*[{"seed": n} for n in range(10)])
    with server.events() as stream:
        stream.wait_for(lambda event: event["type"] == "image.published")
    assert server.stop() == 0
    server.start()
    ended = server.wait_for_jobs([job["id"] for job in jobs])
    assert {job["state"] for job in ended.values()} == {"done"}
    check_every_picture_once(server, jobs, per_job=1, kills=0)


def test_events_continue_their_numbers_after_a_kill(make_server):
    server = make_server()
    first = server.submit({})
    server.wait_for_jobs([first[0]["id"]])
    seq = server.get("/snapshot")["seq"]
    assert seq > 0
    server.kill()
    server.start()
    second = server.submit({})
    server.wait_for_jobs([second[0]["id"]])
    with server.events(last_event_id=seq) as stream:
        job_id = second[0]["id"]
        stream.wait_for_jobs([job_id], states=("done",))
        numbers = [event["seq"] for event in stream.seen if event["seq"] is not None and event["type"] != "snapshot"]
    assert numbers == list(range(seq + 1, seq + 1 + len(numbers))), "no gap and no repetition"
