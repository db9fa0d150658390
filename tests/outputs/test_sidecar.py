"""XMP sidecars: where they stand, what they say, and that nothing else is touched. Read back by our own XMP parser."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from earthclip.errors import InputError, OutputError
from earthclip.geo.places import Place
from earthclip.outputs.estimate import xmp_coordinate
from earthclip.outputs.sidecar import objection, sidecar, sidecar_path, write_sidecar
from earthclip.pictures.metadata.findings import Collector
from earthclip.pictures.metadata.xmp import coordinate, read_xmp
from tests.outputs.answers import HOSTILE, FakeVerdict, full
from tests.tiny import write_picture

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"


def description(text: str) -> dict[str, str]:
    return ElementTree.fromstring(text.encode())[0][0].attrib


def test_it_stands_beside_its_photo_and_touches_nothing(tmp_path: Path) -> None:
    photo = write_picture(tmp_path / "photo.png")
    before = photo.read_bytes(), photo.stat().st_mtime_ns
    assert write_sidecar(full(str(photo))) == tmp_path / "photo.png.xmp" == sidecar_path(photo)
    assert (photo.read_bytes(), photo.stat().st_mtime_ns) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "photo.png.xmp"]
    written = (tmp_path / "photo.png.xmp").read_bytes()
    with pytest.raises(OutputError, match="holds a position already"):
        write_sidecar(full(str(photo)))
    write_sidecar(full(str(photo), verdict=None), overwrite=True)
    assert (tmp_path / "photo.png.xmp").read_bytes() != written


def test_what_speaks_against_one(tmp_path: Path) -> None:
    photo = str(write_picture(tmp_path / "photo.png"))
    assert objection(full(photo)) is None and objection(full(photo, verdict=None)) is None
    assert objection(full(photo, abstained=True)) == "the answer abstains"
    assert objection(full(photo, verdict=FakeVerdict(None, None))) == "no region stands out"
    placed = Image.Exif()
    placed[0x8825] = {1: "S", 2: (15.0, 50.0, 24.72), 3: "W", 4: (70.0, 1.0, 18.84)}
    Image.new("RGB", (8, 8)).save(tmp_path / "placed.jpg", exif=placed)
    assert objection(full(str(tmp_path / "placed.jpg"))) == "the photo has a position"


def test_what_it_says() -> None:
    values = description(sidecar(full()))
    assert values[_EXIF + "GPSLatitude"] == "37,45.060741N"
    assert values[_EXIF + "GPSLongitude"] == "14,59.604000E"
    assert values[_EXIF + "GPSMapDatum"] == "WGS-84" and values[_EXIF + "GPSHPositioningError"] == "200000/1"
    note = values[_EXIF + "GPSProcessingMethod"]
    assert note == "Estimate by EarthCLIP, model orbit, probability 0.412; not measured"
    assert values[_PHOTOSHOP + "State"] == "Sicily" and values[_PHOTOSHOP + "Country"] == "Italy"
    found = Collector()
    read_xmp(sidecar(full()).encode(), found)
    assert found.positions[0].latitude == pytest.approx(37.7510123456, abs=1e-8)
    assert not found.damaged


@pytest.mark.parametrize(
    ("level", "names"),
    [("city", {"City", "State", "Country"}), ("region", {"State", "Country"}), ("country", {"Country"}), (None, set())],
)
def test_names_go_no_finer_than_the_verdict(level: str | None, names: set[str]) -> None:
    values = description(sidecar(full(verdict=FakeVerdict(level, 25.0 if level else None))))
    assert {key.removeprefix(_PHOTOSHOP) for key in values if key.startswith(_PHOTOSHOP)} == names
    assert (_EXIF + "GPSHPositioningError" in values) == (level is not None)


def test_no_place_no_sidecar(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no confident answer, so no sidecar"):
        sidecar(full(abstained=True))
    with pytest.raises(InputError, match="this answer has no file"):
        write_sidecar(full(None))
    with pytest.raises(OutputError, match="the photo no longer exists"):
        write_sidecar(full(str(tmp_path / "gone.jpg")))


def test_hostile_words_stay_words() -> None:
    named = (Place(HOSTILE, HOSTILE, HOSTILE, "IT", 1.0, HOSTILE),) * 2
    answer = full(verdict=FakeVerdict("city"), named=named)
    assert description(sidecar(answer))[_PHOTOSHOP + "City"].startswith("</name><script>&\"'")


@settings(deadline=None)
@given(st.floats(-180, 180))
def test_coordinates_come_back(degrees: float) -> None:
    text = xmp_coordinate(degrees, "E", "W")
    read = coordinate(text, 180.0)
    assert read is not None and read[0] == pytest.approx(degrees, abs=1e-8)
    assert float(text.split(",")[1][:-1]) < 60.0
