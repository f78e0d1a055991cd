"""Guarantee: wrong input is refused with the field, what was wrong and what is allowed; nothing is accepted by halves."""
import json

import pytest

from harness import DEMO, clean_environment, run_program

SIDE = "64 to 4096"

# field, value, status, what the answer says
TABLE = [
    ("model", "demo-landscap", 400, ["unknown model", "demo-landscape"]),
    ("model", "", 201, []),
    ("model", 7, 400, ["not a text"]),
    ("profile", "Photoreel", 400, ["unknown profile", "Photoreal"]),
    ("sampler", "eulr", 400, ["unknown sampler", "euler"]),
    ("width", 0, 400, [SIDE]),
    ("width", -1, 400, [SIDE]),
    ("width", 7, 400, [SIDE]),
    ("width", 99999, 400, [SIDE]),
    ("width", 512.5, 400, ["whole number"]),
    ("height", 0, 400, [SIDE]),
    ("height", 99999, 400, [SIDE]),
    ("height", "512", 400, ["whole number"]),
    ("steps", 0, 400, ["1 to 200"]),
    ("steps", -1, 400, ["1 to 200"]),
    ("steps", 10**9, 400, ["1 to 200"]),
    ("steps", 10**30, 400, ["whole number"]),
    ("cfg_scale", "NaN", 400, ["not a number"]),
    ("cfg_scale", -1, 400, ["0 to 30"]),
    ("cfg_scale", 31, 400, ["0 to 30"]),
    ("seed", "abc", 400, ["whole number"]),
    ("seed", -2, 400, ["-1 to 4294967295"]),
    ("count", 0, 400, ["1 to 1000"]),
    ("count", 1001, 400, ["1 to 1000"]),
    ("prompt", "", 400, ["empty", "1 to 8192 bytes"]),
    ("prompt", "x" * 8193, 400, ["8193 bytes", "8192 bytes"]),
    ("prompt", None, 400, ["empty"]),
    ("prompt", ["a"], 400, ["not a text"]),
    ("prompt", "a\0b", 400, ["NUL"]),
    ("priority", "urgent", 400, ["interactive, normal, background"]),
    ("mode", "img3img", 400, ["txt2img"]),
    ("stepss", 4, 400, ["unknown field", "steps"]),
    ("negativ_prompt", "blur", 400, ["unknown field", "negative_prompt"]),
    ("labels", {"a": 1}, 400, ["label"]),
]

# name, body, status, what the answer says
BODIES = [
    ("broken JSON", b'{"prompt": "a lake"', 400, []),
    ("not JSON", b"prompt=a lake", 400, []),
    ("NaN", b'{"prompt": "a lake", "cfg_scale": NaN}', 400, []),
    ("broken UTF-8", b'{"prompt": "a \xff lake"}', 400, ["UTF-8"]),
    ("half a surrogate", b'{"prompt": "a \\ud800 lake"}', 400, []),
    ("prompt of 2 MiB", b'{"prompt": "' + b"x" * (2 << 20) + b'"}', 413, []),
    ("deep nesting", b"[" * 5000 + b"]" * 5000, 400, []),
    ("empty", b"", 400, []),
    ("a number", b"7", 400, []),
    ("a list", b'[{"prompt": "a lake"}]', 400, []),
    ("no jobs", b'{"jobs": []}', 400, ["1"]),
    ("jobs is no list", b'{"jobs": {}}', 400, []),
    ("1001 jobs", json.dumps({"jobs": [{"prompt": "a"}] * 1001}).encode(), 400, ["1000"]),
    ("the second of two", b'{"jobs": [{"prompt": "a"}, {"prompt": "b", "steps": 0}]}', 400, ["steps", "1"]),
]


@pytest.fixture(scope="module")
def bad_server(tmp_path_factory):
    from harness import Server
    server = Server(tmp_path_factory.mktemp("bad"), gpus="1x24GiB", time_scale=50).start()
    yield server
    assert server.is_running(), f"wrong input ended the server:\n{server.log_tail()}"
    assert server.stop() == 0


def check_problem(answer, status, texts):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == status and problem["detail"] and problem["code"]
    for text in texts:
        assert text in answer.text, f"{text!r} is not in {answer.text}"
    return problem


@pytest.mark.parametrize("field, value, status, texts", TABLE, ids=lambda v: str(v)[:24] if not isinstance(v, list) else "")
def test_a_wrong_field_is_named(bad_server, field, value, status, texts):
    before = len(bad_server.jobs())
    job = {"prompt": "a lake", "model": DEMO, "width": 64, "height": 64, "steps": 1, field: value}
    answer = bad_server.request("POST", "/api/v1/jobs", json=job)
    if status == 201:
        assert answer.status_code == 201, answer.text
        return
    problem = check_problem(answer, status, texts)
    assert field in [error["field"] for error in problem["errors"]]
    assert all(error["message"] and error["allowed"] for error in problem["errors"])
    assert len(bad_server.jobs()) == before, "nothing was accepted"


@pytest.mark.parametrize("body, status, texts", [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
def test_a_wrong_body_is_refused(bad_server, body, status, texts):
    before = len(bad_server.jobs())
    answer = bad_server.request("POST", "/api/v1/jobs", data=body, headers={"Content-Type": "application/json"})
    check_problem(answer, status, texts)
    assert len(bad_server.jobs()) == before, "all or none"


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/api/v1/jobs/999999", 404),
    ("GET", "/api/v1/jobs/abc", 400),
    ("POST", "/api/v1/jobs/999999/cancel", 404),
    ("GET", "/api/v1/images/999999", 404),
    ("GET", "/api/v1/images/999999/file", 404),
    ("GET", "/api/v1/images/999999/thumbnail", 404),
    ("GET", "/api/v1/jobs?limit=0", 400),
    ("GET", "/api/v1/jobs?limit=1000", 400),
    ("GET", "/api/v1/jobs?after=x", 400),
    ("GET", "/api/v1/jobs?state=asleep", 400),
    ("GET", "/api/v1/nowhere", 404),
    ("DELETE", "/api/v1/jobs", 405),
    ("POST", "/api/v1/snapshot", 405),
])
def test_a_wrong_route_is_a_problem_too(bad_server, method, path, status):
    check_problem(bad_server.request(method, path), status, [])


