"""Every route of the API document answers as it should. Also run against the sanitizer build: GCC 12 miscompiles some
co_await expressions, which shows there and nowhere else."""
import io
import json
import re

import pytest
from PIL import Image
from websockets.sync.client import connect

from harness import ROOT, Server, wait_until

pytestmark = pytest.mark.routes

DOCUMENT = ROOT / "api" / "openapi.yaml"


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("routes"), gpus="2x24GiB", time_scale=50).start()
    server.job_id = server.submit({"count": 2, "steps": 8})[0]["id"]
    server.wait_for_jobs([server.job_id])
    server.image_id = server.job(server.job_id)["images"][0]["id"]
    yield server
    assert server.is_running(), server.log_tail()
    assert server.stop() == 0, server.log_tail()


def png(width=64, height=48):
    out = io.BytesIO()
    Image.new("RGB", (width, height), (10, 120, 60)).save(out, "PNG")
    return out.getvalue()


# route of the document -> (request, expected status)
ROUTES = {
    "GET /api/v1/jobs": (lambda s: s.request("GET", "/api/v1/jobs?state=done,failed&limit=5"), 200),
    "POST /api/v1/jobs": (lambda s: s.request("POST", "/api/v1/jobs", json={"prompt": "x", "model": "demo-city"}), 201),
    "GET /api/v1/jobs/{id}": (lambda s: s.request("GET", f"/api/v1/jobs/{s.job_id}"), 200),
    "POST /api/v1/jobs/{id}/cancel": (lambda s: s.request("POST", f"/api/v1/jobs/{s.job_id}/cancel"), 409),
    "POST /api/v1/jobs/{id}/hold": (lambda s: s.request("POST", f"/api/v1/jobs/{s.job_id}/hold"), 409),
    "POST /api/v1/jobs/{id}/release": (lambda s: s.request("POST", f"/api/v1/jobs/{s.job_id}/release"), 409),
    "POST /api/v1/jobs/{id}/move": (lambda s: s.request("POST", f"/api/v1/jobs/{s.job_id}/move", json={"after": 9999}),
                                    409),
    "POST /api/v1/jobs/{id}/retry": (lambda s: s.request("POST", f"/api/v1/jobs/{s.job_id}/retry"), 409),
    "PATCH /api/v1/jobs/{id}": (lambda s: s.request("PATCH", f"/api/v1/jobs/{s.job_id}", json={"gpu": None}), 409),
    "POST /api/v1/jobs/cancel": (lambda s: s.request("POST", "/api/v1/jobs/cancel", json={"ids": [s.job_id]}), 200),
    "GET /api/v1/queue": (lambda s: s.request("GET", "/api/v1/queue"), 200),
    "POST /api/v1/queue/pause": (lambda s: s.request("POST", "/api/v1/queue/pause", json={"owner": "nobody"}), 200),
    "POST /api/v1/queue/resume": (lambda s: s.request("POST", "/api/v1/queue/resume"), 200),
    "GET /api/v1/images": (lambda s: s.request("GET", f"/api/v1/images?job_id={s.job_id}"), 200),
    "GET /api/v1/images/{id}": (lambda s: s.request("GET", f"/api/v1/images/{s.image_id}"), 200),
    "GET /api/v1/images/{id}/file": (lambda s: s.request("GET", f"/api/v1/images/{s.image_id}/file"), 200),
    "GET /api/v1/images/{id}/thumbnail": (lambda s: s.request("GET", f"/api/v1/images/{s.image_id}/thumbnail"), 200),
    "GET /api/v1/models": (lambda s: s.request("GET", "/api/v1/models"), 200),
    "GET /api/v1/profiles": (lambda s: s.request("GET", "/api/v1/profiles"), 200),
    "GET /api/v1/samplers": (lambda s: s.request("GET", "/api/v1/samplers"), 200),
    "POST /api/v1/models/{name}/enable": (
        lambda s: s.request("POST", "/api/v1/models/demo-landscape/enable"), 409),
    "GET /api/v1/gpus": (lambda s: s.request("GET", "/api/v1/gpus"), 200),
    "GET /api/v1/gpus/{name}/history": (lambda s: s.request("GET", "/api/v1/gpus/virtual-1/history"), 200),
    "POST /api/v1/gpus/{name}/drain": (lambda s: s.request("POST", "/api/v1/gpus/virtual-1/drain"), 200),
    "POST /api/v1/gpus/{name}/retire": (lambda s: s.request("POST", "/api/v1/gpus/virtual-1/retire"), 200),
    "POST /api/v1/gpus/{name}/resume": (lambda s: s.request("POST", "/api/v1/gpus/virtual-1/resume"), 200),
    "POST /api/v1/gpus/{name}/use-anyway": (
        lambda s: s.request("POST", "/api/v1/gpus/virtual-1/use-anyway", json={"minutes": 1}), 200),
    "GET /api/v1/settings": (lambda s: s.request("GET", "/api/v1/settings"), 200),
    "PUT /api/v1/settings": (lambda s: s.request("PUT", "/api/v1/settings", json={"multi_gpu.max_gpus": 2}), 200),
    "POST /api/v1/uploads": (lambda s: s.request("POST", "/api/v1/uploads", data=png(),
                                                 headers={"Content-Type": "image/png"}), 201),
    "GET /api/v1/snapshot": (lambda s: s.request("GET", "/api/v1/snapshot"), 200),
    "GET /api/v1/trace": (lambda s: s.request("GET", "/api/v1/trace"), 200),
    "GET /api/v1/openapi.yaml": (lambda s: s.request("GET", "/api/v1/openapi.yaml"), 200),
    "POST /api/v1/login": (lambda s: s.request("POST", "/api/v1/login", json={"token": "wrong"}), None),
    "GET /livez": (lambda s: s.request("GET", "/livez"), 200),
    "GET /readyz": (lambda s: s.request("GET", "/readyz"), 200),
}
STREAMS = {"GET /api/v1/events", "GET /api/v1/ws"}


