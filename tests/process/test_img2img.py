"""Pictures that start from a picture: uploaded and asked for over HTTP, made on a demo model, and every bad input."""
import io
import struct
import zlib

import pytest
from PIL import Image

from harness import DEMO, Server, run_program

SIZE = (128, 96)
RED = (200, 30, 40)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("img2img"), gpus="1x24GiB", time_scale=50).start()
    yield server
    assert server.stop() == 0


def encoded(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(colour=RED, size=SIZE, mode="RGB"):
    return Image.new(mode, size, colour)


def right_half(size=SIZE):
    """White where the picture is made anew."""
    mask = Image.new("L", size, 0)
    mask.paste(255, (size[0] // 2, 0, *size))
    return mask


def upload(server, data, media_type="image/png"):
    answer = server.request("POST", "/api/v1/uploads", data=data, headers={"Content-Type": media_type})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def ask(server, **job):
    base = {"prompt": "a quiet lake", "model": DEMO, "width": SIZE[0], "height": SIZE[1], "steps": 4, "seed": 1}
    return server.request("POST", "/api/v1/jobs", json={**base, **job})


def made(server, **job):
    answer = ask(server, **job)
    assert answer.status_code == 201, answer.text
    [accepted] = answer.json()["jobs"]
    ended = server.wait_for_jobs([accepted["id"]])[accepted["id"]]
    return ended, server.job(accepted["id"])["images"]


def picture_of(server, **job):
    ended, images = made(server, **job)
    assert ended["state"] == "done", ended["error"]
    with Image.open(server.output / images[0]["path"]) as picture:
        picture.load()
        return picture


def distance(picture, colour=RED):
    """The mean over all pixels and colours."""
    total = sum(abs(value - want) for pixel in picture.convert("RGB").getdata() for value, want in zip(pixel, colour))
    return total / (3 * picture.width * picture.height)


def test_a_picture_starts_from_an_upload(running):
    init = upload(running, encoded(plain()))
    little = picture_of(running, mode="img2img", init_image=init, strength=0.1)
    much = picture_of(running, mode="img2img", init_image=init, strength=0.9)
    assert little.size == SIZE
    assert distance(little) < 20 < distance(much)
    assert "Denoising strength: 0.1" in little.text["parameters"]
    assert "Denoising strength" not in picture_of(running).text["parameters"]


def test_the_accepted_job_tells_what_it_starts_from(running):
    init = upload(running, encoded(plain()))
    ended, _ = made(running, mode="img2img", init_image=init)
    assert ended["settings"]["mode"] == "img2img" and ended["settings"]["strength"] == 0.6
    assert ended["settings"]["init_image"]["upload"] == init
    assert (running.data / ended["settings"]["init_image"]["file"]).is_file()
    assert ended["settings"]["mask_image"] is None


def test_what_the_mask_keeps_stays_to_the_last_bit(running):
    job = {"mode": "inpaint", "init_image": upload(running, encoded(plain())), "strength": 1.0, "mask_feather": 3,
           "mask_image": upload(running, encoded(right_half()))}
    picture = picture_of(running, **job)
    assert set(picture.crop((0, 0, 61, 96)).getdata()) == {RED}
    assert picture.crop((67, 0, 128, 96)).tobytes() == picture_of(running).crop((67, 0, 128, 96)).tobytes()
    assert "Denoising strength: 1" in picture.text["parameters"]


def test_inputs_of_another_size_are_stretched(running):
    job = {"mode": "inpaint", "init_image": upload(running, encoded(plain(size=(50, 300)))), "strength": 1.0,
           "mask_feather": 0, "mask_image": upload(running, encoded(right_half((1024, 16))))}
    picture = picture_of(running, **job)
    assert picture.size == SIZE
    assert set(picture.crop((0, 0, 64, 96)).getdata()) == {RED}
    assert picture.crop((64, 0, 128, 96)).tobytes() == picture_of(running).crop((64, 0, 128, 96)).tobytes()


def test_a_size_that_the_engine_cannot_make_is_cut_out_of_the_middle(running):
    job = {"mode": "inpaint", "width": 100, "height": 72, "init_image": upload(running, encoded(plain(size=(100, 72)))),
           "strength": 1.0, "mask_feather": 0, "mask_image": upload(running, encoded(right_half((100, 72))))}
    picture = picture_of(running, **job)
    assert picture.size == (100, 72)
    assert set(picture.crop((0, 0, 50, 72)).getdata()) == {RED}
    assert RED not in set(picture.crop((50, 0, 100, 72)).getdata())


def png_of_16_bits():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = b"\0" + b"".join(bytes([value, 0x55]) for value in RED) * SIZE[0]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(row * SIZE[1])) + chunk(b"IEND", b""))


def turned_jpeg():
    """A camera that was held upright: 96x128 in the file, its left half red; 128x96 when seen, its top half red."""
    picture = Image.new("RGB", (SIZE[1], SIZE[0]), (0, 0, 255))
    picture.paste(RED, (0, 0, SIZE[1] // 2, SIZE[0]))
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture, "JPEG", quality=98, exif=exif)


KINDS = {
    "16 bits": (png_of_16_bits(), "image/png"),
    "cmyk": (encoded(plain().convert("CMYK"), "JPEG", quality=98), "image/jpeg"),
    "animated": (encoded(plain(), save_all=True, append_images=[plain((0, 0, 255))]), "image/png"),
    "palette": (encoded(plain().convert("P", palette=Image.Palette.ADAPTIVE)), "image/png"),
    "transparent": (encoded(plain((*RED, 0), mode="RGBA")), "image/png"),
    "jpeg": (encoded(plain(), "JPEG", quality=98), "image/jpeg"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_usual_kind_of_picture_is_read(running, kind):
    data, media_type = KINDS[kind]
    init = upload(running, data, media_type)
    assert distance(picture_of(running, mode="img2img", init_image=init, strength=0.02)) < 8


def test_a_photograph_is_held_as_its_camera_was(running):
    init = upload(running, turned_jpeg(), "image/jpeg")
    picture = picture_of(running, mode="img2img", init_image=init, strength=0.02)
    assert distance(picture.crop((0, 0, 128, 40))) < 12
    assert distance(picture.crop((0, 56, 128, 96)), (0, 0, 255)) < 12


def fields(answer):
    assert answer.status_code in (400, 422), answer.text
    return {error["field"].split(".")[-1]: error for error in answer.json()["errors"]}


def test_bad_requests_name_field_value_and_what_is_allowed(running):
    init = upload(running, encoded(plain()))
    unknown = fields(ask(running, mode="img2img", init_image=987654))["init_image"]
    assert unknown["value"] == "987654" and "upload" in unknown["message"] and "/api/v1/uploads" in unknown["allowed"]
    assert "missing" in fields(ask(running, mode="inpaint", init_image=init))["mask_image"]["message"]
    assert "missing" in fields(ask(running, mode="img2img"))["init_image"]["message"]
    assert "takes none" in fields(ask(running, init_image=init))["init_image"]["message"]
    assert "0.01" in fields(ask(running, mode="img2img", init_image=init, strength=0))["strength"]["allowed"]
    assert "256" in fields(ask(running, mode="inpaint", init_image=init, mask_image=init, mask_feather=300))[
        "mask_feather"]["allowed"]
    assert "init_image" in fields(ask(running, mode="img2img", init_image="../../etc/passwd"))


def expect_failure(server, words, next_step="Upload the picture again", **job):
    """The job fails in words a user understands; the worker and the server go on."""
    workers = server.workers()
    ended, images = made(server, **job)
    assert ended["state"] == "failed" and all(image["state"] != "published" for image in images)
    assert words in ended["error"]["message"], ended["error"]
    assert next_step in ended["error"]["message"], ended["error"]
    assert ended["error"]["code"] == "bad_request"
    if workers:
        assert server.workers() == workers
    assert made(server)[0]["state"] == "done"


def test_an_upload_that_was_deleted_from_the_disk(running):
    init = upload(running, encoded(plain()))
    ended, _ = made(running, mode="img2img", init_image=init)
    (running.data / ended["settings"]["init_image"]["file"]).unlink()
    expect_failure(running, f"upload {init}", mode="img2img", init_image=init)


def test_a_png_that_is_cut_off(running):
    data = encoded(Image.effect_noise(SIZE, 80).convert("RGB"))
    expect_failure(running, "init_image is not a readable PNG", mode="img2img",
                   init_image=upload(running, data[: len(data) // 2]))


def test_a_mask_that_is_dark_all_over(running):
    expect_failure(running, "mask_image is dark all over", "paint white what shall be made anew", mode="inpaint",
                   init_image=upload(running, encoded(plain())),
                   mask_image=upload(running, encoded(plain((9, 9, 9)))))


def test_what_is_no_picture_or_too_large_is_no_upload(running):
    for data in (b"", b"hello", b"GIF89a" + bytes(64)):
        answer = running.request("POST", "/api/v1/uploads", data=data, headers={"Content-Type": "image/png"})
        assert answer.status_code in (400, 415), answer.text
    huge = bytearray(png_of_16_bits())
    huge[16:24] = struct.pack(">II", 14142, 14142)  # 200 megapixels by its header
    answer = running.request("POST", "/api/v1/uploads", data=bytes(huge), headers={"Content-Type": "image/png"})
    assert answer.status_code == 415 and "14142x14142" in answer.text


def generate(server, *arguments):
    return run_program("generate", "--data", server.data, "--output", server.output, "--prompt", "a quiet lake",
                       "--model", DEMO, "--width", SIZE[0], "--height", SIZE[1], "--steps", 4, "--seed", 1, *arguments)


def test_the_command_line_uploads_its_files(running, tmp_path):
    init, mask = tmp_path / "init.jpg", tmp_path / "mask.png"
    init.write_bytes(encoded(plain(), "JPEG", quality=98))
    mask.write_bytes(encoded(right_half()))
    result = generate(running, "--init-image", init, "--strength", "0.02")
    assert result.returncode == 0, result.stderr
    with Image.open(result.stdout.strip()) as picture:
        assert distance(picture) < 8 and "Denoising strength: 0.02" in picture.text["parameters"]
    result = generate(running, "--init-image", init, "--mask", mask, "--strength", "1", "--mask-feather", "0")
    assert result.returncode == 0, result.stderr
    with Image.open(result.stdout.strip()) as picture:
        assert distance(picture.crop((0, 0, 64, 96))) < 3
        assert picture.crop((64, 0, 128, 96)).tobytes() == picture_of(running).crop((64, 0, 128, 96)).tobytes()


def test_the_command_line_names_the_file_that_it_cannot_use(running, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("hello")
    for arguments, words in ((["--init-image", tmp_path / "none.png"], "none.png"),
                             (["--init-image", text], "init_image: the file is neither PNG nor JPEG"),
                             (["--mask", text], "mask_image: the file is neither PNG nor JPEG"),
                             (["--init-image", text, "--strength", "2"], "strength: out of range")):
        result = generate(running, *arguments)
        assert result.returncode != 0 and words in result.stderr, result.stderr
