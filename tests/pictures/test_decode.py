"""Every kind of picture a user may have becomes upright RGB, or one line that names the file."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from earthclip.errors import InputError
from earthclip.pictures.decode import as_rgb, decode, decode_reduced
from earthclip.pictures.warning_filter import without_pillow_warnings

QUADRANTS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8).repeat(8, 0).repeat(12, 1)


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    if path.suffix == ".heic":
        pillow_heif.register_heif_opener()  # Pillow itself cannot write it
    image.save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    image = decode(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "gif"])
def test_lossless_formats_come_back_exactly(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(QUADRANTS))
    assert np.array_equal(pixels(path), QUADRANTS)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "jp2", "avif"])
def test_lossy_formats_come_back_nearly(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(QUADRANTS), quality=95)
    assert np.abs(pixels(path) - QUADRANTS)[2:6, 4:8].max() < 12  # inside a quadrant: chroma is subsampled


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", Image.fromarray(QUADRANTS)).rename(tmp_path / "a.jpg")
    assert np.array_equal(pixels(tmp_path / "a.jpg"), QUADRANTS)


@pytest.mark.parametrize("suffix", ["jpg", "mpo", "png", "tiff", "webp", "avif", "heic"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    # What the camera stores so that the viewer, applying the tag, sees QUADRANTS.
    undo = {
        1: QUADRANTS,
        2: QUADRANTS[:, ::-1],
        3: QUADRANTS[::-1, ::-1],
        4: QUADRANTS[::-1],
        5: QUADRANTS.transpose(1, 0, 2),
        6: QUADRANTS.transpose(1, 0, 2)[::-1],
        7: QUADRANTS[::-1, ::-1].transpose(1, 0, 2),
        8: QUADRANTS.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    stored = Image.fromarray(np.ascontiguousarray(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    good = {"quality": 95}
    faithful: dict[str, dict[str, Any]] = {"jpg": good, "mpo": good, "avif": good, "webp": {"lossless": True}}
    options = faithful.get(suffix, {})
    found = pixels(save(tmp_path / f"a.{suffix}", stored, exif=exif.tobytes(), **options))
    assert found.shape == QUADRANTS.shape
    assert np.abs(found - QUADRANTS)[2:6, 4:8].max() < 12
    assert np.abs(found - QUADRANTS)[10:14, 16:20].max() < 12


def test_grey_palette_and_one_bit(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(pixels(save(tmp_path / "grey.png", Image.fromarray(grey))), np.dstack([grey] * 3))
    palette = Image.fromarray(QUADRANTS).quantize(4)
    assert palette.mode == "P"
    assert np.array_equal(pixels(save(tmp_path / "palette.png", palette)), QUADRANTS)
    bits = Image.fromarray(grey > 127)
    assert np.array_equal(pixels(save(tmp_path / "bits.png", bits))[..., 0], np.where(grey > 127, 255, 0))


def test_adobe_inverted_cmyk_comes_back_upright(tmp_path: Path) -> None:
    path = save(tmp_path / "adobe.jpg", Image.fromarray(QUADRANTS).convert("CMYK"), quality=95)
    assert b"\xff\xee\x00\x0eAdobe" in path.read_bytes()  # the marker of Photoshop's inverted inks
    assert np.abs(pixels(path) - QUADRANTS)[2:6, 2:10].max() < 12
    tiff = save(tmp_path / "press.tiff", Image.fromarray(QUADRANTS).convert("CMYK"))  # inks as they are
    assert np.array_equal(pixels(tiff), QUADRANTS)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[..., 3] = [0, 85, 170, 255]
    found = pixels(save(tmp_path / "alpha.png", Image.fromarray(rgba)))
    assert np.abs(found[0, :, 0] - [255, 170, 85, 0]).max() <= 1
    la = Image.fromarray(rgba).convert("LA")
    assert np.array_equal(pixels(save(tmp_path / "la.png", la)), found)
    key = Image.fromarray(QUADRANTS)
    found = pixels(save(tmp_path / "key.png", key, transparency=(255, 0, 0)))
    assert found[0, 0].tolist() == [255, 255, 255] and found[-1, 0].tolist() == [0, 0, 255]
    palette = Image.fromarray(QUADRANTS).quantize(4)
    found = pixels(save(tmp_path / "p.png", palette, transparency=bytes([0, 255, 255, 255])))
    assert (found == 255).all(axis=-1).sum() == QUADRANTS.shape[0] * QUADRANTS.shape[1] // 4


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    found = pixels(save(tmp_path / f"a.{suffix}", Image.fromarray(ramp)))
    assert np.abs(found[..., 0].ravel() - np.arange(256)).max() <= 1


def test_16_bit_colour_is_scaled_not_clipped(tmp_path: Path) -> None:
    ramp = (np.arange(64, dtype=np.uint16) * 1040)[None, :, None].repeat(4, 0).repeat(3, 2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in ramp)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 64, 4, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert np.abs(pixels(tmp_path / "a.png") - ramp / 257).max() <= 1


def grey_tiff(path: Path, bits: int, photometric: int, data: bytes, width: int) -> Path:
    short, long = 3, 4
    tags = [(256, short, width), (257, short, 1), (258, short, bits), (259, short, 1), (262, short, photometric)]
    tags += [(273, long, 8), (277, short, 1), (278, short, 1), (279, long, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data += bytes(len(data) % 2)
    header = b"II*\0" + struct.pack("<I", 8 + len(data))
    path.write_bytes(header + data + struct.pack("<H", len(tags)) + entries + bytes(4))
    return path


def test_grey_tiffs_of_12_bits_and_of_inverted_grey(tmp_path: Path) -> None:
    twelve = grey_tiff(tmp_path / "twelve.tiff", 12, 1, bytes.fromhex("000800fff0640000"), 4)  # 0, 2048, 4095, 100
    assert pixels(twelve)[0, :, 0].tolist() == [0, 128, 255, 6]
    inverted = grey_tiff(tmp_path / "inverted.tiff", 16, 0, struct.pack("<3H", 0, 257, 65535), 3)
    assert pixels(inverted)[0, :, 0].tolist() == [255, 254, 0]
    assert pixels(grey_tiff(tmp_path / "eight.tiff", 8, 0, bytes([0, 1, 255, 0]), 3))[0, :, 0].tolist() == [255, 254, 0]
    assert pixels(grey_tiff(tmp_path / "one.tiff", 1, 0, b"\x80\0", 2))[0, :, 0].tolist() == [0, 255]


def test_floats_are_stretched_from_smallest_to_largest(tmp_path: Path) -> None:
    values = np.linspace(-3, 7, 16, dtype=np.float32).reshape(4, 4)
    found = pixels(save(tmp_path / "a.tiff", Image.fromarray(values)))
    assert np.abs(found[..., 0].ravel() - np.linspace(0, 255, 16)).max() <= 1
    values[0, 0] = np.nan
    assert pixels(save(tmp_path / "b.tiff", Image.fromarray(values)))[0, 0, 0] == 0


def test_one_pixel_and_first_frame(tmp_path: Path) -> None:
    assert pixels(save(tmp_path / "one.png", Image.new("RGB", (1, 1), (9, 8, 7)))).tolist() == [[[9, 8, 7]]]
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    path = save(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])
    assert pixels(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "webp", "tiff", "avif", "heic", "mpo"])
def test_of_several_frames_the_first_is_taken(tmp_path: Path, suffix: str) -> None:
    red, green = (Image.new("RGB", (64, 64), colour) for colour in ((255, 0, 0), (0, 255, 0)))
    path = save(tmp_path / f"moving.{suffix}", red, save_all=True, append_images=[green])
    assert np.abs(pixels(path)[32, 32] - [255, 0, 0]).max() < 12


def test_heic_is_read_and_its_reader_loaded_for_nothing_else(tmp_path: Path) -> None:
    heic = save(tmp_path / "a.heic", Image.fromarray(QUADRANTS), quality=95).read_bytes()
    (tmp_path / "b.heif").write_bytes(heic[:8] + b"mif1" + heic[12:])  # the brand AVIF may have too
    Image.new("RGB", (4, 4)).save(tmp_path / "c.jpg")
    script = (
        "import sys; from earthclip.pictures.decode import decode\n"
        "decode('c.jpg'); assert 'pillow_heif' not in sys.modules\n"
        "for name in ('a.heic', 'b.heif'):\n"
        "    red, green, blue = decode(name).getpixel((6, 4)); assert red > 243 and green < 12 and blue < 12, name"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_heic_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "phone.heic", Image.fromarray(QUADRANTS))
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert message(path).endswith(
        "HEIC pictures need pillow-heif, which is not installed; pip install 'earthclip[heif]'"
    )
    avif = save(tmp_path / "a.avif", Image.fromarray(QUADRANTS))
    start = avif.read_bytes()
    assert decode(avif).size == (24, 16)
    avif.write_bytes(start[:8] + b"mif1" + start[12:])  # AVIF under the brand HEIC may have too
    assert decode(avif).size == (24, 16)


def test_damaged_heic_and_avif_are_not_blamed_on_what_is_installed(tmp_path: Path) -> None:
    for kind, suffix in (("heic", "HEIC"), ("avif", "AVIF")):
        path = tmp_path / f"phone.{kind}"
        path.write_bytes(b"\0\0\0\x18ftyp" + kind.encode() + bytes(40))
        assert f"the {suffix} picture is damaged or cut short" in message(path)


def test_avif_where_pillow_was_built_without_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.avif", Image.fromarray(QUADRANTS))
    monkeypatch.setattr("PIL.AvifImagePlugin.SUPPORTED", False)
    monkeypatch.setattr("PIL.features.check", lambda name: name != "avif")
    assert "built without AVIF" in message(path)


def test_transparent_heic_is_laid_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert np.abs(pixels(save(tmp_path / "a.heic", clear))[32, 32] - 255).max() < 12


def message(path: Path, **options: int) -> str:
    with pytest.raises(InputError) as caught:
        decode(path, **options)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(str(path)) and len(text) < 300 + len(str(path))
    return text


def test_what_is_no_picture_says_so(tmp_path: Path) -> None:
    assert "no such file" in message(tmp_path / "nope.jpg")
    assert "folder" in message(tmp_path)
    (tmp_path / "empty.jpg").touch()
    assert "empty (0 bytes)" in message(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("hello")
    assert "not a picture" in message(tmp_path / "text.jpg")
    (tmp_path / "page.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "not a picture" in message(tmp_path / "page.eps")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert "pipe" in message(tmp_path / "pipe.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp", "gif", "bmp", "jp2", "avif", "heic"])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.9])
def test_truncated_is_an_error_in_every_format(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert "damaged or cut short" in message(path) or "not a picture" in message(path)


def bomb(path: Path, width: int, height: int) -> Path:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path) -> None:
    for width, height in ((50_000, 50_000), (13_400, 13_400)):
        text = message(bomb(tmp_path / "bomb.png", width, height))
        assert f"{width * height:,} pixels" in text and "178,956,970" in text
    assert "1,200 pixels, the limit is 1,000" in message(
        save(tmp_path / "a.png", Image.new("RGB", (40, 30))), max_pixels=1000
    )


def test_below_the_limit_nothing_is_printed(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    # Between Pillow's warning (89 M) and its error (179 M) it is the damaged body that counts.
    assert "damaged" in message(bomb(tmp_path / "large.png", 10_000, 10_000))
    assert not recwarn.list


def test_damaged_exif_does_not_spoil_the_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", Image.fromarray(QUADRANTS), exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff garbage")
    assert pixels(path).shape == QUADRANTS.shape


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "AVIF", "HEIF"]), st.data())
def test_flipped_bytes_give_a_picture_or_one_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    buffer = io.BytesIO()
    pillow_heif.register_heif_opener()
    Image.fromarray(QUADRANTS).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "flipped"
    path.write_bytes(content)
    try:
        assert decode(path, max_pixels=1_000_000).mode == "RGB"
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)


def test_images_in_memory_are_treated_alike(tmp_path: Path) -> None:
    image = Image.fromarray(QUADRANTS)
    assert np.array_equal(np.asarray(as_rgb(image, "picture 0")), QUADRANTS)
    assert as_rgb(image.convert("CMYK"), "picture 0").mode == "RGB"
    with pytest.raises(InputError, match="picture 3"):
        as_rgb(Image.new("RGB", (0, 5)), "picture 3")


def test_a_decoded_picture_is_not_turned_twice(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decode(save(tmp_path / "a.png", Image.fromarray(QUADRANTS), exif=exif))
    assert image.size == (QUADRANTS.shape[0], QUADRANTS.shape[1])
    assert as_rgb(image, "picture 0").size == image.size


def test_warnings_filter_is_restored_whatever_the_order_of_threads() -> None:
    before = list(warnings.filters)
    first_inside, second_done = threading.Event(), threading.Event()

    def first() -> None:
        with without_pillow_warnings():
            first_inside.set()
            second_done.wait(5)

    thread = threading.Thread(target=first)
    thread.start()
    first_inside.wait(5)
    with without_pillow_warnings():
        second_done.set()
        thread.join(5)
    assert warnings.filters == before


def test_what_is_not_supported_is_not_called_damaged() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "BMP")
    for at, value in ((14, 41), (28, 7), (30, 4)):  # size of the header, bits of a pixel, compression
        odd = bytearray(buffer.getvalue())
        odd[at] = value
        with pytest.raises(InputError, match=r"of this kind is not supported \(Unsupported BMP.*convert it to JPEG"):
            decode_reduced(io.BytesIO(odd), None)
    uncompressed = b"\0\0\0\x18ftypmif1\0\0\0\0mif1unif\0\0\0\x14meta\0\0\0\0infeunci"
    with pytest.raises(InputError, match="neither HEVC nor AV1 is not supported; convert it to JPEG"):
        decode_reduced(io.BytesIO(uncompressed), None)
