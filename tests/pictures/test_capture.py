"""When and where a photo says it was taken: which of its clocks is believed, and whose position."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from earthclip.errors import InputError
from earthclip.pictures.capture import WRONG_CLOCK, ZERO, capture_of

CLOCK = datetime(2024, 6, 1, 10, 0, 0, tzinfo=UTC).timestamp()
XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" {}/></rdf:RDF></x:xmpmeta>"""


def photo(folder: Path, details: dict[int, Any] | None = None, gps: dict[int, Any] | None = None) -> Path:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Canon", "EOS R5", "2020:01:01 00:00:00"
    exif.get_ifd(0x8769).update(details or {})
    if gps:
        exif.get_ifd(0x8825).update(gps)
    path = folder / "photo.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


def satellites(hour: float, minute: float, date: str = "2024:06:01") -> dict[int, Any]:
    return {7: (hour, minute, 0.0), 0x1D: date}


@pytest.mark.parametrize(
    ("details", "gps", "clock_s", "ahead_h"),
    [
        ({0x9003: "2024:06:01 10:00:00", 0x9011: "+02:00"}, None, CLOCK, 2.0),
        ({0x9003: "2024:06:01 10:00:00", 0x9011: "-03:30"}, satellites(8, 0), CLOCK, -3.5),
        ({0x9003: "2024:06:01 10:00:00"}, satellites(8, 4), CLOCK, 2.0),  # a fix some minutes old tells the zone
        ({0x9003: "2024:06:01 10:00:00"}, satellites(21, 0, "2024:05:31"), CLOCK, 13.0),
        ({0x9003: "2024:06:01 10:00:00"}, satellites(8, 0, "2024:05:01"), CLOCK, None),  # an old fix tells nothing
        ({0x9003: "2024:06:01 10:00:00"}, None, CLOCK, None),
        ({0x9004: "2024:06:01 10:00:00", 0x9012: "+01:00"}, None, CLOCK, 1.0),
        ({}, satellites(10, 0), CLOCK, 0.0),
        ({0x9003: "0000:00:00 00:00:00"}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_which_clock_is_believed(
    tmp_path: Path, details: dict[int, Any], gps: dict[int, Any] | None, clock_s: float | None, ahead_h: float | None
) -> None:
    capture = capture_of(photo(tmp_path, details, gps))
    assert capture.clock_s == clock_s and capture.camera == "Canon EOS R5"
    expected = None if clock_s is None or ahead_h is None else clock_s - 3600 * ahead_h
    assert capture.utc_s == expected


@pytest.mark.parametrize("year", ["1970", "2124"])
def test_clocks_that_were_never_set_are_not_believed(tmp_path: Path, year: str) -> None:
    capture = capture_of(photo(tmp_path, {0x9003: f"{year}:01:01 00:00:00", 0x9011: "+00:00"}))
    assert (capture.clock_s, capture.utc_s, capture.faults) == (None, None, (WRONG_CLOCK,))


def test_a_measured_position_goes_before_an_estimate(tmp_path: Path) -> None:
    gps = {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}
    path, sidecar = photo(tmp_path, gps=gps), tmp_path / "photo.jpg.xmp"
    assert capture_of(path).faults == (ZERO,) and capture_of(path).position is None
    position = 'exif:GPSLatitude="47,30.0N" exif:GPSLongitude="8,0.0W"'
    sidecar.write_text(XMP.format(f'{position} exif:GPSProcessingMethod="Estimate by EarthCLIP, model orbit"'))
    capture = capture_of(path)
    assert capture.position == (47.5, -8.0) and capture.estimated
    photo(tmp_path, gps={**gps, 2: (46.0, 0.0, 0.0)})
    capture = capture_of(path)
    assert capture.position == (46.0, 0.0) and not capture.estimated
    sidecar.write_bytes(b"no XMP")
    assert capture_of(path).position == (46.0, 0.0)
    with pytest.raises(InputError, match="cannot be read"):
        capture_of(tmp_path / "gone.jpg")


def test_a_sidecar_tells_the_time_where_the_photo_does_not(tmp_path: Path) -> None:
    path = photo(tmp_path)
    (tmp_path / "photo.xmp").write_text(XMP.format('exif:DateTimeOriginal="2024-06-01T10:00:00+02:00"'))
    capture = capture_of(path)
    assert (capture.clock_s, capture.utc_s) == (CLOCK, CLOCK - 7200)
