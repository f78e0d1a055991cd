"""The gate: pictures come out of stable-diffusion.cpp, through the same path that users take."""
import io

import pytest
from PIL import Image

from harness import Server, run_program, wait_until

pytestmark = pytest.mark.real_engine


def add_model(folder, parts):
    arguments = [argument for role, path in parts.items() for argument in ("--part", f"{role}={path}")]
    result = run_program("models", "add", "tiny", "--data", folder / "data", *arguments)
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def cpu_server(tmp_path_factory, tiny_checkpoint):
    """A server on this machine's CPU with the tiny checkpoint installed."""
    folder = tmp_path_factory.mktemp("engine")
    add_model(folder, tiny_checkpoint)
    server = Server(folder)
    server.arguments = []  # detect what there is: at least the CPU
    server.start()
    yield server
    assert server.stop() == 0


JOB = {"prompt": "a red fox in the snow", "model": "tiny", "width": 64, "height": 64, "steps": 2, "cfg_scale": 5.0}


def submit(server, **changes):
    answer = server.request("POST", "/api/v1/jobs", json={**JOB, **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()["jobs"][0]


def test_a_picture_comes_out_of_the_real_engine(cpu_server):
    job = submit(cpu_server, seed=1)
    ended = cpu_server.wait_for_jobs([job["id"]])[job["id"]]
    assert ended["state"] == "done", ended["error"]
    [image] = cpu_server.job(job["id"])["images"]
    assert image["state"] == "published" and image["demo"] is False
    with Image.open(cpu_server.output / image["path"]) as picture:
        assert picture.size == (64, 64)
        assert len(set(picture.convert("L").tobytes())) > 16, "it is a picture, not a plain area"
        assert "Steps: 2" in picture.text["parameters"]


def test_the_files_that_its_worker_has_read_count_as_kept_in_host_memory(cpu_server, tiny_checkpoint):
    job = submit(cpu_server, seed=1)
    assert cpu_server.wait_for_jobs([job["id"]])[job["id"]]["state"] == "done"
    kept = wait_until(lambda: [memory for memory in [cpu_server.get("/gpus")["host_memory"]] if memory["staged"]], 5,
                      "the files to be looked for")[0]
    assert kept["staged"] == ["tiny"] and kept["staging"] is None
    assert kept["used_bytes"] == sum(path.stat().st_size for path in tiny_checkpoint.values())
    assert cpu_server.settings(host_memory__limit=0)["host_memory.limit"] == 0
    assert cpu_server.get("/gpus")["host_memory"] == {**kept, "limit_bytes": 0, "used_bytes": 0, "staged": []}
    cpu_server.settings(host_memory__limit=None)


def test_the_real_model_is_the_default_once_installed(cpu_server):
    models = cpu_server.get("/models")
    assert models["default_model"] == "tiny"


def test_seeds_are_reproducible(cpu_server):
    def pixels(seed):
        job = submit(cpu_server, seed=seed)
        assert cpu_server.wait_for_jobs([job["id"]])[job["id"]]["state"] == "done"
        [image] = cpu_server.job(job["id"])["images"]
        with Image.open(cpu_server.output / image["path"]) as picture:
            return picture.tobytes()

    assert pixels(3) == pixels(3)
    assert pixels(3) != pixels(4)


def upload(server, picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    answer = server.request("POST", "/api/v1/uploads", data=buffer.getvalue(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_inpainting_keeps_what_the_mask_keeps_to_the_last_bit(cpu_server):
    """The engine's own decoder changes every pixel."""
    init = Image.effect_noise((64, 64), 60).convert("RGB")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    inputs = {"mode": "inpaint", "init_image": upload(cpu_server, init), "mask_image": upload(cpu_server, mask)}
    job = submit(cpu_server, seed=1, strength=0.6, mask_feather=2, **inputs)
    ended = cpu_server.wait_for_jobs([job["id"]])[job["id"]]
    assert ended["state"] == "done", ended["error"]
    [image] = cpu_server.job(job["id"])["images"]
    with Image.open(cpu_server.output / image["path"]) as picture:
        assert picture.crop((0, 0, 30, 64)).tobytes() == init.crop((0, 0, 30, 64)).tobytes()
        assert picture.crop((34, 0, 64, 64)).tobytes() != init.crop((34, 0, 64, 64)).tobytes()
        assert "Denoising strength: 0.6" in picture.text["parameters"]


def resident_bytes(pid):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def test_twenty_pictures_in_a_row_do_not_grow_the_worker(cpu_server):
    warm = submit(cpu_server, seed=10, count=4)
    cpu_server.wait_for_jobs([warm["id"]])
    [worker] = cpu_server.workers()
    before = resident_bytes(worker)
    job = submit(cpu_server, seed=20, count=20)
    ended = cpu_server.wait_for_jobs([job["id"]], seconds=120)[job["id"]]
    assert ended["state"] == "done" and ended["published"] == 20, ended["error"]
    assert cpu_server.workers() == [worker], "one worker made all of them"
    grown = resident_bytes(worker) - before
    assert grown < 32 << 20, f"the worker grew by {grown >> 20} MiB"


def test_progress_counts_the_steps_of_the_compute_loop(cpu_server):
    job = submit(cpu_server, seed=50, steps=6)
    with cpu_server.events() as stream:
        stream.wait_for_jobs([job["id"]])
        phases = [event["data"]["progress"] for event in stream.seen if event["type"] == "job.progress"]
    assert any(p["phase"] == "sample" and p["steps"] == 6 for p in phases), phases


def test_generate_uses_the_engine_without_a_server(tmp_path, tiny_checkpoint):
    add_model(tmp_path, tiny_checkpoint)
    result = run_program("generate", "--data", tmp_path / "data", "--output", tmp_path / "output", "--prompt",
                         "a red fox", "--model", "tiny", "--width", "64", "--height", "64", "--steps", "2", "--count", "2",
                         "--seed", "1", timeout=120)
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "output").rglob("*.png"))) == 2


def test_a_virtual_gpu_never_runs_the_real_engine(tmp_path, tiny_checkpoint):
    add_model(tmp_path, tiny_checkpoint)
    server = Server(tmp_path, gpus="1x24GiB").start()
    try:
        answer = server.request("POST", "/api/v1/jobs", json=JOB)
        if answer.status_code == 201:
            job = server.job(answer.json()["jobs"][0]["id"])
            assert (job["state"], job["held_reason"]) in (("held", "no_gpu"), ("queued", None)), job
        else:
            assert answer.status_code in (400, 503), answer.text
    finally:
        assert server.stop() == 0


def test_a_damaged_checkpoint_fails_its_job_only(tmp_path, tiny_checkpoint):
    """The file was fine when it was added and is cut short afterwards."""
    copy = tmp_path / "cut.safetensors"
    copy.write_bytes(tiny_checkpoint["checkpoint"].read_bytes())
    add_model(tmp_path, {**tiny_checkpoint, "checkpoint": copy})
    server = Server(tmp_path)
    server.arguments = []
    server.start()
    try:
        with open(copy, "r+b") as file:
            file.truncate(copy.stat().st_size // 2)
        job = submit(server, seed=1)
        ended = server.wait_for_jobs([job["id"]])[job["id"]]
        assert ended["state"] == "failed"
        assert ended["error"]["message"], ended
        demo = submit(server, model="demo-landscape", seed=1)
        assert server.wait_for_jobs([demo["id"]])[demo["id"]]["state"] == "done"
    finally:
        assert server.stop() == 0
