"""`pixelfleet generate` and HEADLESS=true: with a private server, with a running one, and what they leave on disk."""
import json
import re
import socket

import pytest
from PIL import Image

from harness import DEMO, PICTURE_NAME, STAMP, clean_environment, run_program


def generate(folder, *arguments, gpus="1x24GiB", **options):
    return run_program("generate", "--data", folder / "data", "--output", folder / "output", "--virtual-gpus", gpus,
                       "--time-scale", "50", *arguments, **options)


def pictures_of(folder):
    return sorted(str(path.relative_to(folder / "output")) for path in (folder / "output").rglob("*.png"))


SMALL = ["--model", DEMO, "--width", "128", "--height", "96", "--steps", "4"]


def test_a_private_server_makes_the_pictures_and_ends(tmp_path):
    result = generate(tmp_path, "--prompt", "A red fox, in the Snow!", "--count", "2", "--seed", "7", *SMALL)
    assert result.returncode == 0, result.stderr
    pictures = pictures_of(tmp_path)
    assert len(pictures) == 2
    for index, path in enumerate(pictures):
        assert path in result.stdout, "each file is printed"
        assert PICTURE_NAME.match(path)
        assert re.search(rf"_a-red-fox-in-the-snow_seed{7 + index}_0{index + 1}\.png$", path), path


def test_the_metadata_says_how_to_make_it_again(tmp_path):
    assert generate(tmp_path, "--prompt", "a lighthouse", "--negative-prompt", "fog", "--seed", "11", *SMALL).returncode == 0
    with Image.open(tmp_path / "output" / pictures_of(tmp_path)[0]) as picture:
        assert picture.size == (128, 96)
        text = dict(picture.text)
    infotext = text.pop("parameters")
    assert infotext.splitlines()[0].startswith("a lighthouse")
    assert "Negative prompt: fog" in infotext
    for part in ("Steps: 4", "Seed: 11", "Size: 128x96"):
        assert part in infotext, infotext
    [ours] = [value for key, value in text.items() if "pixelfleet" in key.lower()]
    assert "a lighthouse" in ours and json.loads(ours)


def test_the_same_seed_makes_the_same_pixels(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert generate(tmp_path / name, "--prompt", "dunes", "--seed", "5", *SMALL).returncode == 0
    pixels = []
    for name in ("one", "two"):
        with Image.open(tmp_path / name / "output" / pictures_of(tmp_path / name)[0]) as picture:
            pixels.append(picture.tobytes())
    assert pixels[0] == pixels[1]
    assert len(set(pixels[0])) > 16, "it is a picture, not a plain area"


def test_a_running_server_is_found_by_its_data_folder(make_server):
    server = make_server(gpus="1x24GiB", time_scale=50)
    result = run_program("generate", "--data", server.data, "--output", server.output, "--prompt", "a harbour",
                         "--count", "2", *SMALL)
    assert result.returncode == 0, result.stderr
    [job] = server.jobs()
    assert job["settings"]["prompt"].startswith("a harbour") and job["state"] == "done"
    for image in server.job(job["id"])["images"]:
        assert image["path"] in result.stdout


def test_the_size_is_met_by_cropping(tmp_path):
    result = generate(tmp_path, "--model", DEMO, "--prompt", "a bridge", "--width", "200", "--height", "104", "--steps", "2")
    assert result.returncode == 0, result.stderr
    with Image.open(tmp_path / "output" / pictures_of(tmp_path)[0]) as picture:
        assert picture.size == (200, 104)


def headless(folder, **variables):
    environment = clean_environment(HEADLESS="true", PIXELFLEET_DATA=str(folder / "data"),
                                    PIXELFLEET_OUTPUT=str(folder / "output"), PIXELFLEET_VIRTUAL_GPUS="2x24GiB",
                                    PIXELFLEET_TIME_SCALE="50", **variables)
    return run_program(environment=environment)


def test_headless_gives_what_the_image_lab_gave(tmp_path):
    result = headless(tmp_path, PROMPT="A castle on a hill", MODEL=DEMO, INSTANCE_ID="lab-1", SEED="42", WIDTH="256",
                      HEIGHT="256")
    assert result.returncode == 0, result.stderr
    pictures = pictures_of(tmp_path)
    assert len(pictures) == 4, "BATCH_SIZE is 4"
    for index, path in enumerate(pictures):
        assert re.match(rf"run_{STAMP}/{STAMP}_photoreal_a-castle-on-a-hill_seed{42 + index}_0{index + 1}\.png$", path), path
    [record] = [json.loads(line) for line in (tmp_path / "output" / "jobs_lab-1.log").read_text().splitlines()]
    wanted = {"timestamp", "mode", "multi_profile", "profile_style", "prompt", "styled_prompt", "negative_prompt",
              "effective_negative_prompt", "model_key", "model_id", "scheduler", "steps", "guidance_scale", "width",
              "height", "batch_size", "seed_base", "seeds", "paths", "error", "run_dir", "logged_at", "instance_id"}
    assert wanted <= set(record), wanted - set(record)
    assert record["mode"] == "txt2img" and record["steps"] == 26 and record["guidance_scale"] == 7.5
    assert record["profile_style"] == "Photoreal" and record["prompt"] == "A castle on a hill"
    assert record["styled_prompt"].startswith("A castle on a hill, ")
    assert record["seeds"] == [42, 43, 44, 45] and record["batch_size"] == 4 and len(record["paths"]) == 4
    assert record["instance_id"] == "lab-1" and record["error"] in (None, "")


def test_headless_uses_one_gpu_unless_told_otherwise(tmp_path):
    result = headless(tmp_path, PROMPT="a tower", MODEL=DEMO, BATCH_SIZE="2", WIDTH="256", HEIGHT="256", STEPS="4")
    assert result.returncode == 0, result.stderr
    assert len(pictures_of(tmp_path)) == 2


def test_unipc_becomes_dpmpp_2m_with_one_warning(tmp_path):
    result = headless(tmp_path, PROMPT="a tower", MODEL=DEMO, BATCH_SIZE="1", WIDTH="256", HEIGHT="256", STEPS="4",
                      STYLE_PROFILE="None / Raw", SCHEDULER="UniPC")
    assert result.returncode == 0, result.stderr
    assert (result.stderr + result.stdout).count("UniPC") >= 1


@pytest.mark.parametrize("command", [["version"], ["models", "list"], ["gpus"], ["config", "--print"], ["doctor"]])
def test_commands_that_need_no_server(tmp_path, command):
    """They answer without opening a port and without a server's folder."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # whatever port is taken does not matter to them
        result = run_program(*command, environment=clean_environment(PIXELFLEET_DATA=str(tmp_path / "data"),
                                                                     PIXELFLEET_MODELS=str(tmp_path / "models")))
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
