"""Guarantee: what people make of the queue (pauses, holds, moves, priorities, pins, retries) is durable once it is
answered, and is what then happens."""
import pytest

from harness import run_program

def post(server, path, **body):
    answer = server.request("POST", "/api/v1" + path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(server, method, path, **body):
    answer = server.request(method, "/api/v1" + path, json=body)
    assert answer.status_code == 409, answer.text
    return answer.json()["detail"]


def started_order(server, ids):
    jobs = [server.job(job_id) for job_id in ids]
    return [job["id"] for job in sorted(jobs, key=lambda job: (job["started_at_ms"], job["id"]))]


def submit_held(server, count=1, **keys):
    """Jobs of a paused queue. They are answered when they are on disk, and held right after."""
    ids = [job["id"] for job in server.submit(*[{} for _ in range(count)], **keys)]
    assert {job["held_reason"] for job in server.wait_for_jobs(ids, states=("held",)).values()} == {"paused"}
    return ids


@pytest.fixture
def paused(make_server):
    """One gpu, everything paused: what is submitted waits until the test lets it go."""
    server = make_server(gpus="1x24GiB", time_scale=50, multi_gpu=False)
    assert post(server, "/queue/pause") == {"paused_all": True, "paused_owners": []}
    return server


def test_a_pause_outlasts_a_kill_and_ends_with_resume(paused):
    ids = submit_held(paused, 3)
    paused.kill()
    paused.start()
    assert paused.get("/queue")["paused_all"]
    assert [paused.job(job_id)["held_reason"] for job_id in ids] == ["paused"] * 3
    late = submit_held(paused)[0]
    post(paused, "/queue/resume")
    done = paused.wait_for_jobs([*ids, late])
    assert {job["state"] for job in done.values()} == {"done"}


def test_a_paused_owner_waits_while_others_go_on(make_server):
    server = make_server(gpus="1x24GiB", time_scale=50)
    post(server, "/queue/pause", owner="ada")
    ada, grace = (server.submit(owner=owner)[0]["id"] for owner in ("ada", "grace"))
    server.wait_for_jobs([grace])
    assert server.job(ada)["held_reason"] == "paused"
    assert "resume" in refused(server, "POST", f"/jobs/{ada}/release")
    post(server, "/queue/resume", owner="ada")
    assert server.wait_for_jobs([ada])[ada]["state"] == "done"


def test_moves_priorities_and_holds_decide_the_order_also_after_a_kill(paused):
    a, b, c, d, e = submit_held(paused, 5)
    post(paused, f"/jobs/{d}/move", before=b)  # a d b c e
    post(paused, f"/jobs/{a}/move", after=c)  # d b c a e
    assert post(paused, f"/jobs/{b}/hold")["held_reason"] == "user"
    urgent = paused.request("PATCH", f"/api/v1/jobs/{e}", json={"priority": "interactive"})
    assert urgent.json()["priority"] == "interactive"  # e d b c a
    paused.kill()
    paused.start()
    assert paused.job(b)["held_reason"] == "user"
    post(paused, "/queue/resume")
    paused.wait_for_jobs([a, c, d, e])
    assert started_order(paused, [a, c, d, e]) == [e, d, c, a]
    post(paused, f"/jobs/{b}/release")
    assert paused.wait_for_jobs([b])[b]["state"] == "done"


def test_a_moved_job_starts_no_later_than_the_one_it_passed(make_server):
    server = make_server(gpus="2x24GiB", time_scale=20)
    post(server, "/queue/pause")
    models = ["demo-landscape", "demo-portrait", "demo-city"]
    ids = [submit_held(server, model=models[i % 3])[0] for i in range(9)]
    moved = ids[-1]
    post(server, f"/jobs/{moved}/move", before=ids[1])
    post(server, "/queue/resume")
    server.wait_for_jobs(ids)
    started = {job_id: server.job(job_id)["started_at_ms"] for job_id in ids}
    assert all(started[moved] <= started[other] for other in ids[1:-1]), started


def test_a_pin_sends_a_job_to_its_gpu(make_server):
    server = make_server(gpus="2x24GiB", time_scale=50)
    post(server, "/queue/pause")
    job_id = submit_held(server)[0]
    gpu = server.get("/gpus")["gpus"][1]["uuid"]
    pinned = server.request("PATCH", f"/api/v1/jobs/{job_id}", json={"gpu": gpu})
    assert pinned.json()["requested"]["gpu"] == gpu
    unknown = server.request("PATCH", f"/api/v1/jobs/{job_id}", json={"gpu": "virtual-99"})
    assert unknown.status_code == 400 and gpu in unknown.json()["errors"][0]["allowed"]
    post(server, "/queue/resume")
    server.wait_for_jobs([job_id])
    assert server.images(job_id=job_id)[0]["gpu"] == gpu


def test_a_retried_job_makes_the_same_pictures_that_it_lacked(make_server):
    server = make_server(gpus="1x24GiB", time_scale=5)
    job_id = server.submit({"count": 6, "steps": 60, "seed": 40})[0]["id"]
    with server.events() as stream:
        stream.wait_for(lambda event: event["type"] == "image.published")
        post(server, f"/jobs/{job_id}/cancel")
        stream.wait_for_jobs([job_id])
    before = {image["index"]: image for image in server.job(job_id)["images"]}
    kept = [index for index, image in before.items() if image["state"] == "published"]
    assert 0 < len(kept) < 6
    assert "cannot be held; retry it first" in refused(server, "POST", f"/jobs/{job_id}/hold")

    again = post(server, f"/jobs/{job_id}/retry")
    assert again["state"] in ("queued", "running") and not again["cancel_requested"]
    assert again["finished_at_ms"] is None
    server.wait_for_jobs([job_id])
    after = {image["index"]: image for image in server.job(job_id)["images"]}
    assert {image["state"] for image in after.values()} == {"published"}
    assert [(i["seed"], i["path"]) for i in after.values()] == [(i["seed"], i["path"]) for i in before.values()]
    assert all(after[index]["published_at_ms"] == before[index]["published_at_ms"] for index in kept)
    assert "is done" in refused(server, "POST", f"/jobs/{job_id}/retry")


def test_a_sweep_is_cancelled_as_a_whole(paused):
    sweep = submit_held(paused, 3, sweep_id=7)
    other = submit_held(paused, sweep_id=8)[0]
    receipt = post(paused, "/jobs/cancel", sweep_id=7)
    assert receipt == {"cancelled": sweep, "stopping": [], "ended": []}
    assert paused.job(other)["state"] == "held"
    nothing = paused.request("POST", "/api/v1/jobs/cancel", json={"sweep_id": 7})
    assert nothing.status_code == 404 and "sweep 7" in nothing.json()["detail"]
    unknown = paused.request("POST", "/api/v1/jobs/cancel", json={"ids": [other, 999]})
    assert unknown.status_code == 404 and paused.job(other)["state"] == "held"


def test_pauses_and_orders_are_told_to_every_page(paused):
    first, second = submit_held(paused, 2)
    with paused.events() as stream:
        assert stream.next()["data"]["queue"] == {"paused_all": True, "paused_owners": []}
        post(paused, f"/jobs/{second}/move", before=first)
        moved = stream.wait_for(lambda event: event["type"] == "job.updated")
        assert moved["data"]["job"]["id"] == second and moved["data"]["job"]["rank"] < 0
        post(paused, "/queue/resume")
        assert stream.wait_for(lambda event: event["type"] == "queue.changed")["data"]["paused_all"] is False


# --- the command line ------------------------------------------------------------------------------------------------


def jobs_command(server, *arguments, code=0):
    ran = run_program("jobs", *arguments, "--data", server.data)
    assert ran.returncode == code, ran.stderr
    return ran.stdout if code == 0 else ran.stderr


def test_the_command_line_orders_the_queue(paused):
    a, b, c = submit_held(paused, 3, owner="ada", sweep_id=7)
    assert "everybody, ada" in jobs_command(paused, "pause", "--owner", "ada")
    jobs_command(paused, "move", c, "--before", a)
    assert paused.job(c)["rank"] < paused.job(a)["rank"]
    jobs_command(paused, "move", c, "--after", b)
    assert paused.job(b)["rank"] < paused.job(c)["rank"]
    jobs_command(paused, "hold", a)
    assert "held: user" in jobs_command(paused, "show", a)
    jobs_command(paused, "release", a)
    jobs_command(paused, "priority", a, "background")
    assert paused.job(a)["priority"] == "background"
    jobs_command(paused, "pin", b, 0)
    assert paused.job(b)["requested"]["gpu"] == paused.get("/gpus")["gpus"][0]["uuid"]
    jobs_command(paused, "unpin", b)
    assert "gpu" not in paused.job(b)["requested"]
    assert jobs_command(paused, "cancel", a, b).strip() == f"cancelled: {a}, {b}"
    jobs_command(paused, "retry", a)
    assert jobs_command(paused, "cancel", "--sweep", 7).strip() == f"cancelled: {a}, {c}"
    assert jobs_command(paused, "resume").strip() == "paused: ada"
    assert jobs_command(paused, "resume", "--owner", "ada").strip() == "nothing is paused"


def test_the_command_line_says_what_is_wrong_and_what_would_help(paused):
    job_id = submit_held(paused)[0]
    assert "--before" in jobs_command(paused, "move", job_id, code=2)
    assert "interactive, normal, background" in jobs_command(paused, "priority", job_id, "urgent", code=2)
    assert "allowed: virtual-0" in jobs_command(paused, "pin", job_id, 7, code=2)
    assert "resume that" in jobs_command(paused, "release", job_id, code=4)
    assert "no job 99" in jobs_command(paused, "hold", 99, code=3)
    assert "id or --sweep" in jobs_command(paused, "cancel", code=2)