def documented_routes():
    routes, path = set(), None
    for line in DOCUMENT.read_text().splitlines():
        if match := re.match(r"^  (/\S*):\s*$", line):
            path = match.group(1)
        elif (match := re.match(r"^    (get|put|post|delete|patch):", line)) and path:
            routes.add(f"{match.group(1).upper()} {path}")
    return routes


def test_this_table_names_every_documented_route():
    assert documented_routes() - {"GET /"} == (set(ROUTES) | STREAMS) - {"GET /"}


@pytest.mark.parametrize("route", ROUTES)
def test_route(api, route):
    ask, status = ROUTES[route]
    answer = ask(api)
    assert answer.status_code == status if status else answer.status_code in (200, 204, 400, 401, 403, 409), answer.text
    assert answer.headers["X-Request-Id"]


def test_the_page(api):
    answer = api.request("GET", "/")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html")
    assert "pixelfleet_session" in answer.headers.get("Set-Cookie", "")


def test_a_picture_is_immutable_and_has_an_etag(api):
    answer = api.request("GET", f"/api/v1/images/{api.image_id}/file")
    assert answer.headers["Content-Type"] == "image/png" and "immutable" in answer.headers["Cache-Control"]
    again = api.request("GET", f"/api/v1/images/{api.image_id}/file", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304 and again.content == b""
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (128, 128)


def test_a_thumbnail_is_small(api):
    answer = api.request("GET", f"/api/v1/images/{api.image_id}/thumbnail")
    assert answer.headers["Content-Type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert max(picture.size) <= 320


def test_pages_follow_one_another(api):
    api.submit(*[{"seed": n, "steps": 1} for n in range(7)])
    seen, after = [], None
    while True:
        page = api.get("/jobs", limit=3, **({"after": after} if after else {}))
        seen += [job["id"] for job in page["jobs"]]
        after = page["next_after"]
        if after is None:
            break
    assert seen == sorted(set(seen), reverse=True) and len(seen) >= 8


def test_events_begin_with_a_snapshot_and_tell_a_jobs_life(api):
    with api.events() as stream:
        first = stream.next()
        assert first["type"] == "snapshot" and first["data"]["seq"] == first["seq"]
        [job] = api.submit({"steps": 30, "width": 256, "height": 256})
        stream.wait_for_jobs([job["id"]], states=("done",))
        types = [event["type"] for event in stream.seen]
        numbers = [event["seq"] for event in stream.seen if event["seq"] is not None]
    assert {"job.created", "job.updated", "image.published", "job.progress"} <= set(types)
    assert numbers == sorted(numbers)


def test_events_resume_without_a_gap(api):
    with api.events() as stream:
        seq = stream.next()["seq"]
    [job] = api.submit({"steps": 1})
    api.wait_for_jobs([job["id"]])
    with api.events(last_event_id=seq) as stream:
        stream.wait_for_jobs([job["id"]], states=("done",))
        numbers = [event["seq"] for event in stream.seen if event["seq"] is not None and event["type"] != "snapshot"]
    assert numbers == list(range(seq + 1, seq + 1 + len(numbers)))


def test_the_web_socket_tells_the_same(api):
    with connect(f"ws://127.0.0.1:{api.port}/api/v1/ws") as socket:
        assert json.loads(socket.recv(timeout=20))["type"] == "snapshot"
        [job] = api.submit({"steps": 4})
        while True:
            event = json.loads(socket.recv(timeout=20))
            if event["type"] == "job.updated" and event["data"]["job"]["id"] == job["id"]:
                if event["data"]["job"]["state"] == "done":
                    break


def test_clients_that_leave_in_the_middle_are_forgotten(api):
    streams = [api.events() for _ in range(10)]
    for stream in streams:
        stream.next()
    for stream in streams:
        stream.close()
    sockets = [connect(f"ws://127.0.0.1:{api.port}/api/v1/ws") for _ in range(5)]
    for socket in sockets:
        socket.socket.close()
    [job] = api.submit({"steps": 4})
    api.wait_for_jobs([job["id"]])
    wait_until(api.is_ready, what="the server")


@pytest.mark.parametrize("headers, status", [
    ({"Host": "evil.example"}, 421),
    ({"Origin": "http://evil.example"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-origin"}, 403),  # a browser's POST without cookie and custom header
])
def test_what_a_strange_page_sends_is_refused(api, headers, status):
    answer = api.request("POST", "/api/v1/jobs", json={"prompt": "x", "steps": 1}, headers=headers)
    assert answer.status_code in ((status, 401) if status == 403 else (status,)), answer.text


def test_the_page_itself_may_submit(api):
    import requests
    with requests.Session() as browser:
        browser.get(api.url + "/")
        headers = {"Origin": api.url, "Sec-Fetch-Site": "same-origin", "X-PixelFleet": "1"}
        answer = browser.post(f"{api.url}/api/v1/jobs", headers=headers,
                              json={"prompt": "x", "model": "demo-city", "steps": 1, "width": 64, "height": 64})
    assert answer.status_code == 201, answer.text
