"""Guarantee: every waiting job says why it waits and when it will probably start; what the scheduler decided can be
looked at afterwards; one's own history can be played again on other gpus."""
import json

from harness import run_program, wait_until

LONG = {"steps": 200, "count": 4}


def reason_of(server, job_id, seconds=10):
    """Of a job that waits, as soon as somebody has looked."""
    found = {}

    def looked():
        found.update(server.job(job_id))
        return found["reason"] is not None

    wait_until(looked, seconds, f"a reason of job {job_id}")
    return found["reason"], found["predicted_start"]


def test_jobs_behind_a_running_one_say_so_and_when_they_start(make_server):
    server = make_server(gpus="1x24GiB", time_scale=10, multi_gpu=False)
    first, second, third = (job["id"] for job in server.submit(LONG, LONG, LONG, prompt="a"))
    server.wait_for_jobs([first], states=("running",))
    wait_until(lambda: reason_of(server, third)[0].get("jobs_ahead") == 1, what="the first job to be out of its way")
    reason, start = reason_of(server, third)
    assert reason["kind"] == "strict_order" and "1 job is in front of it" in reason["text"]
    assert start["earliest_ms"] < start["latest_ms"]
    reason, sooner = reason_of(server, second)
    assert reason["kind"] == "runs_next" and reason["gpu_index"] == 0
    assert sooner["earliest_ms"] < start["earliest_ms"]
    assert server.job(first)["reason"] is None and server.job(first)["predicted_start"] is None


def test_a_held_job_says_what_holds_it_and_has_no_start(make_server):
    server = make_server(gpus="1x24GiB", time_scale=10, multi_gpu=False)
    _, waiting = (job["id"] for job in server.submit(LONG, LONG, prompt="a"))
    assert server.request("POST", f"/api/v1/jobs/{waiting}/hold", json={}).status_code == 200
    reason, start = reason_of(server, waiting)
    assert (reason["kind"], reason["held_reason"], start) == ("held", "user", None)


def test_forecasts_are_told_while_jobs_wait(make_server):
    server = make_server(gpus="1x24GiB", time_scale=10, multi_gpu=False)
    with server.events() as events:
        _, waiting = (job["id"] for job in server.submit(LONG, LONG, prompt="a"))
        told = events.wait_for(lambda event: event["type"] == "queue.forecast"
                               and any(job["id"] == waiting and job["predicted_start"] for job in event["data"]["jobs"]))
        assert told["seq"] is None


def test_the_trace_shows_loads_runs_and_decisions_of_each_gpu(make_server):
    server = make_server(gpus="2x24GiB", time_scale=50)
    ids = [job["id"] for job in server.submit(*[{"prompt": "a"}] * 6)]
    server.wait_for_jobs(ids)
    done = run_program("trace", "--data", server.data)
    assert done.returncode == 0, done.stderr
    events = json.loads(done.stdout)["traceEvents"]
    names = {event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert len([name for name in names if name.startswith("gpu ")]) == 2
    runs = [event for event in events if event.get("cat") == "run"]
    assert {event["name"] for event in runs} == {f"job {job_id}" for job_id in ids}
    assert all(event["ph"] == "X" and event["dur"] > 0 for event in runs)
    decisions = [event for event in events if event.get("cat") == "decision"]
    assert {event["args"]["why"] for event in decisions} >= {"load_pays", "warm"}
    loads = [event for event in events if event.get("cat") == "load"]
    assert loads and all(event["args"]["outcome"] == "ready" for event in loads)


def test_ones_own_history_is_played_on_the_gpus_named_while_the_server_runs(make_server):
    server = make_server(gpus="1x24GiB", time_scale=50)
    ids = [job["id"] for job in server.submit(*[{"prompt": "a"}] * 5)]
    server.wait_for_jobs(ids)
    done = run_program("simulate", "--from-history", "--data", server.data, "--gpus", "H100+2x4090",
                       "--policy", "amp,fifo", "--json", "-", timeout=120)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["results"]
    assert [(row["trace"], row["policy"], row["jobs"]) for row in rows] == [("history", "amp", 5), ("history", "fifo", 5)]


def test_without_a_history_it_says_so(tmp_path):
    done = run_program("simulate", "--from-history", "--data", tmp_path, "--gpus", "H100", "--policy", "fifo")
    assert done.returncode == 3, done.stderr
    assert "there is no history yet" in done.stderr and str(tmp_path) in done.stderr