@pytest.mark.parametrize("changes, texts", [
    ({"multi_gpu.max_gpus": 0}, ["1 to 8"]),
    ({"multi_gpu.max_gpus": 9}, ["1 to 8"]),
    ({"multi_gpu.enabled": "yes"}, ["true or false"]),
    ({"multi_gpu.enable": True}, ["multi_gpu.enabled"]),
])
def test_a_wrong_setting_is_named_and_none_is_changed(bad_server, changes, texts):
    before = bad_server.get("/settings")
    check_problem(bad_server.request("PUT", "/api/v1/settings", json={**changes, "multi_gpu.single_gpu": "x"}), 400, texts)
    assert bad_server.get("/settings") == before


def test_an_upload_that_is_no_picture_is_refused(bad_server):
    for body, status in ((b"", 400), (b"GIF89a", 415), (b"\x89PNG\r\n\x1a\n" + b"\0" * 64, 422)):
        answer = bad_server.request("POST", "/api/v1/uploads", data=body, headers={"Content-Type": "image/png"})
        check_problem(answer, status, [])


@pytest.mark.parametrize("arguments, texts", [
    (["--steps", "0"], ["steps", "1 to 200"]),
    (["--steps", "many"], ["steps"]),
    (["--width", "7"], ["width", SIDE]),
    (["--cfg-scale", "nan"], ["cfg"]),
    (["--seed", "abc"], ["seed"]),
    (["--count", "0"], ["count", "1 to 1000"]),
    (["--model", "no-such-model"], ["unknown model", DEMO]),
    (["--profile", "Photoreel"], ["Photoreal"]),
    (["--virtual-gpus", "4xlots"], ["4xlots", "4x24GiB"]),
    (["--stepps", "4"], ["--stepps"]),
])
def test_the_command_line_is_checked_like_the_api(tmp_path, arguments, texts):
    gpus = [] if "--virtual-gpus" in arguments else ["--virtual-gpus", "1x24GiB"]
    result = run_program("generate", "--data", tmp_path / "data", "--output", tmp_path / "out", "--prompt", "a lake",
                         *gpus, *arguments)
    assert result.returncode != 0
    for text in texts:
        assert text in result.stderr, f"{text!r} is not in {result.stderr}"
    assert list((tmp_path / "out").rglob("*.png")) == []


def make_files(folder):
    header = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
    safetensors = len(header).to_bytes(8, "little") + header + b"\0" * 4
    (folder / "truncated.safetensors").write_bytes(safetensors[:-2])
    (folder / "pickle.safetensors").write_bytes(b"\x80\x02}q\x00(X\x05\x00\x00\x00epochq\x01K\x01u.")
    (folder / "zip.safetensors").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    (folder / "empty.safetensors").write_bytes(b"")


@pytest.mark.parametrize("file, texts", [
    ("truncated.safetensors", ["truncated"]),
    ("pickle.safetensors", ["pickle"]),
    ("zip.safetensors", []),
    ("empty.safetensors", []),
    ("missing.safetensors", ["missing.safetensors"]),
])
def test_a_checkpoint_that_cannot_be_one_is_refused(tmp_path, file, texts):
    make_files(tmp_path)
    result = run_program("models", "add", "mine", "--data", tmp_path / "data", "--part", f"checkpoint={tmp_path / file}")
    assert result.returncode != 0, result.stdout
    for text in texts:
        assert text in result.stderr, f"{text!r} is not in {result.stderr}"


@pytest.mark.parametrize("variables, texts", [
    ({}, ["PROMPT"]),
    ({"PROMPT": "a lake", "STEPS": "3"}, ["STEPS", "4", "80"]),
    ({"PROMPT": "a lake", "STEPS": "many"}, ["STEPS"]),
    ({"PROMPT": "a lake", "WIDTH": "250"}, ["WIDTH", "256", "1536"]),
    ({"PROMPT": "a lake", "WIDTH": "257"}, ["WIDTH", "8"]),
    ({"PROMPT": "a lake", "CFG_SCALE": "20.5"}, ["CFG_SCALE", "20"]),
    ({"PROMPT": "a lake", "BATCH_SIZE": "11"}, ["BATCH_SIZE", "1", "10"]),
    ({"PROMPT": "a lake", "MODEL": "SDXL Bass 1.0"}, ["SDXL Bass 1.0", DEMO]),
    ({"PROMPT": "a lake", "STYLE_PROFILE": "Photoreel"}, ["Photoreal"]),
    ({"PROMPT": "a lake", "RUN_ALL_PROFILES": "true", "RUN_ALL_MODELS": "true"}, ["RUN_ALL_PROFILES", "RUN_ALL_MODELS"]),
])
def test_headless_names_the_variable(tmp_path, variables, texts):
    environment = clean_environment(HEADLESS="true", PIXELFLEET_DATA=str(tmp_path / "data"),
                                    PIXELFLEET_OUTPUT=str(tmp_path / "out"), PIXELFLEET_VIRTUAL_GPUS="1x24GiB",
                                    **{"MODEL": DEMO, **variables})
    result = run_program(environment=environment)
    assert result.returncode != 0
    for text in texts:
        assert text in result.stderr, f"{text!r} is not in {result.stderr}"
