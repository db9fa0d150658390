"""Photos whose copies kept what they should not, or whose reports were wrong: tests/data/cases."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from earthclip.datasets.check import check
from earthclip.datasets.opening import open_photos
from earthclip.errors import InputError
from earthclip.outputs.privacy import examine, strip_to
from earthclip.pictures.decode import decode
from earthclip.pictures.metadata import exiftool

CASES = Path(__file__).parents[1] / "data" / "cases"
NOTHING = "no position, time, camera, name or other metadata"


@pytest.fixture(params=[True, False], ids=["with exiftool", "without"], autouse=True)
def exiftool_or_not(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports are right without ExifTool too."""
    if not request.param:
        monkeypatch.setattr(exiftool.shutil, "which", lambda name: None)
    elif not exiftool.installed():
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")


def report(path: Path) -> str:
    text = "\n".join(examine(path).lines())
    assert NOTHING not in text
    return text


def copy_of(path: Path, folder: Path) -> bytes:
    """A copy in which nothing is found, and which shows the same."""
    copy = strip_to(path, folder).path
    assert NOTHING in "\n".join(examine(copy).lines())
    assert decode(copy).tobytes() == decode(path).tobytes()
    return copy.read_bytes()


def test_the_video_of_a_heic(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    photo = CASES / "02-heic-motion-photo-video" / "motion.heic"
    assert "a video" in report(photo)
    with pytest.raises(InputError, match="because it would lose a video; --reencode png or --reencode jpeg"):
        strip_to(photo, tmp_path)
    for kind in ("png", "jpeg"):
        copy = strip_to(photo, tmp_path, reencode=kind).path
        assert b"+48.8577" not in copy.read_bytes() and NOTHING in "\n".join(examine(copy).lines())


def test_the_trailer_of_a_maker(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    photo = CASES / "03-heic-samsung-trailer" / "samsung.heic"
    assert "98 bytes of sefd" in report(photo)
    copy = copy_of(photo, tmp_path)
    assert b"Taiwan" not in copy and b"Image_UTC" not in copy
    assert [path.name for path in tmp_path.iterdir()] == ["samsung.png"]


@pytest.mark.parametrize("name", ["stale.tif", "type129.tif"])
def test_bytes_of_a_tiff_that_no_tag_points_to(name: str, tmp_path: Path) -> None:
    photo = CASES / "04-tiff-bytes-nobody-points-at" / name
    assert b"Jane Doe" in photo.read_bytes()
    assert "bytes that no field points to" in report(photo)
    assert b"Jane Doe" not in copy_of(photo, tmp_path)


def test_the_serial_number_of_a_screen(tmp_path: Path) -> None:
    photo = CASES / "05-icc-display-serial" / "screenshot.png"
    assert "screen: 12345678 (colour profile)" in report(photo)
    with Image.open(io.BytesIO(copy_of(photo, tmp_path))) as image:
        profile = image.info["icc_profile"]
    assert b"mmod" not in profile and bytes.fromhex("12345678") not in profile


def test_faces_contacts_and_serial_numbers(tmp_path: Path) -> None:
    photo = CASES / "07-report-says-nothing" / "face.jpg"
    text = report(photo)
    assert "people      in the picture: Jane Doe (XMP)" in text and "people      e-mail: jane@example.org (XMP)" in text
    assert "camera      camera body: CSN123 (EXIF)" in text
    copy = copy_of(photo, tmp_path)
    assert not any(secret in copy for secret in (b"Jane", b"jane", b"CSN123"))


def test_what_gdal_copied(tmp_path: Path) -> None:
    photo = CASES / "08-report-gdal-metadata" / "gdal.tif"
    text = report(photo)
    assert "position    43.467500, 11.885100 (GDAL;" in text and "time        taken: 2020:01:02 03:04:05 (GDAL)" in text
    assert b"GDAL" not in copy_of(photo, tmp_path)


def positions_for_training(photo: Path) -> list[list[float]]:
    assert check(str(photo.parent)).left_out == {}
    return [list(row) for row in open_photos(str(photo.parent)).coordinates.tolist()]


def test_what_is_shown_is_not_where_the_camera_was() -> None:
    photo = CASES / "09-xmp-location-shown" / "shown.jpg"
    text = report(photo)
    assert "position    48.857700, 2.295000 (XMP;" in text
    assert "position    -50.000000, -60.000000 (XMP, what is shown;" in text
    assert text.index("48.8577") < text.index("-50.0")
    assert positions_for_training(photo) == [[pytest.approx(48.8577, abs=1e-6), pytest.approx(2.295, abs=1e-6)]]


def test_the_sign_that_a_tag_of_its_own_gives() -> None:
    photo = CASES / "12-xmp-ref-tags" / "ref.jpg"
    text = report(photo)
    assert "position    28.184480, -14.160670 (XMP;" in text and text.count("position") == 1
    assert positions_for_training(photo) == [[pytest.approx(28.18448), pytest.approx(-14.16067)]]


def test_resolution_and_adobe_rgb(tmp_path: Path) -> None:
    copy = copy_of(CASES / "14-strip-loses-dpi-and-adobe-rgb" / "adobergb.jpg", tmp_path)
    with Image.open(io.BytesIO(copy)) as image:
        exif = image.getexif()
    assert (exif[0x011A], exif[0x011B], exif[0x0128]) == (300, 300, 2) and 0x010F not in exif
    assert exif.get_ifd(0x8769)[0xA001] == 0xFFFF and exif.get_ifd(0xA005)[1] == "R03"


def test_a_turn_that_xmp_alone_tells_of(tmp_path: Path) -> None:
    copy = copy_of(CASES / "24-xmp-orientation-refused" / "x.png", tmp_path)
    with Image.open(io.BytesIO(copy)) as image:
        assert image.getexif()[0x0112] == 6
