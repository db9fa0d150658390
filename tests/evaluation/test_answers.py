"""Tables of answers, of any system and of locate."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earthclip.datasets.manifest import Manifest
from earthclip.errors import InputError
from earthclip.evaluation.answers import answers_for
from earthclip.locating.prediction import Prediction
from earthclip.outputs import writer
from earthclip.pictures.prepare import Failure

TRUTH = Manifest(["a", "b.jpg", "more/c"], np.zeros((3, 2)), "truth.csv")
PATHS = ["photos/more/c.jpg", "photos/b.jpg", r"C:\photos\a.png"]
PLACES = [[(1.0, 2.0), (9.0, 9.0)], [(3.0, 180.0), (9.0, 9.0)], [(-5.5, 6.25), (9.0, 9.0)]]


def located(path: Path, paths: list[str] = PATHS, failed: tuple[str, ...] = ()) -> Path:
    stream = io.StringIO()
    out = writer("csv" if path.suffix == ".csv" else "jsonl", stream)
    for name, places in zip(paths, PLACES, strict=False):
        out.write(Prediction(name, "tiny", np.array(places), np.array([0.5, 0.1])))
    for name in failed:
        out.write(Failure(name, f"{name}: not a picture"))
    path.write_text(stream.getvalue(), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_what_locate_wrote(tmp_path: Path, name: str) -> None:
    found = answers_for(TRUTH, located(tmp_path / name))
    np.testing.assert_array_equal(found, [(-5.5, 6.25), (3.0, -180.0), (1.0, 2.0)])


def test_the_fields_own_table(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    path.write_text("path,IMG_ID,LAT,LON\nx,more/c,1,2\nx,a,3,4\nx,b.jpg,5,6\n")
    np.testing.assert_array_equal(answers_for(TRUTH, path), [(3, 4), (5, 6), (1, 2)])


@pytest.mark.parametrize("name", ["answers.csv", "answers.jsonl"])
def test_pictures_without_an_answer_are_counted(tmp_path: Path, name: str) -> None:
    path = located(tmp_path / name, PATHS[:1], (PATHS[1],))
    expected = f"1 of 3 ids of truth.csv have no prediction in {name}, e.g. 'a'; 1 of 3 pictures failed"
    with pytest.raises(InputError, match=expected):
        answers_for(TRUTH, path)


def test_answers_to_other_pictures_are_counted(tmp_path: Path) -> None:
    path = located(tmp_path / "answers.csv", ["x/c.jpg", *PATHS[1:]])
    with pytest.raises(InputError, match=r"1 of 3 paths of answers.csv name no picture of truth.csv, e.g. 'x/c.jpg'"):
        answers_for(TRUTH, path)


def test_two_answers_for_one_picture(tmp_path: Path) -> None:
    truth = Manifest(["a"], np.zeros((1, 2)), "truth.csv")
    path = located(tmp_path / "answers.jsonl", ["x/a.jpg", "y/a.png"])
    with pytest.raises(InputError, match=r"'x/a.jpg' and 'y/a.png' both answer for 'a' of truth.csv"):
        answers_for(truth, path)
    again = located(tmp_path / "again.csv", ["x/a.jpg", "x/a.jpg"])
    with pytest.raises(InputError, match=r"again.csv, line 4: 'x/a.jpg' is answered twice"):
        answers_for(truth, again)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "path,rank,latitude,longitude\na.jpg,1,north,3\n", "t.csv, line 2: latitude must be a number"),
        ("t.csv", "path,rank,latitude,longitude\na.jpg,1\n", "t.csv, line 2: latitude must be a number of degrees"),
        ("t.csv", "path,rank,latitude,longitude\na.jpg,1,91,3\n", "t.csv, line 2: latitude 91, longitude 3: "),
        ("t.csv", "path,rank,latitude\na.jpg,1,91\n", "expected a header with the comma-separated columns IMG_ID"),
        ("t.csv", 'path,rank,latitude,longitude\n"a.jpg,1,1,3\n', "not readable as CSV"),
        ("t.jsonl", "[1, 2]\n", "t.jsonl, line 1: not written by earthclip locate; expected path"),
        ("t.jsonl", '{"path": null, "predictions": []}\n', "t.jsonl, line 1: not written by earthclip locate"),
        ("t.jsonl", '{"path": "a", "predictions": [{"latitude": 1}]}\n', "line 1: not written by earthclip locate"),
        (
            "t.jsonl",
            '{"path": "a", "predictions": [{"latitude": true, "longitude": 2}]}\n',
            "latitude must be a number",
        ),
        ("t.jsonl", "{\n", "t.jsonl: not JSON Lines"),
        ("t.csv", None, "t.csv: no such file"),
        ("t.jsonl", None, "t.jsonl: no such file"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        answers_for(Manifest(["a"], np.zeros((1, 2)), "truth.csv"), tmp_path / name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.sampled_from([".csv", ".jsonl"]))
def test_any_text_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"t{suffix}"
    header = "path,rank,latitude,longitude\n" if suffix == ".csv" else ""
    path.write_bytes((header + text).encode("utf-8", "surrogatepass"))
    try:
        assert answers_for(TRUTH, path).shape == (3, 2)
    except InputError as error:
        assert len(str(error).splitlines()) == 1


@settings(max_examples=60, deadline=None)
@given(st.recursive(st.none() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, inner: object) -> None:
    path = tmp_path_factory.mktemp("any") / "t.jsonl"
    path.write_text(json.dumps({"path": "a.jpg", "predictions": inner}))
    with pytest.raises(InputError):
        answers_for(TRUTH, path)
