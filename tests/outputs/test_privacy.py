"""The report "how locatable is my photo", and copies without metadata."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip.errors import InputError, OutputError
from earthclip.outputs import privacy
from earthclip.outputs.privacy import check_strip_folder, examine, examine_bytes, strip_to
from earthclip.pictures.decode import decode
from earthclip.pictures.metadata import Finding, exiftool, metadata_of
from earthclip.pictures.metadata.copying import Copy
from earthclip.pictures.prepare import Failure
from tests.outputs.answers import FakeVerdict, bare, full
from tests.pictures import photos


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(photos.jpeg())
    return path


def test_the_report_for_people(photo: Path) -> None:
    lines = examine(photo, full(str(photo))).lines()
    assert lines[:4] == [
        str(photo),
        "  its metadata reveals",
        "    position    -15.840200, -70.021900 (EXIF; written to the nearest 1.2 m; stated error 5 m)",
        "    position    -15.840200, -70.021900 (XMP; written to the nearest 1.9 m)",
    ]
    at = lines.index("  its pixels, to the model orbit, reveal")
    assert lines[at + 1 :] == [
        "    how far     Within 200 km of <the best place>.",
        "    90 % region 2.3 million km²",
        "    best guess  37.7510, 14.9934 (near Catania, Italy), probability 0.412",
        lines[-1],
    ]
    assert lines[-1].startswith("    distance    1") and lines[-1].endswith("00 km from the position in the metadata")


def test_the_report_for_programs(photo: Path) -> None:
    values = json.loads(json.dumps(examine(photo, full(str(photo))).to_object()))
    assert values["metadata"]["positions"][0] == {
        "latitude": -15.8402,
        "longitude": -70.0219,
        "source": "EXIF",
        "precision_m": pytest.approx(1.2355, abs=1e-3),
        "error_m": 5.0,
    }
    assert {"kind": "place", "value": "city: Puno", "source": "XMP"} in values["metadata"]["findings"]
    assert list(values["pixels"]) == ["model", "predictions", "verdict", "credible"]
    assert 9000 < values["distance_km"] < 12000


def test_a_photo_that_gives_nothing_away(tmp_path: Path) -> None:
    photos.picture().save(tmp_path / "a.png")
    report = examine(tmp_path / "a.png", full(verdict=FakeVerdict(None, None), abstained=True))
    assert report.lines()[2] == "    nothing     no position, time, camera, name or other metadata"
    assert "    warning     No answer: the confidence is below the minimum that was asked for." in report.lines()
    assert "    how far     Nowhere in particular." in report.lines()
    assert report.distance_km is None and "distance_km" not in report.to_object()


def test_without_what_the_pixels_show(photo: Path) -> None:
    assert "pixels" not in examine(photo).to_object()
    failed = examine_bytes(b"nothing", None, Failure(None, "a: not a picture"))
    assert failed.lines()[0] == "(image)" and failed.lines()[-1] == "    unknown     a: not a picture"
    assert any("does not know all metadata" in line for line in failed.lines())
    assert examine(photo, bare(str(photo))).lines()[-2].startswith("    best guess")


def test_a_copy_without_metadata(photo: Path, tmp_path: Path) -> None:
    before = photo.read_bytes()
    copy = strip_to(photo, tmp_path / "new" / "clean").path
    assert copy == tmp_path / "new" / "clean" / "photo.jpg" and photo.read_bytes() == before
    assert metadata_of(copy.read_bytes()).findings == () and list(copy.parent.iterdir()) == [copy]
    assert decode(copy).tobytes() == decode(photo).tobytes()
    with pytest.raises(OutputError, match="already exists"):
        strip_to(photo, copy.parent)
    strip_to(photo, copy.parent, overwrite=True)


def test_the_photo_itself_is_never_written(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="this is the photo itself"):
        strip_to(photo, tmp_path, overwrite=True)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="this is the photo itself"):
        strip_to(photo, tmp_path / "link", overwrite=True)


def test_no_copy_when_pixels_would_change(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    black = tmp_path / "black.jpg"
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(black)
    monkeypatch.setattr(privacy, "without_metadata", lambda *_: Copy(black.read_bytes(), "JPEG"))
    with pytest.raises(InputError, match="its pixels would change"):
        strip_to(photo, tmp_path / "clean")
    monkeypatch.setattr(privacy, "without_metadata", lambda data, *_: Copy(data, "JPEG"))
    with pytest.raises(InputError, match="it would keep metadata"):
        strip_to(photo, tmp_path / "clean")
    assert not (tmp_path / "clean" / "photo.jpg").exists()


def test_where_copies_cannot_go(photo: Path) -> None:
    with pytest.raises(OutputError, match="found a file"):
        check_strip_folder(photo)


def test_exiftool_is_asked_where_it_is(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(arguments: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(arguments)
        assert options["timeout"] == 30 and "shell" not in options
        answer = b'[{"SourceFile": "-", "Nikon:SerialNumber": "77", "IFD0:Model": "iPhone", "File:FileType": "JPEG"}]'
        return subprocess.CompletedProcess(arguments, 0, answer if len(asked) == 1 else b"")

    monkeypatch.setattr(exiftool.shutil, "which", lambda name: "/bin/exiftool")
    monkeypatch.setattr(exiftool.subprocess, "run", run)
    added = [finding for finding in examine(photo).metadata.findings if finding.source == "ExifTool"]
    assert added == [Finding("serial", "Nikon:SerialNumber: 77", "ExifTool")]
    assert asked[0][:3] == ["/bin/exiftool", "-config", ""] and str(photo) not in asked[0]
    assert "no answer: it cannot read the file, or took too long (ExifTool)" in "\n".join(examine(photo).lines())
