"""Copies as another program sees them: ExifTool over hundreds of samples, whole and damaged."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, ImageSequence

from earthclip.errors import InputError
from earthclip.outputs.privacy import strip_to
from earthclip.pictures.decode import decode
from earthclip.pictures.metadata import metadata_of
from earthclip.pictures.metadata.copying import check_pixels, without_metadata
from tests.pictures import samples
from tests.pictures.samples import SECRET

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not samples.installed(), reason="exiftool is not installed (Debian: libimage-exiftool-perl)"),
]
DAMAGED = 2000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return samples.write(tmp_path_factory.mktemp("samples"))


def frames(path: Path) -> list[np.ndarray]:
    # From memory: Pillow loses the orientation of some TIFF files that it opens by their names.
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        return [np.asarray(ImageOps.exif_transpose(frame).convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def resolution(path: Path) -> tuple[float, float]:
    """Dots an inch, as EXIF or else the file's own fields tell."""
    with Image.open(path) as image:
        exif = image.getexif()
        sides = (float(exif.get(0x011A, 0)), float(exif.get(0x011B, 0)))
        if all(side > 1 for side in sides):
            return sides
        if image.format == "JPEG":  # for which Pillow makes up 72 where EXIF tells of none
            return image.info["jfif_density"] if image.info.get("jfif_unit") else (0, 0)
        return tuple(map(float, image.info.get("dpi", (0, 0))))


def colours(path: Path) -> tuple[object, object]:
    with Image.open(path) as image:
        exif = image.getexif()
        return exif.get_ifd(0x8769).get(0xA001, 1), exif.get_ifd(0xA005).get(1)


def test_nothing_identifying_is_left_and_all_that_shows_is(written: list[Path], tmp_path: Path) -> None:
    assert len(written) >= 300
    hidden = samples.identifying(written[0].parent)
    assert len(hidden) >= 250  # so that what follows is about something
    refused, copies = [], {}
    for photo in written:
        try:
            copies[photo] = strip_to(photo, tmp_path / photo.suffix).path
        except InputError as error:
            refused.append(photo.name)
            assert "--reencode" in str(error), error
    assert {Path(name).suffix for name in refused} <= {".jp2"} and len(refused) == len(samples.BLOCKS)
    assert samples.identifying(tmp_path) == {}
    for photo, copy in copies.items():
        data = copy.read_bytes()
        assert SECRET.encode() not in data and SECRET.encode("utf-16-le") not in data, photo.name
        assert decode(copy).tobytes() == decode(photo).tobytes(), photo.name
        before, after = frames(photo), frames(copy)
        assert len(before) == len(after) and all(map(np.array_equal, before, after)), photo.name
        if photo.suffix in (".jpg", ".tif", ".png") and "mirrored" not in photo.name and "turned" not in photo.name:
            assert resolution(copy) == pytest.approx(resolution(photo), rel=1e-3), photo.name
        if photo.suffix == ".jpg":
            assert colours(copy) == colours(photo), photo.name


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The file with a few bytes changed, a piece cut out or doubled, or its end cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, size = chance.randrange(len(changed)), chance.randint(1, 64)
        how = chance.randrange(6)
        if how < 3:
            changed[at] = chance.randrange(256)
        elif how == 3:
            del changed[at : at + size]
        elif how == 4:
            changed[at:at] = changed[at : at + size]
        elif chance.random() < 0.3:
            del changed[max(at, 16) :]
    return bytes(changed)


def test_random_damage_leaks_nothing(written: list[Path], tmp_path: Path) -> None:
    chance = random.Random(0)
    copies = 0
    for index in range(DAMAGED):
        photo = written[index % len(written)]
        data = damaged(photo.read_bytes(), chance)
        metadata_of(data)
        try:
            copy = without_metadata(data, photo.name)
            check_pixels(data, copy, photo.name)
        except InputError as error:
            assert str(error).startswith(photo.name) and "\n" not in str(error)
            continue
        assert SECRET.encode() not in copy.data, photo.name
        left = metadata_of(copy.data)
        assert (left.positions, left.findings, left.damaged) == ((), (), False), photo.name
        suffix = {"JPEG": "jpg", "TIFF": "tif"}.get(copy.format, copy.format.lower())
        (tmp_path / f"{index}-{photo.stem}.{suffix}").write_bytes(copy.data)
        Image.open(io.BytesIO(copy.data)).close()
        copies += 1
    assert copies > DAMAGED / 10  # else nothing was tried
    assert samples.identifying(tmp_path) == {}
