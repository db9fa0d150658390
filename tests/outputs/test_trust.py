"""Names of places, verdict, credible regions and abstention in every format that is text."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.errors import InputError, OutputError
from earthclip.geo.cells import cells_text, parse_cells
from earthclip.locating.prediction import Prediction
from earthclip.outputs import check_format, open_writer, writer
from earthclip.outputs.drawing import oriented
from earthclip.outputs.estimate import xml_text
from earthclip.outputs.structured import dumps, from_object, to_object
from earthclip.outputs.table import area_text
from earthclip.pictures.prepare import Failure
from tests.outputs.answers import FAILURE, HOSTILE, NAMED, FakeRegion, FakeVerdict, bare, full

_KML = "{http://www.opengis.net/kml/2.2}"


def written(format: str, *answers: Prediction | Failure) -> str:
    stream = io.StringIO(newline="")
    out = writer(format, stream)
    for answer in answers:
        out.write(answer)
    out.close()
    return stream.getvalue()


def test_json_names_are_fixed() -> None:
    values = to_object(full(region="Italy"))
    assert list(values) == ["path", "model", "predictions", "verdict", "credible", "region", "region_share"]
    assert values["region_share"] == 1.0
    assert values["predictions"][0]["place"] == {
        "name": "Catania",
        "admin": "Sicily",
        "country": "Italy",
        "country_code": "IT",
        "distance_km": 27.0,
        "text": "near Catania, Italy",
    }
    assert values["verdict"] == {
        "level": "region",
        "radius_km": 200.0,
        "mass": 0.612346,
        "sentence": "Within 200 km of <the best place>.",
    }
    assert values["credible"] == [{"mass": 0.5, "area_km2": 123457.0}, {"mass": 0.9, "area_km2": 2345680.0}]
    assert to_object(full(abstained=True))["abstained"] is True
    assert list(to_object(bare())) == ["path", "model", "predictions"]


def test_an_answer_read_back_is_written_the_same() -> None:
    answer = full(region="Italy", credible=())
    first = to_object(answer, cells=True)
    first["verdict"]["sentence"] = "changed"
    again = to_object(from_object(json.loads(dumps(first))), cells=True)
    again["verdict"]["sentence"] = "changed"
    assert again == first


def test_cells_of_regions_are_kept_for_a_journal_only() -> None:
    assert to_object(full(), cells=True)["credible"][0]["cells"] == "2/1-3,9"
    assert "cells" not in to_object(full())["credible"][0]


def test_read_back_without_what_was_not_known() -> None:
    again = from_object(to_object(bare()))
    assert isinstance(again, Prediction) and to_object(again) == to_object(bare())
    assert from_object(to_object(FAILURE)) == FAILURE


def test_csv_appends_columns() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", full(), bare(), full(abstained=True)))))
    assert [row["place"] for row in rows[:2]] == ["near Catania, Italy", str(NAMED[1])]
    assert [row["country_code"] for row in rows] == ["IT", "", "IT", "", ""]
    assert (rows[0]["verdict"], rows[0]["radius_km"], rows[0]["area90_km2"]) == ("region", "200.0", "2345680.0")
    assert (rows[2]["verdict"], rows[2]["area90_km2"], rows[2]["rank"]) == ("", "", "1")
    assert (rows[4]["verdict"], rows[4]["rank"], rows[4]["latitude"], rows[4]["path"]) == (
        "abstained",
        "",
        "",
        "etna.jpg",
    )
    nowhere = written("csv", full(verdict=FakeVerdict(None, None)))
    assert next(csv.DictReader(io.StringIO(nowhere)))["verdict"] == "nowhere"


def test_table_names_places_and_says_how_far_to_trust() -> None:
    lines = written("table", full()).splitlines()
    assert lines[0].endswith("  place") and lines[1] == "etna.jpg"
    assert lines[2].endswith("near Catania, Italy")
    trust = "Within 200 km of <the best place>. 90 % region: 2.3 million km²."
    assert lines[-1] == f"      {trust}"
    assert written("table", full(abstained=True)).splitlines()[1:] == [
        "etna.jpg",
        "      No answer: the confidence is below the minimum that was asked for.",
        "   -",
        f"      {trust}",
    ]


@pytest.mark.parametrize(
    ("km2", "text"), [(0.449, "0.45 km²"), (352.0, "350 km²"), (98_765, "99,000 km²"), (1.24e6, "1.2 million km²")]
)
def test_areas_in_words(km2: float, text: str) -> None:
    assert area_text(km2) == text


def test_geojson_has_regions_that_rfc_7946_allows() -> None:
    features = json.loads(written("geojson", full(), full(abstained=True)))["features"]
    assert [feature["geometry"] and feature["geometry"]["type"] for feature in features] == [
        *["Point"] * 2,
        *["MultiPolygon"] * 2,
        None,
    ]
    assert features[0]["properties"]["verdict"]["level"] == "region" and "verdict" not in features[1]["properties"]
    region = features[3]
    assert region["properties"] == {"path": "etna.jpg", "mass": 0.9, "area_km2": 2345680.0, "model": "orbit"}
    for polygon in region["geometry"]["coordinates"]:
        outer, *holes = (shapely.LinearRing(ring) for ring in polygon)
        assert outer.is_ccw and not any(hole.is_ccw for hole in holes)
        assert all(ring[0] == ring[-1] for ring in polygon)
    assert features[4]["properties"]["abstained"] is True


def test_a_region_without_cells_has_no_outline() -> None:
    without = (FakeRegion(0.9, 5.0, cells=np.empty(0, np.int64)),)
    features = json.loads(written("geojson", full(credible=without)))["features"]
    assert [feature["geometry"]["type"] for feature in features] == ["Point", "Point"]
    assert oriented(shapely.Point(0, 0)) is None


def test_kml_is_well_formed_whatever_names_hold() -> None:
    text = written("kml", full(HOSTILE), FAILURE, bare(None), full(abstained=True))
    root = ElementTree.fromstring(text.encode("utf-8", "replace"))
    folders = root.findall(f"{_KML}Document/{_KML}Folder")
    assert [len(folder.findall(f"{_KML}Placemark")) for folder in folders] == [4, 0, 2, 0]
    name = folders[0].findtext(f"{_KML}name") or ""
    assert name.startswith("name><script>&\"'") and "\x1b" not in name  # the name without its folders
    best = folders[0].find(f"{_KML}Placemark")
    assert best is not None and best.findtext(f"{_KML}name") == "1. near Catania, Italy"
    assert best.findtext(f"{_KML}Point/{_KML}coordinates") == "14.9934,37.751012"
    description = folders[0].findtext(f"{_KML}description") or ""
    assert "&lt;the best place&gt;" in description and "<script" not in description  # viewers show HTML
    assert written("kml").rstrip().endswith("</kml>")


def test_kml_elements_are_in_the_schemas_order() -> None:
    order = ["name", "open", "description", "styleUrl", "Style", "ExtendedData", "Point", "MultiGeometry", "Folder"]
    order.append("Placemark")
    for element in ElementTree.fromstring(written("kml", full())).iter():
        if element.tag in {_KML + kind for kind in ("Document", "Folder", "Placemark")}:
            ranks = [order.index(child.tag.removeprefix(_KML)) for child in element]
            assert ranks == sorted(ranks)
        if element.tag == _KML + "outerBoundaryIs":
            positions = [tuple(map(float, at.split(","))) for at in (element[0][0].text or "").split()]
            assert shapely.LinearRing(positions).is_ccw and positions[0] == positions[-1]


@settings(deadline=None)
@given(st.text())
def test_xml_text_survives_a_parser(text: str) -> None:
    quoted = xml_text(text)
    root = ElementTree.fromstring(f'<a b="{quoted}">{quoted}</a>')
    allowed = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\N{REPLACEMENT CHARACTER}", text)
    assert (root.get("b") or "") == (root.text or "") == allowed


@settings(deadline=None)
@given(st.sets(st.integers(0, 12 * 4**4 - 1)), st.randoms())
def test_cells_come_back(cells: set[int], random: Any) -> None:
    shuffled = sorted(cells)
    random.shuffle(shuffled)
    again, level = parse_cells(cells_text(np.array(shuffled, np.int64), 4))
    assert level == 4 and again.tolist() == sorted(cells)


@pytest.mark.parametrize("text", ["", "4", "4/3-2", "0/12", "30/1", "4/1,", "4/-1", "x/1", "0/0-99999999999999999999"])
def test_other_cells_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected cells"):
        parse_cells(text)


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.kml"
    with pytest.raises(RuntimeError), open_writer("kml", path) as out:
        out.write(full())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with open_writer("kml", path) as out:
        out.write(full())
    assert path.read_text(encoding="utf-8") == written("kml", full())
    with pytest.raises(OutputError, match="already exists"), open_writer("kml", path):
        pass


def test_formats_that_are_not_text_need_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="geoparquet is a binary format; name a file with -o"):
        writer("geoparquet", io.StringIO())
    with pytest.raises(OutputError, match="unknown format 'xlsx'"):
        check_format("xlsx", tmp_path / "a")
