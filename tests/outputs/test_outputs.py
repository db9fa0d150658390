"""Each format, read back by a parser of that format."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from shapely.geometry import shape

from earthclip.cli.formats import FORMATS as COMMAND_FORMATS
from earthclip.locating.prediction import Prediction
from earthclip.outputs import FORMATS, writer
from earthclip.pictures.prepare import Failure
from tests.outputs.answers import NAMED

PLACES = np.array([[37.7510123456, 14.9934], [-38.1, -179.99999]])
# As read back from where only places were kept; the rest is in test_trust.py.
ETNA = Prediction('dir/"etna", ä.jpg', "orbit", PLACES, np.array([0.41234567, 1e-9]), named=tuple(NAMED))
BROKEN = Failure("broken.jpg", "broken.jpg: the picture is damaged")
UNNAMED = Prediction(None, "orbit", PLACES[:1], np.array([1.0]), named=tuple(NAMED[:1]))
ODD_NAME = Failure("odd\udcff.jpg", "odd\udcff.jpg: no such file")
ALL = (ETNA, BROKEN, UNNAMED, ODD_NAME)


def written(format: str, *answers: Prediction | Failure) -> str:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="utf-8", newline="")
    out = writer(format, stream)
    for answer in answers:
        out.write(answer)
    out.close()
    stream.flush()
    return buffer.getvalue().decode()


def test_the_command_line_offers_every_format() -> None:
    assert tuple(COMMAND_FORMATS) == FORMATS


def test_json_lines_names_are_fixed() -> None:
    lines = [json.loads(line) for line in written("jsonl", *ALL).splitlines()]
    assert lines[0] == {
        "path": 'dir/"etna", ä.jpg',
        "model": "orbit",
        "predictions": [
            {"latitude": 37.751012, "longitude": 14.9934, "probability": 0.412346, "place": NAMED[0].to_dict()},
            {"latitude": -38.1, "longitude": -179.99999, "probability": 1e-9, "place": NAMED[1].to_dict()},
        ],
    }
    assert lines[1] == {"path": "broken.jpg", "error": "broken.jpg: the picture is damaged"}
    assert lines[2]["path"] is None
    assert lines[3]["path"] == "odd\udcff.jpg"
    assert "ä" in written("jsonl", ETNA)


def test_json_is_one_array_of_the_same_objects() -> None:
    lines = [json.loads(line) for line in written("jsonl", *ALL).splitlines()]
    assert json.loads(written("json", *ALL)) == lines
    assert json.loads(written("json")) == []


def test_csv_has_a_row_for_each_place_and_failure() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", *ALL))))
    assert [row["path"] for row in rows] == ['dir/"etna", ä.jpg'] * 2 + ["broken.jpg", "", "odd?.jpg"]
    assert [row["rank"] for row in rows] == ["1", "2", "", "1", ""]
    assert (rows[0]["latitude"], rows[0]["longitude"], rows[0]["probability"]) == ("37.751012", "14.9934", "0.412346")
    assert (rows[2]["latitude"], rows[2]["error"]) == ("", "broken.jpg: the picture is damaged")
    assert rows[0]["error"] == ""
    assert written("csv").startswith(
        "path,model,rank,latitude,longitude,probability,error,text,place,country_code,"
        "warning,verdict,radius_km,area90_km2,scope\n"
    )


def test_geojson_has_a_feature_for_each_place_longitude_first() -> None:
    collection = json.loads(written("geojson", *ALL))
    assert collection["type"] == "FeatureCollection"
    features = collection["features"]
    assert len(features) == 5 and all(feature["type"] == "Feature" for feature in features)
    point = shape(features[1]["geometry"])
    assert (point.x, point.y) == (-179.99999, -38.1)
    assert features[1]["properties"] == {
        "path": '"etna", ä.jpg',
        "rank": 2,
        "probability": 1e-9,
        "model": "orbit",
        "place": NAMED[1].to_dict(),
    }
    assert features[2] == {
        "type": "Feature",
        "geometry": None,
        "properties": {"path": "broken.jpg", "error": "broken.jpg: the picture is damaged"},
    }
    assert json.loads(written("geojson"))["features"] == []


@pytest.mark.parametrize("format", ["geojson", "kml"])
def test_what_is_made_to_be_passed_on_has_names_of_files(format: str) -> None:
    answers = replace(ETNA, path="home/anna/etna.jpg"), Failure("home/anna/bad.jpg", "home/anna/bad.jpg: damaged")
    text = written(format, *answers)
    assert "etna.jpg" in text and "bad.jpg: damaged" in text and "anna" not in text
    stream = io.StringIO()
    out = writer(format, stream, full_paths=True)
    out.write(answers[0])
    out.close()
    assert "home/anna/etna.jpg" in stream.getvalue()


def test_table_is_aligned_and_names_each_picture_once() -> None:
    assert written("table", ETNA, BROKEN, UNNAMED).splitlines() == [
        "rank  latitude  longitude  probability          place",
        'dir/"etna", ä.jpg',
        "   1   37.7510    14.9934   41.2 %  ████        near Catania, Italy",
        "   2  -38.1000  -180.0000  < 0.1 %              in the Pacific Ocean, 210 km",
        "                                                from Opotiki, New Zealand",
        "(image)",
        "   1   37.7510    14.9934  100.0 %  ██████████  near Catania, Italy",
    ]
    assert written("table", ETNA, ETNA).splitlines()[5] == ""
    assert written("table") == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_table_fits_the_terminal_and_breaks_no_word(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = writer("table", terminal := Terminal())
    out.write(ETNA)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= max(columns, 68)  # the numbers, and 20 columns for the place
    assert "".join(terminal.getvalue().split()) == "".join(written("table", ETNA).split())
    words = {word for line in lines for word in line.split()}
    assert {"Opotiki,", "Pacific", "Zealand"} <= words and (columns < 120 or len(lines) == 4)


def test_table_without_unicode() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii", errors="replace")
    writer("table", stream).write(ETNA)
    assert "####  " in buffer.getvalue().decode("ascii")


@pytest.mark.parametrize("format", ["json", "jsonl", "geojson"])
def test_no_json_holds_what_json_cannot(format: str) -> None:
    impossible = Prediction("a", "m", np.array([[37.75, 15.0]]), np.array([np.nan]))
    with pytest.raises(ValueError, match="not JSON compliant"):
        written(format, impossible)


def test_names_that_would_control_a_terminal_or_break_a_row() -> None:
    answer = replace(UNNAMED, path="a\rb\x1b[2J\n.jpg")
    rows = list(csv.reader(io.StringIO(written("csv", answer), newline="")))
    assert rows[1][0] == answer.path and '"a\rb' in written("csv", answer)
    assert written("table", answer).splitlines()[1] == "a\ufffdb\ufffd[2J\ufffd.jpg"
