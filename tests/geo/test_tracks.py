"""Tracks of every form, read alike, and what is wrong with them counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from earthclip.errors import InputError
from earthclip.geo.tracks import read_track

NOON = 1717236000.0  # 2024-06-01T10:00:00Z
GPX = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="Garmin" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>
{}</trkseg></trk></gpx>"""


def point(latitude: float, longitude: float, time: str | None) -> str:
    when = f"<time>{time}</time>" if time else ""
    return f'<trkpt lat="{latitude}" lon="{longitude}"><ele>4.5</ele>{when}</trkpt>\n'


FORMS = {
    "gpx": GPX.format(point(47.5, 8.5, "2024-06-01T10:10:00Z") + point(47.0, 8.0, "2024-06-01T12:00:00.000+02:00")),
    "kml": """<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2"><Placemark>
        <gx:Track><when>2024-06-01T10:00:00Z</when><when>2024-06-01T10:10:00Z</when><gx:coord>8 47 400</gx:coord>
        <gx:coord>8.5 47.5 400</gx:coord></gx:Track></Placemark></kml>""",
    "kml of points": """<kml xmlns="http://www.opengis.net/kml/2.2">
        <Placemark><TimeStamp><when>2024-06-01T10:00:00Z</when></TimeStamp><Point><coordinates> 8,47,0 </coordinates>
        </Point></Placemark><Placemark><TimeStamp><when>2024-06-01T10:10:00Z</when></TimeStamp><Point><coordinates>
        8.5,47.5</coordinates></Point></Placemark></kml>""",
    "geojson": json.dumps(
        {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": [[8, 47], [8.5, 47.5]]},
            "properties": {"coordTimes": ["2024-06-01T10:00:00Z", "2024-06-01T10:10:00"]},
        }
    ),
    "geojson of points": json.dumps(
        {
            "type": "FeatureCollection",
            "features": [
                {"geometry": {"type": "Point", "coordinates": [8.5, 47.5]}, "properties": {"time": 1717236600000}},
                {"geometry": {"type": "Point", "coordinates": [8, 47]}, "properties": {"timestamp": 1717236000}},
                {"geometry": None, "properties": None},
            ],
        }
    ),
}


def write(folder: Path, text: str, suffix: str) -> Path:
    path = folder / f"track.{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_alike(tmp_path: Path, form: str) -> None:
    track = read_track(write(tmp_path, FORMS[form], form.split()[0]))
    np.testing.assert_array_equal(track.times_s, [NOON, NOON + 600])
    np.testing.assert_array_equal(track.coordinates, [[47.0, 8.0], [47.5, 8.5]])
    assert track.faults == ()


def test_what_is_not_believed_is_counted(tmp_path: Path) -> None:
    points = [
        point(47.0, 8.0, "2024-06-01T10:00:00Z"),
        point(48.0, 8.0, None),
        point(0.0, 0.0, "2024-06-01T10:01:00Z"),
        point(47.0, 8.0, "1970-01-01T00:00:00Z"),
        point(47.0, 8.0, "2224-06-01T10:00:00Z"),
        point(97.0, 8.0, "2024-06-01T10:00:30Z"),
        point(-33.0, 151.0, "2024-06-01T10:02:00Z"),  # a spike
        point(47.0, 8.01, "2024-06-01T10:03:00Z"),
        point(47.0, 18.0, "2024-06-01T10:30:00Z"),  # and a jump, from where it goes on
        point(47.0, 18.01, "2024-06-01T10:31:00Z"),
    ]
    track = read_track(write(tmp_path, GPX.format("".join(points)), "gpx"))
    assert track.coordinates[:, 1].tolist() == [8.0, 8.01, 18.0, 18.01]
    assert track.faults == (
        "left out 1 points without a time",
        "left out 4 points off the Earth, at 0, 0, before 1990 or in the future",
        "left out 1 single points that nothing could have reached",
        "1 jumps faster than 1,000 km/h",
    )


@pytest.mark.parametrize(
    ("text", "suffix", "says"),
    [
        (GPX.format(point(47.0, 8.0, None)), "gpx", "no point with a position and a time .1 points without a time"),
        ("<gpx>", "gpx", "not XML"),
        ('<!DOCTYPE gpx [<!ENTITY a "aaa">]><gpx>&a;</gpx>', "gpx", "a document type"),
        ("[1, 2]", "geojson", "not GeoJSON of a track"),
        ('{"type": "Feature", "geometry": {"type": "Point", "coordinates": 5}}', "geojson", "not GeoJSON of a track"),
        ("", "txt", "unknown kind of track"),
    ],
)
def test_what_is_no_track_is_one_line(tmp_path: Path, text: str, suffix: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_track(write(tmp_path, text, suffix))
    with pytest.raises(InputError, match="cannot be read"):
        read_track(tmp_path / "gone.gpx")
