"""Pictures that are not of a model's kind: no places, one sentence, in every output."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from earthclip import load
from earthclip.errors import ConfigError, InputError, ModelError
from earthclip.locating.locator import Locator
from earthclip.locating.prediction import Prediction
from earthclip.locating.question import Question
from earthclip.models.config import Scope
from earthclip.models.folder import open_folder
from earthclip.outputs import open_writer, writer
from earthclip.outputs.map_png import draw
from earthclip.outputs.sidecar import objection
from earthclip.outputs.structured import from_object, to_object
from tests.tiny import write_tiny_model

ADVICE = "This does not look like a bright picture, which is all that 'tiny' can locate; use --model other."
SCOPE = Scope("a bright picture", 0.5, "use --model other")


@pytest.fixture
def locator(tmp_path: Path) -> Locator:
    return load(write_tiny_model(tmp_path / "tiny", scope=SCOPE))


def flat(brightness: int) -> Image.Image:
    return Image.new("RGB", (40, 30), (brightness,) * 3)


def dark(locator: Locator) -> Prediction:
    (answer,) = locator.locate([flat(0)])
    return answer


def test_a_picture_out_of_scope_has_no_places_and_one_sentence(locator: Locator) -> None:
    bright, answer, brighter = locator.locate([flat(200), flat(0), flat(255)])
    assert (bright.in_scope, brighter.in_scope, answer.in_scope) == (True, True, False)
    assert len(bright.coordinates) == 5 and bright.advice is None and not bright.abstained
    assert len(answer.coordinates) == 0 and answer.abstained and answer.advice == ADVICE
    assert answer.scope == pytest.approx(1 / (1 + np.exp(2)), abs=1e-6)
    assert answer.__geo_interface__["geometry"] is None
    with pytest.raises(InputError, match="has no place; This does not look like a bright picture"):
        _ = answer.latitude


def test_an_answer_can_be_forced_and_says_so(locator: Locator) -> None:
    (forced,) = locator.locate([flat(0)], force_answer=True)
    assert len(forced.coordinates) == 5 and not forced.abstained
    assert forced.in_scope is False and forced.advice == ADVICE


def test_places_are_those_of_the_model_without_a_head(locator: Locator, tmp_path: Path) -> None:
    without = load(write_tiny_model(tmp_path / "without"))
    (answer,), (same,) = locator.locate([flat(200)]), without.locate([flat(200)])
    assert np.array_equal(answer.coordinates, same.coordinates)
    assert np.array_equal(answer.probabilities, same.probabilities)
    assert same.scope is None and same.in_scope is None and "in_scope" not in to_object(same)


def test_json_has_scope_and_comes_back(locator: Locator) -> None:
    written = to_object(dark(locator))
    assert written["in_scope"] is False and written["scope"] == pytest.approx(0.119203)
    assert written["abstained"] is True and written["predictions"] == [] and written["advice"] == ADVICE
    read = from_object(json.loads(json.dumps(written)))
    assert isinstance(read, Prediction) and read.in_scope is False and to_object(read) == written


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("table", "This does not look like a bright picture"),
        ("csv", ",out of scope,,,0.119203\n"),
        ("geojson", '"geometry": null'),
        ("kml", ADVICE.replace("'", "&apos;")),
    ],
)
def test_text_outputs_tell_it(locator: Locator, format: str, expected: str) -> None:
    stream = io.StringIO()
    out = writer(format, stream)
    out.write(dark(locator))
    out.close()
    assert expected in stream.getvalue() and "less sure" not in stream.getvalue()


def test_geoparquet_tells_it(locator: Locator, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with open_writer("geoparquet", tmp_path / "out.parquet") as out:
        out.write(dark(locator))
    (row,) = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["kind"], row["verdict"], row["geometry"]) == ("none", "out of scope", None)
    assert row["scope"] == pytest.approx(0.119203)


def test_a_drawn_map_shows_the_sentence_and_no_places(locator: Locator) -> None:
    figure = draw(dark(locator), flat(0))
    text = " ".join(part.get_text() for part in figure.texts)
    assert "This does not look like a bright picture" in text and "estimate" not in text


def test_no_sidecar_is_written(locator: Locator) -> None:
    assert objection(dark(locator)) == "the picture is out of the model's scope"


def test_old_runs_are_compared_with_new_ones() -> None:
    assert "force_answer" not in Question().options and Question(force_answer=True).options["force_answer"] is True


@pytest.mark.parametrize(("of", "threshold"), [("", 0.5), ("views", 0.0), ("views", 1.0), ("views", float("nan"))])
def test_impossible_scopes_are_refused(of: str, threshold: float) -> None:
    with pytest.raises(ConfigError, match="scope must say of what"):
        Scope(of, threshold)


def test_a_folder_that_lacks_half_of_its_head_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "tiny", scope=SCOPE)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "scope": None}))
    with pytest.raises(ModelError, match=r"needs scope\.onnx and scope in config\.json together"):
        open_folder(folder)
