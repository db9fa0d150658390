"""A model's caution, a conflict with the region and an abstention come before the verdict, in every output."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import matplotlib
import pytest
from jsonschema import ValidationError

from earthclip.locating.prediction import Prediction
from earthclip.outputs import html_map
from earthclip.outputs.drawing import to_answer
from earthclip.outputs.geoparquet import rows as geoparquet_rows
from earthclip.outputs.map_png import draw
from earthclip.outputs.structured import answer_schema, dumps, from_object, to_object
from tests.outputs.answers import FAILURE, bare, full
from tests.outputs.schema import check_answer
from tests.outputs.test_trust import written

CAUTION = "for views from above"
DOUBTED = {"caution": CAUTION, "region": "Norway", "region_share": 0.0001, "abstained": True}
TEXTS = [
    "Caution: for views from above.",
    "Warning: the unrestricted model gives Norway < 0.1 %; the picture was probably taken elsewhere.",
    "No answer: the confidence is below the minimum that was asked for.",
]
SENTENCE = full().verdict.sentence  # type: ignore[union-attr]


def doubted(**known: object) -> Prediction:
    return full(**DOUBTED | known)


def in_order(text: str, *parts: str) -> bool:
    places = [text.index(part) for part in parts]
    return places == sorted(places)


def test_an_answer_knows_its_warnings_in_order() -> None:
    assert [warning.text for warning in doubted().warnings] == TEXTS
    assert [warning.kind for warning in doubted().warnings] == ["model", "region", "abstained"]
    assert full(region="Norway", region_share=0.06).warnings == ()


def test_json_has_them_before_the_places() -> None:
    values = doubted().to_dict()
    assert list(values)[:4] == ["path", "model", "warnings", "predictions"]
    assert [warning["text"] for warning in values["warnings"]] == TEXTS
    again = from_object(json.loads(dumps(to_object(doubted(), cells=True))))
    assert isinstance(again, Prediction) and again.warnings == doubted().warnings


def test_table_has_the_caution_once_and_the_others_over_the_places() -> None:
    answer = doubted(abstained=False)
    text = written("table", answer, answer)
    assert text.startswith(f"caution: {CAUTION}\nrank ") and text.count(CAUTION) == 1
    assert in_order(" ".join(text.split()), "etna.jpg", TEXTS[1], "near Catania", SENTENCE)
    assert in_order(" ".join(written("table", doubted()).split()), TEXTS[1], TEXTS[2], SENTENCE)


def test_csv_has_a_column_before_the_verdict() -> None:
    (row,) = csv.DictReader(io.StringIO(written("csv", doubted())))
    assert row["warning"] == " ".join(TEXTS)
    assert list(row).index("warning") < list(row).index("verdict")


def test_each_feature_of_a_map_has_them() -> None:
    answer = doubted(abstained=False)
    features = json.loads(written("geojson", answer, doubted()))["features"]
    assert len(features) == 5 and all(TEXTS[1] in feature["properties"]["warning"] for feature in features)
    assert features[-1]["geometry"] is None and TEXTS[2] in features[-1]["properties"]["warning"]
    assert list(features[0]["properties"]).index("warning") < list(features[0]["properties"]).index("verdict")
    assert {row["warning"] for row in geoparquet_rows(answer)} == {" ".join(TEXTS[:2])}


def test_kml_has_them_first_in_the_description_and_among_the_data() -> None:
    namespace = "{http://www.opengis.net/kml/2.2}"
    folder = ElementTree.fromstring(written("kml", doubted())).find(f"{namespace}Document/{namespace}Folder")
    assert folder is not None
    description = (folder.findtext(f"{namespace}description") or "").replace("&lt;", "<")
    assert description.startswith(TEXTS[0]) and in_order(description, *TEXTS, "Estimated by the model")
    data = {one.get("name"): one[0].text for one in folder.iter(f"{namespace}Data")}
    assert list(data).index("warning") < list(data).index("verdict") and data["warning"] == " ".join(TEXTS)


def test_a_picture_of_a_map_has_them_first() -> None:
    figure = draw(doubted(abstained=False, text="Etna", path=None))
    drawn = " ".join(one.get_text() for one in figure.findobj(matplotlib.text.Text))
    assert in_order(drawn, *TEXTS[:2])


def test_the_html_map_has_them() -> None:
    stream = io.StringIO()
    out = html_map.HTMLMapWriter(stream, thumbnails=False, caution=CAUTION)
    out.write(doubted())
    out.close()
    assert all(text.replace("<", "\\u003c") in stream.getvalue() for text in TEXTS)


@pytest.mark.parametrize("answer", [full(), bare(None), doubted(), full(text="a volcano", path=None), FAILURE])
def test_every_json_fits_the_schema(answer: object) -> None:
    check_answer(answer.to_dict())  # type: ignore[attr-defined]
    check_answer(to_answer(answer, surface=True))  # type: ignore[arg-type]
    check_answer(to_object(answer, cells=True))  # type: ignore[arg-type]
    (line,) = written("jsonl", answer).splitlines()  # type: ignore[arg-type]
    (element,) = json.loads(written("json", answer))  # type: ignore[arg-type]
    assert json.loads(line) == element == json.loads(json.dumps(answer.to_dict()))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [{"path": 3}, {"predictions": None}, {"verdict": {}}, {"abstained": False}, {"warnings": []}, {"extra": 1}],
)
def test_other_objects_do_not_fit(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        check_answer(full().to_dict() | change)


def test_the_schema_leaves_room_for_new_keys() -> None:
    assert "additionalProperties" not in json.dumps(answer_schema())
